"""One stage of a schedule: where a tensor is computed, in which loops, and what is asked of them.

Every primitive checks its arguments when it is called and raises ScheduleError with the stage, the
axis, what was required and what was got. None of them changes what is computed.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from operator import index
from typing import TYPE_CHECKING, Literal, NoReturn, SupportsIndex

from vta.compiler.target import GLOBAL, SCOPES, GemmIntrin
from vta.compiler.te.expr import IterVar
from vta.compiler.te.tensor import ComputeOp, Operation, Tensor
from vta.errors import ScheduleError

if TYPE_CHECKING:
    from vta.compiler.schedule.schedule import Schedule

__all__ = ["Attach", "Fuse", "PragmaRequest", "Split", "Stage", "require_scope", "thread_axis"]

SKIP_ZEROS = "conv2d_transpose_gemm"
PRAGMAS = ("dma_copy", "alu", "skip_dma_copy", "skip_alu", SKIP_ZEROS)
"""What :meth:`Stage.pragma` accepts; the passes give them their meaning."""


@dataclass(frozen=True)
class Split:
    """``parent = outer * extent(inner) + inner``; exactly one of ``factor`` (of inner) and
    ``nparts`` (of outer).
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


@dataclass(frozen=True)
class Attach:
    """Where a stage is computed: before everything (``root``), ``inline``, or in loop ``axis`` of
    ``stage``.
    """

    kind: Literal["root", "inline", "at"] = "root"
    stage: Stage | None = None
    axis: IterVar | None = None


@dataclass(frozen=True)
class PragmaRequest:
    key: str
    value: int | str | None


def require_scope(where: str, scope: object) -> None:
    """``scope`` must be the name of a memory; the message starts with ``where``."""
    if scope not in SCOPES:
        raise ScheduleError(f"{where}: {scope!r} is no memory; must be one of {', '.join(SCOPES)}")


def thread_axis(dom: object = None, tag: str = "", name: str = "") -> IterVar:
    """A virtual thread to bind an axis to: ``thread_axis("cthread")``.

    Raises
    ------
    ScheduleError
        For a tag other than ``cthread`` (the machine has no other threads).
    """
    extent, tag = (None, dom) if isinstance(dom, str) else (dom, tag)
    if tag != "cthread":
        raise ScheduleError(f"thread_axis: tag is {tag!r}; must be 'cthread'")
    if extent is None:
        return IterVar(name or tag, extent=0, kind="thread")
    if not isinstance(extent, int) or extent < 1:
        raise ScheduleError(f"thread_axis: extent is {extent!r}; must be a positive integer")
    return IterVar(name or tag, extent=extent, kind="thread")


class Stage:
    """The schedule of one tensor. Made by :class:`~vta.compiler.schedule.schedule.Schedule`; use
    ``s[tensor]``.
    """

    def __init__(self, schedule: Schedule, op: Operation, name: str) -> None:
        self.schedule = schedule
        self.op = op
        """The computation as it is now; cache_read and cache_write change its body."""
        self.origin = op
        """The computation as it was written."""
        self.name = name
        self.scope = GLOBAL
        self.attach = Attach()
        self.leaves: list[IterVar] = [*op.axis, *op.reduce_axis]
        """The loops, outermost first."""
        self.relations: list[Split | Fuse] = []
        self.pragmas: dict[IterVar, tuple[PragmaRequest, ...]] = {}
        self.threads: dict[IterVar, IterVar] = {}
        self.unrolled: set[IterVar] = set()
        self.tensorized: tuple[IterVar, GemmIntrin | None] | None = None
        self.starts_sums = False
        """None instead of the intrinsic: ``conv2d_transpose_gemm``."""
        self.slots = 0
        """Copies of the buffer, if it is a ring (:meth:`ring`); 0 if it is not."""

    def __repr__(self) -> str:
        loops = ", ".join(f"{axis.name}({axis.extent})" for axis in self.leaves)
        return f"stage {self.name} in {self.scope}: {loops}"

    @property
    def is_compute(self) -> bool:
        return isinstance(self.op, ComputeOp)

    @property
    def is_output(self) -> bool:
        return self in self.schedule.outputs

    # ---- loops -----------------------------------------------------------------------------------

    def split(
        self, parent: IterVar, factor: int | None = None, nparts: int | None = None
    ) -> tuple[IterVar, IterVar]:
        """Replace the loop ``parent`` by two: ``factor`` rounds of the inner, or ``nparts`` of the
        outer one.

        Returns the outer and the inner axis. An extent that is no multiple leaves a guard in the
        loops. Stages that are computed at ``parent`` are then computed at the inner axis, in the
        same rounds.
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
        """The one of both that is given, checked."""
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
        """Split two loops by their factors and order them x outer, y outer, x inner, y inner."""
        self._split_size(x_parent, x_factor, None)
        self._split_size(y_parent, y_factor, None)
        if x_parent is y_parent:
            self._fail("tile", x_parent, "is named twice")
        x_outer, x_inner = self.split(x_parent, factor=x_factor)
        y_outer, y_inner = self.split(y_parent, factor=y_factor)
        self.reorder(x_outer, y_outer, x_inner, y_inner)
        return x_outer, y_outer, x_inner, y_inner

    def fuse(self, *axes: IterVar) -> IterVar:
        """Replace neighbouring loops, named from the outermost to the innermost, by one loop over
        all.

        Stages that are computed at one of them are then computed at the fused loop: those at an
        outer one more often than before, a smaller part each time.
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

    def _move_attached(self, replaced: tuple[IterVar, ...], axis: IterVar) -> None:
        """Compute at ``axis`` the stages that are computed at one of the ``replaced`` loops."""
        for stage in self.schedule.stages:
            if stage.attach.axis in replaced:
                stage.attach = Attach("at", self, axis)

    def move_requests(self, axes: tuple[IterVar, ...], other: Stage) -> None:
        """Ask of ``other`` what was asked of the loops ``axes``, which are its loops now."""
        for axis in axes:
            if axis in self.pragmas:
                other.pragmas[axis] = self.pragmas.pop(axis)
            if axis in self.unrolled:
                self.unrolled.remove(axis)
                other.unrolled.add(axis)
            if self.tensorized is not None and self.tensorized[0] is axis:
                self.tensorized, other.tensorized = None, self.tensorized
                self.starts_sums, other.starts_sums = False, self.starts_sums
            other._move_attached((axis,), axis)

    def reorder(self, *axes: IterVar) -> None:
        """Put the named loops in the named order; loops that are not named keep their places.

        A stage that is computed at a loop moves with the loop.
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

    def unroll(self, axis: IterVar) -> None:
        """Write the rounds of the loop one after the other in the program."""
        self._require_leaf("unroll", axis)
        self.unrolled.add(axis)
        self._record("unroll", axis)

    def bind(self, axis: IterVar, thread: IterVar) -> None:
        """Make the rounds of the loop virtual threads: ``bind(axis, te.thread_axis("cthread"))``.

        Each thread has its own copy of the on-chip buffers that are allocated inside the loop.
        """
        self._require_leaf("bind", axis)
        if not isinstance(thread, IterVar) or thread.kind != "thread":
            self._fail("bind", axis, f"to {thread!r}; must be bound to a te.thread_axis('cthread')")
        if axis.kind != "data":
            self._fail("bind", axis, "is a reduction axis; threads cannot share an accumulator")
        if axis in self.threads:
            self._fail("bind", axis, "is bound already")
        if thread.extent not in (0, axis.extent):
            self._fail(
                "bind", axis, f"has {axis.extent} rounds, the thread axis {thread.extent} threads"
            )
        self.threads[axis] = thread
        self._record("bind", axis, thread)

    # ---- place and memory ------------------------------------------------------------------------

    def compute_at(self, parent: Stage, axis: IterVar) -> None:
        """Compute, in each round of loop ``axis`` of ``parent``, just what that round needs."""
        self._require_movable("compute_at")
        if not isinstance(parent, Stage) or parent.schedule is not self.schedule:
            raise ScheduleError(
                f"stage {self.name}: compute_at: {parent!r} is no stage of this schedule"
            )
        if not self.schedule.consumes(parent, self):
            raise ScheduleError(
                f"stage {self.name}: compute_at: stage {parent.name} does not use it, directly or "
                f"through other stages; it is used by {self.schedule.consumer_names(self)}"
            )
        parent._require_leaf("compute_at", axis, who=f"stage {self.name}")
        self.attach = Attach("at", parent, axis)
        self._record("compute_at", parent, axis)

    def compute_root(self) -> None:
        """Compute the whole tensor before the stages that use it (the default)."""
        self._require_movable("compute_root")
        self.attach = Attach()
        self._record("compute_root")

    def compute_inline(self) -> None:
        """Compute each element where it is used; the tensor itself is never stored."""
        self._require_movable("compute_inline")
        if self.op.reduce_axis:
            raise ScheduleError(
                f"stage {self.name}: compute_inline: it reduces over "
                f"{', '.join(axis.name for axis in self.op.reduce_axis)}; only stages without a "
                f"reduction can be inlined"
            )
        self.attach = Attach("inline")
        self._record("compute_inline")

    def set_scope(self, scope: str) -> None:
        """Choose the memory that the tensor lives in (:data:`~vta.compiler.target.SCOPES`)."""
        require_scope(f"stage {self.name}: set_scope", scope)
        if scope != GLOBAL and (self.is_output or not self.is_compute):
            kind = "an output" if self.is_output else "an argument"
            raise ScheduleError(
                f"stage {self.name}: set_scope: it is {kind} of the program and lives in {GLOBAL} "
                f"memory; got {scope} (s.cache_read and s.cache_write make on-chip copies)"
            )
        self.scope = scope
        self._record("set_scope", scope)

    def ring(self, slots: int) -> None:
        """Give the stage a ring buffer of ``slots`` copies, and order the program by its data.

        Before: each round of the loop that the stage is computed at fills the one buffer again. ::

            for i in range(n):
                B = load(i)
                use(B)

        After: each round takes the slot that was filled longest ago, so that the load module runs
        ahead of its users by up to ``slots`` rounds. A slot of inputs or weights that still holds
        what a round needs is used again, without a load. ::

            for i in range(n):
                with ring(B, slots=2) as slot:
                    B[slot] = load(i)
                    use(B[slot])

        In a program with a ring buffer the tokens come from what instructions read and write, not
        from the order of the loops: an instruction waits exactly for those of other modules that
        it depends on. Such a program has no virtual threads.

        Parameters
        ----------
        slots : int
            How many copies; at least 1 (then nothing runs ahead, but loads of what is still there
            are left out).

        Raises
        ------
        ScheduleError
            If ``slots`` is no positive integer, or the stage is an argument or an output.
        """
        self._require_movable("ring")
        if isinstance(slots, bool) or not isinstance(slots, int) or slots < 1:
            raise ScheduleError(
                f"stage {self.name}: ring: slots is {slots!r}; must be a positive integer"
            )
        self.slots = slots
        self._record("ring", slots)

    # ---- requests to the passes ------------------------------------------------------------------

    def pragma(self, axis: IterVar, key: str, value: int | str | None = None) -> None:
        """Ask something of the loops from ``axis`` inwards: ``dma_copy``, ``alu``, ...
        (:data:`PRAGMAS`).

        ``conv2d_transpose_gemm`` is :meth:`tensorize` with the tensor instruction, without the
        products whose input is a zero that ``topi.nn.dilate`` wrote.
        """
        self._require_leaf("pragma", axis)
        if key not in PRAGMAS:
            self._fail("pragma", axis, f"key is {key!r}; must be one of {', '.join(PRAGMAS)}")
        if key == SKIP_ZEROS:
            self._require_not_tensorized("pragma", axis)
            self.tensorized = (axis, None)
            self._record("pragma", axis, key, value=value)
            return
        self.pragmas[axis] = (*self.pragmas.get(axis, ()), PragmaRequest(key, value))
        self._record("pragma", axis, key, value=value)

    def tensorize(self, axis: IterVar, intrin: GemmIntrin, *, start: bool = False) -> None:
        """Replace the loops from ``axis`` inwards by the tensor instruction; they must match it
        (when lowered).

        Parameters
        ----------
        start : bool
            Whether the first product of a sum overwrites its tile, instead of a reset in front of
            the sum. That is an instruction of the extension (``EXTENSION`` 1), and it needs the
            loops over the sum inside those over the tiles, as far as one instruction does both.
        """
        self._require_leaf("tensorize", axis)
        if not isinstance(intrin, GemmIntrin):
            self._fail("tensorize", axis, f"with {intrin!r}; must be a tensor intrinsic (env.gemm)")
        self._require_not_tensorized("tensorize", axis)
        if not isinstance(start, bool):
            self._fail("tensorize", axis, f"with start={start!r}; must be True or False")
        self.tensorized, self.starts_sums = (axis, intrin), start
        self._record("tensorize", axis, intrin, **({"start": True} if start else {}))

    # ---- checks ----------------------------------------------------------------------------------

    def _fail(self, primitive: str, axis: IterVar, why: str) -> NoReturn:
        raise ScheduleError(f"stage {self.name}: {primitive}: axis {axis.name} {why}")

    def _axis_name(self, name: str) -> str:
        """``name``, with a number if the stage has an axis of that name."""
        taken = {axis.name for axis in self.axes}
        unique, number = name, 0
        while unique in taken:
            number += 1
            unique = f"{name}_{number}"
        return unique

    @property
    def axes(self) -> tuple[IterVar, ...]:
        """All axes that the stage ever had: its own, and those that split and fuse made."""
        made: list[IterVar] = [*self.origin.axis, *self.op.axis, *self.op.reduce_axis]
        for relation in self.relations:
            made += (
                [relation.fused] if isinstance(relation, Fuse) else [relation.outer, relation.inner]
            )
        return tuple(dict.fromkeys(made))

    def _require_leaf(self, primitive: str, axis: object, who: str = "") -> None:
        """``axis`` must be one of the loops as they are now."""
        where = f"{who or f'stage {self.name}'}: {primitive}"
        if not isinstance(axis, IterVar):
            raise ScheduleError(
                f"{where}: {axis!r} is no axis of stage {self.name}"
                + (" (a tensor's op.axis holds its axes)" if isinstance(axis, Tensor) else "")
            )
        if axis in self.leaves:
            return
        for relation in self.relations:
            if isinstance(relation, Split) and axis is relation.parent:
                raise ScheduleError(
                    f"{where}: axis {axis.name} of stage {self.name} was split into "
                    f"{relation.outer.name} and {relation.inner.name}; name one of these"
                )
            if isinstance(relation, Fuse) and axis in (relation.outer, relation.inner):
                raise ScheduleError(
                    f"{where}: axis {axis.name} of stage {self.name} was fused into "
                    f"{relation.fused.name}; name that one"
                )
        names = ", ".join(leaf.name for leaf in self.leaves) or "none"
        raise ScheduleError(
            f"{where}: axis {axis.name} is not in stage {self.name}; its loops are {names}"
        )

    def _require_not_tensorized(self, primitive: str, axis: IterVar) -> None:
        if self.tensorized is not None:
            first = self.tensorized[0].name
            self._fail(primitive, axis, f"is in a stage tensorized from {first} on")

    def _require_loop(self, primitive: str, axis: IterVar) -> None:
        """``axis`` is about to be replaced: no request of the schedule may name it."""
        self._require_leaf(primitive, axis)
        if axis in self.threads:
            self._fail(primitive, axis, "is bound to a virtual thread; do it before bind")
        if axis in self.pragmas:
            keys = ", ".join(request.key for request in self.pragmas[axis])
            self._fail(primitive, axis, f"has the pragma {keys}; do it before pragma")
        if axis in self.unrolled:
            self._fail(primitive, axis, "is unrolled; do it before unroll")
        if self.tensorized is not None and axis is self.tensorized[0]:
            self._fail(primitive, axis, "is tensorized; do it before tensorize")

    def _require_movable(self, primitive: str) -> None:
        if not self.is_compute:
            raise ScheduleError(
                f"stage {self.name}: {primitive}: it is an argument of the program, "
                f"not a computation"
            )
        if self.is_output:
            raise ScheduleError(
                f"stage {self.name}: {primitive}: it is an output of the program and cannot be "
                f"computed inside another stage"
            )

    def _record(self, primitive: str, *args: object, **keywords: object) -> None:
        self.schedule.record(self, primitive, args, **keywords)
