"""Tensors in tiles: the layout that the machine works on, for tensors of any size.

A tensor is cut into tiles along two of its axes: a matrix of activations ``(rows, inputs)`` into
``(rows / BATCH, inputs / BLOCK_IN, BATCH, BLOCK_IN)``, an image ``NCHW`` into ``NCHWnc``, weights
``OIHW`` into ``OIHWoi``. Sizes that are no multiples of the tile are filled up with zeros, which
changes no product, and cropped again when a result is unpacked.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from vta.errors import TensorError

__all__ = [
    "pack",
    "pack_columns",
    "pack_rows",
    "packed_columns_shape",
    "packed_rows_shape",
    "packed_shape",
    "unpack",
    "unpack_rows",
]


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


def packed_rows_shape(shape: Sequence[int], tile: tuple[int, int]) -> tuple[int, ...]:
    """The shape that :func:`pack_rows` gives.

    Raises
    ------
    TensorError
        If there are no two axes, or the tile has no positive size.
    """
    pairs, rows, columns = packed_shape(_pairs(shape), tile, (1, 2))[:3]
    return (1, pairs * columns, 1, rows, *tile)


def pack_rows(values: npt.NDArray[Any], tile: tuple[int, int]) -> npt.NDArray[Any]:
    """The left operand of a matrix product, or its result, as an image of one row.

    Parameters
    ----------
    values : ndarray, shape (..., M, K)
    tile : (int, int)
        (BATCH, BLOCK).

    Returns
    -------
    ndarray, contiguous
        Of :func:`packed_rows_shape`, ``(1, pairs * K', 1, M', *tile)``: tiles of columns are
        channels, tiles of rows are pixels; what is filled up is 0.

    Raises
    ------
    TensorError
        As :func:`packed_rows_shape`.
    """
    tiles = pack(values.reshape(_pairs(values.shape)), tile, (1, 2))
    return np.ascontiguousarray(tiles.swapaxes(1, 2).reshape(packed_rows_shape(values.shape, tile)))


def unpack_rows(tiles: npt.NDArray[Any], shape: Sequence[int]) -> npt.NDArray[Any]:
    """The tensor of ``shape`` that :func:`pack_rows` made ``tiles`` of.

    Raises
    ------
    TensorError
        If tiles of that shape do not come of a tensor of that shape.
    """
    tile = (tiles.shape[-2], tiles.shape[-1]) if tiles.ndim == 6 else (0, 0)
    if packed_rows_shape(shape, tile) != tiles.shape:
        raise TensorError(f"unpack: {tiles.shape} are no tiles of rows of {tuple(shape)}")
    pairs = _pairs(shape)
    whole = tiles.reshape(pairs[0], -1, *tiles.shape[-3:]).swapaxes(1, 2)
    return unpack(whole, pairs, (1, 2)).reshape(tuple(shape))


def packed_columns_shape(shape: Sequence[int], tile: tuple[int, int]) -> tuple[int, ...]:
    """The shape that :func:`pack_columns` gives.

    Raises
    ------
    TensorError
        If there are no two axes, or the tile has no positive size.
    """
    pairs, columns, depth = packed_shape(_pairs(shape), tile, (1, 2))[:3]
    return (pairs * columns, depth, 1, 1, *tile)


def pack_columns(values: npt.NDArray[Any], tile: tuple[int, int]) -> npt.NDArray[Any]:
    """The right operand of a matrix product, as the kernel of a convolution.

    Parameters
    ----------
    values : ndarray, shape (..., N, K)
    tile : (int, int)
        (BLOCK_OUT, BLOCK_IN).

    Returns
    -------
    ndarray, contiguous
        Of :func:`packed_columns_shape`, ``(pairs * N', K', 1, 1, *tile)``; what is filled up is 0.

    Raises
    ------
    TensorError
        As :func:`packed_columns_shape`.
    """
    tiles = pack(values.reshape(_pairs(values.shape)), tile, (1, 2))
    return np.ascontiguousarray(tiles.reshape(packed_columns_shape(values.shape, tile)))


def _pairs(shape: Sequence[int]) -> tuple[int, int, int]:
    """The axes in front of the last two as one."""
    if len(shape) < 2:
        raise TensorError(f"packing: shape {tuple(shape)}; must have two dimensions or more")
    *front, rows, columns = shape
    return prod(front), rows, columns
