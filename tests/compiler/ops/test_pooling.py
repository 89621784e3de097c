"""Pooling of the operator library: random shapes against NumPy, on the model and on the RTL."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.support.compiled import check_orders, run_program
from tests.support.verilated import verilated
from vta.compiler.driver import compile_func
from vta.compiler.lower.lower import lower
from vta.compiler.ops import Requantise, max_pool, sum_pool
from vta.config import VTAConfig
from vta.errors import OperatorError

TINY = VTAConfig.preset("tiny")
LOWEST = -(1 << 40)


def program_of(op):
    return compile_func(lower(op.schedule, op.args, op.name), op.cfg)


def windows(x, kernel, stride, padding, fill):
    top, left, bottom, right = padding
    frame = ((0, 0), (0, 0), (top, bottom), (left, right))
    wide = np.pad(x.astype(np.int64), frame, constant_values=fill)
    views = np.lib.stride_tricks.sliding_window_view(wide, kernel, axis=(2, 3))
    return views[:, :, :: stride[0], :: stride[1]]


@settings(max_examples=40)
@given(st.data())
def test_random_shapes(data):
    draw = data.draw
    shape = tuple(draw(st.integers(1, most)) for most in (2, 9, 9, 9))
    kernel = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    stride = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    padding = tuple(draw(st.integers(0, extent - 1)) for extent in (*kernel, *kernel))
    assume(shape[2] + padding[0] + padding[2] >= kernel[0])
    assume(shape[3] + padding[1] + padding[3] >= kernel[1])
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    x = rng.integers(-128, 128, shape).astype(np.int8)
    op = max_pool(shape, kernel, cfg=TINY, stride=stride, padding=padding)
    assert_equal(op, [x], windows(x, kernel, stride, padding, LOWEST).max(axis=(4, 5)))

    rule = Requantise(6, scaled=True, zero=3)
    bias = rng.integers(-99, 99, shape[1]).astype(np.int32)
    factors = rng.integers(0, 40, shape[1]).astype(np.int32)
    op = sum_pool(shape, kernel, cfg=TINY, requantise=rule, stride=stride, padding=padding)
    sums = windows(x, kernel, stride, padding, 0).sum(axis=(4, 5))
    sums = (sums + bias[None, :, None, None]) * factors[None, :, None, None]
    expected = np.clip(((sums + 32) >> 6) + 3, -128, 127)
    assert_equal(op, [x, bias, factors], expected)


def assert_equal(op, arrays, expected):
    np.testing.assert_array_equal(op.reference(*arrays), expected)
    program, inputs = program_of(op), op.pack(*arrays)
    (tiles,), _ = run_program(program, inputs)
    np.testing.assert_array_equal(op.unpack(tiles), expected)
    check_orders(program, inputs, [tiles], seeds=(1,))


@pytest.mark.parametrize("padding", [0, 1])
def test_on_the_rtl(padding):
    x = np.random.default_rng(0).integers(-128, 128, (1, 9, 7, 7)).astype(np.int8)
    op = max_pool(x.shape, 3, cfg=TINY, stride=2, padding=padding)
    (tiles,), _ = run_program(program_of(op), op.pack(x), machine=verilated("tiny", "ddr"))
    expected = windows(x, (3, 3), (2, 2), (padding,) * 4, LOWEST).max(axis=(4, 5))
    np.testing.assert_array_equal(op.unpack(tiles), expected)


def test_an_image_beyond_the_accumulators_is_cut_into_rows():
    cfg = VTAConfig.preset("default")
    x = np.random.default_rng(0).integers(-128, 128, (1, 16, 60, 60)).astype(np.int8)
    op = max_pool(x.shape, 2, cfg=cfg, stride=2)
    (tiles,), _ = run_program(program_of(op), op.pack(x))
    expected = windows(x, (2, 2), (2, 2), (0,) * 4, LOWEST).max(axis=(4, 5))
    np.testing.assert_array_equal(op.unpack(tiles), expected)


def test_errors():
    with pytest.raises(OperatorError, match=r"max_pool: kernel .* spans 3 rows; the data has 2"):
        max_pool((1, 1, 2, 2), 3, cfg=TINY)
    with pytest.raises(OperatorError, match=r"one window takes \d+ tiles; the accumulators hold"):
        max_pool((1, 1, 99, 99), 99, cfg=TINY)
    op = sum_pool((1, 1, 4, 4), 2, cfg=TINY, requantise=Requantise(2, scaled=True))
    with pytest.raises(OperatorError, match="sum_pool: 1 arrays; must be 3: data, bias, multip"):
        op.pack(np.zeros((1, 1, 4, 4), np.int8))
