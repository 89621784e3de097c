"""Where the bits of a word are: named fields, and words made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter
from typing import TYPE_CHECKING

import numpy as np

from vta.errors import EncodingError

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["Field", "Format", "Part", "sequence"]


@dataclass(frozen=True)
class Field:
    """A bit field: ``name`` at bits ``[offset + width - 1 : offset]``, two's complement if
    ``signed``."""

    name: str
    offset: int
    width: int
    signed: bool = False

    @property
    def low(self) -> int:
        """Smallest value that fits."""
        return -(1 << (self.width - 1)) if self.signed else 0

    @property
    def high(self) -> int:
        """Largest value that fits."""
        return (1 << (self.width - self.signed)) - 1


@dataclass(frozen=True)
class Format:
    """The layout of one kind of word: ``fields`` in a word of ``bits`` bits; what no field covers
    is zero."""

    name: str
    bits: int
    fields: tuple[Field, ...]

    def __post_init__(self) -> None:
        used = 0
        for field in self.fields:
            mask = ((1 << field.width) - 1) << field.offset
            assert field.width > 0 and field.offset + field.width <= self.bits, field
            assert not used & mask, f"{self.name}: {field} overlaps another field"
            used |= mask

    @cached_property
    def reserved_mask(self) -> int:
        """The bits that no field covers."""
        used = 0
        for field in self.fields:
            used |= ((1 << field.width) - 1) << field.offset
        return ((1 << self.bits) - 1) & ~used

    def __getitem__(self, name: str) -> Field:
        for field in self.fields:
            if field.name == name:
                return field
        raise KeyError(name)

    def pack(self, values: dict[str, int]) -> int:
        """The word with these field values.

        Raises
        ------
        EncodingError
            If a value does not fit its field.
        """
        word = 0
        for field in self.fields:
            value = int(values[field.name])
            if not field.low <= value <= field.high:
                raise EncodingError(
                    f"{self.name}: field {field.name} is {value}; "
                    f"must be in {field.low}..{field.high} ({field.width} bits)"
                )
            word |= (value & ((1 << field.width) - 1)) << field.offset
        return word

    def pack_all(
        self, objects: Sequence[object], constants: Mapping[str, int]
    ) -> npt.NDArray[np.uint64] | None:
        """:meth:`pack` of many.

        Parameters
        ----------
        objects : sequence of object
            Fields are attributes of these.
        constants : mapping of str to int
            Fields that are the same for all.

        Returns
        -------
        ndarray of uint64, shape (objects, bits / 64), or None
            The words, low halves first; None if a value does not fit its field.
        """
        words = np.zeros((len(objects), self.bits // 64), np.uint64)
        names = [field.name for field in self.fields if field.name not in constants]
        try:
            rows = np.array(list(map(attrgetter(*names), objects)), np.int64)
        except OverflowError:
            return None
        columns = dict(zip(names, rows.reshape(len(objects), len(names)).T, strict=True))
        for field in self.fields:
            known = constants.get(field.name)
            values = columns[field.name] if known is None else np.int64(known)
            low, high = np.min(values), np.max(values)
            if low < field.low or high > field.high:
                return None
            half, shift = divmod(field.offset, 64)
            assert shift + field.width <= 64, f"{self.name}: {field} is in two words"
            bits = np.asarray(values, np.int64) & ((1 << field.width) - 1)
            words[:, half] |= bits.astype(np.uint64) << np.uint64(shift)
        return words

    def unpack(self, word: int) -> dict[str, int]:
        """The field values of a word."""
        values = {}
        for field in self.fields:
            value = (word >> field.offset) & ((1 << field.width) - 1)
            if field.signed and value >> (field.width - 1):
                value -= 1 << field.width
            values[field.name] = value
        return values


Part = tuple[str, int] | tuple[str, int, bool] | int


def sequence(name: str, *parts: Part, bits: int) -> Format:
    """A format from consecutive (name, width[, signed]) parts; a bare integer moves on to that
    offset."""
    offset, out = 0, []
    for part in parts:
        if isinstance(part, int):
            assert part >= offset, f"{name}: fields overrun bit {part}"
            offset = part
        else:
            out.append(Field(part[0], offset, part[1], *part[2:]))
            offset += part[1]
    return Format(name, bits, tuple(out))
