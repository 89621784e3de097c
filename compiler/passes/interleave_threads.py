"""Virtual threads: the iterations of a ``cthread`` loop are interleaved step by step.

The loop moves inwards until its body is a single scope or token. All threads then execute a step
before any thread executes the next one, so the load module fetches the block of one thread while
the compute module works on the block of another.

All threads push and pop in the same order in each token queue, so each pop gets the token that its
own thread pushed.

A condition that differs between threads (a remainder, which leaves some threads without a last
iteration) moves inwards as well. A thread for which it does not hold executes nothing in these
steps. Tokens inside the condition are exchanged among the steps inside, so such a thread neither
pushes nor pops them; tokens outside the condition are pushed and popped by all threads.

Input: ``cthread`` loops, with tokens and addresses for each thread. Output: serial loops only.
"""

from __future__ import annotations

from collections.abc import Sequence

from vta.compiler.analysis.loop_nest import uses
from vta.compiler.target import Target
from vta.compiler.te.conditions import all_of
from vta.compiler.te.expr import Expr, Var
from vta.compiler.tir.ir import (
    CoprocScope,
    DepPop,
    DepPush,
    For,
    IfThenElse,
    PrimFunc,
    Seq,
    Stmt,
    seq,
)
from vta.compiler.tir.visitor import rebuild_statements, substitute, with_body
from vta.isa import PipelineModule

__all__ = ["interleave_threads"]


def interleave_threads(func: PrimFunc, target: Target) -> PrimFunc:
    """Replace every ``cthread`` loop by serial loops around single steps."""

    def change(node: Stmt) -> Stmt:
        match node:
            case For(kind="cthread", body=body):
                return _move_thread_loop_inwards(node, change(body))
            case _:
                return rebuild_statements(node, change)

    return with_body(func, change(func.body))


def _move_thread_loop_inwards(loop: For, stmt: Stmt) -> Stmt:
    match stmt:
        case Seq(stmts=stmts):
            return seq(*(_move_thread_loop_inwards(loop, item) for item in _steps(loop, stmts)))
        case For(var=var, extent=extent, kind=kind, body=body):
            return For(var, extent, kind, _move_thread_loop_inwards(loop, body))
        case IfThenElse(cond=cond, then=then) if not uses(cond, [loop.var]):
            return IfThenElse(cond, _move_thread_loop_inwards(loop, then))
        case IfThenElse(cond=cond, then=Seq() | For() | IfThenElse() as then):
            return _move_thread_loop_inwards(loop, _push_condition_inwards(cond, then))
        case _:
            thread = Var(loop.var.name)
            return For(thread, loop.extent, "serial", substitute(stmt, {loop.var: thread}))


def _push_condition_inwards(cond: Expr, stmt: Stmt) -> Stmt:
    """``stmt`` with each step under ``cond``."""
    match stmt:
        case Seq(stmts=stmts):
            return seq(*(_push_condition_inwards(cond, item) for item in stmts))
        case For(var=var, extent=extent, kind=kind, body=body):
            return For(var, extent, kind, _push_condition_inwards(cond, body))
        case IfThenElse(cond=inner, then=then):
            return _push_condition_inwards(all_of(cond, inner), then)
        case CoprocScope(module=module, body=body):
            return CoprocScope(module, IfThenElse(cond, body))
        case _:
            return IfThenElse(cond, stmt)


def _steps(loop: For, stmts: Sequence[Stmt]) -> list[Stmt]:
    """``stmts`` with conditions on the thread split into their steps.

    A scope whose body a thread may skip also takes the tokens around it, so that the module waits
    for the tokens of the other threads only where their work begins.
    """
    steps: list[Stmt] = []
    guarded: PipelineModule | None = None  # module of the last step, if that is a guarded scope
    for stmt in stmts:
        if isinstance(stmt, IfThenElse) and uses(stmt.cond, [loop.var]):
            first, *rest = _flat(_push_condition_inwards(stmt.cond, stmt.then))
            if isinstance(first, CoprocScope):
                first = CoprocScope(first.module, seq(*_pops(steps, first.module), first.body))
            steps += [first, *rest]
            guarded = steps[-1].module if isinstance(steps[-1], CoprocScope) else None
        elif isinstance(stmt, DepPush) and stmt.source is guarded:
            scope = steps[-1]
            assert isinstance(scope, CoprocScope)
            steps[-1] = CoprocScope(scope.module, seq(scope.body, stmt))
        else:
            steps.append(stmt)
            guarded = None
    return steps


def _flat(stmt: Stmt) -> tuple[Stmt, ...]:
    return stmt.stmts if isinstance(stmt, Seq) else (stmt,)


def _pops(steps: list[Stmt], module: PipelineModule) -> list[Stmt]:
    """Remove the pops of ``module`` from the end of ``steps`` and return them."""
    at = len(steps)
    while at and isinstance(step := steps[at - 1], DepPop) and step.target is module:
        at -= 1
    pops = steps[at:]
    del steps[at:]
    return pops
