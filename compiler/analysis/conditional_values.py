"""Values that depend on conditions: ``if_then_else`` taken apart into what holds where.

A condition is a conjunction of comparisons once it is split into cases. The cases of
:func:`cases` exclude each other, so a statement can be written once for each of them.
"""

from __future__ import annotations

from vta.compiler.te import dtypes
from vta.compiler.te.expr import And, Cast, Compare, Const, Expr, Or, Select

__all__ = ["cases", "conjuncts", "negated", "without_zeros"]

_OPPOSITE = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}

Case = tuple[Expr, ...]


def conjuncts(cond: Expr) -> Case:
    """The conditions that ``cond`` joins with "and"."""
    if isinstance(cond, And):
        return (*conjuncts(cond.a), *conjuncts(cond.b))
    return (cond,)


def negated(cond: Expr) -> Expr | None:
    """The opposite of ``cond`` as a conjunction; None if it is none."""
    match cond:
        case Compare(op=op, a=a, b=b):
            return Compare.of(_OPPOSITE[op], a, b)
        case Or(a=a, b=b):
            one, other = negated(a), negated(b)
            return None if one is None or other is None else And(one, other)
    return None


def without_zeros(value: Expr) -> tuple[list[Expr], Expr]:
    """``value`` without the choices of a zero, and the conditions under which it is not chosen.

    One conversion around or between the choices is kept, around the rest.
    """
    conditions: list[Expr] = []
    dtype: str | None = None
    while True:
        match value:
            case Select(cond=cond, then=then, other=Const(value=0)):
                conditions.append(cond)
                value = then
            case Select(cond=cond, then=Const(value=0), other=other) if (
                opposite := negated(cond)
            ) is not None:
                conditions.append(opposite)
                value = other
            case Cast(value=Select() as inner) if dtype is None:
                dtype, value = value.dtype, inner
            case _:
                return conditions, value if dtype is None else Cast.of(value, dtype)


def cases(cond: Expr, holds: bool = True) -> list[Case]:
    """Conjunctions of comparisons, of which exactly one is true where ``cond`` is ``holds``.

    None of them is true elsewhere. A comparison is never ``!=``.
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
            op = op if holds else _OPPOSITE[op]
            return [(Compare.of(one, a, b),) for one in (("<", ">") if op == "!=" else (op,))]
    raise AssertionError(f"no condition: {cond}")


def _both(a: Expr, a_holds: bool, b: Expr, b_holds: bool) -> list[Case]:
    return [(*one, *other) for one in cases(a, a_holds) for other in cases(b, b_holds)]
