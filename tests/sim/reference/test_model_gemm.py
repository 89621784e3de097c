"""GEMM: nests of every structure against sums written out with Python's integers."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vta.sim.reference import gemm as gemm_module
from vta.sim.reference import loops, start
from vta.sim.reference.gemm import gemm, reset
from vta.sim.reference.loops import Axis, MicroOpNest, fold

BATCH, BLOCK = 2, 4


def nest(points, outer=(1, 0, 0, 0), inner=(1, 0, 0, 0)) -> MicroOpNest:
    return MicroOpNest(np.array(points, np.int64).reshape(-1, 3), Axis(*outer), Axis(*inner))


def operations(n: MicroOpNest):
    for o, i in itertools.product(range(n.outer.extent), range(n.inner.extent)):
        for d, s, w in n.points.tolist():
            yield (
                d + o * n.outer.dst + i * n.inner.dst,
                s + o * n.outer.src + i * n.inner.src,
                w + o * n.outer.wgt + i * n.inner.wgt,
            )


def wrap(value: int) -> int:
    return (value + 2**31) % 2**32 - 2**31


def check(n: MicroOpNest, *, bits: int = 8, depth: int = 64, extreme: bool = False) -> None:
    """gemm() on random memories equals the operations done one by one."""
    rng = np.random.default_rng(5)
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    dtype = np.int8 if bits <= 8 else np.int16
    inp = rng.integers(low, high + 1, (depth, BATCH, BLOCK)).astype(dtype)
    wgt = rng.integers(low, high + 1, (depth, BLOCK, BLOCK)).astype(dtype)
    if extreme:
        inp[...], wgt[...] = low, low
    acc = rng.integers(-(2**31), 2**31, (depth, BATCH, BLOCK)).astype(np.int32)
    expected = acc.tolist()
    x, y = inp.tolist(), wgt.tolist()
    for d, s, w in operations(n):
        for b, c in itertools.product(range(BATCH), range(BLOCK)):
            dot = sum(x[s][b][k] * y[w][c][k] for k in range(BLOCK))
            expected[d][b][c] = wrap(expected[d][b][c] + dot)
    gemm(acc, inp, wgt, n, product_bits=2 * bits - 2)
    assert acc.tolist() == expected


STRUCTURES = {
    "one": nest([(3, 5, 7)]),
    "same entry again and again": nest([(1, 2, 3)] * 5, (3, 0, 0, 0), (2, 0, 0, 0)),
    "matrix multiply": nest([(0, 0, 0)], (4, 4, 0, 4), (4, 0, 1, 1)),
    "rows and columns": nest([(0, 0, 0), (1, 1, 0), (2, 2, 0)], (3, 3, 0, 2)),
    "all move": nest([(0, 0, 0)], (4, 2, 3, 1), (2, 1, 1, 4)),
    "convolution": nest(
        [(x, 6 * dy + x + dx, 2 * dy + dx) for dy in range(2) for dx in range(2) for x in range(4)],
        (3, 12, 0, 4), (3, 4, 6, 0),
    ),
    "backwards": nest([(9 - n, n, 9 - n) for n in range(10)]),
    "two loops on one entry": nest([(0, 0, 0)], (3, 1, 1, 2), (3, 1, 5, 3)),
    "irregular": nest([(3, 1, 4), (1, 5, 9), (2, 6, 5), (3, 5, 8)], (2, 1, 2, 3)),
    "regular but for the last": nest([(0, 0, 0), (1, 1, 0), (2, 2, 0), (3, 9, 0)]),
    "rows of unequal length": nest([(0, 0, 0), (1, 1, 1), (5, 5, 5), (6, 6, 6), (7, 7, 7)]),
    "nothing but sums": nest([(4, 0, 0)], (5, 0, 1, 2), (6, 0, 5, 1)),
    "a still source": nest([(0, 7, 0)], (5, 1, 0, 1)),
    "a still weight and source": nest([(0, 7, 3)], (5, 1, 0, 0)),
}  # fmt: skip


@pytest.mark.parametrize("name", STRUCTURES)
def test_structures(name):
    check(STRUCTURES[name])


@pytest.mark.parametrize("piece", [1 << 16, 3], ids=["", "pieces"])
@pytest.mark.parametrize("name", STRUCTURES)
def test_started_sums(monkeypatch, name, piece):
    """Products with the same dst, one after the other, are a sum; others start a new one."""
    monkeypatch.setattr(loops, "PIECE", piece)
    monkeypatch.setattr(start, "MAX_OPERAND", 2 * BLOCK * BLOCK)  # two products at a time
    n = dataclasses.replace(STRUCTURES[name])  # with nothing cached
    rng = np.random.default_rng(6)
    inp, wgt = (
        rng.integers(-128, 128, (64, rows, BLOCK)).astype(np.int8) for rows in (BATCH, BLOCK)
    )
    acc = rng.integers(-(2**31), 2**31, (64, BATCH, BLOCK)).astype(np.int32)
    expected, runs, before = acc.copy(), [], None
    for d, s, w in operations(n):
        product = inp[s].astype(int) @ wgt[w].astype(int).T
        expected[d] = product if d != before else expected[d] + product
        runs += [d] if d != before else []
        before = d
    assert n.has_single_runs == (len(set(runs)) == len(runs))
    start.start_sums(acc, inp, wgt, n)
    assert np.array_equal(acc, expected)


@pytest.mark.parametrize("name", STRUCTURES)
def test_small_products(name, monkeypatch):
    """The same where a matrix product may have only a few values."""
    monkeypatch.setattr(gemm_module, "MAX_OPERAND", 40)
    monkeypatch.setattr(gemm_module, "_plan", gemm_module._plan.__wrapped__)
    check(STRUCTURES[name])


@pytest.mark.parametrize("bits", [4, 8, 16])
def test_extreme_values_are_exact(bits):
    """Sums of the most negative products, past what float32 (and for 16 bits int32) can hold."""
    check(nest([(2, 1, 1)], (300, 0, 0, 0)), bits=bits, extreme=True)
    check(nest([(0, 0, 0)], (8, 8, 8, 0), (8, 0, 1, 1)), bits=bits, extreme=True)


points = st.lists(st.tuples(*[st.integers(0, 7)] * 3), min_size=1, max_size=8)
axes = st.tuples(st.integers(1, 4), *[st.integers(0, 3)] * 3)


@given(points, axes, axes)
@settings(max_examples=200)
def test_random_nests(points, outer, inner):
    check(nest(points, outer, inner))


@given(points, axes, axes)
@settings(max_examples=100)
def test_fold_keeps_the_operations(points, outer, inner):
    n = nest(points, outer, inner)
    starts, folded = fold(n)
    found = [
        tuple(
            value + sum(r * getattr(axis, name) for r, axis in zip(rounds, folded))
            for value, name in zip(start, ("dst", "src", "wgt"))
        )
        for start in starts.tolist()
        for rounds in itertools.product(*(range(axis.extent) for axis in folded))
    ]
    assert sorted(found) == sorted(operations(n))


def test_fold_finds_the_loops_of_a_convolution():
    starts, folded = fold(STRUCTURES["convolution"])
    assert starts.tolist() == [[0, 0, 0]]
    assert [axis.extent for axis in folded] == [3, 3, 4, 2, 2]


@given(points, axes, axes)
@settings(max_examples=100)
def test_reset(points, outer, inner):
    n = nest(points, outer, inner)
    acc = np.ones((64, BATCH, BLOCK), np.int32)
    reset(acc, n)
    zero = {d for d, _, _ in operations(n)}
    assert [d for d in range(64) if not acc[d].any()] == sorted(zero)
    assert all(acc[d].all() for d in range(64) if d not in zero)


@given(points, axes, axes)
@settings(max_examples=100)
def test_highest(points, outer, inner):
    n = nest(points, outer, inner)
    assert n.highest == tuple(max(column) for column in zip(*operations(n)))
