"""Index expressions as Python functions of the values of loop variables, for code generation.

:func:`evaluator` takes numbers; :func:`array_evaluator` takes arrays of them too, for all
iterations of some loops at once.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from vta.compiler.te.conditions import And, Or, Select
from vta.compiler.te.expr import (
    Binary,
    Compare,
    Const,
    Expr,
    FloorDiv,
    FloorMod,
    Max,
    Min,
    Var,
)
from vta.compiler.tir.affine import linear

__all__ = ["ArrayEvaluator", "ArrayValues", "Evaluator", "Values", "array_evaluator", "evaluator"]

Values = Mapping[Var, int]
Evaluator = Callable[[Values], int]
ArrayValues = Mapping[Var, int | npt.NDArray[np.int64]]
ArrayEvaluator = Callable[[ArrayValues], Any]


def evaluator(expr: Expr) -> Evaluator:
    """A function that gives the value of ``expr``; conditions give 0 or 1."""
    form = linear(expr)
    if form.terms != ((expr, 1),):
        return _sum(tuple((evaluator(atom), factor) for atom, factor in form.terms), form.const)
    match expr:
        case Var():
            return lambda values: values[expr]
        case And(a=a, b=b):
            left, right = evaluator(a), evaluator(b)
            return lambda values: left(values) and right(values)
        case Or(a=a, b=b):
            left, right = evaluator(a), evaluator(b)
            return lambda values: left(values) or right(values)
        case Compare(op=op, a=a, b=b):
            left, right = evaluator(a), evaluator(b)
            return lambda values: int(Compare.compute(op, left(values), right(values)))
        case Select(cond=cond, then=then, other=other):
            test, yes, no = evaluator(cond), evaluator(then), evaluator(other)
            return lambda values: yes(values) if test(values) else no(values)
        case Binary(a=a, b=b):
            left, right, compute = evaluator(a), evaluator(b), type(expr).compute
            return lambda values: compute(left(values), right(values))
        case Const(value=value):
            return lambda values: value
    raise AssertionError(f"not index arithmetic: {expr}")


def _sum(terms: tuple[tuple[Evaluator, int], ...], const: int) -> Evaluator:
    if not terms:
        return lambda values: const
    if len(terms) == 1:
        ((atom, factor),) = terms
        return lambda values: atom(values) * factor + const
    return lambda values: sum((atom(values) * factor for atom, factor in terms), const)


_COMPARE = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq,
    "!=": operator.ne,
}  # fmt: skip
_ARRAYS: dict[type, Callable[..., Any]] = {
    Min: np.minimum, Max: np.maximum, And: np.logical_and, Or: np.logical_or,
    FloorDiv: np.floor_divide, FloorMod: np.mod,
}  # fmt: skip


def array_evaluator(expr: Expr) -> ArrayEvaluator:
    """A function that gives the values of ``expr``, int64 or bool, where a variable may have an
    array of values; all arrays have one shape."""
    form = linear(expr)
    if form.terms != ((expr, 1),):
        atoms = [(array_evaluator(atom), factor) for atom, factor in form.terms]
        const = form.const
        return lambda values: sum((atom(values) * factor for atom, factor in atoms), const)
    match expr:
        case Var():
            return lambda values: values[expr]
        case Compare(op=op, a=a, b=b):
            left, right, holds = array_evaluator(a), array_evaluator(b), _COMPARE[op]
            return lambda values: holds(left(values), right(values))
        case Select(cond=cond, then=then, other=other):
            test, yes, no = map(array_evaluator, (cond, then, other))
            return lambda values: np.where(test(values), yes(values), no(values))
        case Binary(a=a, b=b) | And(a=a, b=b) | Or(a=a, b=b):
            left, right = array_evaluator(a), array_evaluator(b)
            exact: Any = expr.compute if isinstance(expr, Binary) else None
            compute = _ARRAYS.get(type(expr), exact)
            return lambda values: compute(left(values), right(values))
        case Const(value=value):
            return lambda values: value
    raise AssertionError(f"not index arithmetic: {expr}")
