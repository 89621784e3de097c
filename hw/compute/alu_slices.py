"""Shifts and products of a lane in DSP slices with an adder behind the multiplier.

The product is that of :mod:`vta.hw.compute.alu_product`, and so are its words. Three slices are a
chain: each adds its product to the sum of the slice before. The first one adds the result of an
operation of EX1, whose products are 0; so the result of every operation is a word of the sum::

    low    = x[:16] * factor + result of EX1
    high   = x[16:] * factor + (low >> 16)
    total  = x[:16] * upper  + high
    product = total, and the low half of ``low`` below it

A bit of a word is one of four: a LUT of six inputs.
"""

from amaranth.hdl import Cat, Const, Module, Signal, signed
from amaranth.lib import data

from vta.hw.compute.alu_product import (
    HALF,
    PRODUCT_BITS,
    WORD,
    WORDS,
    factor_of,
    words_of_shift,
)
from vta.hw.lib.selection import selected_by_code

__all__ = ["SliceProduct"]

SELECTION = data.StructLayout({"lower": 2, "upper": 2, "fill": 1})
"""The halves of the result, by numbers: 0 to 2 for a half of the product, the lowest first, 3 for
``fill`` in all bits."""

FILL = 3


def _selection(lower: int, upper: int, fill=0):
    return Cat(Const(lower, 2), Const(upper, 2), fill)


def _unsigned(value):
    """The factor ``value`` of a signed multiplier."""
    return Cat(value, Const(0, 1)).as_signed()


class SliceProduct:
    """Adds the slices of a lane to ``m``: EX1, registers, EX2.

    Parameters
    ----------
    m : Module
        The lane.
    valid, operation, x, y : Signal
        The operation in EX1, as of :class:`~vta.hw.compute.alu_product.LaneProduct`; ``operation``
        is held until the next one.
    ex1_result : Signal
        The result of an operation that has it in EX1.
    shift : Value or None
        The bits 4 and 5 of the shift of a REQUANTISE; None for a lane without it.

    Attributes
    ----------
    product, sign, guarded_word
        As of :class:`~vta.hw.compute.alu_product.LaneProduct`. Those of REQUANTISE do not
        wait for the last slice, whose product is 0 but for MUL.
    word : Value
        In EX2: the word of the product, or the result of an operation of EX1.
    """

    def __init__(self, m: Module, valid, operation, x, y, ex1_result, shift=None) -> None:
        is_multiply, is_shift = operation.mul, operation.shr
        is_requantise = 0 if shift is None else operation.requantise
        has_product = is_multiply | is_shift | is_requantise

        # EX1. The reset of a register of a slice has priority over its enable.
        def register(name, shape, value, reset):
            signal = Signal(shape, name=name, reset_less=True)
            with m.If(reset):
                m.d.sync += signal.eq(0)
            with m.Elif(valid):
                m.d.sync += signal.eq(value)
            return signal

        factor = factor_of(operation, y, requantises=shift is not None)
        x_low, x_high = _unsigned(x[:HALF]), x[HALF:].as_signed()
        product_bits = signed(HALF + 1 + len(factor))
        passed = register("passed", WORD, ex1_result, has_product)
        low = register("low", product_bits, x_low * factor, ~has_product)
        high = register("high", product_bits, x_high * factor, ~has_product)
        cross = register("cross", product_bits, x_low * _unsigned(y[HALF:]), ~is_multiply)
        selection = Signal(SELECTION, reset_less=True)
        self.sign = Signal(reset_less=True)
        sign = (x[-1] ^ factor[-1]) & x.any() & factor.any()
        with m.If(valid):
            m.d.sync += [self.sign.eq(sign), selection.eq(_selection(0, 1))]
            with m.If(is_shift):
                m.d.sync += selection.eq(self._selection_of_shift(y, sign))
            if shift is not None:
                with m.If(is_requantise), m.Switch(shift):
                    for number, upper in enumerate((1, 2, FILL, FILL)):
                        with m.Case(number):
                            m.d.sync += selection.eq(_selection(number, upper, sign))

        # EX2
        total = passed
        sums = []
        for name, term in (("low", low), ("high", high), ("cross", cross)):
            total_before, total = total, Signal(signed(PRODUCT_BITS), name=f"with_{name}")
            m.d.comb += total.eq(total_before + term)
            sums.append(total)
            total = total >> HALF if name == "low" else total
        low_sum, high_sum, total = sums
        self.product = Signal(PRODUCT_BITS)
        m.d.comb += self.product.eq(Cat(low_sum[:HALF], high_sum[:WORD]))
        # The last sum is late, and only the upper half of MUL needs it.
        low_half, middle, high_half = (self.product[n * HALF :][:HALF] for n in range(3))
        fill = selection.fill.replicate(HALF)
        lower = selected_by_code(selection.lower, (low_half, middle, high_half, fill))
        upper, upper_of_any = (
            selected_by_code(selection.upper, (low_half, one, high_half, fill))
            for one in (middle, total[:HALF])
        )
        below = [0, *(self.product[n * HALF - 1] for n in range(1, 4))]
        self.word = Cat(lower, upper_of_any)
        self.guarded_word = Cat(selected_by_code(selection.lower, below), lower, upper)

    @staticmethod
    def _selection_of_shift(y, sign):
        words = data.View(WORDS, words_of_shift(y))
        return Cat(
            # from_16: 1, from_32: 2
            Cat(~words.from_0 & ~words.from_32, ~words.from_0 & ~words.from_16),
            # from_0: 1, from_16: 2
            Cat(~words.from_minus_16 & ~words.from_16, ~words.from_minus_16 & ~words.from_0),
            sign & (words.from_32 | words.sign),
        )
