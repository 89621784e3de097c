"""Scope merging: consecutive scopes of one module become one CoprocScope.

Tokens are exchanged between scopes, so fewer scopes need fewer tokens.

Input: a CoprocScope around each transfer and kernel. Output: a loop, condition or sequence that
contained only scopes of one module is inside one scope of that module.
"""

from __future__ import annotations

from vta.compiler.target import Target
from vta.compiler.tir.ir import CoprocScope, For, IfThenElse, PrimFunc, Seq, Stmt, seq
from vta.compiler.tir.visitor import rebuild_statements, with_body

__all__ = ["merge_scopes"]


def merge_scopes(func: PrimFunc, target: Target) -> PrimFunc:
    """Hoist scopes out of loops, and merge consecutive scopes of one module."""
    return with_body(func, _lift(func.body))


def _lift(stmt: Stmt) -> Stmt:
    if isinstance(stmt, CoprocScope):
        return stmt
    stmt = rebuild_statements(stmt, _lift)
    match stmt:
        case For(kind="serial" | "unroll", body=CoprocScope(module=module, body=body)):
            return CoprocScope(module, For(stmt.var, stmt.extent, stmt.kind, body))
        case IfThenElse(cond=cond, then=CoprocScope(module=module, body=body)):
            return CoprocScope(module, IfThenElse(cond, body))
        case Seq(stmts=stmts):
            joined: list[Stmt] = []
            for item in stmts:
                before = joined[-1] if joined else None
                if (
                    isinstance(item, CoprocScope)
                    and isinstance(before, CoprocScope)
                    and before.module is item.module
                ):
                    joined[-1] = CoprocScope(item.module, seq(before.body, item.body))
                else:
                    joined.append(item)
            return seq(*joined)
        case _:
            return stmt
