"""Averages of windows: random shapes against sums of real numbers, on the model and on the RTL."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.support.operators import assert_equal
from tests.support.verilated import verilated
from vta.compiler.ops import average_pool, global_average_pool
from vta.config import VTAConfig
from vta.errors import OperatorError

TINY = VTAConfig.preset("tiny")


def real_averages(x, kernel, stride, padding, *, ceil, include, zero):
    """Window by window, over the values inside the image; float64."""
    n, c, height, width = x.shape
    top, left, bottom, right = padding

    def places(size, taps, step, before, after):
        count = (size + before + after - taps) // step + 1
        if ceil:
            count = -(-(size + before + after - taps) // step) + 1
            count -= (count - 1) * step >= size + before
        return [range(i * step - before, i * step - before + taps) for i in range(count)]

    rows = places(height, kernel[0], stride[0], top, bottom)
    columns = places(width, kernel[1], stride[1], left, right)
    out = np.zeros((n, c, len(rows), len(columns)))
    for i, ys in enumerate(rows):
        for j, xs in enumerate(columns):
            inside = [(y, z) for y in ys for z in xs if 0 <= y < height and 0 <= z < width]
            framed = sum(y < height + bottom and z < width + right for y in ys for z in xs)
            total = sum(x[:, :, y, z].astype(np.float64) - zero for y, z in inside)
            out[:, :, i, j] = total / (framed if include else len(inside))
    return out


@settings(max_examples=60)
@given(st.data())
def test_random_shapes(data):
    draw = data.draw
    shape = tuple(draw(st.integers(1, most)) for most in (2, 9, 6, 6))
    kernel = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    stride = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    padding = tuple(draw(st.integers(0, (extent - 1) // 2)) for extent in (*kernel, *kernel))
    assume(shape[2] + padding[0] + padding[2] >= kernel[0])
    assume(shape[3] + padding[1] + padding[3] >= kernel[1])
    ceil, include = draw(st.booleans()), draw(st.booleans())
    scale, points = draw(st.floats(0.1, 3)), [draw(st.integers(-128, 127)) for _ in range(2)]
    x = np.random.default_rng(draw(st.integers(0, 99))).integers(-128, 128, shape).astype(np.int8)
    try:
        op = average_pool(
            shape, kernel, cfg=TINY, stride=stride, padding=padding, ceil_mode=ceil,
            count_include_pad=include, scale=scale, data_zero=points[0], zero=points[1],
        )  # fmt: skip
    except OperatorError as error:
        assert "one window takes" in str(error)
        assume(False)
    exact = real_averages(x, kernel, stride, padding, ceil=ceil, include=include, zero=points[0])
    near = np.clip(exact * scale + points[1], -128, 127)
    expected = op.reference(x)
    assert expected.shape == near.shape
    assert np.abs(expected - near).max() <= 0.5 + 1 / 64
    assert_equal(op, [x], expected)


def test_a_whole_image():
    x = np.random.default_rng(0).integers(-128, 128, (2, 9, 7, 6)).astype(np.int8)
    op = global_average_pool(x.shape, cfg=TINY, scale=2.5)
    near = np.clip(x.astype(np.float64).mean(axis=(2, 3), keepdims=True) * 2.5, -128, 127)
    expected = op.reference(x)
    assert np.abs(expected - near).max() <= 0.5 + 1 / 64
    assert_equal(op, [x], expected)


@pytest.mark.parametrize("padding", [0, 1])
def test_on_the_rtl(padding):
    x = np.random.default_rng(0).integers(-128, 128, (1, 9, 5, 5)).astype(np.int8)
    op = average_pool(x.shape, 3, cfg=TINY, stride=2, padding=padding, data_zero=7)
    assert_equal(op, [x], op.reference(x), verilated("tiny", "ddr"))


def test_errors():
    with pytest.raises(OperatorError, match="average_pool: scale is 0; must be positive and fini"):
        average_pool((1, 1, 4, 4), 2, cfg=TINY, scale=0)
    with pytest.raises(OperatorError, match="average_pool: zero is 128; must be -128 to 127"):
        average_pool((1, 1, 4, 4), 2, cfg=TINY, zero=128)
    with pytest.raises(OperatorError, match="window has no values to average; padding must be"):
        average_pool((1, 1, 4, 4), 2, cfg=TINY, padding=2)
    with pytest.raises(OperatorError, match="global_average_pool: one window takes 84 tiles"):
        global_average_pool((1, 1, 9, 9), cfg=TINY)
    with pytest.raises(OperatorError, match=r"sums of 4 values with scale 1e.09 exceed 32 bits"):
        average_pool((1, 1, 4, 4), 2, cfg=TINY, scale=1e9)
