"""Index expressions as Python functions of the values of loop variables, for code generation."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from vta.compiler.te.conditions import And, Or, Select
from vta.compiler.te.expr import Binary, Compare, Const, Expr, Var
from vta.compiler.tir.affine import linear

__all__ = ["Evaluator", "Values", "evaluator"]

Values = Mapping[Var, int]
Evaluator = Callable[[Values], int]


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
