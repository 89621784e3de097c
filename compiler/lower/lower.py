"""Lowering: from a schedule to a loop nest.

Each stage becomes a nest of loops around one store. A reduction becomes two nests, which share the
loops outside the outermost reduction loop: one stores the start values, one accumulates. A stage
that is computed in a loop of another stage is inside that loop, with its buffer, in front of its
readers.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal, cast

from vta.compiler.analysis.conditional_values import conjuncts, without_zeros
from vta.compiler.analysis.strided_loops import stride_condition
from vta.compiler.lower.bounds import StageLoops, infer_bounds
from vta.compiler.lower.inline import inline_bodies
from vta.compiler.lower.tensorize import match_gemm
from vta.compiler.schedule.stage import Stage
from vta.compiler.te.conditions import all_of, equal
from vta.compiler.te.dtypes import BOOL
from vta.compiler.te.expr import Const, Expr, IterVar, Reduce, TensorRead, Var
from vta.compiler.te.tensor import PlaceholderOp, Tensor
from vta.compiler.tir.ir import (
    Allocate,
    Buffer,
    BufferLoad,
    BufferStore,
    For,
    GemmTile,
    IfThenElse,
    Pragma,
    PrimFunc,
    Seq,
    Stmt,
    seq,
)
from vta.compiler.tir.simplify import simplify
from vta.compiler.tir.visitor import guarded, rebuild, rebuild_statements, substitute, walk
from vta.errors import LoweringError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vta.compiler.schedule.requests import PragmaRequest
    from vta.compiler.schedule.schedule import Schedule

__all__ = ["lower"]

LoopKind = Literal["serial", "unroll", "cthread"]


def lower(schedule: Schedule, args: Sequence[Tensor], name: str = "main") -> PrimFunc:
    """The program of ``schedule``; ``args`` are its parameters in the order of the call.

    Raises
    ------
    LoweringError
        If ``args`` lacks an argument of the computation or has a tensor that is none, a stage is
        read outside the loop that it is computed in, or loops do not match their tensor
        instruction.
    """
    params = _bind_params(schedule, args)
    return _Lowering(schedule, params).run(args, name)


def _bind_params(schedule: Schedule, args: Sequence[Tensor]) -> dict[Stage, Buffer]:
    """The DRAM buffers of the arguments and results."""
    buffers: dict[Stage, Buffer] = {}
    names = ", ".join(str(getattr(arg, "name", arg)) for arg in args)
    for arg in args:
        if not isinstance(arg, Tensor):
            raise LoweringError(f"lower: args are {names}; `{arg}` is not a tensor")
        stage = schedule[arg]
        if stage in buffers:
            raise LoweringError(f"lower: args are {names}; {arg.name} is named twice")
        if stage.is_compute and not stage.is_output:
            raise LoweringError(
                f"lower: args are {names}; {arg.name} is computed on the way, it is neither an "
                f"argument nor an output of the schedule"
            )
        buffers[stage] = Buffer(stage.name, stage.op.shape, stage.op.dtype)
    for stage in schedule.stages:
        if stage not in buffers and (stage.is_output or isinstance(stage.op, PlaceholderOp)):
            kind = "output" if stage.is_output else "argument"
            raise LoweringError(f"lower: args are {names}; the {kind} {stage.name} is missing")
    return buffers


class _Lowering:
    """One run of :func:`lower`."""

    def __init__(self, schedule: Schedule, params: dict[Stage, Buffer]) -> None:
        self.schedule = schedule
        self.nests, self.ranges = infer_bounds(schedule, inline_bodies(schedule))
        self.buffers = dict(params)
        for stage, nest in self.nests.items():
            if stage not in self.buffers:
                self.buffers[stage] = Buffer(
                    stage.name, nest.shape, stage.op.dtype, stage.scope, stage.slots
                )

    def run(self, args: Sequence[Tensor], name: str) -> PrimFunc:
        stages = [self.schedule[arg] for arg in args]
        outputs = tuple(self.buffers[stage] for stage in stages if stage.is_output)
        roots = [stage for stage in self.nests if stage.attach.kind == "root"]
        body = without_repeated_conditions(self.with_stages(roots, Seq()))
        params = tuple(self.buffers[stage] for stage in stages)
        return PrimFunc(name, params, outputs, body, self.schedule.start)

    def with_stages(self, stages: Sequence[Stage], body: Stmt) -> Stmt:
        """``stages`` (consumers first) in front of ``body``, inside their allocations."""
        for stage in stages:
            body = seq(self.produce(self.nests[stage]), body)
            if not stage.is_output:
                body = Allocate(self.buffers[stage], body)
        return body

    # ---- the loops of one stage ------------------------------------------------------------------

    def produce(self, nest: StageLoops) -> Stmt:
        """The loops that compute the stage."""
        stage = nest.stage
        if stage.tensorized is not None:
            return self.tensorized(nest)
        target = BufferLoad(self.buffers[stage], nest.indices)
        if not isinstance(nest.body, Reduce):
            value = self.value(nest.body, nest)
            store = BufferStore(target.buffer, target.indices, value)
            return self.loops(nest, stage.leaves, store, outermost=True)
        init = BufferStore(target.buffer, target.indices, nest.body.identity)
        value = nest.body.combine(target, self.value(nest.body.body, nest))
        update = BufferStore(target.buffer, target.indices, value)
        return self.reduction(nest, stage.leaves, init, update)

    def reduction(
        self, nest: StageLoops, leaves: Sequence[IterVar], init: Stmt, update: Stmt
    ) -> Stmt:
        """``init`` in the loops over the result, then ``update`` in all of them.

        Both share the loops outside the first reduction loop.
        """
        first = next((n for n, axis in enumerate(leaves) if axis.kind == "reduce"), len(leaves))
        shared, rest = leaves[:first], leaves[first:]
        result = [axis for axis in rest if axis.kind == "data"]
        requests = [
            (request, axis)
            for axis in rest
            if axis.kind == "reduce"
            for request in nest.stage.pragmas.get(axis, ())
        ]
        fresh: dict[Var, Expr] = {}
        for axis in result:
            if (var := nest.loop_vars.get(axis)) is not None:
                init_var = fresh[var] = Var(f"{var.name}_init")
                self.ranges[init_var] = self.ranges[var]
        begin = self.loops(nest, result, substitute(init, fresh), fresh=fresh)
        for request, axis in reversed(
            requests
        ):  # pragmas of reduction loops apply to the start values too
            begin = _pragma(request, nest.stage, axis, begin)
        body = seq(begin, self.loops(nest, rest, update))
        return self.loops(nest, shared, body, outermost=True)

    def tensorized(self, nest: StageLoops) -> Stmt:
        """The loops outside the tile, around the instruction."""
        stage = nest.stage
        assert stage.tensorized is not None
        axis, intrin = stage.tensorized.axis, stage.tensorized.intrin
        where = stage.leaves.index(axis)
        outer, tile_axes = stage.leaves[:where], stage.leaves[where:]
        self.check_tile_axes(stage, axis, tile_axes)
        inner = [nest.loop_vars[leaf] for leaf in tile_axes if leaf in nest.loop_vars]
        store = BufferLoad(self.buffers[stage], nest.indices)
        tile, conditions = match_gemm(
            nest,
            inner,
            self.ranges,
            store,
            lambda read: self.read(read, nest),
            self.dilation if intrin is None else lambda read: [],
        )
        if intrin is not None and not intrin.emit:
            return self.loops(nest, outer, Seq(), outermost=True)
        if stage.tensorized.start:
            start = self.first_iteration(nest, outer, conditions)
            return self.loops(nest, outer, replace(tile, start=start), outermost=True)
        init = GemmTile(stage.name, True, tile.acc, None, None, call=tile.call)
        update: Stmt = tile
        for cond in reversed(conditions):
            update = guarded(cond, update)
        return self.reduction(nest, outer, init, update)

    def first_iteration(
        self, nest: StageLoops, outer: Sequence[IterVar], conditions: Sequence[Expr]
    ) -> Expr:
        """The condition that a product is the first of its sum."""
        where = f"stage {nest.stage.name}: tensorize with start=True"
        if conditions:
            raise LoweringError(
                f"{where}: products are left out where not {conditions[0]}, so a sum may begin in "
                f"any iteration, or have no product; use start=False, with a reset"
            )
        over = [nest.loop_vars[axis] for axis in outer if axis.kind == "reduce"
                and axis in nest.loop_vars]  # fmt: skip
        around = {nest.loop_vars[axis] for axis in outer if axis in nest.loop_vars}
        for guard in nest.guards:
            used = {node for node in walk(guard) if isinstance(node, Var)} & around
            if not used.isdisjoint(over) and not used <= set(over):
                raise LoweringError(
                    f"{where}: the condition {guard} uses loops over the sum and other loops, so "
                    f"the first iteration may be left out; use start=False, with a reset"
                )
        return all_of(*(equal(var, 0) for var in over)) if over else Const(1, BOOL)

    def dilation(self, read: TensorRead) -> list[Expr]:
        """The conditions on remainders without which ``read`` is zero, as its stage defines it."""
        stage = self.schedule[read.tensor]
        if stage not in self.nests:
            return []
        conditions, _ = without_zeros(self.nests[stage].body)
        at: dict[Var, Expr] = dict(zip(stage.op.axis, read.indices))
        parts = (part for cond in conditions for part in conjuncts(cond))
        return [substitute(part, at) for part in parts if stride_condition(part)]

    def check_tile_axes(self, stage: Stage, axis: IterVar, tile: Sequence[IterVar]) -> None:
        """The loops that the instruction replaces must have no pragma, thread or attached stage."""
        for leaf in tile:
            requests = [request.key for request in stage.pragmas.get(leaf, ())]
            requests += ["bind"] if leaf in stage.threads else []
            requests += [f"compute_at of {s.name}" for s in self.nests if s.attach.axis is leaf]
            if requests:
                raise LoweringError(
                    f"stage {stage.name}: tensorize at axis {axis.name} replaces the loop "
                    f"{leaf.name}, but the schedule asks for {', '.join(requests)} on it"
                )

    def loops(
        self,
        nest: StageLoops,
        leaves: Sequence[IterVar],
        body: Stmt,
        *,
        outermost: bool = False,
        fresh: Mapping[Var, Expr] | None = None,
    ) -> Stmt:
        """The loops ``leaves`` around ``body``, with their guards and the stages computed in them.

        ``outermost`` adds the guards that depend on no loop of the stage. ``fresh`` is given for
        the start values of a reduction: these loops have other variables and no other stages.
        """
        guards = self.guards_by_loop(nest)
        for axis in reversed(leaves):
            if fresh is None:
                attached = [stage for stage in self.nests if stage.attach.axis is axis]
                body = self.with_stages(attached, body)
            for cond in reversed(guards.get(axis, [])):
                body = guarded(substitute(cond, fresh or {}), body)
            body = self.loop(nest, axis, body, fresh or {})
        if outermost:
            for cond in reversed(guards.get(None, [])):
                body = guarded(cond, body)
        return body

    def loop(self, nest: StageLoops, axis: IterVar, body: Stmt, fresh: Mapping[Var, Expr]) -> Stmt:
        """One loop around ``body``, inside the pragmas of its axis."""
        stage = nest.stage
        if axis in nest.loop_vars and body != Seq():
            var = nest.loop_vars[axis]
            var = cast("Var", fresh.get(var, var))
            kind: LoopKind = "cthread" if axis in stage.threads else "serial"
            kind = "unroll" if axis in stage.unrolled else kind
            body = For(var, nest.extents[axis], kind, body)
        for request in reversed(stage.pragmas.get(axis, ())):
            body = _pragma(request, stage, axis, body)
        return body

    @staticmethod
    def guards_by_loop(nest: StageLoops) -> dict[IterVar | None, list[Expr]]:
        """The guards by the innermost loop that each depends on; None for no loop of the stage."""
        placed: dict[IterVar | None, list[Expr]] = {}
        for cond in nest.guards:
            used = {node for node in walk(cond) if isinstance(node, Var)}
            loops = [axis for axis in nest.stage.leaves if nest.loop_vars.get(axis) in used]
            placed.setdefault(loops[-1] if loops else None, []).append(cond)
        return placed

    # ---- values ----------------------------------------------------------------------------------

    def value(self, expr: Expr, nest: StageLoops) -> Expr:
        """``expr`` of tensors and axes as an expression of buffers and loop variables."""
        placed = substitute(expr, nest.values)

        def change(node: Expr) -> Expr:
            if isinstance(node, TensorRead):
                return self.element(node)
            return rebuild(node, change)

        return simplify(change(placed), self.ranges)

    def read(self, read: TensorRead, nest: StageLoops) -> BufferLoad:
        """The buffer element of a read in the body of a stage."""
        values = nest.values
        return self.element(
            TensorRead(read.tensor, tuple(substitute(index, values) for index in read.indices))
        )

    def element(self, read: TensorRead) -> BufferLoad:
        """The buffer element of a read whose indices are already expressions of loop variables."""
        stage = self.schedule[read.tensor]
        indices = read.indices
        if stage in self.nests:
            indices = tuple(i - low for i, low in zip(indices, self.nests[stage].low))
        simple = tuple(simplify(index, self.ranges) for index in indices)
        return BufferLoad(self.buffers[stage], simple)


def _pragma(request: PragmaRequest, stage: Stage, axis: IterVar, body: Stmt) -> Pragma:
    return Pragma(request.key, request.value, stage.name, axis.name, body, request.call)


def without_repeated_conditions(stmt: Stmt, known: frozenset[Expr] = frozenset()) -> Stmt:
    """``stmt`` without conditions that an outer statement tests already."""
    if isinstance(stmt, IfThenElse):
        inner = without_repeated_conditions(stmt.then, known | {stmt.cond})
        return inner if stmt.cond in known else guarded(stmt.cond, inner)
    return rebuild_statements(stmt, lambda node: without_repeated_conditions(node, known))
