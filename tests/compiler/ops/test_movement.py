"""Padding and upsampling: random shapes against NumPy, on the model and on the RTL."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.configurations import CONFIGURATIONS
from tests.support.operators import assert_equal
from tests.support.verilated import verilated
from vta.compiler.ops import pad, upsample
from vta.config import VTAConfig
from vta.errors import OperatorError

TINY = VTAConfig.preset("tiny")


@st.composite
def images(draw):
    cfg = CONFIGURATIONS[draw(st.sampled_from(["tiny", "default", "batch2"]))]
    shape = tuple(draw(st.integers(1, most)) for most in (3, 9, 6, 6))
    return cfg, np.random.default_rng(0).integers(-128, 128, shape).astype(np.int8)


@settings(max_examples=40)
@given(images(), st.tuples(*[st.integers(0, 3)] * 4), st.integers(-128, 127))
def test_random_padding(image, padding, value):
    cfg, x = image
    top, left, bottom, right = padding
    frame = ((0, 0), (0, 0), (top, bottom), (left, right))
    op = pad(x.shape, padding, cfg=cfg, value=value)
    assert_equal(op, [x], np.pad(x, frame, constant_values=value))


@settings(max_examples=40)
@given(images(), st.integers(1, 3), st.integers(1, 3))
def test_random_upsampling(image, down, across):
    cfg, x = image
    expected = x.repeat(down, axis=2).repeat(across, axis=3)
    assert_equal(upsample(x.shape, (down, across), cfg=cfg), [x], expected)


def test_on_the_rtl():
    x = np.random.default_rng(0).integers(-128, 128, (1, 9, 5, 6)).astype(np.int8)
    machine = verilated("tiny", "ddr")
    expected = np.pad(x, ((0, 0), (0, 0), (1, 1), (2, 2)), constant_values=-128)
    assert_equal(pad(x.shape, (1, 2), cfg=TINY, value=-128), [x], expected, machine)
    expected = x.repeat(2, axis=2).repeat(2, axis=3)
    assert_equal(upsample(x.shape, 2, cfg=TINY), [x], expected, machine)


def test_errors():
    with pytest.raises(OperatorError, match="pad: value is 128; must be -128 to 127"):
        pad((1, 1, 4, 4), 1, cfg=TINY, value=128)
    with pytest.raises(OperatorError, match="pad: padding is -1; must be an integer of at least"):
        pad((1, 1, 4, 4), -1, cfg=TINY)
    with pytest.raises(OperatorError, match="upsample: factor is 0; must be an integer of at le"):
        upsample((1, 1, 4, 4), 0, cfg=TINY)
    with pytest.raises(OperatorError, match=r"upsample: one row takes 90 tiles; .* hold 64"):
        upsample((1, 1, 4, 18), 2, cfg=TINY)
