"""Bound inference: the part of each tensor that a stage computes at a time, and its loops.

A stage that is computed in a loop of another stage computes, in each iteration, the part that the
iteration reads: the *region*. In each dimension it has a lowest index (an expression of the loops
around) and an extent. The buffer of the stage has the size of the region.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vta.compiler.schedule.loop_primitives import Split
from vta.compiler.schedule.stage import Stage
from vta.compiler.te.expr import Const, Expr, IterVar, TensorRead, Var
from vta.compiler.tir.affine import linear
from vta.compiler.tir.interval import interval
from vta.compiler.tir.region import region
from vta.compiler.tir.simplify import simplify
from vta.compiler.tir.visitor import substitute, walk
from vta.errors import LoweringError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from vta.compiler.schedule.schedule import Schedule

__all__ = ["StageLoops", "infer_bounds"]

ZERO = Const(0)


@dataclass
class StageLoops:
    """The loops of one stage."""

    stage: Stage
    body: Expr
    """The computation, without reads of inlined stages."""
    enclosing: tuple[Var, ...] = ()
    """Variables of the loops around the stage, outermost first."""
    low: tuple[Expr, ...] = ()
    """First index of the region in each dimension."""
    extents: dict[IterVar, int] = field(default_factory=dict)
    """Extents of every axis: the stage's own, and those that split and fuse made."""
    loop_vars: dict[IterVar, Var] = field(default_factory=dict)
    """The variables of the loops of more than one iteration."""
    offsets: dict[IterVar, Expr] = field(default_factory=dict)
    """Every axis as an expression of the loop variables, counted from the start of the region."""
    guards: list[Expr] = field(default_factory=list)
    """Conditions for an iteration to run. A condition uses axes of the result or of the reduction,
    not both."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Extents of the region."""
        return tuple(self.extents[axis] for axis in self.stage.op.axis)

    @property
    def indices(self) -> tuple[Expr, ...]:
        """Indices, in the buffer, of the element of an iteration."""
        return tuple(self.offsets[axis] for axis in self.stage.op.axis)

    @property
    def values(self) -> dict[Var, Expr]:
        """The value of each axis of the stage in an iteration."""
        op = self.stage.op
        values: dict[Var, Expr] = {
            axis: first + self.offsets[axis] for axis, first in zip(op.axis, self.low)
        }
        values.update({axis: self.offsets[axis] + axis.begin for axis in op.reduce_axis})
        return values


def infer_bounds(
    schedule: Schedule, bodies: Mapping[Stage, Expr]
) -> tuple[dict[Stage, StageLoops], dict[Var, tuple[int, int]]]:
    """The loops of every stage, consumers first, and the range of every loop variable.

    Inlined stages have no loops, nor have stages whose last read was folded away.

    Raises
    ------
    LoweringError
        If a stage is computed in a loop but read outside it, or an index has no bound.
    """
    nests: dict[Stage, StageLoops] = {}
    ranges: dict[Var, tuple[int, int]] = {}
    for stage in reversed(schedule.stages):  # consumers before producers
        if stage not in bodies or stage.attach.kind == "inline":
            continue
        nest = StageLoops(stage, bodies[stage])
        if not stage.is_output and not any(_reads(schedule, stage, nests)):
            continue
        if stage.attach.kind == "at":
            nest.enclosing = _enclosing(stage, nests)
            parts = _needed(schedule, stage, nest, nests, ranges)
        else:
            parts = [(ZERO, extent) for extent in stage.op.shape]
        _make_loops(nest, parts, ranges)
        nests[stage] = nest
    return nests, ranges


def _enclosing(stage: Stage, nests: Mapping[Stage, StageLoops]) -> tuple[Var, ...]:
    parent, axis = stage.attach.stage, stage.attach.axis
    assert parent is not None and axis is not None
    if parent not in nests:
        raise LoweringError(
            f"stage {stage.name} is computed at {axis.name} of stage {parent.name}, which is "
            f"inlined and has no loops of its own"
        )
    around = nests[parent]
    outer = parent.leaves[: parent.leaves.index(axis) + 1]
    return (*around.enclosing, *(around.loop_vars[a] for a in outer if a in around.loop_vars))


def _needed(
    schedule: Schedule,
    stage: Stage,
    nest: StageLoops,
    nests: Mapping[Stage, StageLoops],
    ranges: dict[Var, tuple[int, int]],
) -> list[tuple[Expr, int]]:
    """The region that the readers of ``stage`` need in one iteration of the loops around it."""
    outer = frozenset(nest.enclosing)
    parts: list[tuple[Expr, int]] | None = None
    for reader, read in _reads(schedule, stage, nests):
        _check_inside(stage, reader)
        around = nests[reader]
        own = (*around.enclosing, *around.loop_vars.values())
        inner = {var: ranges[var][1] + 1 for var in own if var not in outer}
        indices = [simplify(substitute(index, around.values), ranges) for index in read.indices]
        found = [region(index, inner, ranges) for index in indices]
        if parts is None:
            parts = found
        else:
            shape = stage.op.shape
            parts = [_union(*both) for both in zip(parts, found, shape)]
    assert parts is not None
    return [_clip(low, width, whole) for (low, width), whole in zip(parts, stage.op.shape)]


def _reads(
    schedule: Schedule, stage: Stage, nests: Mapping[Stage, StageLoops]
) -> Iterator[tuple[Stage, TensorRead]]:
    for reader, nest in nests.items():
        for node in walk(nest.body):
            if isinstance(node, TensorRead) and schedule[node.tensor] is stage:
                yield reader, node


def _check_inside(stage: Stage, reader: Stage) -> None:
    """``reader`` must be inside the loop that ``stage`` is computed in."""
    parent, axis = stage.attach.stage, stage.attach.axis
    assert parent is not None and axis is not None
    place: Stage | None = reader
    while place is not None and place is not parent:
        at = place.attach
        if at.stage is parent and at.axis is not None:
            if parent.leaves.index(at.axis) >= parent.leaves.index(axis):
                return
            break
        place = at.stage
    if place is parent:
        return
    raise LoweringError(
        f"stage {stage.name} is computed at {axis.name} of stage {parent.name}, but stage "
        f"{reader.name}, which reads it, is not inside that loop; compute {reader.name} there too, "
        f"or {stage.name} further outside"
    )


def _union(first: tuple[Expr, int], second: tuple[Expr, int], whole: int) -> tuple[Expr, int]:
    """The smallest range that contains both; the whole dimension if their distance varies."""
    distance = linear(second[0]) - linear(first[0])
    if distance.terms:
        return ZERO, whole
    low = first[0] if distance.const >= 0 else second[0]
    begin = min(0, distance.const)
    end = max(first[1], distance.const + second[1])
    return low, end - begin


def _clip(low: Expr, extent: int, whole: int) -> tuple[Expr, int]:
    """The part inside the tensor. Indices under a condition may point outside."""
    if extent >= whole:
        return ZERO, whole
    if isinstance(low, Const):
        begin = min(max(low.value, 0), whole - 1)
        end = max(min(low.value + extent, whole), begin + 1)
        return Const(begin), end - begin
    return low, extent


def _make_loops(
    nest: StageLoops, parts: list[tuple[Expr, int]], ranges: dict[Var, tuple[int, int]]
) -> None:
    """Set the extents of all axes (from the region to the loops), the loop variables, and the
    offsets of all axes (from the loops to the region).
    """
    stage = nest.stage
    op = stage.op
    nest.low = tuple(low for low, _ in parts)
    nest.extents = {axis: extent for axis, (_, extent) in zip(op.axis, parts)}
    nest.extents.update({axis: axis.extent for axis in op.reduce_axis})
    for relation in stage.relations:
        if isinstance(relation, Split):
            outer, inner = _split_extents(relation, nest.extents[relation.parent])
            nest.extents[relation.outer], nest.extents[relation.inner] = outer, inner
        else:
            product = nest.extents[relation.outer] * nest.extents[relation.inner]
            nest.extents[relation.fused] = product
    for leaf in stage.leaves:
        if nest.extents[leaf] > 1:
            var = nest.loop_vars[leaf] = Var(leaf.name)
            ranges[var] = (0, nest.extents[leaf] - 1)
    _fill_offsets(nest, ranges)
    _find_guards(nest, ranges)


def _split_extents(relation: Split, extent: int) -> tuple[int, int]:
    """Extents of the outer and the inner loop of a split of ``extent`` iterations."""
    if relation.factor is not None:
        inner = min(relation.factor, extent)
        return -(-extent // inner), inner
    assert relation.nparts is not None
    outer = min(relation.nparts, extent)
    return outer, -(-extent // outer)


def _fill_offsets(nest: StageLoops, ranges: dict[Var, tuple[int, int]]) -> None:
    offsets: dict[IterVar, Expr] = {
        leaf: nest.loop_vars.get(leaf, ZERO) for leaf in nest.stage.leaves
    }
    for relation in reversed(nest.stage.relations):
        inner_extent = nest.extents[relation.inner]
        if isinstance(relation, Split):
            offsets[relation.parent] = (
                offsets[relation.outer] * inner_extent + offsets[relation.inner]
            )
        else:
            offsets[relation.outer] = offsets[relation.fused] // inner_extent
            offsets[relation.inner] = offsets[relation.fused] % inner_extent
    nest.offsets = {axis: simplify(offset, ranges) for axis, offset in offsets.items()}


def _find_guards(nest: StageLoops, ranges: dict[Var, tuple[int, int]]) -> None:
    """Find the conditions that keep loops inside the region and the region inside the tensor."""
    conditions: list[Expr] = []
    for relation in nest.stage.relations:
        if isinstance(relation, Split):
            parent = relation.parent
            conditions.append(nest.offsets[parent] < nest.extents[parent])
    values = nest.values
    for axis, whole in zip(nest.stage.op.axis, nest.stage.op.shape):
        value = simplify(values[axis], ranges)
        low, high = interval(value, ranges)
        if low < 0:
            conditions.append(value >= 0)
        if high >= whole and nest.extents[axis] < whole:
            conditions.append(value < whole)
    for cond in conditions:
        guard = simplify(cond, ranges)
        if not isinstance(guard, Const) and guard not in nest.guards:
            nest.guards.append(guard)
