"""Virtual threads: the rounds of a ``cthread`` loop, taken step by step in turns.

The loop moves inwards until it stands around single scopes and tokens, so all threads do the same
step one after the other before any does the next. While the compute module works on one thread's
block, the load module already fetches the other's.

The order of pushes and pops in each token queue is the same for all threads, so each pop gets the
token that its own thread pushed.

Input: ``cthread`` loops, with tokens and addresses for each thread. Output: serial loops only.
"""

from __future__ import annotations

from vta.compiler.analysis.loop_nest import uses
from vta.compiler.target import Target
from vta.compiler.te.expr import Var
from vta.compiler.tir.ir import For, IfThenElse, PrimFunc, Seq, Stmt, seq
from vta.compiler.tir.visitor import rebuild, substitute, with_body

__all__ = ["expand_threads"]


def expand_threads(func: PrimFunc, target: Target) -> PrimFunc:
    """Replace every ``cthread`` loop by serial ones around single steps."""

    def change(node: Stmt) -> Stmt:
        match node:
            case For(kind="cthread", body=body):
                return _inwards(node, change(body))
            case Stmt():
                return rebuild(node, change)
            case _:
                return node

    return with_body(func, change(func.body))


def _inwards(loop: For, stmt: Stmt) -> Stmt:
    match stmt:
        case Seq(stmts=stmts):
            return seq(*(_inwards(loop, item) for item in stmts))
        case For(var=var, extent=extent, kind=kind, body=body):
            return For(var, extent, kind, _inwards(loop, body))
        case IfThenElse(cond=cond, then=then) if not uses(cond, [loop.var]):
            return IfThenElse(cond, _inwards(loop, then))
        case _:
            thread = Var(loop.var.name)
            return For(thread, loop.extent, "serial", substitute(stmt, {loop.var: thread}))
