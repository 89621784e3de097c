"""Values that depend on conditions: ``if_then_else`` as cases with conjunctions of comparisons.

The cases of a condition (:func:`cases`) exclude each other, so a statement can be repeated for each
case.
"""

from __future__ import annotations

from vta.compiler.te import dtypes
from vta.compiler.te.conditions import And, Or, Select
from vta.compiler.te.expr import Cast, Compare, Const, Expr

__all__ = ["cases", "conjuncts", "negated", "without_padding", "without_zeros"]

Case = tuple[Expr, ...]


def conjuncts(cond: Expr) -> Case:
    """The conditions that ``cond`` joins with "and"."""
    if isinstance(cond, And):
        return (*conjuncts(cond.a), *conjuncts(cond.b))
    return (cond,)


def negated(cond: Expr) -> Expr | None:
    """The opposite of ``cond`` as a conjunction; None if it is not a conjunction."""
    match cond:
        case Compare(op=op, a=a, b=b):
            return Compare.of(Compare.OPPOSITE[op], a, b)
        case Or(a=a, b=b):
            one, other = negated(a), negated(b)
            return None if one is None or other is None else And(one, other)
    return None


def without_zeros(value: Expr) -> tuple[list[Expr], Expr]:
    """The conditions under which ``value`` is not a zero of an ``if_then_else``, and that value.

    One conversion around or between the nested ``if_then_else`` is kept, around the value.
    """
    return without_padding(value, 0)


def without_padding(value: Expr, number: int) -> tuple[list[Expr], Expr]:
    """As :func:`without_zeros`, of values that are ``number`` where a condition does not hold."""
    conditions: list[Expr] = []
    dtype: str | None = None
    while True:
        match value:
            case Select(cond=cond, then=then, other=Const(value=other)) if other == number:
                conditions.append(cond)
                value = then
            case Select(cond=cond, then=Const(value=then), other=other) if (
                then == number and (opposite := negated(cond)) is not None
            ):
                conditions.append(opposite)
                value = other
            case Cast(value=Select() as inner) if dtype is None:
                dtype, value = value.dtype, inner
            case _:
                return conditions, value if dtype is None else Cast.of(value, dtype)


def cases(cond: Expr, holds: bool = True) -> list[Case]:
    """Conjunctions of comparisons, of which exactly one holds where ``cond`` is ``holds``.

    Elsewhere no conjunction holds. No comparison is ``!=``.
    """
    match cond:
        case Const(value=value, dtype=dtypes.BOOL):
            return [()] if bool(value) == holds else []
        case And(a=a, b=b) if holds:
            return _both(a, True, b, True)
        case And(a=a, b=b):
            return [*cases(a, False), *_both(a, True, b, False)]
        case Or(a=a, b=b) if holds:
            return [*cases(a), *_both(a, False, b, True)]
        case Or(a=a, b=b):
            return _both(a, False, b, False)
        case Compare(op=op, a=a, b=b):
            op = op if holds else Compare.OPPOSITE[op]
            return [(Compare.of(one, a, b),) for one in (("<", ">") if op == "!=" else (op,))]
    raise AssertionError(f"no condition: {cond}")


def _both(a: Expr, a_holds: bool, b: Expr, b_holds: bool) -> list[Case]:
    return [(*one, *other) for one in cases(a, a_holds) for other in cases(b, b_holds)]
