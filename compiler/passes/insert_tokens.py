"""Tokens: what one module did before another may go on.

The statements of the program are put in one order for each virtual thread: wherever the module
changes from one statement to the next, the one before pushes a token and the one after pops it. So
does the end of a loop's round for the beginning of the next one: the first round finds a token that
was pushed before the loop, and the last one's is popped after it. At the end none is left over.

Load and store are not neighbours in the machine: an order between them goes through compute.

Input: CoprocScopes, in loops and sequences. Output: the same with DepPush and DepPop, inside the
scopes where they belong to one.
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
    """Order the modules with tokens.

    A program with ring buffers stays as it is: its tokens come from the data that instructions read
    and write (:mod:`vta.compiler.codegen.dependences`).
    """
    if has_rings(func):
        return func
    return with_body(func, _with_carried_tokens(_order(func.body)))


@dataclass(frozen=True)
class _Node:
    """An ordered statement: the modules of its first and last scope (None if it has none).

    A loop whose rounds hand over a token needs one before it and leaves one behind:
    ``carried`` = (last, first).
    """

    stmt: Stmt
    first: PipelineModule | None = None
    last: PipelineModule | None = None
    carried: tuple[PipelineModule, PipelineModule] | None = None


def _route(
    source: PipelineModule, target: PipelineModule
) -> list[tuple[PipelineModule, PipelineModule]]:
    """The token queues on the way from one module to another."""
    if {source, target} == {PipelineModule.LOAD, PipelineModule.STORE}:
        return [(source, PipelineModule.COMPUTE), (PipelineModule.COMPUTE, target)]
    return [(source, target)]


def _tokens_between(
    source: PipelineModule, target: PipelineModule
) -> tuple[list[Stmt], list[Stmt]]:
    """What ``source`` does last and what ``target`` does first so that it comes after."""
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
            if node.carried:  # the inner loop hands over between the rounds of this one as well
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
    """A statement that hands over tokens, with the first one pushed and the last one popped."""
    if not node.carried:
        return node.stmt
    pushes, pops = _tokens_between(*node.carried)
    return seq(*pushes, node.stmt, *pops)


def _push_after(done: list[Stmt], pushes: list[Stmt]) -> None:
    """Append pushes, inside the last statement if that is a scope of the module that pushes."""
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
