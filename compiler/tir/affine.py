"""Index arithmetic: linear forms, intervals, and the simplification that keeps printed programs
readable.

An index is a sum of *atoms* with integer coefficients plus a constant. Atoms are loop variables;
where the schedule fused loops also floor divisions and remainders; and min/max where padding clips.
Index values are small: this module computes with exact integers and assumes that int32 arithmetic
on indices never wraps.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd, isnan
from typing import TYPE_CHECKING

from vta.compiler.te import dtypes
from vta.compiler.te.conditions import all_of, any_of, select
from vta.compiler.te.expr import (
    Add,
    And,
    Binary,
    Compare,
    Const,
    Expr,
    FloorDiv,
    FloorMod,
    Max,
    Min,
    Mul,
    Or,
    Select,
    Sub,
    TensorRead,
    Var,
)
from vta.compiler.tir.ir import BufferLoad
from vta.compiler.tir.visitor import rebuild, walk
from vta.errors import LoweringError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Affine", "affine", "interval", "linear", "region", "simplify"]


Span = tuple[float, float]
_EVERYTHING: Span = (float("-inf"), float("inf"))


@dataclass(frozen=True)
class Affine:
    """``const + sum(coefficient * atom)``; coefficients are never 0, atoms appear once, in order of
    first use.
    """

    terms: tuple[tuple[Expr, int], ...] = ()
    const: int = 0

    @classmethod
    def of(cls, terms: Iterable[tuple[Expr, int]], const: int = 0) -> Affine:
        """The sum of ``terms``, equal atoms collected."""
        total: dict[Expr, int] = {}
        for atom, factor in terms:
            total[atom] = total.get(atom, 0) + factor
        return cls(tuple((atom, factor) for atom, factor in total.items() if factor), const)

    def __add__(self, other: Affine) -> Affine:
        return Affine.of((*self.terms, *other.terms), self.const + other.const)

    def __sub__(self, other: Affine) -> Affine:
        return self + other.scale(-1)

    def scale(self, factor: int) -> Affine:
        """This form times an integer."""
        return Affine.of(((a, c * factor) for a, c in self.terms), self.const * factor)

    def coefficient(self, atom: Expr) -> int:
        """The factor of ``atom``, 0 if it does not appear."""
        return next((factor for item, factor in self.terms if item == atom), 0)

    def without(self, *atoms: Expr) -> Affine:
        """This form with the terms of ``atoms`` left out."""
        return Affine(tuple(term for term in self.terms if term[0] not in atoms), self.const)

    def split(self, chosen: Iterable[Var]) -> tuple[Affine, Affine]:
        """The terms whose atoms use one of the ``chosen`` variables, and the rest with the
        constant.
        """
        inner = frozenset(chosen)
        inside = tuple((a, c) for a, c in self.terms if any(v in inner for v in walk(a)))
        outside = tuple(term for term in self.terms if term not in inside)
        return Affine(inside), Affine(outside, self.const)

    @property
    def variables(self) -> tuple[Var, ...]:
        """The atoms; of a form made by :func:`affine` all are variables."""
        return tuple(atom for atom, _ in self.terms if isinstance(atom, Var))

    def expr(self) -> Expr:
        """The sum as an expression: terms in order, then the constant."""
        const = self.const
        positive = [atom * factor for atom, factor in self.terms if factor > 0]
        if not positive:
            positive, const = [Const(const)], 0
        result = positive[0]
        for term in positive[1:]:
            result = result + term
        for atom, factor in self.terms:
            if factor < 0:
                result = result - atom * -factor
        return result - -const if const < 0 else result + const


def linear(expr: Expr) -> Affine:
    """``expr`` as a sum of atoms; what is not a sum or a product with a constant is an atom."""
    match expr:
        case Const(value=value):
            return Affine((), value)
        case Add(a=a, b=b):
            return linear(a) + linear(b)
        case Sub(a=a, b=b):
            return linear(a) - linear(b)
        case Mul(a=a, b=b):
            left, right = linear(a), linear(b)
            if not left.terms:
                return right.scale(left.const)
            if not right.terms:
                return left.scale(right.const)
    return Affine(((expr, 1),))


def affine(expr: Expr, where: str = "index") -> Affine:
    """``expr`` as a sum of variables.

    Raises
    ------
    LoweringError
        If a part of it is none; the message names that part and starts with ``where``.
    """
    form = linear(expr)
    for atom, _ in form.terms:
        if not isinstance(atom, Var):
            raise LoweringError(
                f"{where}: `{expr}` must be affine in the loop variables; `{atom}` is not"
            )
    return form


# ---- intervals -----------------------------------------------------------------------------------


def interval(expr: Expr, ranges: Mapping[Var, tuple[int, int]]) -> Span:
    """The lowest and highest value of ``expr``; infinite where ``ranges`` says nothing."""
    return _form_interval(linear(expr), ranges)


def _form_interval(form: Affine, ranges: Mapping[Var, tuple[int, int]]) -> Span:
    low: float = form.const
    high: float = form.const
    for atom, factor in form.terms:
        ends = [factor * end for end in _atom_interval(atom, ranges)]
        low += min(ends)
        high += max(ends)
    shorter = _with_remainder(form)
    if shorter is not None:
        other_low, other_high = _form_interval(shorter, ranges)
        low, high = max(low, other_low), min(high, other_high)
    return low, high


def _with_remainder(form: Affine) -> Affine | None:
    """``x - x // n * n`` as ``x % n``, with any common factor; None if there is no such part."""
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


def _atom_interval(atom: Expr, ranges: Mapping[Var, tuple[int, int]]) -> Span:
    match atom:
        case Var():
            return ranges.get(atom, _EVERYTHING)
        case FloorDiv(a=a, b=Const(value=by)) if by > 0:
            low, high = interval(a, ranges)
            return _floor(low, by), _floor(high, by)
        case FloorMod(a=a, b=Const(value=by)) if by > 0:
            low, high = interval(a, ranges)
            turns = _floor(low, by)
            if turns == _floor(high, by) and low not in _EVERYTHING:
                return low - turns * by, high - turns * by
            return 0, by - 1
        case Mul(a=a, b=b):
            ends = [x * y for x in interval(a, ranges) for y in interval(b, ranges)]
            return _EVERYTHING if any(map(isnan, ends)) else (min(ends), max(ends))
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
            return _EVERYTHING


def _floor(value: float, by: int) -> float:
    return value if value in _EVERYTHING else int(value) // by


# ---- simplification ------------------------------------------------------------------------------


def simplify(expr: Expr, ranges: Mapping[Var, tuple[int, int]]) -> Expr:
    """An equal expression, shorter if possible: indices and conditions are brought to sums of
    terms.

    Values of tensors keep their form (their arithmetic wraps); only the indices and conditions
    inside them change.
    """
    if _reads(expr):
        return rebuild(expr, lambda inner: simplify(inner, ranges))
    if expr.dtype == dtypes.INDEX:
        return _sum(expr, ranges).expr()
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


def _sum(expr: Expr, ranges: Mapping[Var, tuple[int, int]]) -> Affine:
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
            return _divide(_sum(a, ranges), by, ranges)[1]
        case FloorDiv(a=a, b=Const(value=by)) if by > 0:
            return _divide(_sum(a, ranges), by, ranges)[0]
        case Min(a=a, b=b) | Max(a=a, b=b):
            left, right = _sum(a, ranges), _sum(b, ranges)
            low, high = _form_interval(left - right, ranges)
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


def _divide(form: Affine, by: int, ranges: Mapping[Var, tuple[int, int]]) -> tuple[Affine, Affine]:
    """Quotient and remainder of ``form`` by a positive integer."""
    whole = Affine(tuple((a, c // by) for a, c in form.terms if c % by == 0), form.const // by)
    rest = Affine(tuple((a, c) for a, c in form.terms if c % by), form.const % by)
    low, high = _form_interval(rest, ranges)
    if _floor(low, by) == _floor(high, by) and low not in _EVERYTHING:
        carry = int(low) // by
        return whole + Affine((), carry), rest + Affine((), -carry * by)
    for step in sorted({gcd(by, c) for _, c in rest.terms} - {1, by}, reverse=True):
        # step * coarse + fine, where 0 <= fine < step: only the coarse part is divided
        coarse = Affine(
            tuple((a, c // step) for a, c in rest.terms if c % step == 0), rest.const // step
        )
        fine = Affine(tuple((a, c) for a, c in rest.terms if c % step), rest.const % step)
        low, high = _form_interval(fine, ranges)
        if fine.terms and low >= 0 and high < step:
            quotient, remainder = _divide(coarse, by // step, ranges)
            return whole + quotient, remainder.scale(step) + fine
    shared = gcd(by, *(c for _, c in rest.terms))
    small = Affine(tuple((a, c // shared) for a, c in rest.terms), rest.const // shared)
    quotient = _quotient(small, by // shared)
    remainder = linear(FloorMod(small.expr(), Const(by // shared))).scale(shared)
    return whole + quotient, remainder + Affine((), rest.const % shared)


def _quotient(form: Affine, by: int) -> Affine:
    """``form // by``, dividing once where ``form`` is a quotient itself."""
    if len(form.terms) == 1 and form.const == 0 and form.terms[0][1] == 1:
        atom = form.terms[0][0]
        if isinstance(atom, FloorDiv) and isinstance(atom.b, Const):
            return linear(FloorDiv(atom.a, Const(atom.b.value * by)))
    return linear(FloorDiv(form.expr(), Const(by)))


def _join_division(form: Affine, ranges: Mapping[Var, tuple[int, int]]) -> Affine:
    """``x // n * n + x % n`` is ``x``, with any common factor."""
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
_OPPOSITE = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}


def _compare(op: str, a: Expr, b: Expr, ranges: Mapping[Var, tuple[int, int]]) -> Expr:
    if a.dtype != dtypes.INDEX:
        return Compare.of(op, simplify(a, ranges), simplify(b, ranges))
    left, right = _sum(a, ranges), _sum(b, ranges)
    span = _form_interval(left - right, ranges)
    if _ALWAYS[op](*span):
        return Const(1, dtypes.BOOL)
    if _ALWAYS[_OPPOSITE[op]](*span):
        return Const(0, dtypes.BOOL)
    if left.terms and not right.terms:  # the constants on one side
        left, right = Affine(left.terms), Affine((), right.const - left.const)
    return Compare.of(op, left.expr(), right.expr())


# ---- regions -------------------------------------------------------------------------------------


def region(
    expr: Expr, inner: Mapping[Var, int], ranges: Mapping[Var, tuple[int, int]]
) -> tuple[Expr, int]:
    """What ``expr`` covers while the ``inner`` variables run over their extents and all others
    stand still.

    Returns
    -------
    (low, extent)
        ``low`` is an expression of the other variables; every value lies in ``low .. low + extent -
        1``. ``ranges`` bounds the others. The extent is exact for sums of variables, and not too
        small for divisions.

    Raises
    ------
    LoweringError
        If a part of ``expr`` has no bound.
    """
    everything = {**ranges, **{var: (0, extent - 1) for var, extent in inner.items()}}
    low, width = _cover(_sum(expr, everything), frozenset(inner), everything)
    return simplify(low.expr(), ranges), width + 1


def _cover(
    form: Affine, inner: frozenset[Var], ranges: Mapping[Var, tuple[int, int]]
) -> tuple[Affine, int]:
    moving, low = form.split(inner)
    width = 0
    for atom, factor in moving.terms:
        first, length = _cover_atom(atom, inner, ranges)
        low += (first if factor > 0 else first + Affine((), length)).scale(factor)
        width += abs(factor) * length
    return low, width


def _cover_atom(
    atom: Expr, inner: frozenset[Var], ranges: Mapping[Var, tuple[int, int]]
) -> tuple[Affine, int]:
    if isinstance(atom, FloorDiv | FloorMod) and isinstance(atom.b, Const):
        by = atom.b.value
        low, width = _cover(linear(atom.a), inner, ranges)
        whole, rest = _divide(low, by, ranges)
        phase = rest.const if not rest.terms else None
        if isinstance(atom, FloorDiv):
            return whole, ((phase if phase is not None else by - 1) + width) // by
        if phase is not None and phase + width < by:
            return rest, width
    first, last = _atom_interval(atom, ranges)
    if first in _EVERYTHING or last in _EVERYTHING:
        raise LoweringError(f"no bounds are known for `{atom}`")
    return Affine((), int(first)), int(last - first)
