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
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from vta.sim.reference.blas import one_blas_thread
from vta.sim.reference.loops import Axis, MicroOpNest, fold

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy.typing as npt

__all__ = ["gemm", "reset"]

Sram: TypeAlias = "npt.NDArray[Any]"
Shape: TypeAlias = tuple[int, ...]
Layout: TypeAlias = tuple[Shape, Shape]
"""An SRAM's shape (depth, rows, columns of a tile), and its strides in bytes."""
_Step: TypeAlias = tuple[int, int]
"""(extent, step) of an axis in one SRAM."""

MAX_OPERAND = 1 << 22
"""Most values of a matrix operand of one product; a larger nest is done in several products."""


def reset(acc: Sram, nest: MicroOpNest) -> None:
    """``acc[d] = 0`` for every operation of a nest that is not empty."""
    acc[nest.destinations] = 0


def gemm(acc: Sram, inp: Sram, wgt: Sram, nest: MicroOpNest, *, product_bits: int) -> None:
    """Do all operations of a nest, whose indices must lie inside the memories.

    Parameters
    ----------
    acc : ndarray of int32, shape (depth, BATCH, BLOCK_OUT)
        Changed in place.
    inp : ndarray of int8 or int16, shape (depth, BATCH, BLOCK_IN)
    wgt : ndarray of int8 or int16, shape (depth, BLOCK_OUT, BLOCK_IN)
    nest : MicroOpNest
        Which entries.
    product_bits : int
        The product of an input and a weight is at most ``2 ** product_bits`` in magnitude.
    """
    plan = _plan(nest, *((sram.shape, sram.strides) for sram in (acc, inp, wgt)), product_bits)
    for d, s, w in plan.starts():
        left = plan.inp.at(inp, s).astype(plan.exact, order="C").reshape(plan.left)
        right = plan.wgt.at(wgt, w).astype(plan.exact, order="C").reshape(plan.right)
        with one_blas_thread():
            product = np.matmul(left, right.swapaxes(1, 2))
        sums = product.reshape(plan.sums).transpose(plan.order)
        out = plan.acc.at(acc, d)
        out += sums.astype(plan.integer, order="C").astype(acc.dtype, copy=False)


# ---- how a nest becomes products ----------------------------------------------------------------


@dataclass(frozen=True)
class _View:
    """A strided view of an SRAM: ``shape`` and, in bytes, ``strides``."""

    shape: Shape
    strides: Shape

    @classmethod
    def of(cls, sram: Layout, outer: Iterable[_Step], inner: Iterable[_Step]) -> _View:
        """[outer axes][row of the tile][inner axes][column of the tile]; axes as (extent, step)."""
        (_, rows, columns), (pitch, row_pitch, column_pitch) = sram
        dims = [
            *((extent, step * pitch) for extent, step in outer),
            (rows, row_pitch),
            *((extent, step * pitch) for extent, step in inner),
            (columns, column_pitch),
        ]
        return cls(*zip(*dims))

    def at(self, sram: Sram, first: int) -> Sram:
        """The view that begins at entry ``first``."""
        return np.ndarray(self.shape, sram.dtype, sram, first * sram.strides[0], self.strides)


@dataclass(frozen=True)
class _Plan:
    """Matrix products of one kind, each from its own starting point.

    Attributes
    ----------
    points : list of [dst, src, wgt]
    repeated : list of Axis
        A product is done from every point, moved along every round of these axes.
    inp, wgt, acc : _View
        The operands: [batch][rows][b][sums][k], [batch][columns][c][sums][k] and
        [batch][columns][rows][b][c] (as it mostly lies in memory: adding to it is faster).
    left, right : tuple of 3 int
        The shapes of the matrices that ``inp`` and ``wgt`` become: batch, rows or columns, sums.
    sums, order : tuple of int
        The product's shape [batch][rows][b][columns][c], and the order that makes it as ``acc``.
    exact, integer : dtype
        A float in which no sum is rounded, and an integer that holds it.
    """

    points: list[list[int]]
    repeated: list[Axis]
    inp: _View
    wgt: _View
    acc: _View
    left: Shape
    right: Shape
    sums: Shape
    order: Shape
    exact: npt.DTypeLike
    integer: npt.DTypeLike

    def starts(self) -> Iterator[Iterable[int]]:
        """The (dst, src, wgt) from which a product is to be done."""
        rounds = [
            [(n * axis.dst, n * axis.src, n * axis.wgt) for n in range(axis.extent)]
            for axis in self.repeated
        ]
        for point in self.points:
            for moves in itertools.product(*rounds):
                yield map(sum, zip(point, *moves))


@lru_cache(maxsize=256)
def _plan(nest: MicroOpNest, acc: Layout, inp: Layout, wgt: Layout, product_bits: int) -> _Plan:
    """The plan for a nest and memories of these layouts."""
    (depth, b, c), (_, _, k) = acc[0], inp[0]
    points, axes = fold(nest)
    axes, repeated = _split(axes, depth, max(b, c) * k)
    sums = [axis for axis in axes if not axis.dst]
    rows = [axis for axis in axes if axis.dst and not axis.wgt]
    columns = [axis for axis in axes if axis.dst and axis.wgt and not axis.src]
    batch = [axis for axis in axes if axis.dst and axis.wgt and axis.src]

    shape = [*(axis.extent for axis in batch + rows), b, *(axis.extent for axis in columns), c]
    at_rows, at_columns = len(batch), len(batch) + len(rows) + 1
    order = (
        *range(at_rows),
        *range(at_columns, at_columns + len(columns)),
        *range(at_rows, at_columns),
        len(shape) - 1,
    )
    inner = _rounds(sums) * k
    bits = product_bits + math.log2(inner)
    assert bits <= 53, "MAX_OPERAND bounds the sums"
    exact, integer = (np.float32, np.int32) if bits <= 24 else (np.float64, np.int64)
    return _Plan(
        points.tolist(),
        repeated,
        _View.of(inp, [(a.extent, a.src) for a in batch + rows], [(a.extent, a.src) for a in sums]),
        _View.of(
            wgt, [(a.extent, a.wgt) for a in batch + columns], [(a.extent, a.wgt) for a in sums]
        ),
        _View.of(acc, [(a.extent, a.dst) for a in batch + columns + rows], []),
        (_rounds(batch), _rounds(rows) * b, inner),
        (_rounds(batch), _rounds(columns) * c, inner),
        tuple(shape),
        order,
        exact,
        integer,
    )


def _split(axes: list[Axis], depth: int, tile_size: int) -> tuple[list[Axis], list[Axis]]:
    """The axes that one matrix product can do, and those whose rounds need a product each.

    A product writes every accumulator entry once, and its operands must not be too large.
    """
    axes = sorted(axes, key=lambda axis: axis.extent)
    repeated = []
    while not _each_dst_once(moving := [axis for axis in axes if axis.dst], depth):
        axes.remove(moving[0])
        repeated.append(moving[0])
    while axes and _rounds(axes) * tile_size > MAX_OPERAND:
        repeated.append(axes.pop(0))
    return axes, repeated


def _each_dst_once(axes: Sequence[Axis], depth: int) -> bool:
    """Whether no two rounds of the axes end at the same of the ``depth`` dst indices."""
    if _rounds(axes) > depth:
        return False
    offsets = np.zeros(1, np.int64)
    for axis in axes:
        offsets = np.add.outer(np.arange(axis.extent) * axis.dst, offsets).reshape(-1)
    return int(np.bincount(offsets - offsets.min()).max()) == 1


def _rounds(axes: Iterable[Axis]) -> int:
    return math.prod(axis.extent for axis in axes)
