"""Intervals: the lowest and the highest value of an index expression."""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING

from vta.compiler.te.conditions import Select
from vta.compiler.te.expr import Const, Expr, FloorDiv, FloorMod, Max, Min, Mul, Var
from vta.compiler.tir.affine import Affine, linear

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["UNBOUNDED", "Span", "atom_interval", "floor_div", "form_interval", "interval"]

Span = tuple[float, float]
"""Lowest and highest value: integers, or infinite."""
UNBOUNDED: Span = (float("-inf"), float("inf"))
"""The interval of an expression of which nothing is known."""


def interval(expr: Expr, ranges: Mapping[Var, tuple[int, int]]) -> Span:
    """The lowest and the highest value of ``expr``; infinite where ``ranges`` has no entry."""
    return form_interval(linear(expr), ranges)


def form_interval(form: Affine, ranges: Mapping[Var, tuple[int, int]]) -> Span:
    """:func:`interval` of a linear form."""
    low: float = form.const
    high: float = form.const
    for atom, factor in form.terms:
        ends = [factor * end for end in atom_interval(atom, ranges)]
        low += min(ends)
        high += max(ends)
    shorter = _with_remainder(form)
    if shorter is not None:
        other_low, other_high = form_interval(shorter, ranges)
        low, high = max(low, other_low), min(high, other_high)
    return low, high


def _with_remainder(form: Affine) -> Affine | None:
    """The form with ``x - x // n * n`` (times any factor) replaced by ``x % n``; None if the form
    has no such terms.
    """
    for atom, factor in form.terms:
        if not (isinstance(atom, FloorDiv) and isinstance(atom.b, Const)):
            continue
        times, rest = divmod(-factor, atom.b.value)
        inner = linear(atom.a)
        if rest or not inner.terms:
            continue
        if all(form.coefficient(part) == times * c for part, c in inner.terms):
            others = form.without(atom, *(part for part, _ in inner.terms))
            remainder = linear(FloorMod(atom.a, atom.b)).scale(times)
            return others + remainder + Affine((), -times * inner.const)
    return None


def atom_interval(atom: Expr, ranges: Mapping[Var, tuple[int, int]]) -> Span:
    """:func:`interval` of an atom of a linear form."""
    match atom:
        case Var():
            return ranges.get(atom, UNBOUNDED)
        case FloorDiv(a=a, b=Const(value=by)) if by > 0:
            low, high = interval(a, ranges)
            return floor_div(low, by), floor_div(high, by)
        case FloorMod(a=a, b=Const(value=by)) if by > 0:
            low, high = interval(a, ranges)
            quotient = floor_div(low, by)
            if quotient == floor_div(high, by) and low not in UNBOUNDED:
                return low - quotient * by, high - quotient * by
            return 0, by - 1
        case Mul(a=a, b=b):
            ends = [x * y for x in interval(a, ranges) for y in interval(b, ranges)]
            return UNBOUNDED if any(map(isnan, ends)) else (min(ends), max(ends))
        case Min(a=a, b=b):
            (low_a, high_a), (low_b, high_b) = interval(a, ranges), interval(b, ranges)
            return min(low_a, low_b), min(high_a, high_b)
        case Max(a=a, b=b):
            (low_a, high_a), (low_b, high_b) = interval(a, ranges), interval(b, ranges)
            return max(low_a, low_b), max(high_a, high_b)
        case Select(then=then, other=other):
            (low_a, high_a), (low_b, high_b) = interval(then, ranges), interval(other, ranges)
            return min(low_a, low_b), max(high_a, high_b)
        case _:
            return UNBOUNDED


def floor_div(value: float, by: int) -> float:
    """``value // by`` for a positive ``by``; an infinite value stays infinite."""
    return value if value in UNBOUNDED else int(value) // by
