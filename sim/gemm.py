"""GEMM: ``acc[d][b][c] += sum_k inp[s][b][k] * wgt[w][c][k]``, wrapping at 32 bits.

Wrapping addition commutes, so the operations of one instruction may be done in any order and in any
grouping, also where many of them write one accumulator entry. The axes of the loop nest take their
places by what stands still along them:

    dst    the axis sums: part of the inner extent of a matrix product
    wgt    its rounds share their weights: rows of the product
    src    its rounds share their inputs: columns of the product
    none   a batch of separate products

An instruction of a convolution becomes one product with a hundred rows and columns. The products
are done in floating point, in a type in which every partial sum is an exact integer.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from .loops import Axis, Nest, fold

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

__all__ = ["gemm", "reset"]

MAX_OPERAND = 1 << 22
"""Most values of a matrix operand of one product; a larger nest is done in several products."""


def reset(acc: npt.NDArray[np.int32], nest: Nest) -> None:
    """``acc[d] = 0`` for every operation of a nest that is not empty."""
    acc[nest.destinations()] = 0


def gemm(
    acc: npt.NDArray[np.int32],
    inp: npt.NDArray[Any],
    wgt: npt.NDArray[Any],
    nest: Nest,
    *,
    product_bits: int,
) -> None:
    """Do all operations of a nest, whose indices must lie inside the memories.

    Parameters
    ----------
    acc : ndarray of int32, shape (depth, BATCH, BLOCK_OUT)
        Changed in place.
    inp : ndarray of int8 or int16, shape (depth, BATCH, BLOCK_IN)
    wgt : ndarray of int8 or int16, shape (depth, BLOCK_OUT, BLOCK_IN)
    nest : Nest
        Which entries.
    product_bits : int
        The product of an input and a weight is at most ``2 ** product_bits`` in magnitude.
    """
    starts, axes = fold(nest)
    axes, repeated = _split(axes, len(acc), max(inp[0].size, wgt[0].size))
    rounds = [[(n * a.dst, n * a.src, n * a.wgt) for n in range(a.extent)] for a in repeated]
    for start in starts.tolist():
        for moves in itertools.product(*rounds):
            d, s, w = (sum(column) for column in zip(start, *moves))
            _product(acc, inp, wgt, (d, s, w), axes, product_bits)


def _split(axes: list[Axis], depth: int, tile_size: int) -> tuple[list[Axis], list[Axis]]:
    """The axes that one matrix product can do, and those whose rounds need a product each.

    A product writes every accumulator entry once, and its operands must not be too large.
    """
    axes = sorted(axes, key=lambda axis: axis.extent)
    repeated = []
    while not _each_dst_once(moving := [axis for axis in axes if axis.dst], depth):
        shortest = moving[0]
        axes.remove(shortest)
        repeated.append(shortest)
    while axes and _extent(axes) * tile_size > MAX_OPERAND:
        repeated.append(axes.pop(0))
    return axes, repeated


def _each_dst_once(axes: Sequence[Axis], depth: int) -> bool:
    """Whether no two rounds of the axes end at the same of the ``depth`` dst indices."""
    if _extent(axes) > depth:
        return False
    offsets = np.zeros(1, np.int64)
    for axis in axes:
        offsets = np.add.outer(np.arange(axis.extent) * axis.dst, offsets).reshape(-1)
    return int(np.bincount(offsets - offsets.min()).max()) == 1


def _product(
    acc: npt.NDArray[np.int32],
    inp: npt.NDArray[Any],
    wgt: npt.NDArray[Any],
    start: tuple[int, int, int],
    axes: Sequence[Axis],
    product_bits: int,
) -> None:
    """Do the operations from ``start`` along all axes in one (batched) matrix product."""
    sums = [axis for axis in axes if not axis.dst]
    rows = [axis for axis in axes if axis.dst and not axis.wgt]
    columns = [axis for axis in axes if axis.dst and axis.wgt and not axis.src]
    batch = [axis for axis in axes if axis.dst and axis.wgt and axis.src]
    d, s, w = start

    size, n_rows, n_columns = (_extent(group) for group in (sums, rows, columns))
    bits = product_bits + math.log2(size * inp.shape[2])
    assert bits <= 53, "MAX_OPERAND bounds the sum"
    exact = np.float32 if bits <= 24 else np.float64

    left = _strided(inp, s, [(a.extent, a.src) for a in (*batch, *rows, *sums)])
    left = np.moveaxis(left, -2, len(batch) + len(rows))  # [batch][rows][b][sums][k]
    right = _strided(wgt, w, [(a.extent, a.wgt) for a in (*batch, *columns, *sums)])
    right = np.moveaxis(right, -2, len(batch) + len(columns))  # [batch][columns][c][sums][k]
    n_batch, b, c = _extent(batch), inp.shape[1], wgt.shape[1]
    product = np.matmul(
        left.astype(exact, order="C").reshape(n_batch, n_rows * b, -1),
        right.astype(exact, order="C").reshape(n_batch, n_columns * c, -1).swapaxes(1, 2),
    )
    # int64 first: a float64 beyond 32 bits has no defined int32
    values = product.astype(np.int32 if exact is np.float32 else np.int64).astype(np.int32)
    values = values.reshape(
        *(a.extent for a in (*batch, *rows)), b, *(a.extent for a in columns), c
    )
    out = _strided(acc, d, [(a.extent, a.dst) for a in (*batch, *rows, *columns)])
    out += np.moveaxis(values, len(batch) + len(rows), -2)


def _extent(axes: Sequence[Axis]) -> int:
    return math.prod(axis.extent for axis in axes)


def _strided(
    sram: npt.NDArray[Any], first: int, axes: Sequence[tuple[int, int]]
) -> npt.NDArray[Any]:
    """A view of an SRAM from entry ``first`` along axes given as (extent, step), tile inside."""
    pitch = sram.strides[0]
    return np.ndarray(
        (*(extent for extent, _ in axes), *sram.shape[1:]),
        sram.dtype,
        sram.data,
        first * pitch,
        (*(step * pitch for _, step in axes), *sram.strides[1:]),
    )
