"""Simplification of index expressions, which keeps printed programs readable."""

from __future__ import annotations

from math import gcd
from typing import TYPE_CHECKING

from vta.compiler.te import dtypes
from vta.compiler.te.conditions import And, Or, Select, all_of, any_of, select
from vta.compiler.te.expr import (
    Binary,
    Compare,
    Const,
    Expr,
    FloorDiv,
    FloorMod,
    Max,
    Min,
    TensorRead,
    Var,
)
from vta.compiler.tir.affine import Affine, linear
from vta.compiler.tir.interval import UNBOUNDED, floor_div, form_interval
from vta.compiler.tir.ir import BufferLoad
from vta.compiler.tir.visitor import rebuild, walk

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["divide", "simplified_sum", "simplify"]


def simplify(expr: Expr, ranges: Mapping[Var, tuple[int, int]]) -> Expr:
    """An equal expression in which indices and conditions are sums of terms, shorter if possible.

    Arithmetic on tensor elements, which wraps, keeps its form; only indices and conditions inside
    change.

    Parameters
    ----------
    ranges : mapping of Var to (int, int)
        The lowest and the highest value of loop variables.
    """
    if _reads(expr):
        return rebuild(expr, lambda inner: simplify(inner, ranges))
    if expr.dtype == dtypes.INDEX:
        return simplified_sum(expr, ranges).expr()
    match expr:
        case Compare(op=op, a=a, b=b):
            return _compare(op, a, b, ranges)
        case And(a=a, b=b):
            return all_of(simplify(a, ranges), simplify(b, ranges))
        case Or(a=a, b=b):
            return any_of(simplify(a, ranges), simplify(b, ranges))
        case _:
            return rebuild(expr, lambda inner: simplify(inner, ranges))


def _reads(expr: Expr) -> bool:
    return any(isinstance(node, BufferLoad | TensorRead) for node in walk(expr))


def simplified_sum(expr: Expr, ranges: Mapping[Var, tuple[int, int]]) -> Affine:
    """``expr`` as a sum of simplified atoms."""
    total = Affine()
    for atom, factor in (form := linear(expr)).terms:
        total += _atom(atom, ranges).scale(factor)
    return _join_division(total + Affine((), form.const), ranges)


def _atom(atom: Expr, ranges: Mapping[Var, tuple[int, int]]) -> Affine:
    match atom:
        case Var():
            bounds = ranges.get(atom)
            return Affine((), bounds[0]) if bounds and bounds[0] == bounds[1] else linear(atom)
        case FloorMod(a=a, b=Const(value=by)) if by > 0:
            return divide(simplified_sum(a, ranges), by, ranges)[1]
        case FloorDiv(a=a, b=Const(value=by)) if by > 0:
            return divide(simplified_sum(a, ranges), by, ranges)[0]
        case Min(a=a, b=b) | Max(a=a, b=b):
            left, right = simplified_sum(a, ranges), simplified_sum(b, ranges)
            low, high = form_interval(left - right, ranges)
            smaller = left if high <= 0 else right if low >= 0 else None
            if smaller is not None:
                larger = right if smaller is left else left
                return smaller if isinstance(atom, Min) else larger
            return linear(type(atom).of(left.expr(), right.expr()))
        case Select(cond=cond, then=then, other=other):
            chosen = select(*(simplify(part, ranges) for part in (cond, then, other)))
            return linear(chosen)
        case Binary(a=a, b=b):
            return linear(type(atom).of(simplify(a, ranges), simplify(b, ranges)))
        case _:
            return linear(rebuild(atom, lambda inner: simplify(inner, ranges)))


def divide(form: Affine, by: int, ranges: Mapping[Var, tuple[int, int]]) -> tuple[Affine, Affine]:
    """Quotient and remainder of ``form`` by a positive integer."""
    whole = Affine(tuple((a, c // by) for a, c in form.terms if c % by == 0), form.const // by)
    rest = Affine(tuple((a, c) for a, c in form.terms if c % by), form.const % by)
    low, high = form_interval(rest, ranges)
    if floor_div(low, by) == floor_div(high, by) and low not in UNBOUNDED:
        carry = int(low) // by
        return whole + Affine((), carry), rest + Affine((), -carry * by)
    for step in sorted({gcd(by, c) for _, c in rest.terms} - {1, by}, reverse=True):
        # step * coarse + fine, where 0 <= fine < step: only the coarse part is divided
        coarse = Affine(
            tuple((a, c // step) for a, c in rest.terms if c % step == 0), rest.const // step
        )
        fine = Affine(tuple((a, c) for a, c in rest.terms if c % step), rest.const % step)
        low, high = form_interval(fine, ranges)
        if fine.terms and low >= 0 and high < step:
            quotient, remainder = divide(coarse, by // step, ranges)
            return whole + quotient, remainder.scale(step) + fine
    shared = gcd(by, *(c for _, c in rest.terms))
    small = Affine(tuple((a, c // shared) for a, c in rest.terms), rest.const // shared)
    quotient = _quotient(small, by // shared)
    remainder = linear(FloorMod(small.expr(), Const(by // shared))).scale(shared)
    return whole + quotient, remainder + Affine((), rest.const % shared)


def _quotient(form: Affine, by: int) -> Affine:
    """``form // by``; ``x // n // by`` becomes ``x // (n * by)``."""
    if len(form.terms) == 1 and form.const == 0 and form.terms[0][1] == 1:
        atom = form.terms[0][0]
        if isinstance(atom, FloorDiv) and isinstance(atom.b, Const):
            return linear(FloorDiv(atom.a, Const(atom.b.value * by)))
    return linear(FloorDiv(form.expr(), Const(by)))


def _join_division(form: Affine, ranges: Mapping[Var, tuple[int, int]]) -> Affine:
    """The form with ``x // n * n + x % n`` (times any factor) replaced by ``x``."""
    for atom, factor in form.terms:
        if not (isinstance(atom, FloorMod) and isinstance(atom.b, Const)):
            continue
        by = atom.b.value
        inner = linear(atom.a)
        (quotient,) = _quotient(inner, by).terms
        if form.coefficient(quotient[0]) == factor * by:
            pair = (atom, quotient[0])
            at = next(n for n, (item, _) in enumerate(form.terms) if item in pair)
            rest = form.without(*pair).terms
            whole = inner.scale(factor)
            terms = (*rest[:at], *whole.terms, *rest[at:])
            return _join_division(Affine.of(terms, form.const + whole.const), ranges)
    return form


_ALWAYS = {
    "<": lambda low, high: high < 0,
    "<=": lambda low, high: high <= 0,
    ">": lambda low, high: low > 0,
    ">=": lambda low, high: low >= 0,
    "==": lambda low, high: low == high == 0,
    "!=": lambda low, high: low > 0 or high < 0,
}


def _compare(op: str, a: Expr, b: Expr, ranges: Mapping[Var, tuple[int, int]]) -> Expr:
    if a.dtype != dtypes.INDEX:
        return Compare.of(op, simplify(a, ranges), simplify(b, ranges))
    left, right = simplified_sum(a, ranges), simplified_sum(b, ranges)
    span = form_interval(left - right, ranges)
    if _ALWAYS[op](*span):
        return Const(1, dtypes.BOOL)
    if _ALWAYS[Compare.OPPOSITE[op]](*span):
        return Const(0, dtypes.BOOL)
    if left.terms and not right.terms:  # the constants on one side
        left, right = Affine(left.terms), Affine((), right.const - left.const)
    return Compare.of(op, left.expr(), right.expr())
