"""Traversal and rewriting of expressions and statements.

A rewriting function matches some kinds of nodes and calls :func:`rebuild` for all others::

    def drop_pragmas(node):
        match node:
            case Pragma(body=body):
                return drop_pragmas(body)
            case _:
                return rebuild(node, drop_pragmas)
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

from vta.compiler.te.conditions import And, Or, Select, all_of, any_of, select
from vta.compiler.te.expr import Binary, Cast, Compare, Const, Expr, Var
from vta.compiler.tir.ir import (
    AluUop,
    Buffer,
    For,
    GemmUop,
    IfThenElse,
    LoadBuffer2D,
    PrimFunc,
    RingSlot,
    Seq,
    Stmt,
    StoreBuffer2D,
    seq,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from vta.call_site import CallSite

__all__ = [
    "children",
    "guarded",
    "has_rings",
    "rebuild",
    "rebuild_statements",
    "replace_buffers",
    "substitute",
    "walk",
    "with_body",
    "with_call",
]

Node = TypeVar("Node", Expr, Stmt, Expr | Stmt)


_FIELDS: dict[type, tuple[str, ...]] = {}


def _field_names(cls: type) -> tuple[str, ...]:
    names = _FIELDS.get(cls)
    if names is None:
        names = _FIELDS[cls] = tuple(field.name for field in fields(cls))
    return names


def children(node: Expr | Stmt) -> Iterator[Expr | Stmt]:
    """The nodes directly inside ``node``, in order, without the variables that ``node`` binds."""
    if isinstance(node, Var):
        return
    for name in _field_names(type(node)):
        if name in ("var", "axes"):
            continue
        value = getattr(node, name)
        if isinstance(value, Expr | Stmt):
            yield value
        elif isinstance(value, tuple):
            yield from (item for item in value if isinstance(item, Expr | Stmt))


def walk(node: Expr | Stmt) -> Iterator[Expr | Stmt]:
    """``node`` and all nodes inside, in pre-order."""
    stack: list[Expr | Stmt] = [node]
    while stack:
        top = stack.pop()
        yield top
        stack.extend(reversed(tuple(children(top))))


def rebuild(node: Node, change: Callable[[Any], Any]) -> Node:
    """``node`` with ``change`` applied to each child; the same object if nothing changed.

    Constant operands are folded and sequences flattened. A statement under a condition that became
    constant is kept without the condition, or replaced by an empty sequence.
    """
    if isinstance(node, Var):
        return node
    values: list[Any] = []
    changed = False
    for name in _field_names(type(node)):
        old = getattr(node, name)
        new = old
        if name not in ("var", "axes"):
            if isinstance(old, Expr | Stmt):
                new = change(old)
            elif isinstance(old, tuple) and old and isinstance(old[0], Expr | Stmt):
                items = tuple(change(item) for item in old)
                new = old if all(a is b for a, b in zip(items, old)) else items
        changed |= new is not old
        values.append(new)
    return _make(type(node), values) if changed else node


def rebuild_statements(stmt: Stmt, change: Callable[[Stmt], Stmt]) -> Stmt:
    """:func:`rebuild` with ``change`` applied to statements only; expressions stay unchanged."""
    return rebuild(stmt, lambda node: change(node) if isinstance(node, Stmt) else node)


def _make(cls: type, values: list[Any]) -> Any:
    if issubclass(cls, Binary | Cast | Compare):
        return cls.of(*values)
    if cls is Select:
        return select(*values)
    if cls is And:
        return all_of(*values)
    if cls is Or:
        return any_of(*values)
    if cls is Seq:
        return seq(*values[0])
    if cls is IfThenElse:
        return guarded(*values)
    if cls in (For, RingSlot) and values[-1] == Seq():
        return Seq()
    return cls(**dict(zip(_field_names(cls), values)))


def guarded(cond: Expr, then: Stmt) -> Stmt:
    """``then`` under ``cond``. A constant condition is resolved."""
    if isinstance(cond, Const):
        return then if cond.value else Seq()
    return IfThenElse(cond, then)


def substitute(node: Node, values: Mapping[Var, Expr]) -> Node:
    """``node`` with variables replaced and constants folded."""
    if not values:
        return node

    def change(inner: Any) -> Any:
        if isinstance(inner, Var):
            return values.get(inner, inner)
        return rebuild(inner, change)

    return change(node)  # type: ignore[no-any-return]


def replace_buffers(node: Node, buffers: Mapping[Buffer, Buffer]) -> Node:
    """``node`` with buffers replaced; their indices stay unchanged."""

    def change(inner: Any) -> Any:
        inner = rebuild(inner, change)
        found = {
            name: buffers[value]
            for name in _field_names(type(inner))
            if isinstance(value := getattr(inner, name), Buffer) and value in buffers
        }
        return replace(inner, **found) if found else inner

    return change(node)  # type: ignore[no-any-return]


def has_rings(func: PrimFunc) -> bool:
    """Whether the program has ring buffers; its tokens then follow from data dependences."""
    return any(isinstance(node, RingSlot) for node in walk(func.body))


def with_body(func: PrimFunc, body: Stmt) -> PrimFunc:
    """``func`` with another body."""
    return replace(func, body=body)


def with_call(stmt: Stmt, call: CallSite | None) -> Stmt:
    """``stmt`` with the transfers and micro-ops of one request of the schedule, whose line is
    ``call``."""

    def change(node: Stmt) -> Stmt:
        if isinstance(node, LoadBuffer2D | StoreBuffer2D | GemmUop | AluUop):
            return replace(node, call=call)
        return rebuild_statements(node, change)

    return change(stmt)
