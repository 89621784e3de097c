"""Linear forms: an index as a sum of *atoms* with integer coefficients, plus a constant.

Atoms are loop variables; floor divisions and remainders, where the schedule fused loops; and
minima and maxima, where padding clips. Index values are small: this module computes with exact
integers and assumes that int32 arithmetic on indices never wraps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vta.compiler.te.expr import Add, Const, Expr, Mul, Sub, Var
from vta.compiler.tir.visitor import walk
from vta.errors import LoweringError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Affine", "affine", "linear"]


@dataclass(frozen=True)
class Affine:
    """``const + sum(coefficient * atom)``.

    No coefficient is 0. Each atom has one term; terms are in the order of first use.
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
        """The form in two parts: terms whose atoms use one of the ``chosen`` variables, and the
        other terms with the constant.
        """
        inner = frozenset(chosen)
        inside = tuple((a, c) for a, c in self.terms if any(v in inner for v in walk(a)))
        outside = tuple(term for term in self.terms if term not in inside)
        return Affine(inside), Affine(outside, self.const)

    @property
    def variables(self) -> tuple[Var, ...]:
        """The atoms that are variables: all of them, in a form that :func:`affine` made."""
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
    """``expr`` as a sum of atoms. Other nodes than sums and products with
    constants are atoms.
    """
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
        If an atom is not a variable. The message starts with ``where`` and names the atom.
    """
    form = linear(expr)
    for atom, _ in form.terms:
        if not isinstance(atom, Var):
            raise LoweringError(
                f"{where}: `{expr}` must be affine in the loop variables; `{atom}` is not"
            )
    return form
