"""compute_inline: the body of an inlined stage replaces each read of its tensor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vta.compiler.target import GLOBAL
from vta.compiler.te.expr import Expr, TensorRead
from vta.compiler.te.tensor import ComputeOp
from vta.compiler.tir.visitor import rebuild, substitute
from vta.errors import LoweringError

if TYPE_CHECKING:
    from vta.compiler.schedule.schedule import Schedule
    from vta.compiler.schedule.stage import Stage

__all__ = ["inline_bodies"]


def inline_bodies(schedule: Schedule) -> dict[Stage, Expr]:
    """The body of each computed stage, without reads of inlined stages.

    Raises
    ------
    LoweringError
        If an inlined stage has a pragma, a thread or an on-chip scope: it has neither loops nor
        memory.
    """
    bodies: dict[Stage, Expr] = {}

    def change(expr: Expr) -> Expr:
        expr = rebuild(expr, change)
        if isinstance(expr, TensorRead):
            stage = schedule[expr.tensor]
            if stage.attach.kind == "inline":
                return substitute(bodies[stage], dict(zip(stage.op.axis, expr.indices)))
        return expr

    for stage in schedule.stages:
        if isinstance(stage.op, ComputeOp):
            _check(stage)
            bodies[stage] = change(stage.op.body)
    return bodies


def _check(stage: Stage) -> None:
    if stage.attach.kind != "inline":
        return
    found = [request.key for requests in stage.pragmas.values() for request in requests]
    if stage.scope != GLOBAL:
        found.append(f"scope {stage.scope}")
    if found or stage.threads or stage.tensorized:
        raise LoweringError(
            f"stage {stage.name} is inlined and has neither loops nor memory of its own, but the "
            f"schedule asks for {', '.join(found) or 'bind or tensorize'} on it"
        )
