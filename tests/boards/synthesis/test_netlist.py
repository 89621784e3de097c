"""Verilog taken apart: modules, what is in them, and which are the same."""

from collections import Counter

import pytest
from amaranth.back import verilog
from amaranth.hdl import Array, Elaboratable, Module, Signal
from amaranth.lib.memory import Memory

from vta.boards.synthesis.netlist import instances, require_zero_memories, split
from vta.boards.synthesis.parts import SynthesisError
from vta.hw.compute.dot import DotProduct
from vta.hw.compute.dot_pair import ProductChain
from vta.hw.emit import fold_initial
from vta.hw.lib.sram import Sram


class Design(Elaboratable):
    """Two chains on slices of one register, a dot product, a memory."""

    def __init__(self):
        self.out = Signal(64)

    def elaborate(self, platform):
        m = Module()
        common, operand = Signal(2 * 8), Signal(4 * 2 * 8)
        m.d.sync += [common.eq(common - 1), operand.eq(operand + 1)]
        sizes = {"length": 2, "a_bits": 8, "b_bits": 8}
        total = 0
        for n in range(2):
            m.submodules[f"chain{n}"] = chain = ProductChain(**sizes)
            m.d.comb += [
                chain.valid.eq(1), chain.a.eq(common),
                chain.b0.eq(operand[32 * n :][:16]), chain.b1.eq(operand[32 * n + 16 :][:16]),
            ]  # fmt: skip
            total += chain.low + chain.high
        m.submodules.dot = dot = DotProduct(**sizes, max_bits=32)
        m.submodules.memory = memory = Sram(log_depth=4, bits=8)
        m.d.comb += [
            dot.valid.eq(1), dot.a.eq(operand), dot.b.eq(operand >> 8),
            memory.write.mask.eq(1), memory.write.data.eq(operand), memory.read[0].en.eq(1),
            self.out.eq(total + dot.sum + memory.read[0].data),
        ]  # fmt: skip
        return m


@pytest.fixture(scope="module")
def modules():
    design = Design()
    return split(verilog.convert(design, name="whole", ports=[design.out], emit_src=False))


def test_instances(modules):
    inner = [f"\\whole.{name}" for name in ("chain0", "chain1", "dot", "memory")]
    assert Counter(instances(modules, "whole")) == Counter(["whole", *inner])


def test_the_same_module_has_the_same_key(modules):
    keys = {name.removeprefix("\\whole."): part.key(modules) for name, part in modules.items()}
    assert keys["chain0"] == keys["chain1"]
    assert len(set(keys.values())) == 4


def test_a_black_box_has_the_ports_and_nothing_else(modules):
    stub = modules["\\whole.dot"].stub
    assert stub.startswith("(* blackbox *)\nmodule \\whole.dot (")
    assert "input [15:0] a;" in stub and stub.endswith("endmodule\n")
    assert "assign" not in stub and "reg" not in stub


def test_what_is_not_there():
    with pytest.raises(SynthesisError, match=r"holds no module$"):
        split("// nothing\n")
    with pytest.raises(SynthesisError, match="no module machine"):
        list(instances({}, "machine"))


class Store(Elaboratable):
    """A memory that is written, with first values, and a table that is only read."""

    def __init__(self, values, bits):
        self.values, self.bits = values, bits
        self.at, self.into, self.out, self.en = Signal(3), Signal(bits), Signal(bits), Signal()

    def elaborate(self, platform):
        m = Module()
        m.submodules.store = store = Memory(shape=self.bits, depth=8, init=self.values)
        read, write = store.read_port(), store.write_port()
        table = Array((7, 5, 4, 1, 9, 8, 3, 2))
        m.d.comb += [
            read.addr.eq(self.at), write.addr.eq(self.at), write.en.eq(self.en),
            write.data.eq(self.into), self.out.eq(read.data + table[self.at]),
        ]  # fmt: skip
        return m


def stored(values, fold, bits):
    store = Store(values, bits)
    ports = [store.at, store.into, store.out, store.en]
    text = verilog.convert(store, name="top", ports=ports, emit_src=False)
    return fold_initial(text) if fold else text


@pytest.mark.parametrize("bits", [8, 32], ids=["hexadecimal", "decimal"])
@pytest.mark.parametrize("fold", [False, True])
def test_memories_of_zeros(fold, bits):
    """Yosys writes values of 32 bits as decimal numbers."""
    text = stored([0] * 8, fold, bits)
    assert ("initial for" in text) == fold
    assert ("32'd0" in text) == (bits == 32)
    assert "= 8'h09" in text or "4'h9" in text  # the table
    require_zero_memories(text, "Cyclone V")
    assert "initial for" not in "".join(module.text for module in split(text).values())


@pytest.mark.parametrize(
    ("values", "fold"), [([0, 0, 0, 3], False), ([3], False), ([3] * 8, False), ([3] * 8, True)]
)
@pytest.mark.parametrize(("bits", "three"), [(8, "03"), (32, "3")])
def test_memories_of_other_values(values, fold, bits, three):
    text = stored(values, fold, bits)
    with pytest.raises(SynthesisError) as caught:
        require_zero_memories(text, "Cyclone V")
    said = str(caught.value)
    assert said.startswith("module ") and f"starts with {three}; must start with zeros" in said
    assert said.endswith("memories of Cyclone V are mapped without first values")
    if fold:
        with pytest.raises(SynthesisError, match=f"starts with {three}; must start with zeros"):
            split(text)
    else:
        split(text)  # these values are kept
