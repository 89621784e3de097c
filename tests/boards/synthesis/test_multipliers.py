"""Registers of products that move into multipliers of ECP5: which do, and that the results stay.

The judge is a model of the block after its data sheet, against the RTL, for every input of some
cycles from the start (bounded proof by Yosys).
"""

import json
import subprocess
from collections import Counter

import pytest
from amaranth.back import verilog
from amaranth.hdl import Cat, Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vta.boards.synthesis import multipliers
from vta.boards.synthesis.multipliers import Moved, move_registers, move_registers_of
from vta.boards.synthesis.parts import ECP5, SynthesisError
from vta.boards.synthesis.tools import tool
from vta.boards.synthesis.yosys import Yosys

BITS = 5
CYCLES = 6

MODEL = """
module MULT18X18D({ports});
    {inputs}
    {outputs}
    parameter REG_OUTPUT_CLK = "NONE";
    parameter REG_OUTPUT_CE = "CE0";
    parameter REG_OUTPUT_RST = "RST0";
    wire signed [18:0] a = {{SIGNEDA & A17, {a}}};
    wire signed [18:0] b = {{SIGNEDB & B17, {b}}};
    wire signed [37:0] p = a * b;
    reg [35:0] kept = 0;
    always @(posedge CLK0) if (CE0) kept <= p[35:0];
    assign {{{p}}} = REG_OUTPUT_CLK == "CLK0" ? kept : p[35:0];
endmodule
"""


def model():
    names = {
        letter: [f"{letter}{index}" for index in reversed(range(bits))]
        for letter, bits in (("A", 18), ("B", 18), ("C", 18), ("P", 36))
    }
    control = [f"{kind}{index}" for kind in ("CLK", "CE", "RST") for index in range(4)]
    inputs = [*names["A"], *names["B"], *names["C"], *control]
    inputs += ["SIGNEDA", "SIGNEDB", "SOURCEA", "SOURCEB"]
    return MODEL.format(
        ports=", ".join((*inputs, *names["P"])),
        inputs=" ".join(f"input {name};" for name in inputs),
        outputs=" ".join(f"output {name};" for name in names["P"]),
        a=", ".join(names["A"]),
        b=", ".join(names["B"]),
        p=", ".join(names["P"]),
    )


class Products(wiring.Component):
    """Two products of a shared factor, as a test wants it.

    Parameters
    ----------
    shape : Shape
        Of the factors.
    resets : bool
        Whether the products have a reset.
    bare : bool
        Whether one factor is logic in place of a register.
    start : int
        The products before the first.
    """

    def __init__(self, shape, *, resets=False, bare=False, start=0):
        self.shape, self.resets, self.bare, self.start = shape, resets, bare, start
        super().__init__({
            "a": In(shape), "b": In(shape), "c": In(shape),
            "load": In(1), "go": In(1), "out": Out(2 * 2 * BITS), "seen": Out(BITS),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        a, b, c = (Signal(self.shape, name=name) for name in ("ra", "rb", "rc"))
        wide = signed(2 * BITS) if a.shape().signed else 2 * BITS
        ab = Signal(wide, reset_less=not self.resets, init=self.start)
        ac = Signal(wide, reset_less=not self.resets, init=self.start)
        with m.If(self.load):
            m.d.sync += [a.eq(self.a), b.eq(self.b)]
        with m.If(self.go):
            m.d.sync += ac.eq(a * c)
        if self.bare:
            m.d.comb += c.eq(self.c ^ self.a)
        else:
            m.d.sync += c.eq(self.c)
        m.d.sync += ab.eq(a * b)
        m.d.comb += [self.out.eq(Cat(ab, ac)), self.seen.eq(a)]
        return m


def netlist_of(tmp_path, block):
    """The mapped netlist of a block, and its RTL."""
    text = verilog.convert(block, name="block", emit_src=False)
    Yosys(tmp_path / "cache").flat(text, "block", ECP5, tmp_path)
    return json.loads((tmp_path / "netlist.json").read_text())


def yosys(folder, script):
    return subprocess.run(
        [tool(Yosys.TOOL), "-Q", "-p", script], cwd=folder, capture_output=True, text=True
    )


def compare(tmp_path, netlist):
    """Whether the netlist does what the RTL does, in all runs of so many cycles."""
    alone = {"modules": {"block": netlist["modules"]["block"]}}
    (tmp_path / "moved.json").write_text(json.dumps(alone))
    (tmp_path / "model.v").write_text(model())
    return yosys(
        tmp_path,
        "read_verilog machine.v; hierarchy -top block; proc; flatten; opt_clean; "
        "rename block gold; design -stash gold; "
        "read_json moved.json; read_verilog model.v; "
        "read_verilog -overwrite +/lattice/cells_sim_ecp5.v; "
        "hierarchy -top block; proc; flatten; async2sync; opt; rename block gate; "
        "design -stash gate; design -copy-from gold gold; design -copy-from gate gate; "
        "miter -equiv -flatten gold gate miter; hierarchy -top miter; "
        f"sat -verify -prove trigger 0 -tempinduct-baseonly -maxsteps {CYCLES} miter",
    )


def cells(netlist):
    return Counter(cell["type"] for cell in netlist["modules"]["block"]["cells"].values())


@pytest.mark.parametrize("shape", [BITS, signed(BITS)], ids=["unsigned", "signed"])
def test_the_registers_of_products_move(tmp_path, shape):
    netlist = netlist_of(tmp_path, Products(shape))
    before = cells(netlist)
    moved = move_registers(netlist, "block")
    after = cells(netlist)
    assert moved.multipliers == after["MULT18X18D"] == before["MULT18X18D"] == 2
    assert moved.registers == before["TRELLIS_FF"] - after["TRELLIS_FF"] == 2 * 2 * BITS
    done = compare(tmp_path, netlist)
    assert done.returncode == 0, done.stderr


def test_a_netlist_with_a_wrong_enable_is_found(tmp_path):
    """The proof can fail."""
    netlist = netlist_of(tmp_path, Products(BITS))
    move_registers(netlist, "block")
    for cell in netlist["modules"]["block"]["cells"].values():
        if cell["type"] == "MULT18X18D":
            cell["connections"]["CE0"] = ["1"]
    done = compare(tmp_path, netlist)
    assert done.returncode != 0
    assert "proof did fail" in done.stderr


@pytest.mark.parametrize(
    ("options", "multipliers"),
    [({"resets": True}, 0), ({"start": 1}, 0), ({"bare": True}, 1)],
    ids=["reset", "another value at the start", "logic in front of a factor"],
)
def test_what_the_block_cannot_do_stays(tmp_path, options, multipliers):
    netlist = netlist_of(tmp_path, Products(signed(BITS), **options))
    assert move_registers(netlist, "block").multipliers == multipliers
    done = compare(tmp_path, netlist)
    assert done.returncode == 0, done.stderr


class Chain(wiring.Component):
    """The product of a product: one register between two multipliers."""

    def __init__(self):
        super().__init__({"a": In(BITS), "b": In(BITS), "out": Out(3 * BITS)})

    def elaborate(self, platform):
        m = Module()
        a, b = Signal(BITS, reset_less=True), Signal(BITS, reset_less=True)
        product = Signal(2 * BITS, reset_less=True)
        m.d.sync += [a.eq(self.a), b.eq(self.b), product.eq(a * b)]
        out = Signal(3 * BITS, reset_less=True)
        m.d.sync += out.eq(product * b)
        m.d.comb += self.out.eq(out)
        return m


def test_a_register_between_two_multipliers_moves_into_the_first(tmp_path):
    netlist = netlist_of(tmp_path, Chain())
    assert cells(netlist)["MULT18X18D"] == 2
    assert move_registers(netlist, "block") == Moved(2, 2 * BITS + 3 * BITS)
    done = compare(tmp_path, netlist)
    assert done.returncode == 0, done.stderr


class ReadTwice(wiring.Component):
    """A product that logic reads beside its register."""

    def __init__(self):
        super().__init__({"a": In(BITS), "b": In(BITS), "out": Out(2 * BITS), "odd": Out(1)})

    def elaborate(self, platform):
        m = Module()
        a, b = Signal(BITS, reset_less=True), Signal(BITS, reset_less=True)
        product = Signal(2 * BITS)
        out = Signal(2 * BITS, reset_less=True)
        m.d.comb += product.eq(a * b)
        m.d.sync += [a.eq(self.a), b.eq(self.b), out.eq(product)]
        m.d.comb += [self.out.eq(out), self.odd.eq(product[3])]
        return m


def test_a_product_that_something_else_reads_stays(tmp_path):
    netlist = netlist_of(tmp_path, ReadTwice())
    before = cells(netlist)
    assert move_registers(netlist, "block") == Moved(0, 0)
    assert cells(netlist) == before


def test_a_file_is_changed_in_place_and_a_wrong_one_is_refused(tmp_path, capsys):
    netlist_of(tmp_path, Products(BITS))
    path = tmp_path / "netlist.json"
    assert multipliers.main([str(path), "--top", "block"]) == 0
    assert capsys.readouterr().out == "20 registers moved into 2 multipliers\n"
    assert move_registers_of(path, "block") == Moved(0, 0)
    with pytest.raises(SynthesisError, match="holds no module other"):
        move_registers_of(path, "other")
    path.write_text("module m; endmodule")
    assert multipliers.main([str(path), "--top", "block"]) == 1
    assert "is no netlist of Yosys" in capsys.readouterr().err
    assert multipliers.main([str(tmp_path / "none.json"), "--top", "block"]) == 1
