"""Index arithmetic, judged by trying every value of the variables."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vta.compiler.te.conditions import And, Or, Select, all_of, any_of, select
from vta.compiler.te.expr import Binary, Compare, Const, Expr, Var, maximum, minimum
from vta.compiler.tir.affine import Affine, affine, linear
from vta.compiler.tir.interval import interval
from vta.compiler.tir.region import region
from vta.compiler.tir.simplify import simplify
from vta.errors import LoweringError

I, J, K = (Var(name) for name in "ijk")  # noqa: E741
EXTENTS = {I: 5, J: 4, K: 6}
RANGES = {var: (0, extent - 1) for var, extent in EXTENTS.items()}
POINTS = [dict(zip(EXTENTS, point)) for point in product(*map(range, EXTENTS.values()))]


def value(expr: Expr, env: dict[Var, int]) -> int:
    match expr:
        case Const(value=number):
            return number
        case Var():
            return env[expr]
        case Select(cond=cond, then=then, other=other):
            return value(then if value(cond, env) else other, env)
        case Compare(op=op, a=a, b=b):
            return Compare.compute(op, value(a, env), value(b, env))
        case And(a=a, b=b):
            return value(a, env) and value(b, env)
        case Or(a=a, b=b):
            return value(a, env) or value(b, env)
        case Binary(a=a, b=b):
            return expr.compute(value(a, env), value(b, env))
    raise AssertionError(expr)


def conditions(exprs: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    compare = st.builds(
        Compare.of, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), exprs, exprs
    )
    return st.one_of(
        compare, st.builds(all_of, compare, compare), st.builds(any_of, compare, compare)
    )


def larger(exprs: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    factor = st.integers(-4, 6)
    by = st.sampled_from([2, 3, 4, 6, 8])
    return st.one_of(
        st.builds(lambda a, b: a + b, exprs, exprs),
        st.builds(lambda a, b: a - b, exprs, exprs),
        st.builds(lambda a, c: a * c, exprs, factor),
        st.builds(lambda a, c: a // c, exprs, by),
        st.builds(lambda a, c: a % c, exprs, by),
        st.builds(lambda a, c: a // c * c + a % c, exprs, by),
        st.builds(minimum, exprs, exprs),
        st.builds(maximum, exprs, exprs),
        st.builds(select, conditions(exprs), exprs, exprs),
    )


INDICES = st.recursive(
    st.one_of(st.sampled_from([I, J, K]), st.builds(Const, st.integers(-9, 9))),
    larger,
    max_leaves=7,
)


@settings(max_examples=250)
@given(INDICES)
def test_simplify_keeps_the_value(expr: Expr) -> None:
    short = simplify(expr, RANGES)
    for env in POINTS:
        assert value(short, env) == value(expr, env), f"{expr} became {short}"


@settings(max_examples=150)
@given(conditions(INDICES))
def test_simplify_keeps_the_truth(cond: Expr) -> None:
    short = simplify(cond, RANGES)
    for env in POINTS:
        assert bool(value(short, env)) == bool(value(cond, env)), f"{cond} became {short}"


@settings(max_examples=150)
@given(INDICES)
def test_interval_holds_every_value(expr: Expr) -> None:
    low, high = interval(expr, RANGES)
    values = [value(expr, env) for env in POINTS]
    assert low <= min(values) and max(values) <= high


@settings(max_examples=250)
@given(INDICES, st.sets(st.sampled_from([I, J, K])))
def test_region_holds_every_value(expr: Expr, inner: set[Var]) -> None:
    low, extent = region(expr, {var: EXTENTS[var] for var in inner}, RANGES)
    for env in POINTS:
        first = value(low, env)
        assert first <= value(expr, env) < first + extent, f"{expr}: {low} + {extent}"


@pytest.mark.parametrize(
    ("expr", "inner", "expected"),
    [
        (I * 4 + J, [J], (I * 4, 4)),
        (9 - I, [I], (Const(5), 5)),
        (I * 2 + J, [I, J], (Const(0), 12)),
        ((I * 8 + K) // 8, [K], (I, 1)),
        ((I * 8 + K) % 8, [K], (Const(0), 6)),
        ((I * 8 + K + 1) // 2, [K], (I * 4, 4)),
        ((I * 7 + J) % 7, [J], (Const(0), 4)),
        ((I * 8 + J + 5) % 8, [J], (Const(0), 8)),
        ((I * 8 + J + 4) % 8, [J], (Const(4), 4)),
    ],
)
def test_region_is_tight(expr: Expr, inner: list[Var], expected: tuple[Expr, int]) -> None:
    assert region(expr, {var: EXTENTS[var] for var in inner}, RANGES) == expected


@pytest.mark.parametrize(
    ("expr", "text"),
    [
        ((I * 4 + J) // 4, "i"),
        ((I * 4 + J) % 4, "j"),
        (K // 2 * 2 + K % 2, "k"),
        (K // 2 * 32 + K % 2 * 16 + J, "k * 16 + j"),
        ((K // 3 // 2) * 6 + K // 3 % 2 * 3 + K % 3, "k"),
        (I - 3 - I, "-3"),
        (3 - I, "3 - i"),
        (J * 2 + I - 1 + J, "j * 3 + i - 1"),
        (minimum(I, 4), "i"),
        (maximum(J - 1, 0), "max(j - 1, 0)"),
        ((I * 8 + 4) // 16, "i // 2"),
        (I + 2 < 7, "True"),
        (I + 2 < 6, "i < 4"),
        (select(I < 5, J, K), "j"),
    ],
)
def test_simple_text(expr: Expr, text: str) -> None:
    assert str(simplify(expr, RANGES)) == text


def test_ranges_that_do_not_begin_at_0() -> None:
    ranges = {I: (4, 7), J: (-3, -1)}
    assert str(simplify(I // 4, ranges)) == "1"
    assert str(simplify(I % 4, ranges)) == "i - 4"
    assert interval(J % 8, ranges) == (5, 7)
    assert interval(J * I, ranges) == (-21, -4)


def test_forms() -> None:
    form = affine(I * 4 - (J + 2) * 3 + 1)
    assert form == Affine(((I, 4), (J, -3)), -5)
    assert form.coefficient(J) == -3 and form.coefficient(K) == 0
    assert form.split([J]) == (Affine(((J, -3),)), Affine(((I, 4),), -5))
    assert linear(I - I) == Affine()


def test_what_is_not_affine_is_named() -> None:
    with pytest.raises(LoweringError, match=r"`i \* 2 \+ j \* k` must be affine.*`j \* k` is not"):
        affine(I * 2 + J * K)
    with pytest.raises(LoweringError, match=r"offset: .*`i // 2` is not"):
        affine(I // 2 + J, "offset")


def test_no_bounds() -> None:
    stranger = Var("n")
    with pytest.raises(LoweringError, match=r"no bounds are known for `max\(n, j\)`"):
        region(maximum(stranger, J), {J: 4}, {})
