"""Loops that do something in every n-th round only: ``if i % 2 == 1`` as a loop of half the rounds.

A dilated tensor has its values at multiples of a stride and zeros between them. Where a loop runs
over all of it and a condition picks the multiples, the loop ``i`` becomes ``i = start + stride *
j``; then ``i // stride`` is a sum again, as the transfers and micro-ops need it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd

from vta.compiler.analysis.conditional_values import conjuncts
from vta.compiler.analysis.loop_bounds import Ranges
from vta.compiler.analysis.loop_nest import Loop
from vta.compiler.te.conditions import equal
from vta.compiler.te.expr import Compare, Const, Expr, FloorMod, Var
from vta.compiler.tir.affine import linear, simplify
from vta.compiler.tir.visitor import substitute
from vta.errors import LoweringError

__all__ = ["StridedLoops", "stride_condition", "strided_loops"]


@dataclass(frozen=True)
class StridedLoops:
    """Loops without conditions on remainders.

    Attributes
    ----------
    loops : tuple of Loop
        The loops, outermost first; one of a single round is left out.
    conditions : tuple of Expr
        What must still hold in a round.
    values : dict of Var to Expr
        The loop variables that were replaced, by the new ones.
    ranges : dict of Var to (lowest, highest)
        Of all variables, the new ones included.
    """

    loops: tuple[Loop, ...]
    conditions: tuple[Expr, ...]
    values: dict[Var, Expr]
    ranges: dict[Var, tuple[int, int]]

    def at(self, expr: Expr) -> Expr:
        """``expr`` in the new loops."""
        return simplify(substitute(expr, self.values), self.ranges)


def stride_condition(cond: Expr) -> tuple[Expr, int, Expr] | None:
    """``a``, ``n``, ``b`` of a condition ``a % n == b``; None if it is another."""
    match cond:
        case Compare(op="==", a=FloorMod(a=a, b=Const(value=by)), b=b) if by > 0:
            return a, by, b
    return None


def strided_loops(
    loops: Sequence[Loop], conditions: Sequence[Expr], ranges: Ranges, where: str
) -> StridedLoops | None:
    """The loops with the remainders of loop variables that ``conditions`` ask for.

    Parameters
    ----------
    loops : sequence of Loop
        Of the nest.
    conditions : sequence of Expr
        On the loops and on the variables around them.
    ranges : mapping of Var to (lowest, highest)
        Of the variables around the loops.
    where : str
        For messages.

    Returns
    -------
    StridedLoops or None
        None if no round fulfils the conditions.

    Raises
    ------
    LoweringError
        If the remainder is of a sum of several loops, or of a multiple that shares a factor with
        the divisor.
    """
    found = list(loops)
    inside = {loop.var: (0, loop.extent - 1) for loop in loops}
    state = StridedLoops(tuple(loops), (), {}, {**ranges, **inside})
    pending = [part for cond in conditions for part in conjuncts(cond)]
    kept: list[Expr] = []
    while pending:
        cond = state.at(pending.pop(0))
        if isinstance(cond, Const):
            if not cond.value:
                return None
            continue
        stride = stride_condition(cond)
        moving = linear(stride[0]).split([loop.var for loop in found])[0] if stride else None
        if stride is None or moving is None or not moving.terms:
            kept.append(cond)
            continue
        replaced = _strided(found, *stride, state, where)
        if replaced is None:
            return None
        found, state, extra = replaced
        pending = [*pending, *kept, *extra]
        kept = []
    return StridedLoops(tuple(found), tuple(kept), state.values, state.ranges)


def _strided(
    loops: list[Loop], a: Expr, by: int, rest: Expr, state: StridedLoops, where: str
) -> tuple[list[Loop], StridedLoops, list[Expr]] | None:
    """The loops where ``a % by == rest``, and a condition if the last round may be too much."""
    form = linear(a)
    moving, still = form.split([loop.var for loop in loops])
    atom, factor = moving.terms[0]
    if len(moving.terms) > 1 or not isinstance(atom, Var) or gcd(factor, by) > 1:
        raise LoweringError(
            f"{where}: the condition `{equal(a % by, rest)}` must concern one loop of the stage; "
            f"do not split, fuse or scale the axis that is dilated (split the axis of the stage "
            f"that it is computed at instead)"
        )
    loop = next(item for item in loops if item.var is atom)
    wanted = (linear(rest) - still).scale(pow(factor, -1, by)).expr()
    start = simplify(FloorMod.of(wanted, Const(by)), state.ranges)
    first = start.value if isinstance(start, Const) else 0
    extent = -(-(loop.extent - first) // by)
    if extent < 1:
        return None
    var = Var(loop.var.name)
    value: Expr = start if extent == 1 else var * by + start
    beyond = not isinstance(start, Const) and loop.extent % by
    extra = [value < loop.extent] if beyond else []
    at = loops.index(loop)
    changed = [*loops[:at], *([Loop(var, extent)] if extent > 1 else []), *loops[at + 1 :]]
    ranges = {**state.ranges, **({var: (0, extent - 1)} if extent > 1 else {})}
    values = {
        old: simplify(substitute(expr, {loop.var: value}), ranges)
        for old, expr in state.values.items()
    }
    return changed, StridedLoops((), (), {**values, loop.var: value}, ranges), extra
