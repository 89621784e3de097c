"""Shifts and products of a lane: a 16-bit multiplier, one adder, and a word of the sum.

``product = x * factor + (x * upper << 16)``; the result is 32 bits of it, from one of five bits on

==============  =========================  =======================  ============================
operation       factor                     upper                    the result is from bit
==============  =========================  =======================  ============================
MUL             the low half of ``y``      the high half of ``y``   0
SHR, y >= 0     ``2**(16 - y % 16)``       0                        16, or 32 for y >= 16
SHR, y < 0      ``2**(16 - y % 16)``       0                        0, or -16 for y < -16
SHR, y >= 32    any                        0                        48: the sign
SHR, y < -32    any                        0                        none: 0
REQUANTISE      the multiplier, signed     0                        16 * (shift // 16)
==============  =========================  =======================  ============================

REQUANTISE shifts its word further (:mod:`vta.hw.compute.alu_requantise`). All bits of the product
are exact but for MUL, whose bits from 32 on have no meaning.
"""

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data

from vta.hw.compute.alu_serial import MULTIPLIER_BITS, serial_product
from vta.isa import AluOpcode

__all__ = [
    "PRODUCT_BITS",
    "LaneProduct",
    "OperationLayout",
    "factor_of",
    "operation_of",
    "words_of_shift",
]

HALF = 16
WORD = 2 * HALF
PRODUCT_BITS = 3 * HALF

WORDS = data.StructLayout({"from_minus_16": 1, "from_0": 1, "from_16": 1, "from_32": 1, "sign": 1})
"""The word of the product that is the result; none for the other operations."""


class OperationLayout(data.StructLayout):
    """An operation as a bit for each :class:`AluOpcode`, in the order of their numbers. A lane has
    it in a register, so no opcode is decoded in front of a multiplier."""

    def __init__(self) -> None:
        super().__init__({opcode.name.lower(): 1 for opcode in AluOpcode})


def operation_of(opcode) -> Value:
    """The operation ``opcode`` as bits (:class:`OperationLayout`)."""
    return Cat(opcode == one for one in AluOpcode)


def factor_of(operation, y, *, requantises: bool):
    """The factor of ``x``, signed, 18 bits."""
    power = Cat(0, *(y[:4] == HALF - exponent for exponent in range(1, HALF + 1)), 0)
    sign = y[HALF - 1] & operation.requantise if requantises else Const(0, 1)
    return Mux(operation.shr, power, Cat(y[:HALF], sign, sign)).as_signed()


def words_of_shift(y):
    """The word of a SHR by ``y``, as of :data:`WORDS`."""
    left = y[-1]
    within = y[5:-1] == left.replicate(WORD - 6)
    return Cat(
        left & within & ~y[4], left & within & y[4],
        ~left & within & ~y[4], ~left & within & y[4],
        ~left & ~within,
    )  # fmt: skip


class LaneProduct:
    """Adds the multiplier of a lane to ``m``: EX1, registers, EX2.

    Parameters
    ----------
    m : Module
        The lane.
    valid, operation, x, y : Signal
        The operation in EX1, ``operation`` as of :class:`OperationLayout`.
    shift : Value or None
        The bits 4 and 5 of the shift of a REQUANTISE; None for a lane without it.
    serial : (Value, Value) or None
        ``start`` and ``step`` of :func:`~vta.hw.compute.alu_serial.serial_product`, for a lane
        without a multiplier, whose product has to be complete in EX2.

    Attributes
    ----------
    product : Signal
        In EX2, signed, of a SHR or REQUANTISE.
    sign : Signal
        In EX2, from a register: the sign of the product of a SHR or REQUANTISE.
    word : Value
        In EX2: the word of the product; 0 for an operation without one.
    guarded_word : Value
        In EX2, of REQUANTISE: the bit of the product right below the word, and the word.
    """

    def __init__(self, m: Module, valid, operation, x, y, shift=None, serial=None) -> None:
        is_multiply = operation.mul

        # EX1. The low half of x is unsigned, the high half and the factor are signed.
        factor = factor_of(operation, y, requantises=shift is not None)
        low = Signal(range(-(1 << WORD), 1 << WORD), reset_less=True)
        high = Signal(range(-(1 << WORD - 1), 1 << WORD - 1), reset_less=True)
        cross = Signal(HALF, reset_less=True)
        words = Signal(WORDS, reset_less=True)
        self.sign = Signal(reset_less=True)
        with m.If(valid):
            if serial is None:
                m.d.sync += [
                    low.eq(Cat(x[:HALF], Const(0, 1)).as_signed() * factor),
                    high.eq(x[HALF:].as_signed() * factor),
                    cross.eq(Mux(is_multiply, x[:HALF] * y[HALF:], 0)),
                ]
            m.d.sync += [
                words.eq(0),
                self.sign.eq((x[-1] ^ factor[-1]) & x.any() & factor.any()),
            ]
            with m.If(is_multiply):
                m.d.sync += words.from_0.eq(1)
            with m.If(operation.shr):
                m.d.sync += words.eq(words_of_shift(y))
            if shift is not None:
                with m.If(operation.requantise):
                    m.d.sync += Cat(words.from_0, words.from_16, words.from_32, words.sign).eq(
                        Cat(shift == number for number in range(4))
                    )

        # EX2
        if serial is None:
            self.product = self._sum(m, low, high, cross)
        else:
            aligned = Cat(Const(0, MULTIPLIER_BITS - len(factor)), factor)
            multiplier = Mux(is_multiply, y, aligned)[:MULTIPLIER_BITS]
            self.product = serial_product(m, *serial, x, multiplier, PRODUCT_BITS)
        self.word = self._word(words)
        self.guarded_word = Cat(self._guard(words), self.word)

    @staticmethod
    def _sum(m: Module, low, high, cross):
        """EX2: the sum of the products. Three terms become two, a sum and its carries; ``cross`` is
        0 where ``low`` can be negative, and the sign of ``low`` and the last carry are one digit,
        -1, 0 or 1."""
        middle = low[HALF:WORD]
        carries = (middle & high[:HALF]) | (middle & cross) | (high[:HALF] & cross)
        digit, negative = low[-1] ^ carries[-1], low[-1] & ~carries[-1]
        upper = Signal(WORD)
        m.d.comb += upper.eq(
            Cat(middle ^ high[:HALF] ^ cross, high[HALF:])
            + Cat(Const(0, 1), carries[:-1], digit, negative.replicate(HALF - 1))
        )
        product = Signal(PRODUCT_BITS)
        m.d.comb += product.eq(Cat(low[:HALF], upper))
        return product

    def _word(self, words):
        product, sign = self.product, self.sign
        low, middle, high = product[:HALF], product[HALF:WORD], product[WORD:]
        lower_half = (
            (words.from_0, low), (words.from_16, middle), (words.from_32, high),
            (words.sign, sign.replicate(HALF)),
        )  # fmt: skip
        upper_half = (
            (words.from_minus_16, low), (words.from_0, middle), (words.from_16, high),
            (words.from_32 | words.sign, sign.replicate(HALF)),
        )  # fmt: skip
        return Cat(
            reduce(or_, (Mux(is_selected, value, 0) for is_selected, value in half))
            for half in (lower_half, upper_half)
        )

    def _guard(self, words):
        selected = ((words.from_16, HALF), (words.from_32, WORD), (words.sign, PRODUCT_BITS))
        return reduce(or_, (is_selected & self.product[bit - 1] for is_selected, bit in selected))
