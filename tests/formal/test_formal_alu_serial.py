"""The ALU without multipliers: the product, and the gate that micro-ops with one pass twice."""

import pytest
from amaranth.hdl import Array, Assert, Assume, Cover, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from tests.formal.mutant import mutant, shrunk
from tests.formal.runner import Properties, constant, hold, reach, refute
from tests.formal.test_formal_alu import uop_layout
from vta.hw.compute import alu_serial
from vta.isa import AluOpcode

PRODUCTS = (AluOpcode.SHR, AluOpcode.MUL, AluOpcode.REQUANTISE)
X_BITS, MULTIPLIER_BITS = 3, 6
DEPTH = 30
"""Cycles: a product by 18 bits and then one by 32 pass twice."""


class Product(wiring.Component):
    """The product as a block."""

    def __init__(self, module) -> None:
        self.module = shrunk(module, MULTIPLIER_BITS=MULTIPLIER_BITS)
        super().__init__({
            "start": In(1), "step": In(1), "x": In(signed(X_BITS)),
            "multiplier": In(signed(MULTIPLIER_BITS)), "product": Out(X_BITS + MULTIPLIER_BITS),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        product = self.module.serial_product(
            m, self.start, self.step, self.x, self.multiplier, len(self.product)
        )
        m.d.comb += self.product.eq(product)
        return m


class Products(Properties):
    """Any operands; steps in any cycles. The product by the highest bits is complete after half as
    many steps, if the bits below are 0."""

    def __init__(self, module=alu_serial) -> None:
        super().__init__(Product(module))

    def elaborate(self, platform):
        m = super().elaborate(platform)
        block = self.block
        x, multiplier = constant(m, block.x), constant(m, block.multiplier)
        started, count = Signal(), Signal(range(MULTIPLIER_BITS // 2 + 1))
        m.d.sync += started.eq(started | block.start)
        with m.If(started & block.step):
            m.d.sync += count.eq(count + 1)
        steps = MULTIPLIER_BITS // 2
        expected = Array(
            (x.as_signed() * (multiplier.as_signed() >> 2 * (steps - n)))[: len(block.product)]
            for n in range(steps + 1)
        )
        complete = Array(multiplier[: 2 * (steps - n)] == 0 for n in range(steps + 1))
        m.d.comb += [
            Assume((block.x == x.as_signed()) & (block.multiplier == multiplier.as_signed())),
            Assume(~block.start | ~started),
            Assume(~block.step | (started & (count < steps))),
            Assert(~started | ~complete[count] | (block.product == expected[count])),
            Cover((count == 2) & complete[2] & (block.product == (1 << len(block.product)) - 21)),
            Cover((count == steps) & (block.product == 3 * 31)),
        ]
        return m


class Passes(Properties):
    """The pipeline: a stage that stalls at any time, and four that do not. The offered micro-op is
    stable until accepted."""

    def __init__(self, module=alu_serial) -> None:
        self.go, self.ready = Signal(), Signal()
        super().__init__(module.SerialGate(uop_layout(1), PRODUCTS), (self.go, self.ready))

    def inputs(self):
        driven = [self.block.is_empty, self.block.in_ex1, self.block.o.ready]
        return [one for one in super().inputs() if not any(one is other for other in driven)]

    def elaborate(self, platform):
        m = super().elaborate(platform)
        block, uop, out = self.block, self.block.i.payload, self.block.o.payload
        read, op, ex1, ex2, wb = [
            Signal(2, name=name) for name in ("read", "op", "ex1", "ex2", "wb")
        ]
        """Bit 0: a micro-op is in the stage; bit 1: one with a product, for the second time."""
        passed = block.o.valid & block.o.ready
        pending = Signal()
        has_product = ~uop.empty & (
            (uop.insn.alu_opcode == AluOpcode.SHR)
            | (uop.insn.alu_opcode == AluOpcode.MUL)
            | (uop.insn.alu_opcode == AluOpcode.REQUANTISE)
        )
        first = has_product & ~pending
        empty = ~(read[0] | op[0] | ex1[0] | ex2[0] | wb[0])
        m.d.comb += [
            block.is_empty.eq(empty), block.in_ex1.eq(ex1[0]),
            block.o.ready.eq(self.ready & (~read[0] | self.go)),
        ]  # fmt: skip
        m.d.sync += [op.eq(Mux(self.go, read, 0)), ex1.eq(op), ex2.eq(ex1), wb.eq(ex2)]
        with m.If(passed & ~uop.empty):
            m.d.sync += [read[0].eq(1), read[1].eq(pending)]
        with m.Elif(self.go):
            m.d.sync += read.eq(0)
        with m.If(passed):
            m.d.sync += pending.eq(first)

        offered, before = Signal(), Signal.like(uop.as_value())
        m.d.sync += [offered.eq(block.i.valid & ~block.i.ready), before.eq(uop.as_value())]
        m.d.comb += Assume(~offered | (block.i.valid & (uop.as_value() == before)))

        # Steps since the start, and those that the product needs.
        steps, needed = Signal(6), Signal(6)
        started = Signal()
        with m.If(block.start):
            m.d.sync += [
                steps.eq(0), started.eq(1),
                needed.eq(Mux(uop.insn.alu_opcode == AluOpcode.MUL, 16, 9)),
            ]  # fmt: skip
        with m.Elif(block.step):
            m.d.sync += steps.eq(steps + 1)
        with m.If(passed):
            m.d.sync += started.eq(0)
        m.d.comb += [
            Assert(~block.o.valid | block.i.valid),
            Assert((block.i.valid & block.i.ready) == (passed & ~first)),
            Assert((out.dst == uop.dst) & (out.src == uop.src) & (out.empty == uop.empty)),
            Assert(out.insn.as_value() == uop.insn.as_value()),
            # The first time alone, and without a trace; the second time as it is.
            Assert(~passed | ~first | (empty & ~out.last)),
            Assert(~passed | ~pending | empty),
            Assert(~passed | first | (out.last == uop.last)),
            Assert(block.is_first | ~pending | empty),
            Assert(~block.is_first | pending),
            # The product: once, from the operands of the first time, complete the second time.
            Assert(block.start == (pending & ex1[0] & ~ex1[1])),
            Assert(~passed | ~pending | started),
            Assert(~ex2[1] | ((steps == needed) & ~block.step)),
            Cover(ex2[1] & (needed == 9)),
            Cover(ex2[1] & (needed == 16)),
            Cover(pending & ex2[0] & ~uop.last & ~read[0]),
        ]
        return m


@pytest.mark.formal
def test_products_are_exact():
    hold(Products(), depth=9)
    reach(Products(), depth=9)


@pytest.mark.formal
def test_micro_ops_with_a_product_pass_twice():
    hold(Passes(), depth=DEPTH)


@pytest.mark.formal
def test_all_kinds_pass():
    reach(Passes(), depth=DEPTH)


@pytest.mark.formal
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("low ^ below, (low == below)", "low | below, (low == below)"),
        ("& (low ^ negative)", "& negative"),
        ("extended << 1, 0", "extended, 0"),
        ("Cat(negative, Const(0, 1),", "Cat(Const(0, 2),"),
        ("rest.eq(rest << 2)", "rest.eq(rest << 1)"),
    ],
    ids=["one-and-two", "no-two", "two-is-one", "no-carry", "one-bit-a-step"],
)  # fmt: skip
def test_broken_products_are_found(old, new):
    refute(Products(mutant(alu_serial, old, new)), depth=9)


@pytest.mark.formal
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("~has_product | self.is_empty", "1"),
        ("self.o.ready & ~has_product),", "self.o.ready),"),
        ("uop.last & ~has_product", "uop.last"),
        ("started & (steps", "(steps"),
        ("steps <= self.EX2_AFTER_START", "steps <= self.EX2_AFTER_START + 1"),
        ("Mux(is_multiply, DIGITS, FACTOR_DIGITS)", "FACTOR_DIGITS"),
        ("state == SerialState.WAIT)", "state == SerialState.REPEAT)"),
        ("state.eq(SerialState.WAIT), started.eq(0)", "state.eq(SerialState.WAIT)"),
    ],
    ids=["beside-others", "once", "last-twice", "before-the-start", "a-step-too-few",
         "short-products", "second-for-first", "start-of-the-one-before"],
)  # fmt: skip
def test_broken_gates_are_found(old, new):
    refute(Passes(mutant(alu_serial, old, new)), depth=DEPTH)
