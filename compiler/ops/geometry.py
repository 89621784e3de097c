"""The sizes of operators with a window: convolutions and pooling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from vta.errors import OperatorError

if TYPE_CHECKING:
    from vta.compiler.ops.operator import Array

__all__ = ["Window", "checked_shape", "integer", "numbers"]

MAX_ELEMENTS = 1 << 28
"""Of a tensor."""
MAX_SIDE = 1 << 16
"""Pixels of a side of an image."""


def integer(where: str, value: object, least: int) -> int:
    """``value`` if it is an integer of at least ``least``.

    Raises
    ------
    OperatorError
        If it is not; the message starts with ``where``.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise OperatorError(f"{where} is {value!r}; must be an integer of at least {least}")
    return int(value)


def numbers(where: str, value: object, counts: Sequence[int], least: int) -> tuple[int, ...]:
    """``value`` as that many integers of at least ``least``; ``counts`` are the lengths allowed."""
    single = isinstance(value, int | np.integer) and 1 in counts
    items = (value,) if single else value
    if not isinstance(items, Sequence) or isinstance(items, str) or len(items) not in counts:
        allowed = " or ".join(str(count) for count in counts)
        raise OperatorError(f"{where} is {value!r}; must be {allowed} integers")
    return tuple(integer(where, item, least) for item in items)


def checked_shape(where: str, value: object, ranks: Sequence[int]) -> tuple[int, ...]:
    """``value`` as a shape of positive extents with one of the ranks.

    Raises
    ------
    OperatorError
        If it is none, has more than :data:`MAX_ELEMENTS` elements, or is that of images with a side
        of more than :data:`MAX_SIDE` pixels.
    """
    shape = numbers(where, value, ranks, 1)
    if prod(shape) > MAX_ELEMENTS:
        raise OperatorError(f"{where} is {shape}; must have at most {MAX_ELEMENTS} elements")
    if len(shape) == 4 and max(shape[2:]) > MAX_SIDE:
        raise OperatorError(f"{where} is {shape}; sides must have at most {MAX_SIDE} pixels")
    return shape


@dataclass(frozen=True)
class Window:
    """A window that moves over an image.

    Attributes
    ----------
    operator : str
        For messages.
    size : (int, int)
        Height and width of the image.
    kernel, stride, dilation : (int, int)
        Rows and columns.
    padding : (int, int, int, int)
        Top, left, bottom, right.
    """

    operator: str
    size: tuple[int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    padding: tuple[int, int, int, int]

    @classmethod
    def of(
        cls,
        operator: str,
        size: tuple[int, int],
        kernel: int | Sequence[int],
        stride: int | Sequence[int] = 1,
        padding: int | Sequence[int] = 0,
        dilation: int | Sequence[int] = 1,
        *,
        ceil_mode: bool = False,
    ) -> Window:
        """The window of an operator's arguments, checked.

        With ``ceil_mode`` there is more padding at the bottom and the right where a window begins
        inside the image, or the padding in front of it, and ends behind all padding.

        Raises
        ------
        OperatorError
            Naming the argument, its value and what is possible.
        """

        def pair(name: str, value: int | Sequence[int], least: int) -> tuple[int, int]:
            found = numbers(f"{operator}: {name}", value, (1, 2), least)
            return found[0], found[-1]

        pads = numbers(f"{operator}: padding", padding, (1, 2, 4), 0)
        top, left, bottom, right = pads if len(pads) == 4 else (*pads, *pads) * (3 - len(pads))
        window = cls(
            operator,
            size,
            pair("kernel", kernel, 1),
            pair("stride", stride, 1),
            pair("dilation", dilation, 1),
            (top, left, bottom, right),
        )
        for axis, name in enumerate(("rows", "columns")):
            if window.extents[axis] > window.padded[axis]:
                raise OperatorError(
                    f"{operator}: kernel {window.kernel} with dilation {window.dilation} spans "
                    f"{window.extents[axis]} {name}; the data has {size[axis]}, with padding "
                    f"{window.padded[axis]}"
                )
        return window.with_ragged_windows() if ceil_mode else window

    def with_ragged_windows(self) -> Window:
        """The same, padded so that the last windows of ``ceil_mode`` are whole."""
        more = []
        for axis in (0, 1):
            stride, size = self.stride[axis], self.size[axis] + self.padding[axis]
            count = -(-(self.padded[axis] - self.extents[axis]) // stride) + 1
            if (count - 1) * stride >= size:
                count -= 1
            need = (count - 1) * stride + self.extents[axis]
            more.append(max(need - self.padded[axis], 0))
        top, left, bottom, right = self.padding
        return replace(self, padding=(top, left, bottom + more[0], right + more[1]))

    @cached_property
    def extents(self) -> tuple[int, int]:
        """Rows and columns from the first tap to the last."""
        rows, columns = ((k - 1) * d + 1 for k, d in zip(self.kernel, self.dilation))
        return rows, columns

    @cached_property
    def padded(self) -> tuple[int, int]:
        """Height and width with padding."""
        top, left, bottom, right = self.padding
        return self.size[0] + top + bottom, self.size[1] + left + right

    @cached_property
    def out(self) -> tuple[int, int]:
        """Height and width of the result."""
        height, width = (
            (padded - extent) // stride + 1
            for padded, extent, stride in zip(self.padded, self.extents, self.stride)
        )
        return height, width

    def taps(self, data: Array, fill: int = 0) -> Array:
        """Every tap's view of the padded image, for references.

        Parameters
        ----------
        data : ndarray, shape (n, c, height, width)
        fill : int
            The value of the padding.

        Returns
        -------
        ndarray of int64, shape (kernel rows, kernel columns, n, c, out height, out width)
        """
        top, left, bottom, right = self.padding
        wide = np.pad(
            np.asarray(data, np.int64),
            ((0, 0), (0, 0), (top, bottom), (left, right)),
            constant_values=fill,
        )
        (rows, columns), (down, across) = self.out, self.stride
        return np.stack([
            np.stack([
                wide[
                    :, :,
                    y * self.dilation[0] :: down,
                    x * self.dilation[1] :: across,
                ][:, :, :rows, :columns]
                for x in range(self.kernel[1])
            ])
            for y in range(self.kernel[0])
        ])  # fmt: skip
