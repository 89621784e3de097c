"""What a report of nextpnr says to people, and which runs are made."""

import shlex
import sys

import pytest

from vta.boards.synthesis import nextpnr
from vta.boards.synthesis.nextpnr import PathSegment, Timing, timing_of
from vta.boards.synthesis.parts import PARTS, SynthesisError


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


FAKE = f"""#!/bin/sh
'''exec' {shlex.quote(sys.executable)} "$0" "$@"
' '''
import json, sys
options = dict(zip(sys.argv, sys.argv[1:]))
if "--seed" in options:
    mhz = float(options["--seed"])
    clock = {{"clk": {{"achieved": mhz, "constraint": 100.0}}}}
    report = {{"fmax": clock, "critical_paths": [], "utilization": {{}}}}
    open(options["--report"], "w").write(json.dumps(report))
print("Version nextpnr-9.9)")
"""
"""A tool that writes its seed as the clock."""


def test_each_seed_is_routed_once(tmp_path, monkeypatch):
    fake = tmp_path / "nextpnr"
    fake.write_text(FAKE)
    fake.chmod(0o755)
    monkeypatch.setattr(nextpnr, "tool", lambda _: str(fake))
    told: list[str] = []
    results = [
        nextpnr.route(PARTS["LFE5U-85F"], tmp_path, told.append, seed=seed).mhz
        for seed in (7, 8, 7)
    ]
    assert results == [7.0, 8.0, 7.0]
    assert [line.partition("--seed ")[2] for line in told] == ["7", "8"]


def test_other_options_of_the_placer_are_another_run(tmp_path, monkeypatch):
    """The tool is one that writes the weight of the timing as the clock."""
    fake = tmp_path / "nextpnr"
    fake.write_text(FAKE.replace('options["--seed"])', 'options["--placer-heap-timingweight"])'))
    fake.chmod(0o755)
    monkeypatch.setattr(nextpnr, "tool", lambda _: str(fake))
    part = PARTS["LFE5U-85F"]
    assert nextpnr.route(part, tmp_path, lambda _: None).mhz == 30.0
    monkeypatch.setattr(nextpnr, "PLACER", ("--placer-heap-timingweight", "20"))
    assert nextpnr.route(part, tmp_path, lambda _: None).mhz == 20.0


def test_a_part_without_an_open_router_is_refused(tmp_path):
    with pytest.raises(SynthesisError, match="no open place-and-route tool knows XC7Z020"):
        nextpnr.route(PARTS["XC7Z020"], tmp_path, print)
