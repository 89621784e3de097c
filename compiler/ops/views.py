"""Concatenation and slices of channels as views of one tensor in DRAM: no program, no copy.

In tiles the channels of an image are contiguous, in blocks of BLOCK. So the operands of a
concatenation can be parts of the memory of its result: what computes an operand writes there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np

from vta.compiler.ops.geometry import checked_shape, integer
from vta.compiler.ops.operator import Array
from vta.errors import OperatorError
from vta.packing import pack, packed_shape, unpack

if TYPE_CHECKING:
    from vta.config import VTAConfig
    from vta.runtime import DeviceArray

__all__ = ["Views", "concat", "slice_channels"]


@dataclass(frozen=True)
class Views:
    """Parts of the channels of a tensor in tiles.

    Attributes
    ----------
    name : str
        Of the operator.
    cfg : VTAConfig
        The machine.
    shape : tuple of int
        Of the whole tensor: images, channels, and up to three others.
    channels : tuple of (int, int)
        First channel and number of channels of each part; the first is a multiple of BLOCK.
    """

    name: str
    cfg: VTAConfig
    shape: tuple[int, ...]
    channels: tuple[tuple[int, int], ...]

    @property
    def tiles(self) -> tuple[int, ...]:
        """The shape of the whole tensor in tiles."""
        return packed_shape(self.shape, self._tile)

    @property
    def _tile(self) -> tuple[int, int]:
        return self.cfg.batch, self.cfg.block_out

    def of(self, whole: DeviceArray) -> list[DeviceArray]:
        """The parts of a tensor of shape :attr:`tiles` on a device; they share its memory.

        Raises
        ------
        OperatorError
            If ``whole`` has another shape.
        """
        if whole.shape != self.tiles:
            raise OperatorError(
                f"{self.name}: the tensor has shape {whole.shape}; must be {self.tiles}"
            )
        block = self.cfg.block_out
        return [
            whole.part(1, first // block, -(-(first + count) // block))
            for first, count in self.channels
        ]

    def pack(self, array: Array) -> Array:
        """The whole tensor in tiles."""
        return pack(array, self._tile)

    def unpack(self, tiles: Array) -> Array:
        """The whole tensor, or a part of it, out of its tiles."""
        count = min(tiles.shape[1] * self.cfg.block_out, self.shape[1])
        return unpack(tiles, (self.shape[0], count, *self.shape[2:]))

    def reference(self, *arrays: Array) -> Array:
        """The parts one behind the other, by NumPy."""
        return np.concatenate(arrays, axis=1)


def concat(shapes: Sequence[Sequence[int]], *, cfg: VTAConfig) -> Views:
    """Tensors one behind the other along their channels.

    Parameters
    ----------
    shapes : sequence of (int, int, ...)
        Images, channels, and up to three others; all but the channels equal.
    cfg : VTAConfig
        The machine.

    Raises
    ------
    OperatorError
        If shapes do not match, a number of channels but the last is no multiple of BLOCK, or there
        are more images than BATCH, so that a part would not be contiguous.
    """
    found = [checked_shape("concat: a shape", shape, (2, 3, 4, 5)) for shape in shapes]
    if not found:
        raise OperatorError("concat: no shapes; must be at least one")
    for shape in found[1:]:
        if (shape[0], *shape[2:]) != (found[0][0], *found[0][2:]):
            raise OperatorError(
                f"concat: shapes {found[0]} and {shape}; must be equal but for the channels"
            )
    counts = [shape[1] for shape in found]
    firsts = [0, *accumulate(counts)]
    whole = (found[0][0], firsts[-1], *found[0][2:])
    return _views("concat", whole, [*zip(firsts, counts)], cfg)


def slice_channels(shape: Sequence[int], first: int, count: int, *, cfg: VTAConfig) -> Views:
    """``count`` channels from ``first`` on, as the only part.

    Parameters
    ----------
    shape : (int, int, ...)
        Of the whole tensor: images, channels, and up to three others.
    first : int
        A multiple of BLOCK.
    count : int
        A multiple of BLOCK, or all that follow.
    cfg : VTAConfig
        The machine.

    Raises
    ------
    OperatorError
        If the channels are not there, or no whole tiles; as :func:`concat`.
    """
    whole = checked_shape("slice_channels: shape", shape, (2, 3, 4, 5))
    first = integer("slice_channels: first", first, 0)
    count = integer("slice_channels: count", count, 1)
    if first + count > whole[1]:
        raise OperatorError(
            f"slice_channels: channels {first} to {first + count - 1}; the tensor has {whole[1]}"
        )
    return _views("slice_channels", whole, [(first, count)], cfg)


def _views(
    name: str, shape: tuple[int, ...], channels: Sequence[tuple[int, int]], cfg: VTAConfig
) -> Views:
    if shape[0] > cfg.batch and len(channels) and any(n != shape[1] for _, n in channels):
        raise OperatorError(
            f"{name}: {shape[0]} images; must be at most BATCH, here {cfg.batch}, for parts that "
            f"are contiguous"
        )
    for first, count in channels:
        end = first + count
        for what, at in (("begins", first), ("ends", end)):
            if at % cfg.block_out and at != shape[1]:
                raise OperatorError(
                    f"{name}: a part {what} at channel {at}; must be a multiple of BLOCK, here "
                    f"{cfg.block_out}"
                )
    return Views(name, cfg, shape, tuple(channels))
