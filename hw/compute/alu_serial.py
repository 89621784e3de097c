"""Products of the ALU without multipliers: two bits of one operand a cycle.

``product = product * 4 + digit * x``, a digit of -2 to 2 a cycle (radix 4, after Booth)

A micro-op with a product (SHR, MUL, REQUANTISE) passes the pipeline twice. The first time reads the
operands, and in EX1 the lanes start the product; nothing is written. The second time is an ordinary
micro-op, whose lanes have the product in EX2. So reads, writes and their conflicts with GEMM are
those of the pipeline with multipliers (:mod:`vta.hw.compute.alu_pipeline`).
"""

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import enum, stream, wiring
from amaranth.lib.wiring import In, Out

from vta.hw.compute.sequencer import IndexedUopLayout
from vta.isa import AluOpcode

__all__ = ["SerialGate", "product_period", "serial_product"]

MULTIPLIER_BITS = 32
DIGITS = MULTIPLIER_BITS // 2
"""Cycles of a product by 32 bits, of MUL."""
FACTOR_BITS = 18
FACTOR_DIGITS = FACTOR_BITS // 2
"""Cycles of a product by the factor of a SHR or REQUANTISE."""


def serial_product(m: Module, start, step, x, multiplier, bits: int):
    """Adds registers and an adder of ``bits`` bits to ``m``; returns the product, a register.

    Parameters
    ----------
    start, step : Value
        Strobes: take the multiplier; process its next two bits, the highest first.
    x : Value
        Signed, stable from ``start`` to the last ``step``.
    multiplier : Value
        :data:`MULTIPLIER_BITS` bits, signed. If the bits below its ``2 * n`` highest ones are 0,
        the product by these is complete after ``n`` steps.
    """
    rest = Signal(MULTIPLIER_BITS + 1, reset_less=True)
    product = Signal(bits, reset_less=True)
    below, low, negative = rest[-3], rest[-2], rest[-1]
    is_one, is_two = low ^ below, (low == below) & (low ^ negative)
    extended = Cat(x, x[-1].replicate(bits - len(x)))
    magnitude = Mux(is_one, extended, 0) | Mux(is_two, extended << 1, 0)[:bits]
    # The carry of the negation is the lowest bit of four times the product, which is 0.
    shifted = Cat(negative, Const(0, 1), product[: bits - 2])
    with m.If(start):
        m.d.sync += [rest.eq(Cat(Const(0, 1), multiplier)), product.eq(0)]
    with m.Elif(step):
        m.d.sync += [
            rest.eq(rest << 2),
            product.eq(shifted + (magnitude ^ negative.replicate(bits))),
        ]
    return product


def product_period(operation: AluOpcode) -> int:
    """Cycles from one micro-op of an operation with a product to the next, without a stall: the
    six stages twice, the second time not before the product will be there."""
    return max(DIGITS if operation is AluOpcode.MUL else FACTOR_DIGITS, 7) + 6


class SerialState(enum.Enum, shape=2):
    """What the gate does."""

    PASS = 0
    """Micro-ops without a product pass. One with a product waits until the pipeline is empty, and
    passes for the first time."""
    WAIT = 1
    """It is in the pipeline for the first time."""
    REPEAT = 2
    """It passes for the second time."""


class SerialGate(wiring.Component):
    """In front of the pipeline: micro-ops with a product pass twice.

    Parameters
    ----------
    uop : IndexedUopLayout
        With the instruction's ``alu_opcode``.
    operations : sequence of AluOpcode
        Those with a product.

    Attributes
    ----------
    i, o : stream of ``uop``, in and out
        A micro-op with a product is accepted when it passes for the second time. ``last`` is low
        the first time.
    is_empty : In(1)
        No micro-op is in the pipeline.
    in_ex1 : In(1)
        A micro-op is in EX1.
    is_first : Out(1)
        The micro-op in the pipeline, the only one, is there for the first time: it does not write.
    start, step : Out(1)
        To the lanes: the operands of a product are in EX1; two bits of the multiplier.
    """

    EX2_AFTER_START = 5
    """Cycles from the last one of WAIT to EX2: steps that may be left then. The pipeline is empty
    by then, as the result of the first time would be written two cycles after EX1."""

    def __init__(self, uop: IndexedUopLayout, operations) -> None:
        self.operations = tuple(operations)
        super().__init__({
            "i": In(stream.Signature(uop)), "o": Out(stream.Signature(uop)),
            "is_empty": In(1), "in_ex1": In(1),
            "is_first": Out(1), "start": Out(1), "step": Out(1),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        state = Signal(SerialState)
        uop, opcode = self.i.payload, self.i.payload.insn.alu_opcode
        has_product = ~uop.empty & reduce(or_, (opcode == each for each in self.operations))
        steps = Signal(range(DIGITS + 1))
        started = Signal()
        m.d.comb += [
            self.o.payload.eq(uop),
            self.is_first.eq(state == SerialState.WAIT),
            self.start.eq(self.is_first & self.in_ex1),
            self.step.eq(steps != 0),
        ]
        with m.If(self.start):
            is_multiply = opcode == AluOpcode.MUL
            m.d.sync += [steps.eq(Mux(is_multiply, DIGITS, FACTOR_DIGITS)), started.eq(1)]
        with m.Elif(self.step):
            m.d.sync += steps.eq(steps - 1)
        with m.Switch(state):
            with m.Case(SerialState.PASS):
                m.d.comb += [
                    self.o.valid.eq(self.i.valid & (~has_product | self.is_empty)),
                    self.i.ready.eq(self.o.ready & ~has_product),
                    self.o.payload.last.eq(uop.last & ~has_product),
                ]
                with m.If(self.o.valid & self.o.ready & has_product):
                    m.d.sync += [state.eq(SerialState.WAIT), started.eq(0)]
            with m.Case(SerialState.WAIT):
                is_ready = started & (steps <= self.EX2_AFTER_START)
                m.d.sync += state.eq(Mux(is_ready, SerialState.REPEAT, SerialState.WAIT))
            with m.Case(SerialState.REPEAT):
                m.d.comb += [self.o.valid.eq(self.i.valid), self.i.ready.eq(self.o.ready)]
                with m.If(self.i.valid & self.o.ready):
                    m.d.sync += state.eq(SerialState.PASS)
        return m
