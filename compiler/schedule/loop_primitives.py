"""The loops of a stage and the primitives that restructure them: split, tile, fuse, reorder.

The docstrings show the loop nest before and after; see :mod:`vta.compiler.schedule.stage`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from operator import index
from typing import NoReturn, SupportsIndex

from vta.compiler.te.expr import IterVar
from vta.compiler.te.names import unique_name
from vta.compiler.te.tensor import Tensor
from vta.errors import ScheduleError

__all__ = ["Fuse", "LoopPrimitives", "Split"]


@dataclass(frozen=True)
class Split:
    """``parent = outer * extent(inner) + inner``. Exactly one of ``factor`` (extent of inner) and
    ``nparts`` (extent of outer) is given.
    """

    parent: IterVar
    outer: IterVar
    inner: IterVar
    factor: int | None
    nparts: int | None


@dataclass(frozen=True)
class Fuse:
    """``fused = outer * extent(inner) + inner``."""

    outer: IterVar
    inner: IterVar
    fused: IterVar


class LoopPrimitives(ABC):
    """The loops of one stage; base of :class:`~vta.compiler.schedule.stage.Stage`.

    Parameters
    ----------
    name : str
        The name of the stage, for messages.
    axes : iterable of IterVar
        The axes of the computation, which are the loops at the start.
    """

    def __init__(self, name: str, axes: Iterable[IterVar]) -> None:
        self.name = name
        self.leaves: list[IterVar] = [*axes]
        """The loops, outermost first."""
        self.relations: list[Split | Fuse] = []

    @property
    @abstractmethod
    def axes(self) -> tuple[IterVar, ...]:
        """All axes that the stage ever had: its own, and those that split and fuse made."""

    @abstractmethod
    def _require_no_request(self, primitive: str, axis: IterVar) -> None:
        """``axis`` is about to be replaced: no request of the schedule may name it."""

    @abstractmethod
    def _move_attached(self, replaced: tuple[IterVar, ...], axis: IterVar) -> None:
        """Compute at ``axis`` the stages that are computed at one of the ``replaced`` loops."""

    @abstractmethod
    def _record(self, primitive: str, *args: object, **keywords: object) -> None:
        """Add a primitive to the log of the schedule."""

    # ---- primitives ------------------------------------------------------------------------------

    def split(
        self, parent: IterVar, factor: int | None = None, nparts: int | None = None
    ) -> tuple[IterVar, IterVar]:
        """Replace the loop ``parent`` by an outer and an inner loop.

        Before::

            for i, j in grid(10, 6):
                C[i, j] = B[i, j] * 2

        After ``s[C].split(i, nparts=2)``::

            for i_outer, i_inner, j in grid(2, 5, 6):
                C[i_outer * 5 + i_inner, j] = B[i_outer * 5 + i_inner, j] * 2

        A condition guards the body where the extent of ``parent`` is not a multiple of the factor.
        After ``s[C].split(i, factor=4)``::

            for i_outer, i_inner in grid(3, 4):
                if i_outer * 4 + i_inner < 10:
                    for j in range(6):
                        C[i_outer * 4 + i_inner, j] = B[i_outer * 4 + i_inner, j] * 2

        Stages that are computed at ``parent`` are then computed at the inner loop: in the same
        iterations.

        Parameters
        ----------
        factor : int
            Extent of the inner loop. Exactly one of ``factor`` and ``nparts`` must be given.
        nparts : int
            Extent of the outer loop.

        Returns
        -------
        outer, inner : IterVar
            The axes of both loops.

        Raises
        ------
        ScheduleError
            If ``parent`` is not a loop of this stage, has a pragma, a thread or an unroll request
            already, or if the factor is not a positive integer.
        """
        size = min(self._split_size(parent, factor, nparts), parent.extent)
        other = -(-parent.extent // size)
        extents = (other, size) if nparts is None else (size, other)
        outer, inner = (
            IterVar(self._axis_name(f"{parent.name}_{part}"), extent=extent, kind=parent.kind)
            for part, extent in zip(("outer", "inner"), extents)
        )
        self.relations.append(Split(parent, outer, inner, factor, nparts))
        where = self.leaves.index(parent)
        self.leaves[where : where + 1] = [outer, inner]
        self._move_attached((parent,), inner)
        self._record("split", parent, factor=factor, nparts=nparts)
        return outer, inner

    def _split_size(self, parent: IterVar, factor: int | None, nparts: int | None) -> int:
        """The given one of ``factor`` and ``nparts``, checked."""
        self._require_loop("split", parent)
        if (factor is None) == (nparts is None):
            self._fail("split", parent, f"needs factor or nparts; got {factor=}, {nparts=}")
        given = "factor" if nparts is None else "nparts"
        size = factor if nparts is None else nparts
        if isinstance(size, SupportsIndex) and not isinstance(size, bool) and index(size) > 0:
            return index(size)
        self._fail("split", parent, f"{given} is {size!r}; must be a positive integer")

    def tile(
        self,
        x_parent: IterVar,
        y_parent: IterVar,
        x_factor: int,
        y_factor: int,
    ) -> tuple[IterVar, IterVar, IterVar, IterVar]:
        """Split two loops, and put both inner loops inside both outer loops.

        Before::

            for i, j in grid(10, 6):
                C[i, j] = B[i, j] * 2

        After ``s[C].tile(i, j, 5, 3)``::

            for i_outer, j_outer, i_inner, j_inner in grid(2, 2, 5, 3):
                C[i_outer * 5 + i_inner, j_outer * 3 + j_inner] =
                    B[i_outer * 5 + i_inner, j_outer * 3 + j_inner] * 2

        Returns
        -------
        x_outer, y_outer, x_inner, y_inner : IterVar
            The axes of the four loops, outermost first.

        Raises
        ------
        ScheduleError
            As :meth:`split` and :meth:`reorder`.
        """
        self._split_size(x_parent, x_factor, None)
        self._split_size(y_parent, y_factor, None)
        if x_parent is y_parent:
            self._fail("tile", x_parent, "is named twice")
        x_outer, x_inner = self.split(x_parent, factor=x_factor)
        y_outer, y_inner = self.split(y_parent, factor=y_factor)
        self.reorder(x_outer, y_outer, x_inner, y_inner)
        return x_outer, y_outer, x_inner, y_inner

    def fuse(self, *axes: IterVar) -> IterVar:
        """Replace directly nested loops, named from the outermost inwards, by one loop.

        Before::

            for i, j in grid(10, 6):
                C[i, j] = B[i, j] * 2

        After ``s[C].fuse(i, j)``::

            for i_j_fused in range(60):
                C[i_j_fused // 6, i_j_fused % 6] = B[i_j_fused // 6, i_j_fused % 6] * 2

        Stages that are computed at one of the loops are then computed at the fused loop. A stage
        that was computed at an outer loop is computed more often than before, a smaller part of
        its tensor each time.

        Returns
        -------
        fused : IterVar
            The axis of the new loop.

        Raises
        ------
        ScheduleError
            If the loops are not directly nested in this order, or only some of them are reduction
            loops.
        """
        if not axes:
            raise ScheduleError(f"stage {self.name}: fuse: at least one axis is required")
        for axis in axes:
            self._require_loop("fuse", axis)
        for outer, inner in pairwise(axes):
            where = self.leaves.index(outer)
            if self.leaves[where + 1 : where + 2] != [inner]:
                self._fail("fuse", inner, f"must be the loop directly inside {outer.name}")
            if outer.kind != inner.kind:
                self._fail(
                    "fuse",
                    inner,
                    f"is a {inner.kind} axis and {outer.name} a {outer.kind} axis; "
                    f"only axes of one kind can be fused",
                )
        fused = axes[0]
        for inner in axes[1:]:
            fused = self._fuse(fused, inner)
        return fused

    def _fuse(self, outer: IterVar, inner: IterVar) -> IterVar:
        where = self.leaves.index(outer)
        name = self._axis_name(f"{outer.name}_{inner.name}_fused")
        fused = IterVar(name, extent=outer.extent * inner.extent, kind=outer.kind)
        self.relations.append(Fuse(outer, inner, fused))
        self.leaves[where : where + 2] = [fused]
        self._move_attached((outer, inner), fused)
        self._record("fuse", outer, inner)
        return fused

    def reorder(self, *axes: IterVar) -> None:
        """Put the named loops in the named order; loops that are not named keep their places.

        Before::

            for i, j in grid(10, 6):
                C[i, j] = B[i, j] * 2

        After ``s[C].reorder(j, i)``::

            for j, i in grid(6, 10):
                C[i, j] = B[i, j] * 2

        A stage that is computed at a loop moves with the loop.

        Raises
        ------
        ScheduleError
            If an axis is not a loop of this stage, or is named twice.
        """
        for axis in axes:
            self._require_leaf("reorder", axis)
        if len(set(axes)) != len(axes):
            names = ", ".join(axis.name for axis in axes)
            raise ScheduleError(f"stage {self.name}: reorder: an axis is named twice in {names}")
        places = sorted(self.leaves.index(axis) for axis in axes)
        for place, axis in zip(places, axes):
            self.leaves[place] = axis
        self._record("reorder", *axes)

    # ---- checks ----------------------------------------------------------------------------------

    def _fail(self, primitive: str, axis: IterVar, why: str) -> NoReturn:
        raise ScheduleError(f"stage {self.name}: {primitive}: axis {axis.name} {why}")

    def _axis_name(self, name: str) -> str:
        """``name``, with a number if the stage has an axis of that name."""
        return unique_name(name, {axis.name for axis in self.axes})

    def _require_leaf(self, primitive: str, axis: object, subject: str = "") -> None:
        """``axis`` must be one of the current loops."""
        where = f"{subject or f'stage {self.name}'}: {primitive}"
        if not isinstance(axis, IterVar):
            raise ScheduleError(
                f"{where}: {axis!r} is not an axis of stage {self.name}"
                + (" (a tensor's op.axis holds its axes)" if isinstance(axis, Tensor) else "")
            )
        if axis in self.leaves:
            return
        for relation in self.relations:
            if isinstance(relation, Split) and axis is relation.parent:
                raise ScheduleError(
                    f"{where}: axis {axis.name} of stage {self.name} was split into "
                    f"{relation.outer.name} and {relation.inner.name}; use one of these"
                )
            if isinstance(relation, Fuse) and axis in (relation.outer, relation.inner):
                raise ScheduleError(
                    f"{where}: axis {axis.name} of stage {self.name} was fused into "
                    f"{relation.fused.name}; use that axis"
                )
        names = ", ".join(leaf.name for leaf in self.leaves) or "none"
        raise ScheduleError(
            f"{where}: axis {axis.name} is not a loop of stage {self.name}; its loops are {names}"
        )

    def _require_loop(self, primitive: str, axis: IterVar) -> None:
        """``axis`` must be a loop that can be replaced."""
        self._require_leaf(primitive, axis)
        self._require_no_request(primitive, axis)
