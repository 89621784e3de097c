"""What a report of nextpnr says to people."""

from vta.boards.synthesis.nextpnr import PathSegment, Timing, timing_of


def test_a_path_is_told_by_its_signals():
    path = (
        PathSegment("clk-to-q", 0.5, "core.word_TRELLIS_FF_Q_12"),
        PathSegment("routing", 2.25, "core.word[12]"),
        PathSegment("logic", 0.25, "core.sum_TRELLIS_FF_Q_DI_CCU2C_COUT$CCU2_COMB0"),
        PathSegment("routing", 0.0, "core.sum"),
        PathSegment("logic", 0.5, "$nextpnr_CCU2C_291$CCU2_COMB0"),
        PathSegment("routing", 1.0, "core.sum"),
        PathSegment("logic", 0.25, "core.sum_LUT4_Z"),
        PathSegment("logic", 0.0625, "core.small_PFUMX_Z"),
        PathSegment("setup", 0.25, "core.end_TRELLIS_FF_Q"),
    )
    assert Timing(tool="nextpnr-9.9", mhz=200.0, path=path).text().splitlines() == [
        "200.0 MHz after place and route (nextpnr-9.9)",
        "longest path: 5.06 ns, 3.25 ns of it wires",
        "   0.50 ns in core.word",
        "   1.00 ns in core.sum",
        "   0.25 ns in core.end",
    ]


def step(kind, delay, cell):
    return {"type": kind, "delay": delay, "from": {"cell": cell}, "to": {"cell": cell}}


def test_the_slowest_clock_and_the_slowest_path_between_registers():
    """A path from a pin is longer, but no clock times it."""
    timing = timing_of(
        {
            "fmax": {
                "fast": {"achieved": 200.0, "constraint": 25.0},
                "slow": {"achieved": 50.0, "constraint": 40.0},
            },
            "critical_paths": [
                {"from": "<async>", "to": "posedge slow", "path": [step("logic", 30.0, "pin")]},
                {"from": "posedge fast", "to": "posedge fast", "path": [step("logic", 5.0, "a")]},
                {"from": "posedge slow", "to": "posedge slow", "path": [step("logic", 20.0, "b")]},
            ],
            "utilization": {"DP16KD": {"used": 3, "available": 208}},
        },
        "nextpnr-9.9",
    )
    assert (timing.mhz, timing.slack_ns) == (50.0, 5.0)
    assert timing.path == (PathSegment("logic", 20.0, "b"),)
    assert timing.used == {"DP16KD": (3, 208)}
