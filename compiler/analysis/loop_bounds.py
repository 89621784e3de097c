"""Conditions as loop bounds: ``1 <= y + 7 * o and y + 7 * o < 15`` bounds the loop ``y``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vta.compiler.analysis.loop_nest import Loop
from vta.compiler.te.conditions import And, Select, all_of
from vta.compiler.te.expr import Compare, Const, Expr, Var, maximum, minimum
from vta.compiler.tir.affine import Affine, linear
from vta.compiler.tir.simplify import simplify
from vta.errors import LoweringError

__all__ = ["LoopBounds", "Ranges", "bound_loops", "constraints", "only_if"]

Ranges = Mapping[Var, tuple[int, int]]
"""The lowest and the highest value of variables."""


def constraints(conditions: Sequence[Expr], where: str) -> list[Affine]:
    """Linear forms that are all >= 0 exactly where all conditions hold.

    Raises
    ------
    LoweringError
        For a condition that is not a conjunction of comparisons.
    """
    forms: list[Affine] = []
    for cond in conditions:
        match cond:
            case And(a=a, b=b):
                forms += constraints([a, b], where)
            case Compare(op="<" | "<=" as op, a=a, b=b):
                forms.append(linear(b) - linear(a) + Affine((), -(op == "<")))
            case Compare(op=">" | ">=" as op, a=a, b=b):
                forms.append(linear(a) - linear(b) + Affine((), -(op == ">")))
            case Compare(op="==", a=a, b=b):
                forms += [linear(a) - linear(b), linear(b) - linear(a)]
            case _:
                raise LoweringError(
                    f"{where}: `{cond}` must be a conjunction of comparisons of indices"
                )
    return forms


@dataclass(frozen=True)
class LoopBounds:
    """The iterations of a loop that run: ``size`` of them, behind ``before`` and in front of
    ``after`` iterations that do not. Each is an expression of outer variables and never negative.
    """

    before: Expr
    size: Expr
    after: Expr

    def holds(self, var: Var) -> Expr:
        """The condition that iteration ``var`` runs."""
        below = var < self.before + self.size
        return below if self.before == Const(0) else all_of(var >= self.before, below)


def bound_loops(
    loops: Sequence[Loop], forms: Sequence[Affine], ranges: Ranges, where: str
) -> tuple[dict[Var, LoopBounds], list[Expr]]:
    """The bounds of each loop that a constraint bounds, and the conditions that use no loop.

    Parameters
    ----------
    loops : sequence of Loop
        The loops of the nest.
    forms : sequence of Affine
        Constraints, see :func:`constraints`.
    ranges : mapping of Var to (int, int)
        The lowest and the highest value of the variables outside the nest.
    where : str
        Start of error messages.

    Raises
    ------
    LoweringError
        If a constraint uses two loops.
    """
    low: dict[Var, Expr] = {}
    high: dict[Var, Expr] = {}
    outer: list[Expr] = []
    extents = {loop.var: loop.extent for loop in loops}
    for form in forms:
        inside, outside = form.split(extents)
        if not inside.terms:
            outer.append(simplify(outside.expr() >= 0, ranges))
            continue
        if len(inside.terms) > 1 or not isinstance(inside.terms[0][0], Var):
            raise LoweringError(
                f"{where}: the condition `{form.expr()} >= 0` uses several loops of the copy; "
                f"each condition of padding and bounds must use one axis only"
            )
        var, factor = inside.terms[0]
        assert isinstance(var, Var)
        if factor > 0:  # var >= ceil(-outside / factor)
            bound = _quotient(outside.scale(-1) + Affine((), factor - 1), factor)
            low[var] = bound if var not in low else maximum(low[var], bound)
        else:  # var < floor(outside / -factor) + 1
            bound = _quotient(outside, -factor) + 1
            high[var] = bound if var not in high else minimum(high[var], bound)
    bounds = {}
    for loop in loops:
        if loop.var in low or loop.var in high:
            bounds[loop.var] = _bound_of(
                loop.extent, low.get(loop.var, Const(0)), high.get(loop.var), ranges
            )
    return bounds, [cond for cond in outer if not (isinstance(cond, Const) and cond.value)]


def _quotient(form: Affine, by: int) -> Expr:
    return form.expr() if by == 1 else form.expr() // by


def _bound_of(extent: int, low: Expr, high: Expr | None, ranges: Ranges) -> LoopBounds:
    before = simplify(minimum(maximum(low, 0), extent), ranges)
    if high is None:
        after: Expr = Const(0)
    else:
        after = simplify(minimum(maximum(extent - high, 0), extent - before), ranges)
    return LoopBounds(before, simplify(extent - before - after, ranges), after)


def only_if(conditions: Sequence[Expr], bound: LoopBounds, extent: int) -> LoopBounds:
    """``bound`` where all conditions hold, no iteration where one does not."""
    for cond in conditions:
        bound = LoopBounds(
            Select(cond, bound.before, Const(extent)),
            Select(cond, bound.size, Const(0)),
            Select(cond, bound.after, Const(0)),
        )
    return bound
