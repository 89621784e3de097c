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
from vta.compiler.te.expr import Compare, Const, Expr, FloorMod, Var
from vta.compiler.tir.affine import Affine, linear
from vta.compiler.tir.simplify import simplify
from vta.compiler.tir.visitor import substitute, walk
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


def stride_condition(cond: Expr) -> tuple[Expr, int, int] | None:
    """``a``, ``n``, ``b`` of a condition ``a % n == b`` with numbers ``n`` > ``b`` >= 0.

    None if it is another.
    """
    match cond:
        case Compare(op="==", a=FloorMod(a=a, b=Const(value=by)), b=Const(value=rest)) if (
            0 <= rest < by
        ):
            return a, by, rest
    return None


def strided_loops(
    loops: Sequence[Loop],
    conditions: Sequence[Expr],
    ranges: Ranges,
    where: str,
    *,
    several: bool = False,
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
    several : bool
        A remainder may be of several loops. The longest of them is strided; where it starts depends
        on the others. A remainder that no loop fits stays a condition.

    Returns
    -------
    StridedLoops or None
        None if no round fulfils the conditions.

    Raises
    ------
    LoweringError
        If the remainder is of a sum of several loops (without ``several``), or of a multiple that
        shares a factor with the divisor.
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
        loop = _loop_to_stride(moving, stride[1], found, several)
        if loop is None and several:
            kept.append(cond)
            continue
        if loop is None:
            raise LoweringError(
                f"{where}: the condition `{cond}` must concern one loop of the stage; do not "
                f"split, fuse or scale the axis that is dilated (split the axis of the stage that "
                f"it is computed at instead)"
            )
        replaced = _strided(found, loop, *stride, state)
        if replaced is None:
            return None
        found, state, extra = replaced
        pending = [*pending, *kept, *extra]
        kept = []
    return StridedLoops(tuple(found), tuple(kept), state.values, state.ranges)


def _loop_to_stride(moving: Affine, by: int, loops: Sequence[Loop], several: bool) -> Loop | None:
    """The loop that is shortened for a remainder of the sum ``moving``; None if none can be."""
    if len(moving.terms) > 1 and not several:
        return None
    fit = [loop for loop in loops if gcd(moving.coefficient(loop.var), by) == 1]
    simple = [
        loop
        for loop in fit
        if not any(loop.var in walk(atom) for atom, _ in moving.terms if not isinstance(atom, Var))
    ]
    return max(simple, key=lambda loop: loop.extent, default=None)


def _strided(
    loops: list[Loop], loop: Loop, a: Expr, by: int, rest: int, state: StridedLoops
) -> tuple[list[Loop], StridedLoops, list[Expr]] | None:
    """The loops where ``a % by == rest``, and a condition if the last round may be too much."""
    form = linear(a)
    factor = form.coefficient(loop.var)
    wanted = (Affine((), rest) - form.without(loop.var)).scale(pow(factor, -1, by)).expr()
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
