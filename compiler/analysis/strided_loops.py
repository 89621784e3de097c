"""Strided loops: a loop with the condition ``i % 2 == 1`` as a loop of half the iterations.

A dilated tensor has values at multiples of a stride and zeros between them. Where a loop runs over
the whole tensor and a condition selects the multiples, the loop ``i`` becomes a loop ``j`` with
``i = start + stride * j``. Then ``i // stride`` is affine, as transfers and micro-ops need it.
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
        The loops, outermost first, without those of one iteration.
    conditions : tuple of Expr
        The conditions that are left.
    values : dict of Var to Expr
        The replaced loop variables as expressions of the new ones.
    ranges : dict of Var to (int, int)
        The lowest and the highest value of all variables, old and new.
    """

    loops: tuple[Loop, ...]
    conditions: tuple[Expr, ...]
    values: dict[Var, Expr]
    ranges: dict[Var, tuple[int, int]]

    def at(self, expr: Expr) -> Expr:
        """``expr`` in the new loops."""
        return simplify(substitute(expr, self.values), self.ranges)


def stride_condition(cond: Expr) -> tuple[Expr, int, int] | None:
    """``a``, ``n``, ``b`` of a condition ``a % n == b`` with integers ``n`` > ``b`` >= 0; None for
    other conditions.
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
    """The loops without the iterations that conditions on remainders exclude.

    Parameters
    ----------
    loops : sequence of Loop
        The loops of the nest.
    conditions : sequence of Expr
        Conditions on the loops and on the variables around them.
    ranges : mapping of Var to (int, int)
        The lowest and the highest value of the variables around the loops.
    where : str
        Start of error messages.
    several : bool
        Whether the dividend of a remainder may use several loops. The longest of them becomes
        strided, with a start that depends on the others. If no loop fits, the condition is left.

    Returns
    -------
    StridedLoops or None
        None if no iteration satisfies the conditions.

    Raises
    ------
    LoweringError
        If a remainder uses several loops (without ``several``), or the factor of its loop shares a
        divisor with the stride.
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
                f"{where}: the condition `{cond}` must use one loop of the stage; the dilated "
                f"axis must not be split, fused or scaled (split the axis of the stage that this "
                f"stage is computed at instead)"
            )
        replaced = _strided(found, loop, *stride, state)
        if replaced is None:
            return None
        found, state, extra = replaced
        pending = [*pending, *kept, *extra]
        kept = []
    return StridedLoops(tuple(found), tuple(kept), state.values, state.ranges)


def _loop_to_stride(moving: Affine, by: int, loops: Sequence[Loop], several: bool) -> Loop | None:
    """The loop to make strided for a remainder of the sum ``moving``; None if no loop fits."""
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
    """The loops where ``a % by == rest``, the new state, and a condition if the last iteration may
    be beyond the old loop. None if no iteration is left.
    """
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
