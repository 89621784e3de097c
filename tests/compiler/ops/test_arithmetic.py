"""Sums and products of two scales: random scales against real numbers, on the model and the RTL."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.configurations import CONFIGURATIONS
from tests.support.operators import assert_equal, program_of
from tests.support.verilated import verilated
from vta.compiler.ops import add, multiply
from vta.config import VTAConfig
from vta.errors import OperatorError

TINY = VTAConfig.preset("tiny")


@st.composite
def cases(draw):
    name = draw(st.sampled_from(["tiny", "default", "batch2"]))
    rank = draw(st.integers(2, 4))
    shape = tuple(draw(st.integers(1, most)) for most in (3, 9, 7, 7)[:rank])
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    arrays = [rng.integers(-128, 128, shape).astype(np.int8) for _ in range(2)]
    scales = [draw(st.floats(0.01, 2)) for _ in range(2)]
    zeros = [draw(st.integers(-128, 127)) for _ in range(2)]
    return CONFIGURATIONS[name], shape, arrays, scales, zeros


def real(arrays, scales, zeros):
    return [(x.astype(np.float64) - z) * s for x, s, z in zip(arrays, scales, zeros)]


def check(op, arrays, exact, zero):
    """The result is at most one step from the real one, and every machine gives the same."""
    expected = op.reference(*arrays)
    near = np.clip(exact + zero, -128, 127)
    assert np.abs(expected - near).max() <= 0.5 + 1 / 16
    assert_equal(op, arrays, expected)


@settings(max_examples=40)
@given(cases(), st.floats(0.02, 4), st.integers(-128, 127))
def test_random_sums(case, scale, zero):
    cfg, shape, arrays, scales, zeros = case
    op = add(shape, scales, scale, cfg=cfg, zeros=zeros, zero=zero)
    check(op, arrays, sum(real(arrays, scales, zeros)) / scale, zero)


@settings(max_examples=40)
@given(cases(), st.floats(0.05, 100), st.integers(-128, 127))
def test_random_products(case, scale, zero):
    cfg, shape, arrays, scales, zeros = case
    op = multiply(shape, scales, scale, cfg=cfg, zeros=zeros, zero=zero)
    a, b = real(arrays, scales, zeros)
    check(op, arrays, a * b / scale, zero)


def test_a_rectifier_is_a_range():
    x, y = np.int8([[-5, 3, 9, 2]]), np.int8([[1, 4, -2, 6]])
    op = add((1, 4), (1, 1), 1, cfg=TINY, low=0)
    np.testing.assert_array_equal(op.reference(x, y), [[0, 7, 7, 8]])
    op = multiply((1, 4), (1, 1), 1, cfg=TINY, low=0, high=11)
    np.testing.assert_array_equal(op.reference(x, y), [[0, 11, 0, 11]])


@pytest.mark.parametrize(("extension", "most"), [(0, 9), (1, 4)])
def test_operations_that_change_nothing_are_left_out(extension, most):
    """Moving two operands and the result takes three more, or two with REQUANTISE, which moves the
    result."""
    cfg = TINY.replace(extension=extension)
    plain = multiply((1, 4), (1, 1), 1, cfg=cfg)
    moved = multiply((1, 4), (1, 1), 1, cfg=cfg, zeros=(1, 1), zero=1)
    count = [
        sum(type(insn).__name__ == "Alu" for insn in program_of(op).instructions)
        for op in (plain, moved)
    ]
    assert count == [most - (2 if extension else 3), most]


@pytest.mark.parametrize("operator", [add, multiply])
def test_on_the_rtl(operator):
    rng = np.random.default_rng(0)
    arrays = [rng.integers(-128, 128, (1, 9, 7, 7)).astype(np.int8) for _ in range(2)]
    op = operator(arrays[0].shape, (0.1, 0.03), 0.2, cfg=TINY, zeros=(3, -9), zero=5)
    assert_equal(op, arrays, op.reference(*arrays), verilated("tiny", "ddr"))


def test_errors():
    with pytest.raises(OperatorError, match=r"add: a scale is -1; must be positive and finite"):
        add((1, 4), (1, -1), 1, cfg=TINY)
    with pytest.raises(OperatorError, match="add: 1 zeros; must be 2, as many as scales"):
        add((1, 4), (1, 1), 1, cfg=TINY, zeros=(0,))
    with pytest.raises(OperatorError, match=r"add: a scale is 1e\+08 times that of the result"):
        add((1, 4), (1e8, 1), 1, cfg=TINY)
    with pytest.raises(OperatorError, match=r"multiply: scales \[1\], zeros .*; must be two each"):
        multiply((1, 4), (1,), 1, cfg=TINY)
    with pytest.raises(OperatorError, match="multiply: low is 5 and high 4; must be -128 to 127"):
        multiply((1, 4), (1, 1), 1, cfg=TINY, low=5, high=4)
