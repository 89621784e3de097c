"""The operands of REQUANTISE: a lane of the parameter tile, and the limits in the immediate.

``acc[dst] = min(max(((x * multiplier + half) >> shift) + zero_point, low), high)``, where ``half``
is ``2**(shift - 1)``, or 0 if ``shift`` is 0: rounding to nearest, halves up. All of it is exact;
the result fits a lane because the limits do.
"""

from __future__ import annotations

from typing import NamedTuple

from vta.errors import EncodingError
from vta.isa.formats import sequence

__all__ = ["LIMITS", "SCALE", "Limits", "Scale"]

SCALE = sequence(
    "parameters of REQUANTISE",
    ("multiplier", 16, True), ("shift", 6), ("zero_point", 8, True), bits=32,
)  # fmt: skip
"""A lane of the parameter tile ``acc[src]``; bits 30 and 31 have no meaning."""
LIMITS = sequence("limits of REQUANTISE", ("low", 8, True), ("high", 8, True), bits=16)
"""The immediate."""


class Scale(NamedTuple):
    """The parameters of one lane.

    Attributes
    ----------
    multiplier : int
        16 bits, signed.
    shift : int
        0 to 63. From 48 on the product of any accumulator rounds to 0.
    zero_point : int
        8 bits, signed.
    """

    multiplier: int
    shift: int
    zero_point: int = 0

    @property
    def word(self) -> int:
        """The int32 value of the lane.

        Raises
        ------
        EncodingError
            If a parameter does not fit its field, naming the field, the value and the range.
        """
        word = SCALE.pack(self._asdict())
        return word - (1 << 32) if word >> 31 else word

    @staticmethod
    def of_word(word: int) -> Scale:
        """The parameters in the int32 value of a lane."""
        return Scale(**SCALE.unpack(word & 0xFFFF_FFFF))


class Limits(NamedTuple):
    """The smallest and the largest result, 8 bits, signed. ``high`` counts if ``low`` exceeds
    it."""

    low: int = -128
    high: int = 127

    @property
    def immediate(self) -> int:
        """The field ``imm`` of the instruction.

        Raises
        ------
        EncodingError
            If a limit does not fit 8 bits, or ``low`` is larger than ``high``.
        """
        if self.low > self.high:
            raise EncodingError(
                f"limits of REQUANTISE: low must not exceed high; got {self.low} and {self.high}"
            )
        value = LIMITS.pack(self._asdict())
        return value - (1 << 16) if value >> 15 else value

    @staticmethod
    def of_immediate(imm: int) -> Limits:
        """The limits in the field ``imm`` of an instruction."""
        return Limits(**LIMITS.unpack(imm & 0xFFFF))
