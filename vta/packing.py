"""Tensors in tiles: the layout that the machine works on, for tensors of any size.

A tensor is cut into tiles along two of its axes: a matrix of activations ``(rows, inputs)`` into
``(rows / BATCH, inputs / BLOCK_IN, BATCH, BLOCK_IN)``, an image ``NCHW`` into ``NCHWnc``, weights
``OIHW`` into ``OIHWoi``. Sizes that are no multiples of the tile are filled up with zeros, which
changes no product, and cropped again when a result is unpacked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from vta.errors import TensorError

__all__ = ["pack", "packed_shape", "unpack"]


def packed_shape(
    shape: Sequence[int], tile: tuple[int, int], axes: tuple[int, int] = (0, 1)
) -> tuple[int, ...]:
    """The shape that :func:`pack` gives.

    Raises
    ------
    TensorError
        If ``axes`` are no two different axes of such a tensor, or the tile has no positive size.
    """
    if len(set(axes)) != 2 or not all(0 <= axis < len(shape) for axis in axes):
        raise TensorError(
            f"packing: axes are {axes}; must be two different axes of a tensor of {len(shape)} "
            f"dimensions, counted from 0"
        )
    if len(tile) != 2 or min(tile) < 1:
        raise TensorError(f"packing: the tile is {tile}; must be two positive sizes")
    outer = list(shape)
    for axis, size in zip(axes, tile):
        outer[axis] = -(-outer[axis] // size)
    return (*outer, *tile)


def pack(
    values: npt.NDArray[Any], tile: tuple[int, int], axes: tuple[int, int] = (0, 1)
) -> npt.NDArray[Any]:
    """``values`` in tiles, filled up with zeros.

    Parameters
    ----------
    values : ndarray
        Of any dtype and shape ``(..., m, ..., n, ...)``.
    tile : (int, int)
        Its size along the two axes, e.g. ``(env.BATCH, env.BLOCK_IN)``.
    axes : (int, int)
        The axes that are cut, in the order of the tile.

    Returns
    -------
    ndarray, contiguous, of the same dtype and :func:`packed_shape`
        ``packed[..., i, ..., j, ..., a, b] = values[..., i * tile[0] + a, ..., j * tile[1] + b,
        ...]``.

    Raises
    ------
    TensorError
        As :func:`packed_shape`.
    """
    outer = packed_shape(values.shape, tile, axes)
    fill = [(0, 0)] * values.ndim
    split: list[int] = []
    for axis, extent in enumerate(values.shape):
        if axis in axes:
            size = tile[axes.index(axis)]
            fill[axis] = (0, outer[axis] * size - extent)
            split += [outer[axis], size]
        else:
            split.append(extent)
    inner = [axis + 1 + sum(other < axis for other in axes) for axis in axes]
    order = [n for n in range(len(split)) if n not in inner] + inner
    return np.ascontiguousarray(np.pad(values, fill).reshape(split).transpose(order))


def unpack(
    tiles: npt.NDArray[Any], shape: Sequence[int], axes: tuple[int, int] = (0, 1)
) -> npt.NDArray[Any]:
    """The tensor of ``shape`` that :func:`pack` made ``tiles`` of; what was filled up is left out.

    Raises
    ------
    TensorError
        If tiles of that shape do not come of a tensor of that shape.
    """
    shape = tuple(shape)
    tile = tiles.shape[-2:]
    if len(tile) != 2 or packed_shape(shape, (tile[0], tile[1]), axes) != tiles.shape:
        raise TensorError(f"unpack: {tiles.shape} are no tiles, along axes {axes}, of {shape}")
    order: list[int] = []
    for axis in range(len(shape)):
        order += [axis, len(shape) + axes.index(axis)] if axis in axes else [axis]
    whole = [
        extent * tile[axes.index(axis)] if axis in axes else extent
        for axis, extent in enumerate(tiles.shape[:-2])
    ]
    crop = tuple(slice(0, extent) for extent in shape)
    return np.ascontiguousarray(tiles.transpose(order).reshape(whole)[crop])
