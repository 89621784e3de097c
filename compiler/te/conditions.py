"""Conditions on indices, and the choice between two values by a condition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vta.compiler.te import dtypes
from vta.compiler.te.expr import BoolExpr, Compare, Const, Expr, ExprLike, operands
from vta.errors import TensorError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["And", "Or", "Select", "all_of", "any_of", "equal", "not_equal", "select"]


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class And(BoolExpr):
    """Whether both conditions hold."""

    a: Expr
    b: Expr


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Or(BoolExpr):
    """Whether at least one condition holds."""

    a: Expr
    b: Expr


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Select(Expr):
    """``then`` where ``cond`` holds, else ``other``; only the chosen side is evaluated."""

    cond: Expr
    then: Expr
    other: Expr

    @property
    def dtype(self) -> str:
        return self.then.dtype


def equal(a: ExprLike, b: ExprLike) -> Expr:
    """The node ``a == b``."""
    return Compare.of("==", a, b)


def not_equal(a: ExprLike, b: ExprLike) -> Expr:
    """The node ``a != b``."""
    return Compare.of("!=", a, b)


def _condition(value: object, where: str) -> Expr:
    if isinstance(value, Expr) and value.dtype == dtypes.BOOL:
        return value
    got = f"{value} of type {value.dtype}" if isinstance(value, Expr) else repr(value)
    raise TensorError(
        f"{where}: a condition must be a comparison of expressions, got {got} "
        f"(== between expressions is a Python bool; te.equal(a, b) makes the comparison)"
    )


def all_of(*conditions: object) -> Expr:
    """Whether all conditions hold; constants are folded.

    Raises
    ------
    TensorError
        Without a condition, or if one is not a boolean expression.
    """
    return _join(And, 0, conditions, "all")


def any_of(*conditions: object) -> Expr:
    """Whether at least one condition holds; see :func:`all_of`."""
    return _join(Or, 1, conditions, "any")


def _join(node: type[And] | type[Or], absorbing: int, values: Sequence[object], name: str) -> Expr:
    if not values:
        raise TensorError(f"te.{name}: at least one condition is required")
    result: Expr | None = None
    for value in values:
        cond = _condition(value, f"te.{name}")
        if isinstance(cond, Const):
            if cond.value == absorbing:
                return cond
            continue
        result = cond if result is None else node(result, cond)
    return result if result is not None else Const(1 - absorbing, dtypes.BOOL)


def select(cond: object, then: ExprLike, other: ExprLike) -> Expr:
    """``then`` where ``cond`` holds, else ``other``.

    Raises
    ------
    TensorError
        If ``cond`` is not a boolean expression, or the sides differ in dtype.
    """
    test = _condition(cond, "te.if_then_else")
    then, other = operands("if_then_else", then, other)
    if isinstance(test, Const):
        return then if test.value else other
    return Select(test, then, other)
