"""One lane of the ALU: ``result = op(x, y)`` on 32-bit values, in the stages EX1 and EX2.

=====  =========================================================================================
stage  what happens
=====  =========================================================================================
EX1    compare and add; shift by 0 to 3; three products of 16 x 16 bits. ``ex1_result`` of a
       one-cycle operation is valid; registers take the partial result of any operation.
EX2    shift by a multiple of 4, or the sum of the products. ``ex2_result`` is valid.
=====  =========================================================================================
"""

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vta.isa import AluOpcode

__all__ = ["EX1_OPERATIONS", "LANE_BITS", "TWO_CYCLE_OPERATIONS", "AluLane", "is_two_cycle"]

LANE_BITS = 32
HALF = LANE_BITS // 2

EX1_OPERATIONS = {
    AluOpcode.MIN: lambda x, y, less: Mux(less, x, y),
    AluOpcode.MAX: lambda x, y, less: Mux(less, y, x),
    AluOpcode.ADD: lambda x, y, less: x + y,
}
"""``{operation: function}`` of the operations that have their result in EX1. A function takes
``x``, ``y`` and ``x < y``, and returns the result; an operation of one operand takes ``x`` only."""


def _shift(x, y, partial):
    """The first part of a shift: by up to 3, of ``sign : x`` (y >= 0) or of ``x : 0`` (y < 0)."""
    left = y[-1]
    beyond = y[5:-1] != left.replicate(LANE_BITS - 6)
    word = Mux(left, x << LANE_BITS, x)
    fill = (x[-1] & ~left).replicate(len(partial.wide))
    return [
        partial.wide.eq(Mux(beyond, fill, word >> y[:2])),
        partial.amount.eq(y[2:5]),
    ]


def _multiply(x, y, partial):
    """The three partial products of which the low 32 bits of ``x * y`` consist."""
    return [
        partial.low.eq(x[:HALF] * y[:HALF]),
        partial.cross0.eq(x[HALF:] * y[:HALF]),
        partial.cross1.eq(x[:HALF] * y[HALF:]),
    ]


TWO_CYCLE_OPERATIONS = {
    AluOpcode.SHR: _shift,
    AluOpcode.MUL: _multiply,
}
"""``{operation: function}`` of the operations that need both stages. A function takes ``x``, ``y``
and the registers between EX1 and EX2 (:class:`Partial`), and returns assignments to them; EX2 is
the same for all: ``(wide >> 4 * amount) | (low + (cross0 + cross1) * 2**16)``, where one side is
0."""

assert not EX1_OPERATIONS.keys() & TWO_CYCLE_OPERATIONS.keys()
assert EX1_OPERATIONS.keys() | TWO_CYCLE_OPERATIONS.keys() == set(AluOpcode)


def is_two_cycle(opcode):
    """Whether an operation has no result in EX1."""
    return reduce(or_, (opcode == operation for operation in TWO_CYCLE_OPERATIONS))


class Partial:
    """The registers between EX1 and EX2. A register that an operation does not assign is 0."""

    def __init__(self) -> None:
        self.wide = Signal(2 * LANE_BITS - 4, reset_less=True)
        self.amount = Signal(3, reset_less=True)
        self.low = Signal(LANE_BITS, reset_less=True)
        self.cross0 = Signal(HALF, reset_less=True)
        self.cross1 = Signal(HALF, reset_less=True)

    def clear(self):
        """Assignments of 0 to all of them."""
        return [each.eq(0) for each in vars(self).values()]


class AluLane(wiring.Component):
    """``op(x, y)`` on 32-bit values, wrapping; one operation a cycle.

    SHR by y >= 0 is ``x >> min(y, 31)``, by y < 0 ``x << min(-y, 32)``. Both are one right shift
    of a 64-bit word: of ``sign : x`` by y, or of ``x : 0`` by 32 + y; by 0 to 31 either way.

    Attributes
    ----------
    valid, opcode, x, y : In
        The operation in EX1, from registers.
    ex1_result : Out
        The result of the operation in EX1, if it is one of :data:`EX1_OPERATIONS`; combinational.
    ex2_result : Out
        The result of the operation in EX2, that is :attr:`LATENCY` cycles after ``valid``; held
        until the next operation.
    """

    LATENCY = 1
    """Cycles from EX1 to EX2."""

    def __init__(self) -> None:
        word = signed(LANE_BITS)
        super().__init__({
            "valid": In(1), "opcode": In(AluOpcode), "x": In(word), "y": In(word),
            "ex1_result": Out(word), "ex2_result": Out(word),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        x, y = self.x, self.y
        less = Signal()
        partial = Partial()
        m.d.comb += less.eq(x < y)
        with m.If(self.valid):
            m.d.sync += partial.clear()
        with m.Switch(self.opcode):
            for opcode, result in EX1_OPERATIONS.items():
                with m.Case(opcode):
                    operands = (x,) if opcode.is_unary else (x, y, less)
                    m.d.comb += self.ex1_result.eq(result(*operands))
                    with m.If(self.valid):
                        m.d.sync += partial.wide.eq(self.ex1_result)
            for opcode, first_stage in TWO_CYCLE_OPERATIONS.items():
                with m.Case(opcode), m.If(self.valid):
                    m.d.sync += first_stage(x, y, partial)

        # The sum of the products has one adder: three terms become two, a sum and its carries.
        low, cross0, cross1 = partial.low, partial.cross0, partial.cross1
        high = low[HALF:]
        carries = (high & cross0) | (high & cross1) | (cross0 & cross1)
        product = Cat(low[:HALF], (high ^ cross0 ^ cross1) + (carries << 1))
        shifted = partial.wide >> (partial.amount << 2)
        m.d.comb += self.ex2_result.eq(product[:LANE_BITS] | shifted)
        return m
