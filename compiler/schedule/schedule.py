"""A schedule: the stages of a computation, and the log of the applied primitives."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from vta.compiler.schedule.log import AppliedPrimitive, AxisRef, StageRef, TensorRef
from vta.compiler.schedule.requests import require_scope
from vta.compiler.schedule.stage import Stage
from vta.compiler.target import GLOBAL
from vta.compiler.te.expr import Expr, IterVar, TensorRead
from vta.compiler.te.names import unique_name
from vta.compiler.te.tensor import ComputeOp, Operation, Tensor
from vta.compiler.tir.ir import EarlyStart
from vta.compiler.tir.visitor import rebuild, substitute
from vta.errors import ScheduleError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Schedule", "create_schedule"]


class Schedule:
    """The loops, places and memories of all tensors that ``outputs`` depend on.

    ``s[C]`` is the stage of a tensor or an operation. :func:`create_schedule` makes a schedule.
    """

    def __init__(self, outputs: Sequence[Operation]) -> None:
        self.stages: list[Stage] = []
        """Producers before consumers."""
        self._by_op: dict[Operation, Stage] = {}
        self.outputs: tuple[Stage, ...] = ()
        self.start = EarlyStart()
        """How the program begins (:meth:`early_start`)."""
        self._log: list[AppliedPrimitive] = []
        for op in outputs:
            self._add(op)
        self.outputs = tuple(dict.fromkeys(self._by_op[op] for op in outputs))

    def _add(self, op: Operation) -> None:
        """Make stages for ``op`` and all operations that it depends on, depth first."""
        pending = [op]
        while pending:
            top = pending[-1]
            missing = [t.op for t in top.inputs if t.op not in self._by_op]
            if missing:
                pending += reversed(missing)
                continue
            pending.pop()
            if top not in self._by_op:
                stage = Stage(self, top, self._stage_name(top.name))
                self.stages.append(stage)
                self._by_op[top] = stage

    def _stage_name(self, name: str) -> str:
        return unique_name(name, {stage.name for stage in self.stages})

    def __getitem__(self, item: Tensor | Operation) -> Stage:
        op = item.op if isinstance(item, Tensor) else item
        if not isinstance(op, Operation) or op not in self._by_op:
            names = ", ".join(stage.name for stage in self.stages)
            raise ScheduleError(f"{item} is not in this schedule; its stages are {names}")
        return self._by_op[op]

    def __repr__(self) -> str:
        return "\n".join(map(repr, self.stages))

    # ---- the graph -------------------------------------------------------------------------------

    def producers(self, stage: Stage) -> tuple[Stage, ...]:
        """The stages whose tensors ``stage`` reads, in order of first use."""
        return tuple(dict.fromkeys(self[tensor] for tensor in stage.op.inputs))

    def consumers(self, stage: Stage) -> tuple[Stage, ...]:
        """The stages that read the tensor of ``stage``."""
        return tuple(other for other in self.stages if stage in self.producers(other))

    def consumer_names(self, stage: Stage) -> str:
        return ", ".join(other.name for other in self.consumers(stage)) or "no stage"

    def consumes(self, stage: Stage, producer: Stage) -> bool:
        """Whether ``stage`` depends on ``producer``, directly or through other stages."""
        pending, seen = [stage], set()
        while pending:
            for other in self.producers(pending.pop()):
                if other is producer:
                    return True
                if other not in seen:
                    seen.add(other)
                    pending.append(other)
        return False

    # ---- copies ----------------------------------------------------------------------------------

    def cache_read(
        self, tensor: Tensor, scope: str, readers: Tensor | Operation | Sequence[Tensor | Operation]
    ) -> Tensor:
        """Copy ``tensor`` into the memory ``scope``, and let ``readers`` read the copy.

        Before::

            for i, j in grid(10, 6):
                B[i, j] = A[i, j] + 1

        After ``s.cache_read(A, "local.acc_buffer", [B])``::

            A_acc = allocate(int32[10, 6], "local.acc_buffer")
            for i0, i1 in grid(10, 6):
                A_acc[i0, i1] = A[i0, i1]
            B = allocate(int32[10, 6], "global")
            for i, j in grid(10, 6):
                B[i, j] = A_acc[i, j] + 1

        Returns
        -------
        copy : Tensor
            The copy, with a stage of its own.

        Raises
        ------
        ScheduleError
            If a reader does not read ``tensor``, there is no reader, or no such memory.
        """
        source = self[tensor]
        stages = [self[item] for item in _operations(readers)]
        for reader in stages:
            if source not in self.producers(reader):
                raise ScheduleError(
                    f"stage {source.name}: cache_read: stage {reader.name} does not read "
                    f"{source.name}; its readers are {self.consumer_names(source)}"
                )
        require_scope(f"stage {source.name}: cache_read", scope)
        if not stages:
            raise ScheduleError(f"stage {source.name}: cache_read: at least one reader is required")
        axes = tuple(IterVar(f"i{dim}", extent=extent) for dim, extent in enumerate(tensor.shape))
        name = self._stage_name(f"{source.name}_{_suffix(scope)}")
        body = TensorRead(tensor, axes)
        copy = ComputeOp(name, tensor.shape, tensor.dtype, "", axes, body=body)
        stage = self._insert(copy, after=source)
        for reader in stages:
            op = reader.op
            assert isinstance(op, ComputeOp)
            self._replace(reader, replace(op, body=self._redirect(op.body, source, copy)))
        self.record(None, "cache_read", (tensor, scope, tuple(Tensor(s.op) for s in stages)))
        stage.scope = scope
        return Tensor(copy)

    def cache_write(self, tensor: Tensor, scope: str) -> Tensor:
        """Compute ``tensor`` in the memory ``scope``, and copy the result out.

        Before::

            for i, j in grid(10, 6):
                C[i, j] = B[i, j] * 2

        After ``s.cache_write(C, "local.acc_buffer")``::

            C_acc = allocate(int32[10, 6], "local.acc_buffer")
            for i, j in grid(10, 6):
                C_acc[i, j] = B[i, j] * 2
            for i, j in grid(10, 6):
                C[i, j] = C_acc[i, j]

        A reduction moves to the copy, with the primitives that were applied to its loops. Other
        loops of ``tensor`` must not have been changed before.

        Returns
        -------
        copy : Tensor
            The tensor that is computed, with a stage of its own.

        Raises
        ------
        ScheduleError
            If ``tensor`` is an argument, its loops were changed, or there is no such memory.
        """
        stage = self[tensor]
        op = stage.op
        if not isinstance(op, ComputeOp):
            raise ScheduleError(
                f"stage {stage.name}: cache_write: {stage.name} is an argument of the program, "
                f"not a computation"
            )
        require_scope(f"stage {stage.name}: cache_write", scope)
        if stage.relations or stage.leaves != [*op.axis, *op.reduce_axis]:
            raise ScheduleError(
                f"stage {stage.name}: cache_write: the loops of {stage.name} were changed already; "
                f"call cache_write first"
            )
        axes = tuple(IterVar(axis.name, extent=axis.extent) for axis in op.axis)
        body = substitute(op.body, dict(zip(op.axis, axes)))
        name = self._stage_name(f"{stage.name}_{_suffix(scope)}")
        copy = ComputeOp(name, op.shape, op.dtype, op.tag, axes, op.reduce_axis, body=body)
        made = self._insert(copy, before=stage)
        copied_out = TensorRead(Tensor(copy), op.axis)
        self._replace(stage, replace(op, reduce_axis=(), body=copied_out))
        stage.leaves = list(op.axis)
        stage.move_requests(op.reduce_axis, made)
        self.record(None, "cache_write", (tensor, scope))
        made.scope = scope
        return Tensor(copy)

    def _insert(
        self, op: Operation, after: Stage | None = None, before: Stage | None = None
    ) -> Stage:
        stage = Stage(self, op, op.name)
        where = self.stages.index(after) + 1 if after else self.stages.index(before or stage)
        self.stages.insert(where, stage)
        self._by_op[op] = stage
        return stage

    def _replace(self, stage: Stage, op: Operation) -> None:
        """Replace the computation of ``stage``. ``self[old operation]`` is still the stage."""
        stage.op = op
        self._by_op[op] = stage

    def _redirect(self, body: Expr, source: Stage, copy: Operation) -> Expr:
        def change(expr: Expr) -> Expr:
            expr = rebuild(expr, change)
            if isinstance(expr, TensorRead) and self[expr.tensor] is source:
                return TensorRead(Tensor(copy), expr.indices)
            return expr

        return change(body)

    # ---- the whole program -----------------------------------------------------------------------

    def early_start(
        self, parts: int = 1, steps: int = 1, rows: int = 1, late_constants: bool = False
    ) -> None:
        """Begin the products of a program with ring buffers before all data in front of them is on
        chip.

        Before::

            B = allocate(int32[10, 6], "global")
            for i, j in grid(10, 6):
                B[i, j] = A[i, j] + 1
            for i, j in grid(10, 6):
                C[i, j] = B[i, j] * 2

        After ``s.early_start(parts=4, steps=8)``::

            # early start: 4 parts of 8 steps
            B = allocate(int32[10, 6], "global")
            for i, j in grid(10, 6):
                B[i, j] = A[i, j] + 1
            for i, j in grid(10, 6):
                C[i, j] = B[i, j] * 2

        The loop nest does not change, the order of instructions does. Each of the first ``steps``
        GEMM instructions, and the load of its weights, is cut into ``parts``, by tiles of the
        result, or fewer if there are fewer tiles: each part waits for its own weights. The first
        part begins with one of ``rows`` shares of its rows, and waits for their activations. With
        ``late_constants``, accumulators that the first products do not touch are loaded behind the
        first part. A program without ring buffers stays as it is.

        Raises
        ------
        ScheduleError
            If ``parts``, ``steps`` or ``rows`` is not a positive integer.
        """
        for name, value in (("parts", parts), ("steps", steps), ("rows", rows)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ScheduleError(f"early_start: {name} is {value!r}; must be a positive integer")
        self.start = EarlyStart(parts, steps, rows, bool(late_constants))
        self.record(None, "early_start", (parts, steps, rows, bool(late_constants)))

    # ---- the log ---------------------------------------------------------------------------------

    @property
    def log(self) -> tuple[AppliedPrimitive, ...]:
        """The applied primitives, in order."""
        return tuple(self._log)

    def record(
        self, stage: Stage | None, primitive: str, args: Iterable[object], **keywords: object
    ) -> None:
        """Add a primitive to the log; called by the primitives. None keywords are left out."""
        given = {key: self._encode(arg) for key, arg in keywords.items() if arg is not None}
        encoded = tuple(map(self._encode, args))
        name = stage.name if stage else None
        self._log.append(AppliedPrimitive(name, primitive, encoded, tuple(given.items())))

    def replay(self, steps: Iterable[AppliedPrimitive]) -> Schedule:
        """Apply the log of another schedule of the same computation; returns this schedule.

        Raises
        ------
        ScheduleError
            If a primitive names a stage or an axis that does not exist, or does not apply.
        """
        for step in steps:
            owner = self if step.stage is None else self._stage_named(step.stage)
            keywords = {key: self._decode(arg) for key, arg in step.keywords}
            getattr(owner, step.primitive)(*map(self._decode, step.args), **keywords)
        return self

    def _encode(self, arg: object) -> object:
        if isinstance(arg, tuple):
            return tuple(map(self._encode, arg))
        if isinstance(arg, Stage):
            return StageRef(arg.name)
        if isinstance(arg, Tensor):
            return TensorRef(self[arg].name)
        if isinstance(arg, IterVar) and arg.kind != "thread":
            owner = next(stage for stage in self.stages if arg in stage.axes)
            alike = [axis for axis in owner.axes if axis.name == arg.name]
            return AxisRef(owner.name, arg.name, alike.index(arg))
        return arg

    def _decode(self, arg: object) -> object:
        if isinstance(arg, tuple):
            return tuple(map(self._decode, arg))
        if isinstance(arg, StageRef):
            return self._stage_named(arg.stage)
        if isinstance(arg, TensorRef):
            return Tensor(self._stage_named(arg.stage).op)
        if isinstance(arg, AxisRef):
            stage = self._stage_named(arg.stage)
            alike = [axis for axis in stage.axes if axis.name == arg.axis]
            if arg.number < len(alike):
                return alike[arg.number]
            names = ", ".join(axis.name for axis in stage.axes)
            raise ScheduleError(f"stage {stage.name} has no axis {arg.axis}; it has {names}")
        return arg

    def _stage_named(self, name: str) -> Stage:
        for stage in self.stages:
            if stage.name == name:
                return stage
        names = ", ".join(stage.name for stage in self.stages)
        raise ScheduleError(f"no stage {name}; the stages are {names}")


def _suffix(scope: str) -> str:
    """``inp`` for ``local.inp_buffer``."""
    return scope if scope == GLOBAL else scope.split(".")[-1].removesuffix("_buffer")


def create_schedule(ops: Tensor | Operation | Sequence[Tensor | Operation]) -> Schedule:
    """The default schedule of one or several outputs: every stage computed whole, loops in axis
    order.

    Raises
    ------
    ScheduleError
        If an output is not a computed tensor.
    """
    outputs = _operations(ops)
    if not outputs:
        raise ScheduleError("create_schedule: at least one output is required")
    for op in outputs:
        if not isinstance(op, ComputeOp):
            name = op.name if isinstance(op, Operation) else repr(op)
            raise ScheduleError(f"create_schedule: {name} is not computed; must be a te.compute")
    return Schedule(outputs)


def _operations(items: Tensor | Operation | Sequence[Tensor | Operation]) -> list[Operation]:
    """One or several tensors or operations as a list of operations."""
    several = [items] if isinstance(items, Tensor | Operation) else items
    if not isinstance(several, list | tuple):
        raise ScheduleError(
            f"a tensor, an operation or a list of them is required; got {several!r} "
            f"({type(several).__name__})"
        )
    return [item.op if isinstance(item, Tensor) else item for item in several]
