"""The lister of longest paths: delays added by hand on small netlists, and one made by Yosys."""

import json

import pytest

from vta.boards.synthesis.delays import DELAYS
from vta.boards.synthesis.parts import FAMILIES, SEVEN, ULTRASCALE_PLUS, SynthesisError
from vta.boards.synthesis.paths import longest_paths
from vta.boards.synthesis.yosys import Yosys

WIRE = DELAYS[SEVEN.name].wire


def cell(kind, parameters=(), **pins):
    """A cell of a netlist, by its pins (a net's number, or several)."""
    nets = {pin: nets if isinstance(nets, list) else [nets] for pin, nets in pins.items()}
    return {"type": kind, "parameters": dict(parameters), "connections": nets}


def netlist(cells, **names):
    """A module ``top``; ``names`` are its signals' nets."""
    nets = {name.replace("__", "."): {"hide_name": 0, "bits": bits} for name, bits in names.items()}
    return {"modules": {"top": {"cells": dict(enumerate(cells)), "netnames": nets}}}


CHAIN = [
    cell("FDRE", D=9, Q=1, CE="1", R="0"),
    cell("LUT2", I0=1, I1=2, O=3),
    cell("LUT6", I0=3, I1="0", I2="0", I3="0", I4="0", I5=1, O=4),
    cell("FDRE", D=4, Q=5, CE="1", R="0"),
    cell("FDRE", D="0", Q=6, CE=4, R="0"),
]


def test_delays_from_register_to_register_are_added():
    (first, second) = longest_paths(
        netlist(CHAIN, core__a__x=[1], core__b__y=[5], core__c__z=[6]), "top", SEVEN, 5
    )
    # clock to Q, the two LUTs (I0 of two: 238, I0 of six: 642), then CE (109) or D (0)
    assert (first.start, first.end) == ("core.a.x", "core.c.z")
    assert first.logic == pytest.approx((303 + 238 + 642 + 109) / 1000, abs=0.006)
    assert first.wires == 3
    assert first.estimate == pytest.approx((1292 + 3 * WIRE) / 1000, abs=0.006)
    assert (second.end, second.logic) == ("core.b.y", 1.18)


def test_a_carry_chain_has_no_wires():
    chain = [cell("FDRE", D="0", Q=1, CE="1", R="0")]
    nets = [[10 + 4 * n + bit for bit in range(4)] for n in range(3)]
    for n, carries in enumerate(nets):
        below = nets[n - 1][3] if n else "0"
        starts = ["0", "0", "0", "0"] if n else [1, "0", "0", "0"]
        chain.append(cell("CARRY4", CI=below, CYINIT="0", DI=["0"] * 4, S=starts, CO=carries,
                          O=[30 + 4 * n + bit for bit in range(4)]))  # fmt: skip
    chain.append(cell("FDRE", D=41, Q=2, CE="1", R="0"))
    (path,) = longest_paths(netlist(chain, x=[1], y=[2]), "top", SEVEN, 5)
    assert path.wires == 2
    assert path.logic == pytest.approx((303 + 533 + 114 + 334) / 1000, abs=0.006)


def test_alike_registers_are_listed_once():
    cells = [cell("FDRE", D="0", Q=n, CE="1", R="0") for n in (1, 2, 3)]
    cells += [cell("FDRE", D=n, Q=n + 10, CE="1", R="0") for n in (1, 2, 3)]
    names = {f"core__lane{n}__x": [n] for n in (1, 2, 3)}
    names |= {f"core__bank{n}__y": [n + 10] for n in (1, 2, 3)}
    assert len(longest_paths(netlist(cells, **names), "top", SEVEN, 9)) == 1


@pytest.mark.parametrize(
    ("used", "setup_of_a", "setup_of_b"),
    [((), None, None), (("AREG", "MREG"), 254, 1285), (("BREG", "MREG"), 1416, 324),
     (("PREG",), 2739, 2608), (("AREG", "BREG", "MREG", "PREG"), 254, 324)],
)  # fmt: skip
def test_an_input_of_a_multiplier_ends_in_the_next_register_on_its_way(
    used, setup_of_a, setup_of_b
):
    parameters = {name: str(int(name in used)) for name in ("AREG", "BREG", "MREG", "PREG")}
    for pin, setup, comb in (("A", setup_of_a, 2823), ("B", setup_of_b, 2690)):
        cells = [
            cell("FDRE", D="0", Q=1, CE="1", R="0"),
            cell("DSP48E1", parameters, **{"A": ["0"], "B": ["0"], "P": [2], pin: [1]}),
            cell("FDRE", D=2, Q=3, CE="1", R="0"),
        ]
        found = longest_paths(netlist(cells, a__x=[1], b__p=[2], c__y=[3]), "top", SEVEN, 5)
        logic = {path.end: path.logic for path in found if path.start == "a.x"}
        end = "c.y" if setup is None else "b.p"
        delay = 303 + (comb if setup is None else setup)
        assert logic == {end: pytest.approx(delay / 1000, abs=0.006)}, pin


@pytest.mark.parametrize(
    ("used", "setup_of_c", "clocked"),
    [(("CREG", "MREG"), 168, 1687), (("MREG", "PREG"), 1244, 329), (("CREG", "PREG"), 168, 329)],
)
def test_the_addend_of_a_multiplier_ends_in_its_register(used, setup_of_c, clocked):
    parameters = {name: "1" for name in used}
    cells = [
        cell("FDRE", D="0", Q=1, CE="1", R="0"),
        cell("DSP48E1", parameters, A=["0"], B=["0"], C=[1], P=[2]),
        cell("FDRE", D=2, Q=3, CE="1", R="0"),
    ]
    found = longest_paths(netlist(cells, a__x=[1], b__p=[2], c__y=[3]), "top", SEVEN, 5)
    delays = {("a.x", "b.p"): 303 + setup_of_c, ("b.p", "c.y"): clocked}
    assert {(path.start, path.end): path.logic for path in found} == {
        ends: pytest.approx(delay / 1000, abs=0.006) for ends, delay in delays.items()
    }


def test_registers_inside_a_multiplier_are_ends():
    cells = [
        cell("FDRE", D="0", Q=1, CE="1", R="0"),
        cell("DSP48E1", {"PREG": "1", "MREG": "0", "AREG": "0"}, A=[1], B=["0"], P=[2]),
        cell("FDRE", D=2, Q=3, CE="1", R="0"),
    ]
    found = longest_paths(netlist(cells, a__x=[1], b__p=[2], c__y=[3]), "top", SEVEN, 5)
    assert [(path.start, path.end, path.logic) for path in found] == [
        ("a.x", "b.p", 3.04), ("b.p", "c.y", 0.33),
    ]  # fmt: skip


def test_what_is_not_known_is_refused():
    with pytest.raises(SynthesisError, match="delays of cell LUT9 are not known"):
        longest_paths(netlist([cell("LUT9", A=1)]), "top", SEVEN, 1)
    with pytest.raises(SynthesisError, match=r"delays of UltraScale\+ are not known"):
        longest_paths(netlist([]), "top", ULTRASCALE_PLUS, 1)
    loop = [cell("LUT1", I0=1, O=2), cell("LUT1", I0=2, O=1)]
    with pytest.raises(SynthesisError, match="a loop without a register goes through ring"):
        longest_paths(netlist(loop, ring=[1, 2]), "top", SEVEN, 1)


VERILOG = """
module top(input clk, input we, input [9:0] at, input [15:0] in, output reg [31:0] sum);
  reg [15:0] a, b, memory [0:1023];
  reg [15:0] word;
  always @(posedge clk) begin
    if (we) memory[at] <= in;
    word <= memory[at];
    a <= word; b <= a;
    sum <= sum + a * b;
  end
endmodule
"""


@pytest.mark.parametrize("family", [f for f in FAMILIES if f.name in DELAYS], ids=lambda f: f.name)
def test_netlists_of_yosys_are_understood(family, tmp_path):
    yosys = Yosys(tmp_path / "cache")
    yosys.flat(VERILOG, "top", family, tmp_path / "flat")
    text = (tmp_path / "flat" / "netlist.json").read_text(encoding="utf-8")
    longest, *_ = longest_paths(json.loads(text), "top", family, 9)
    assert longest.end == "sum"
    assert 1.0 < longest.logic < 12.0
    assert 1 <= longest.wires < 12
