"""One lane of the ALU: ``result = op(x, y)`` on 32-bit values, in the stages EX1 and EX2.

=====  =========================================================================================
stage  what happens
=====  =========================================================================================
EX1    compare and add; shift by a multiple of 8; three products of 16 x 16 bits. ``ex1_result`` of
       a one-cycle operation is valid; registers take the partial result of any operation.
EX2    shift by 0 to 7, or the sum of the products. ``ex2_result`` is valid.
WB     ``wb_result`` of REQUANTISE is valid (:mod:`vta.hw.compute.alu_requantise`).
=====  =========================================================================================
"""

from functools import reduce
from operator import or_

from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vta.hw.compute.alu_requantise import Rescale
from vta.hw.interfaces import layout_of
from vta.isa import LIMITS, SCALE, AluOpcode

__all__ = [
    "EX1_OPERATIONS",
    "LANE_BITS",
    "TWO_CYCLE_OPERATIONS",
    "WB_OPERATIONS",
    "AluLane",
    "is_two_cycle",
]

LANE_BITS = 32
HALF = LANE_BITS // 2

EX1_OPERATIONS = {
    AluOpcode.MIN: lambda x, y, less: Mux(less, x, y),
    AluOpcode.MAX: lambda x, y, less: Mux(less, y, x),
    AluOpcode.ADD: lambda x, y, less: x + y,
}
"""``{operation: function}`` of the operations that have their result in EX1. A function takes
``x``, ``y`` and ``x < y``, and returns the result; an operation of one operand takes ``x`` only."""


def _shift(x, y, products, partial):
    """The first part of a shift: by 0, 8, 16 or 24, of ``sign : x`` (y >= 0) or of ``x : 0``
    (y < 0). The large steps come first: each one discards as many bits of the word."""
    left = y[-1]
    beyond = y[5:-1] != left.replicate(LANE_BITS - 6)
    word = Cat(Mux(left, 0, x), Mux(left, x, x[-1].replicate(LANE_BITS)))
    fill = (x[-1] & ~left).replicate(len(partial.wide))
    steps = Array(word[8 * step :][: len(partial.wide)] for step in range(4))
    return [
        partial.wide.eq(Mux(beyond, fill, steps[y[3:5]])),
        partial.amount.eq(y[:3]),
    ]


def _multiply(x, y, products, partial):
    """The three partial products of which the low 32 bits of ``x * y`` consist."""
    return [
        partial.low.eq(products.low),
        partial.cross0.eq(products.high),
        partial.cross1.eq(x[:HALF] * y[HALF:]),
    ]


TWO_CYCLE_OPERATIONS = {
    AluOpcode.SHR: _shift,
    AluOpcode.MUL: _multiply,
}
"""``{operation: function}`` of the operations that need both stages. A function takes ``x``, ``y``,
their :class:`Products` and the registers between EX1 and EX2 (:class:`Partial`), and returns
assignments to the registers; EX2 is the same for all:
``(wide >> amount) | (low + (cross0 + cross1) * 2**16)``, where one side is 0."""

WB_OPERATIONS = {AluOpcode.REQUANTISE}
"""The operations that have their result in WB only, so that it cannot be forwarded."""

assert {*EX1_OPERATIONS, *TWO_CYCLE_OPERATIONS, *WB_OPERATIONS} == set(AluOpcode)
assert len(EX1_OPERATIONS) + len(TWO_CYCLE_OPERATIONS) + len(WB_OPERATIONS) == len(AluOpcode)


def is_two_cycle(opcode):
    """Whether an operation has no result in EX1."""
    return reduce(or_, (opcode == operation for operation in TWO_CYCLE_OPERATIONS))


class Products:
    """The products of the halves of ``x`` with the low half of ``y``.

    The halves are unsigned but for REQUANTISE (``signed_halves``): then the low half of ``y`` and
    the upper one of ``x`` are signed, so that ``x * y[:16] = low + high * 2**16`` is exact.
    """

    def __init__(self, x, y, signed_halves) -> None:
        def half(bits, is_signed):
            return Cat(bits, bits[-1] & is_signed).as_signed()

        y_low = half(y[:HALF], signed_halves)
        self.low = half(x[:HALF], 0) * y_low
        self.high = half(x[HALF:], signed_halves) * y_low


class Partial:
    """The registers between EX1 and EX2. A register that an operation does not assign is 0."""

    def __init__(self) -> None:
        self.wide = Signal(LANE_BITS + 7, reset_less=True)
        self.amount = Signal(3, reset_less=True)
        self.low = Signal(LANE_BITS, reset_less=True)
        self.cross0 = Signal(HALF, reset_less=True)
        self.cross1 = Signal(HALF, reset_less=True)

    def clear(self):
        """Assignments of 0 to all of them."""
        return [each.eq(0) for each in vars(self).values()]


class AluLane(wiring.Component):
    """``op(x, y)`` on 32-bit values, wrapping, or REQUANTISE; one operation a cycle.

    SHR by y >= 0 is ``x >> min(y, 31)``, by y < 0 ``x << min(-y, 32)``. Both are one right shift
    of a 64-bit word: of ``sign : x`` by y, or of ``x : 0`` by 32 + y; by 0 to 31 either way.

    Parameters
    ----------
    requantises : bool
        Whether the lane has REQUANTISE. A lane without has no multiplexer or register for it.

    Attributes
    ----------
    valid, opcode, x, y : In
        The operation in EX1, from registers.
    ex1_result : Out
        The result of the operation in EX1, if it is one of :data:`EX1_OPERATIONS`; combinational.
    ex2_result : Out
        The result of the operation in EX2, that is :attr:`LATENCY` cycles after ``valid``; held
        until the next operation.
    limits : In
        The immediate of the REQUANTISE in EX2.
    wb_result : Out
        The result of the REQUANTISE in WB, that is two cycles after ``valid``.
    """

    LATENCY = 1
    """Cycles from EX1 to EX2."""

    def __init__(self, *, requantises: bool = True) -> None:
        self.requantises = requantises
        word = signed(LANE_BITS)
        super().__init__({
            "valid": In(1), "opcode": In(AluOpcode), "x": In(word), "y": In(word),
            "ex1_result": Out(word), "ex2_result": Out(word),
            "limits": In(LIMITS.bits), "wb_result": Out(word),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        x, y = self.x, self.y
        less = Signal()
        partial = Partial()
        is_requantise = (self.opcode == AluOpcode.REQUANTISE) if self.requantises else 0
        products = Products(x, y, is_requantise)
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
                    m.d.sync += first_stage(x, y, products, partial)

        # The sum of the products has one adder: three terms become two, a sum and its carries.
        low, cross0, cross1 = partial.low, partial.cross0, partial.cross1
        high = low[HALF:]
        carries = (high & cross0) | (high & cross1) | (cross0 & cross1)
        product = Cat(low[:HALF], (high ^ cross0 ^ cross1) + (carries << 1))
        shifted = partial.wide >> partial.amount
        m.d.comb += self.ex2_result.eq(product[:LANE_BITS] | shifted)
        if self.requantises:
            self._requantise(m, products)
        return m

    def _requantise(self, m: Module, products: Products) -> None:
        """REQUANTISE: its products go into registers, the stages EX2 and WB are a module."""
        m.submodules.rescale = rescale = Rescale()
        low = Signal.like(rescale.low, reset_less=True)
        high = Signal.like(rescale.high, reset_less=True)
        scale = Signal(layout_of(SCALE), reset_less=True)
        with m.If(self.valid):
            m.d.sync += [
                low.eq(products.low), high.eq(products.high), Value.cast(scale).eq(self.y)
            ]  # fmt: skip
        m.d.comb += [
            rescale.low.eq(low), rescale.high.eq(high),
            rescale.shift.eq(scale.shift), rescale.zero_point.eq(scale.zero_point),
            rescale.limits.eq(self.limits), self.wb_result.eq(rescale.result),
        ]  # fmt: skip
