"""One stage of a schedule: the loops of one tensor, their place, its memory, and pragmas.

Each public method, here and in :class:`LoopPrimitives`, is a schedule primitive. A primitive checks
its arguments and raises ScheduleError with the stage, the axis, what was required and what was got.
No primitive changes the values that the program computes.

The docstring of a primitive shows what the primitive makes of this program, whose ``i`` and ``j``
are the loops of ``C`` (``B[i, j] = A[i, j] + 1`` is in front where needed)::

    for i, j in grid(10, 6):
        C[i, j] = B[i, j] * 2

The texts are those of ``vta.lower(s, args, stage="nest")``; loops of one iteration are left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vta.compiler.schedule.loop_primitives import Fuse, LoopPrimitives
from vta.compiler.schedule.requests import (
    PRAGMAS,
    SKIP_ZEROS,
    Attach,
    PragmaRequest,
    Tensorization,
    require_scope,
)
from vta.compiler.target import GLOBAL, GemmIntrin
from vta.compiler.te.expr import IterVar
from vta.compiler.te.tensor import ComputeOp, Operation
from vta.errors import ScheduleError

if TYPE_CHECKING:
    from vta.compiler.schedule.schedule import Schedule

__all__ = ["Stage"]


class Stage(LoopPrimitives):
    """The schedule of one tensor. Made by :class:`~vta.compiler.schedule.schedule.Schedule`; use
    ``s[tensor]``.
    """

    def __init__(self, schedule: Schedule, op: Operation, name: str) -> None:
        super().__init__(name, (*op.axis, *op.reduce_axis))
        self.schedule = schedule
        self.op = op
        """The computation. cache_read and cache_write replace its body."""
        self.origin = op
        """The computation that the user wrote."""
        self.scope = GLOBAL
        self.attach = Attach()
        self.pragmas: dict[IterVar, tuple[PragmaRequest, ...]] = {}
        self.threads: dict[IterVar, IterVar] = {}
        self.unrolled: set[IterVar] = set()
        self.tensorized: Tensorization | None = None
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

    @property
    def axes(self) -> tuple[IterVar, ...]:
        """All axes that the stage ever had: its own, and those that split and fuse made."""
        made: list[IterVar] = [*self.origin.axis, *self.op.axis, *self.op.reduce_axis]
        for relation in self.relations:
            made += (
                [relation.fused] if isinstance(relation, Fuse) else [relation.outer, relation.inner]
            )
        return tuple(dict.fromkeys(made))

    # ---- place and memory ------------------------------------------------------------------------

    def compute_at(self, parent: Stage, axis: IterVar) -> None:
        """Compute, in each iteration of loop ``axis`` of ``parent``, what that iteration reads.

        Before::

            B = allocate(int32[10, 6], "global")
            for i, j in grid(10, 6):
                B[i, j] = A[i, j] + 1
            for i, j in grid(10, 6):
                C[i, j] = B[i, j] * 2

        After ``s[B].compute_at(s[C], i)``::

            for i in range(10):
                B = allocate(int32[1, 6], "global")
                for j in range(6):
                    B[0, j] = A[i, j] + 1
                for j in range(6):
                    C[i, j] = B[0, j] * 2

        Raises
        ------
        ScheduleError
            If ``parent`` does not read this stage (directly or through other stages), ``axis`` is
            not a loop of ``parent``, or this stage is an argument or an output.
        """
        self._require_movable("compute_at")
        if not isinstance(parent, Stage) or parent.schedule is not self.schedule:
            raise ScheduleError(
                f"stage {self.name}: compute_at: {parent!r} is not a stage of this schedule"
            )
        if not self.schedule.consumes(parent, self):
            raise ScheduleError(
                f"stage {self.name}: compute_at: stage {parent.name} does not depend on "
                f"{self.name}, whose readers are {self.schedule.consumer_names(self)}"
            )
        parent._require_leaf("compute_at", axis, subject=f"stage {self.name}")
        self.attach = Attach("at", parent, axis)
        self._record("compute_at", parent, axis)

    def compute_root(self) -> None:
        """Compute the whole tensor in front of the stages that read it (the default).

        Before, with ``s[B].compute_at(s[C], i)``::

            for i in range(10):
                B = allocate(int32[1, 6], "global")
                for j in range(6):
                    B[0, j] = A[i, j] + 1
                for j in range(6):
                    C[i, j] = B[0, j] * 2

        After ``s[B].compute_root()``::

            B = allocate(int32[10, 6], "global")
            for i, j in grid(10, 6):
                B[i, j] = A[i, j] + 1
            for i, j in grid(10, 6):
                C[i, j] = B[i, j] * 2

        Raises
        ------
        ScheduleError
            If this stage is an argument or an output.
        """
        self._require_movable("compute_root")
        self.attach = Attach()
        self._record("compute_root")

    def compute_inline(self) -> None:
        """Compute each element where it is read; the tensor is never stored.

        Before::

            B = allocate(int32[10, 6], "global")
            for i, j in grid(10, 6):
                B[i, j] = A[i, j] + 1
            for i, j in grid(10, 6):
                C[i, j] = B[i, j] * 2

        After ``s[B].compute_inline()``::

            for i, j in grid(10, 6):
                C[i, j] = (A[i, j] + 1) * 2

        Raises
        ------
        ScheduleError
            If this stage has a reduction, or is an argument or an output.
        """
        self._require_movable("compute_inline")
        if self.op.reduce_axis:
            raise ScheduleError(
                f"stage {self.name}: compute_inline: {self.name} reduces over "
                f"{', '.join(axis.name for axis in self.op.reduce_axis)}; only stages without a "
                f"reduction can be inlined"
            )
        self.attach = Attach("inline")
        self._record("compute_inline")

    def set_scope(self, scope: str) -> None:
        """Choose the memory of the tensor.

        Before::

            B = allocate(int32[10, 6], "global")
            for i, j in grid(10, 6):
                B[i, j] = A[i, j] + 1

        After ``s[B].set_scope("local.acc_buffer")``::

            B = allocate(int32[10, 6], "local.acc_buffer")
            for i, j in grid(10, 6):
                B[i, j] = A[i, j] + 1

        Parameters
        ----------
        scope : str
            One of :data:`~vta.compiler.target.SCOPES`.

        Raises
        ------
        ScheduleError
            If there is no such memory, or the memory is on the chip and this stage is an argument
            or an output.
        """
        require_scope(f"stage {self.name}: set_scope", scope)
        if scope != GLOBAL and (self.is_output or not self.is_compute):
            kind = "an output" if self.is_output else "an argument"
            raise ScheduleError(
                f"stage {self.name}: set_scope: {self.name} is {kind} of the program, which is in "
                f"{GLOBAL} memory; got {scope} (s.cache_read and s.cache_write make on-chip copies)"
            )
        self.scope = scope
        self._record("set_scope", scope)

    def ring(self, slots: int) -> None:
        """Keep ``slots`` copies of the tensor in a ring buffer, and order instructions by data.

        Before, with ``s[B].compute_at(s[C], i)``::

            for i in range(10):
                B = allocate(int32[1, 6], "global")
                for j in range(6):
                    B[0, j] = A[i, j] + 1
                for j in range(6):
                    C[i, j] = B[0, j] * 2

        After ``s[B].ring(slots=2)``::

            for i in range(10):
                B = allocate(int32[1, 6], "global", slots=2)
                for j in range(6):
                    B[0, j] = A[i, j] + 1
                for j in range(6):
                    C[i, j] = B[0, j] * 2

        Each iteration of the loop that the stage is computed at fills the least recently filled
        slot, so the load module runs up to ``slots`` iterations ahead of the readers. A slot of
        inputs or weights that already holds the data of an iteration is read again, without a load.

        In a program with a ring buffer, tokens follow from what instructions read and write, not
        from the order of the loops: an instruction waits for exactly those instructions of other
        modules that it depends on. Such a program has no virtual threads.

        Parameters
        ----------
        slots : int
            Number of copies, at least 1. With 1, no load runs ahead, but loads of data that the
            buffer holds already are left out.

        Raises
        ------
        ScheduleError
            If ``slots`` is not a positive integer, or this stage is an argument or an output.
        """
        self._require_movable("ring")
        if isinstance(slots, bool) or not isinstance(slots, int) or slots < 1:
            raise ScheduleError(
                f"stage {self.name}: ring: slots is {slots!r}; must be a positive integer"
            )
        self.slots = slots
        self._record("ring", slots)

    # ---- requests to the passes ------------------------------------------------------------------

    def unroll(self, axis: IterVar) -> None:
        """Write the iterations of the loop one after the other in the program.

        Before::

            for i, j in grid(10, 6):
                C[i, j] = B[i, j] * 2

        After ``s[C].unroll(j)``::

            for i in range(10):
                for j in unroll(6):
                    C[i, j] = B[i, j] * 2

        Raises
        ------
        ScheduleError
            If ``axis`` is not a loop of this stage.
        """
        self._require_leaf("unroll", axis)
        self.unrolled.add(axis)
        self._record("unroll", axis)

    def bind(self, axis: IterVar, thread: IterVar) -> None:
        """Make each iteration of the loop a virtual thread.

        Before, with ``s[B].compute_at(s[C], i)``::

            for i in range(10):
                B = allocate(int32[1, 6], "global")
                for j in range(6):
                    B[0, j] = A[i, j] + 1
                for j in range(6):
                    C[i, j] = B[0, j] * 2

        After ``s[C].bind(i, te.thread_axis("cthread"))``::

            for i in cthread(10):
                B = allocate(int32[1, 6], "global")
                for j in range(6):
                    B[0, j] = A[i, j] + 1
                for j in range(6):
                    C[i, j] = B[0, j] * 2

        The pass ``interleave_threads`` gives each thread its own copy of the buffers that are
        allocated inside the loop, and runs the loads of one thread beside the computation of
        another.

        Raises
        ------
        ScheduleError
            If ``thread`` is not a ``te.thread_axis("cthread")`` of this extent (or of none), or if
            ``axis`` is not a loop of this stage, is a reduction axis or is bound already.
        """
        self._require_leaf("bind", axis)
        if not isinstance(thread, IterVar) or thread.kind != "thread":
            self._fail(
                "bind", axis, f"must be bound to a te.thread_axis('cthread'); got {thread!r}"
            )
        if axis.kind != "data":
            self._fail("bind", axis, "is a reduction axis; threads cannot share an accumulator")
        if axis in self.threads:
            self._fail("bind", axis, "is bound already")
        if thread.extent not in (0, axis.extent):
            self._fail(
                "bind",
                axis,
                f"has {axis.extent} iterations, the thread axis {thread.extent} threads",
            )
        self.threads[axis] = thread
        self._record("bind", axis, thread)

    def pragma(self, axis: IterVar, key: str, value: int | str | None = None) -> None:
        """Mark the loops from ``axis`` inwards for a pass.

        Before, with ``s[B].set_scope("local.acc_buffer")``::

            for i, j in grid(10, 6):
                B[i, j] = A[i, j] + 1

        After ``s[B].pragma(B.op.axis[0], "alu")``::

            with pragma("alu", B.i):
                for i, j in grid(10, 6):
                    B[i, j] = A[i, j] + 1

        Parameters
        ----------
        key : str
            One of :data:`~vta.compiler.schedule.requests.PRAGMAS`.
            ``dma_copy`` makes LOAD and STORE instructions of a copy,
            ``alu`` ALU instructions of arithmetic; ``skip_dma_copy`` and ``skip_alu`` leave the
            loops out, to measure the rest of the program. ``conv2d_transpose_gemm`` is
            :meth:`tensorize` without the products whose input is a zero of ``topi.nn.dilate``.

        Raises
        ------
        ScheduleError
            If ``axis`` is not a loop of this stage, or the key is unknown.
        """
        self._require_leaf("pragma", axis)
        if key not in PRAGMAS:
            self._fail("pragma", axis, f"key is {key!r}; must be one of {', '.join(PRAGMAS)}")
        if key == SKIP_ZEROS:
            self._require_not_tensorized("pragma", axis)
            self.tensorized = Tensorization(axis)
            self._record("pragma", axis, key, value=value)
            return
        self.pragmas[axis] = (*self.pragmas.get(axis, ()), PragmaRequest(key, value))
        self._record("pragma", axis, key, value=value)

    def tensorize(self, axis: IterVar, intrin: GemmIntrin, *, start: bool = False) -> None:
        """Replace the loops from ``axis`` inwards by the matrix product of the GEMM instruction.

        ``Y_acc`` is the sum over ``k`` of ``X[n, b, k] * W[c, k]``, with its operands on the chip.

        Before, with ``matrix_product()``::

            for n, c in grid(4, 16):
                Y_acc[n, 0, c] = 0
                for k in range(16):
                    Y_acc[n, 0, c] =
                        Y_acc[n, 0, c] + int32(X_inp[n, 0, k]) * int32(W_wgt[c, k])

        After ``s[Y_acc].tensorize(b, env.gemm)``::

            for n in range(4):
                gemm_reset(acc=Y_acc[n, 0, 0])
                gemm(acc=Y_acc[n, 0, 0], inp=X_inp[n, 0, 0], wgt=W_wgt[0, 0])

        Parameters
        ----------
        intrin : GemmIntrin
            ``env.gemm``: one tile of BATCH x BLOCK_OUT sums over BLOCK_IN products.
        start : bool
            Whether the first product of a sum overwrites its tile, instead of a reset in front of
            the sum. An instruction of the extension (``EXTENSION`` 1) does that. The loops over
            the sum must be inside the loops over the tiles within one instruction.

        Raises
        ------
        ScheduleError
            If ``axis`` is not a loop of this stage, ``intrin`` is not a tensor intrinsic, or the
            stage is tensorized already. Loops that do not match the instruction raise a
            LoweringError in ``vta.lower``.
        """
        self._require_leaf("tensorize", axis)
        if not isinstance(intrin, GemmIntrin):
            self._fail("tensorize", axis, f"needs a tensor intrinsic (env.gemm); got {intrin!r}")
        self._require_not_tensorized("tensorize", axis)
        if not isinstance(start, bool):
            self._fail("tensorize", axis, f"needs start=True or start=False; got {start!r}")
        self.tensorized = Tensorization(axis, intrin, start)
        self._record("tensorize", axis, intrin, **({"start": True} if start else {}))

    # ---- changes of other primitives -------------------------------------------------------------

    def _move_attached(self, replaced: tuple[IterVar, ...], axis: IterVar) -> None:
        """Compute at ``axis`` the stages that are computed at one of the ``replaced`` loops."""
        for stage in self.schedule.stages:
            if stage.attach.axis in replaced:
                stage.attach = Attach("at", self, axis)

    def move_requests(self, axes: tuple[IterVar, ...], other: Stage) -> None:
        """Move the pragmas, unroll requests, tensorize and attached stages of the loops ``axes``
        to ``other``, whose loops they are now.
        """
        for axis in axes:
            if axis in self.pragmas:
                other.pragmas[axis] = self.pragmas.pop(axis)
            if axis in self.unrolled:
                self.unrolled.remove(axis)
                other.unrolled.add(axis)
            if self.tensorized is not None and self.tensorized.axis is axis:
                self.tensorized, other.tensorized = None, self.tensorized
            other._move_attached((axis,), axis)

    # ---- checks ----------------------------------------------------------------------------------

    def _require_not_tensorized(self, primitive: str, axis: IterVar) -> None:
        if self.tensorized is not None:
            first = self.tensorized.axis.name
            self._fail(primitive, axis, f"is in a stage tensorized from {first} on")

    def _require_no_request(self, primitive: str, axis: IterVar) -> None:
        if axis in self.threads:
            self._fail(
                primitive, axis, f"is bound to a virtual thread; {primitive} must come before bind"
            )
        if axis in self.pragmas:
            keys = ", ".join(request.key for request in self.pragmas[axis])
            self._fail(
                primitive, axis, f"has the pragma {keys}; {primitive} must come before pragma"
            )
        if axis in self.unrolled:
            self._fail(primitive, axis, f"is unrolled; {primitive} must come before unroll")
        if self.tensorized is not None and axis is self.tensorized.axis:
            self._fail(primitive, axis, f"is tensorized; {primitive} must come before tensorize")

    def _require_movable(self, primitive: str) -> None:
        if not self.is_compute:
            raise ScheduleError(
                f"stage {self.name}: {primitive}: {self.name} is an argument of the program, "
                f"not a computation"
            )
        if self.is_output:
            raise ScheduleError(
                f"stage {self.name}: {primitive}: {self.name} is an output of the program, which "
                f"cannot be computed inside another stage"
            )

    def _record(self, primitive: str, *args: object, **keywords: object) -> None:
        self.schedule.record(self, primitive, args, **keywords)
