"""One lane of the ALU: ``result = op(x, y)`` on 32-bit values, in the stages EX1 and EX2.

=====  =========================================================================================
stage  what happens
=====  =========================================================================================
EX1    compare and add; three products of 16 x 16 bits (:mod:`vta.hw.compute.alu_product`).
       ``ex1_result`` of a one-cycle operation is valid; registers take that result, or products.
EX2    the sum of the products, and the word of it that is the result. ``ex2_result`` is valid.
WB     ``wb_result`` of REQUANTISE is valid (:mod:`vta.hw.compute.alu_requantise`).
=====  =========================================================================================
"""

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from vta.hw.compute.alu_product import LaneProduct, OperationLayout
from vta.hw.compute.alu_requantise import Rescale
from vta.hw.compute.alu_slices import SliceProduct
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

EX1_OPERATIONS = {
    AluOpcode.MIN: lambda x, y, takes_x: Mux(takes_x, x, y),
    AluOpcode.MAX: lambda x, y, takes_x: Mux(takes_x, x, y),
    AluOpcode.ADD: lambda x, y, takes_x: x + y,
}
"""``{operation: function}`` of the operations that have their result in EX1. A function takes
``x``, ``y`` and whether MIN, or MAX, takes ``x``, and returns the result; an operation of one
operand takes ``x`` only."""


TWO_CYCLE_OPERATIONS = (AluOpcode.SHR, AluOpcode.MUL)
"""The operations that need both stages, see :mod:`vta.hw.compute.alu_product`."""

WB_OPERATIONS = {AluOpcode.REQUANTISE}
"""The operations that have their result in WB only, so that it cannot be forwarded."""

assert {*EX1_OPERATIONS, *TWO_CYCLE_OPERATIONS, *WB_OPERATIONS} == set(AluOpcode)
assert len(EX1_OPERATIONS) + len(TWO_CYCLE_OPERATIONS) + len(WB_OPERATIONS) == len(AluOpcode)


def is_two_cycle(opcode):
    """Whether an operation has no result in EX1."""
    return reduce(or_, (opcode == operation for operation in TWO_CYCLE_OPERATIONS))


class AluLane(wiring.Component):
    """``op(x, y)`` on 32-bit values, wrapping, or REQUANTISE; one operation a cycle.

    SHR by y >= 0 is ``x >> min(y, 31)``, by y < 0 ``x << min(-y, 32)``.

    Parameters
    ----------
    requantises : bool
        Whether the lane has REQUANTISE. A lane without has no multiplexer or register for it.
    multiplies : bool
        Whether the lane has a multiplier. A lane without has the product of an operation in EX2
        only if it was started before (:mod:`vta.hw.compute.alu_serial`).
    dsp48, wide_luts : bool
        As of :class:`~vta.hw.core.Core`.

    Attributes
    ----------
    valid, operation, x, y : In
        The operation in EX1, from registers; ``operation`` has a bit for each
        (:class:`~vta.hw.compute.alu_product.OperationLayout`).
    ex1_result : Out
        The result of the operation in EX1, if it is one of :data:`EX1_OPERATIONS`; combinational.
    ex2_result : Out
        The result of the operation in EX2, that is :attr:`LATENCY` cycles after ``valid``; held
        until the next operation.
    limits : In
        The immediate of the REQUANTISE in EX2.
    wb_result : Out
        The result of the REQUANTISE in WB, that is two cycles after ``valid``; 0 if
        ``is_requantise`` was low a cycle before.
    is_requantise : In(1)
        A REQUANTISE is in EX2; from a register.
    start, step : In
        Without a multiplier. The product of the operation in EX1 starts; two bits of it.
    """

    LATENCY = 1
    """Cycles from EX1 to EX2."""

    def __init__(
        self, *, requantises: bool = True, multiplies: bool = True, dsp48: bool = False,
        wide_luts: bool = False,
    ) -> None:  # fmt: skip
        self.requantises, self.multiplies = requantises, multiplies
        self.dsp48, self.wide_luts = dsp48, wide_luts
        word = signed(LANE_BITS)
        super().__init__({
            "valid": In(1), "operation": In(OperationLayout()), "x": In(word), "y": In(word),
            "ex1_result": Out(word), "ex2_result": Out(word),
            "limits": In(LIMITS.bits), "is_requantise": In(1), "wb_result": Out(word),
            **({} if multiplies else {"start": In(1), "step": In(1)}),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        x, y = self.x, self.y
        scale = data.View(layout_of(SCALE), y)
        # ``x < y`` of signed numbers: their sign bits change places in a comparison of unsigned
        # ones, whose result is the carry. MIN and MAX share one multiplexer.
        less, takes_x = Signal(), Signal()
        m.d.comb += [
            less.eq(Cat(x[:-1], y[-1]) < Cat(y[:-1], x[-1])),
            takes_x.eq(less ^ self.operation.max),
        ]
        results = []
        for opcode, result in EX1_OPERATIONS.items():
            operands = (x,) if opcode.is_unary else (x, y, takes_x)
            is_one = self.operation[opcode.name.lower()]
            results.append(Mux(is_one, result(*operands), 0)[:LANE_BITS])
        m.d.comb += self.ex1_result.eq(reduce(or_, results))
        shift = scale.shift[4:] if self.requantises else None
        operation = m, self.valid, self.operation, x, y
        product: LaneProduct | SliceProduct
        if self.multiplies and self.dsp48:
            product = SliceProduct(*operation, self.ex1_result, shift)
            m.d.comb += self.ex2_result.eq(product.word)
        else:
            product = LaneProduct(
                *operation, shift, None if self.multiplies else (self.start, self.step)
            )
            result_of_ex1 = Signal(LANE_BITS, reset_less=True)
            with m.If(self.valid):
                m.d.sync += result_of_ex1.eq(self.ex1_result)
            m.d.comb += self.ex2_result.eq(result_of_ex1 | product.word)
        if self.requantises:
            self._requantise(m, product, scale)
        return m

    def _requantise(self, m: Module, product: LaneProduct | SliceProduct, scale) -> None:
        """REQUANTISE: its parameters go into registers, the stages EX2 and WB are a module."""
        m.submodules.rescale = rescale = Rescale(wide_luts=self.wide_luts)
        shift = Signal.like(scale.shift, reset_less=True)
        zero_point = Signal.like(scale.zero_point, reset_less=True)
        with m.If(self.valid):
            m.d.sync += [shift.eq(scale.shift), zero_point.eq(scale.zero_point)]
        m.d.comb += [
            rescale.product.eq(product.product), rescale.sign.eq(product.sign),
            rescale.word.eq(product.guarded_word),
            rescale.shift.eq(shift), rescale.zero_point.eq(zero_point),
            rescale.limits.eq(self.limits), rescale.is_requantise.eq(self.is_requantise),
            self.wb_result.eq(rescale.result),
        ]  # fmt: skip
