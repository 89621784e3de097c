"""Token insertion: pushes and pops of dependence tokens between modules.

The scopes of each virtual thread are executed in program order. Wherever one scope and the next
belong to different modules, the module of the first pushes a token and the module of the second
pops it. In the same way the last scope of a loop iteration pushes a token for the first scope of
the next iteration: a loop-carried token. The token of the first iteration is pushed in front of the
loop, and the token of the last iteration is popped behind the loop, so none is left at the end.

Load and store have no token queue between them: an order of the two goes through compute.

Input: CoprocScopes, in loops and sequences. Output: the same with DepPush and DepPop, inside the
scope of their module where there is one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

from vta.compiler.target import Target
from vta.compiler.tir.ir import (
    Allocate,
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
from vta.compiler.tir.visitor import has_rings, with_body
from vta.isa import PipelineModule

__all__ = ["insert_tokens"]


def insert_tokens(func: PrimFunc, target: Target) -> PrimFunc:
    """Insert tokens that order the modules.

    A program with ring buffers stays unchanged: its tokens come from the hazards between
    instructions, in code generation (:mod:`vta.compiler.codegen.dependences`).
    """
    if has_rings(func):
        return func
    return with_body(func, _with_carried_tokens(_order(func.body)))


@dataclass(frozen=True)
class _Node:
    """A statement with tokens inside, and the modules of its first and last scope (None if it has
    no scope).

    A loop with a loop-carried token needs a token in front and leaves one behind:
    ``carried`` = (module that pushes, module that pops).
    """

    stmt: Stmt
    first: PipelineModule | None = None
    last: PipelineModule | None = None
    carried: tuple[PipelineModule, PipelineModule] | None = None


def _route(
    source: PipelineModule, target: PipelineModule
) -> list[tuple[PipelineModule, PipelineModule]]:
    """The token queues from one module to another, as (source, target) pairs."""
    if {source, target} == {PipelineModule.LOAD, PipelineModule.STORE}:
        return [(source, PipelineModule.COMPUTE), (PipelineModule.COMPUTE, target)]
    return [(source, target)]


def _tokens_between(
    source: PipelineModule, target: PipelineModule
) -> tuple[list[Stmt], list[Stmt]]:
    """The pushes at the end of ``source`` and the pops at the start of ``target`` that order the
    two modules.
    """
    route = _route(source, target)
    middle: list[Stmt] = []
    for a, b in pairwise(route):
        middle += [DepPop(*a), DepPush(*b)]
    return [DepPush(*route[0])], [*middle, DepPop(*route[-1])]


def _order(stmt: Stmt) -> _Node:
    match stmt:
        case CoprocScope(module=module):
            return _Node(stmt, module, module)
        case Seq(stmts=stmts):
            return _order_sequence(stmts)
        case For(var=var, extent=extent, kind="cthread", body=body):
            node = _order(body)
            return _Node(
                For(var, extent, "cthread", _with_carried_tokens(node)), node.first, node.last
            )
        case For(var=var, extent=extent, kind=kind, body=body):
            node = _order(body)
            if node.carried:  # the token of the inner loop is carried by this loop too
                return replace(node, stmt=For(var, extent, kind, node.stmt))
            inner = _with_carried_tokens(node)
            if node.first is node.last:
                return _Node(For(var, extent, kind, inner), node.first, node.last)
            assert node.first is not None and node.last is not None
            pushes, pops = _tokens_between(node.last, node.first)
            inner = _append_pushes(_insert_pops(inner, pops), pushes)
            carried = (node.last, node.first)
            return _Node(For(var, extent, kind, inner), node.first, node.last, carried)
        case Allocate(buffer=buffer, body=body):
            node = _order(body)
            return _Node(Allocate(buffer, _with_carried_tokens(node)), node.first, node.last)
        case IfThenElse(cond=cond, then=then):
            node = _order(then)
            return _Node(IfThenElse(cond, _with_carried_tokens(node)), node.first, node.last)
        case _:
            return _Node(stmt)


def _order_sequence(stmts: tuple[Stmt, ...]) -> _Node:
    done: list[Stmt] = []
    first = current = None
    for item in stmts:
        node = _order(item)
        if node.first is None:
            done.append(node.stmt)
            continue
        ordered = current is None or current is node.first or node.carried == (current, node.first)
        before: list[Stmt] = []
        if not ordered:
            assert current is not None
            pushes, pops = _tokens_between(current, node.first)
            _push_after(done, pushes)
            before += pops
        after: list[Stmt] = []
        if node.carried:
            pushes, pops = _tokens_between(*node.carried)
            _push_after(done, pushes) if ordered else before.extend(pushes)
            after += pops
        done.append(_insert_pops(node.stmt, before))
        done += after
        first, current = first or node.first, node.last
    return _Node(seq(*done), first, current)


def _with_carried_tokens(node: _Node) -> Stmt:
    """The statement with the loop-carried token pushed in front and popped behind."""
    if not node.carried:
        return node.stmt
    pushes, pops = _tokens_between(*node.carried)
    return seq(*pushes, node.stmt, *pops)


def _push_after(done: list[Stmt], pushes: list[Stmt]) -> None:
    """Append pushes: inside the last statement, if it is a scope of the pushing module."""
    if done:
        done[-1] = _append_pushes(done[-1], pushes)
    else:
        done += pushes


def _append_pushes(stmt: Stmt, pushes: list[Stmt]) -> Stmt:
    match stmt:
        case CoprocScope(module=module, body=body) if all(
            isinstance(push, DepPush) and push.source is module for push in pushes
        ):
            return CoprocScope(module, seq(body, *pushes))
        case Seq(stmts=(*others, last)):
            return seq(*others, _append_pushes(last, pushes))
        case _:
            return seq(stmt, *pushes)


def _insert_pops(stmt: Stmt, pops: list[Stmt]) -> Stmt:
    match stmt:
        case CoprocScope(module=module, body=body) if all(
            isinstance(pop, DepPop) and pop.target is module for pop in pops
        ):
            return CoprocScope(module, seq(*pops, body))
        case Seq(stmts=(first, *others)):
            return seq(_insert_pops(first, pops), *others)
        case _:
            return seq(*pops, stmt)
