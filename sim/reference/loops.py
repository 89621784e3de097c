"""The loop nest of a GEMM or ALU instruction, ``for o: for i: for u`` over micro-ops.

Two views of the same nest. :func:`flat_indices` and :func:`product_indices` list the operations one
by one, in order. :func:`fold` finds the regular loops inside the list of micro-ops (a compiler
unrolls such loops into it), so that a nest becomes a few axes along which all three indices move by
constant steps; the SRAMs can then be read through strided views.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vta.isa import Gemm

if TYPE_CHECKING:
    from vta.isa import Alu, Isa

__all__ = ["Axis", "Indices", "MicroOpNest", "flat_indices", "fold", "product_indices"]

Indices = npt.NDArray[np.int64]

PIECE = 1 << 16
"""Operations that are listed at a time."""


@dataclass(frozen=True)
class Axis:
    """A loop of ``extent`` rounds, in each of which the indices move by ``dst, src, wgt``."""

    extent: int
    dst: int
    src: int
    wgt: int


@dataclass(frozen=True, eq=False)
class MicroOpNest:
    """The operations ``point + o * outer + i * inner`` for each o, each i, each point, in order.

    Attributes
    ----------
    points : ndarray of int64, shape (number of micro-ops, 3)
        The dst, src and wgt indices of the micro-ops.
    outer, inner : Axis
        The two loops; the micro-ops are the innermost.
    """

    points: Indices
    outer: Axis
    inner: Axis

    @staticmethod
    def of(isa: Isa, insn: Gemm | Alu, words: npt.NDArray[np.uint32]) -> MicroOpNest:
        """The nest of an instruction whose micro-ops are ``words``."""
        wgt_out, wgt_in = 0, 0
        if isinstance(insn, Gemm):
            wgt_out, wgt_in = insn.wgt_factor_out, insn.wgt_factor_in
        outer = Axis(insn.iter_out, insn.dst_factor_out, insn.src_factor_out, wgt_out)
        inner = Axis(insn.iter_in, insn.dst_factor_in, insn.src_factor_in, wgt_in)
        return _nest(isa, words.tobytes(), outer, inner)

    @property
    def size(self) -> int:
        """The number of operations."""
        return self.outer.extent * self.inner.extent * len(self.points)

    @cached_property
    def highest(self) -> tuple[int, int, int]:
        """The largest dst, src and wgt index of a nest that is not empty; no step is negative."""
        dst, src, wgt = self.points.max(axis=0).tolist()
        for axis in (self.outer, self.inner):
            dst += (axis.extent - 1) * axis.dst
            src += (axis.extent - 1) * axis.src
            wgt += (axis.extent - 1) * axis.wgt
        return dst, src, wgt

    @cached_property
    def destinations(self) -> Indices:
        """Every dst index of a nest that is not empty, once, ascending."""
        found = np.unique(self.points[:, 0])
        for axis in (self.inner, self.outer):
            rounds = np.arange(axis.extent if axis.dst else 1)
            found = np.unique(found + rounds[:, None] * axis.dst)
        return found

    @cached_property
    def has_single_runs(self) -> bool:
        """Whether the operations on each entry of a nest that is not empty follow each other."""
        runs, last = 0, -1
        for dst, _ in flat_indices(self):
            runs += int(np.count_nonzero(np.diff(dst, prepend=last)))
            last = int(dst[-1])
        return runs == len(self.destinations)


@lru_cache(maxsize=1024)
def _nest(isa: Isa, words: bytes, outer: Axis, inner: Axis) -> MicroOpNest:
    """A compiled program runs the same few nests again and again: each is made once."""
    uops = isa.uop_indices(np.frombuffer(words, "<u4"))
    return MicroOpNest(np.stack([uops["dst"], uops["src"], uops["wgt"]], axis=1), outer, inner)


def flat_indices(nest: MicroOpNest) -> Iterator[tuple[Indices, Indices]]:
    """The dst and the src indices of the operations in order, up to ``PIECE`` of them at a time."""
    for dst, src in _listed(nest, ("dst", "src")):  # noqa: UP028 - the number of names is checked
        yield dst, src


def product_indices(nest: MicroOpNest) -> Iterator[tuple[Indices, Indices, Indices]]:
    """The dst, src and wgt indices of the operations in order, up to ``PIECE`` at a time."""
    for dst, src, wgt in _listed(nest, ("dst", "src", "wgt")):  # noqa: UP028 - the same
        yield dst, src, wgt


def _listed(nest: MicroOpNest, names: tuple[str, ...]) -> Iterator[list[Indices]]:
    shape = (nest.outer.extent, nest.inner.extent, len(nest.points))
    for start in range(0, nest.size, PIECE):
        numbers = np.arange(start, min(start + PIECE, nest.size))
        o, i, u = np.unravel_index(numbers, shape)
        yield [
            nest.points[u, column] + o * getattr(nest.outer, name) + i * getattr(nest.inner, name)
            for column, name in enumerate(names)
        ]


def fold(nest: MicroOpNest) -> tuple[Indices, list[Axis]]:
    """The nest as start points, shape (n, 3), each of which moves along all of the axes.

    The operations are the same, their order is not. A wholly regular nest has one start.
    """
    axes = [axis for axis in (nest.outer, nest.inner) if axis.extent > 1]
    starts = nest.points
    while len(starts) > 1:
        steps = starts[1:] - starts[:-1]
        breaks = np.flatnonzero((steps != steps[0]).any(axis=1))
        run = int(breaks[0]) + 1 if breaks.size else len(starts)
        if run == 1 or len(starts) % run:
            break
        runs = starts.reshape(-1, run, 3)
        if (runs[:, 1:] - runs[:, :-1] != steps[0]).any():
            break
        axes.append(Axis(run, *steps[0].tolist()))
        starts = runs[:, 0]
    return starts, axes
