"""Activations of the operator library: random shapes against NumPy, on the model and on the RTL."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.configurations import CONFIGURATIONS
from tests.support.operators import assert_equal
from tests.support.verilated import verilated
from vta.compiler.ops import clip, leaky_relu, prelu, relu, relu6
from vta.config import VTAConfig
from vta.errors import OperatorError

TINY = VTAConfig.preset("tiny")


def values(shape, seed=0):
    return np.random.default_rng(seed).integers(-128, 128, shape).astype(np.int8)


def rectified(x, slope, zero):
    """``x`` where it is above ``zero``, else nearer to it: rounded halves up, in real numbers."""
    distance = x.astype(np.float64) - zero
    slope = np.asarray(slope).reshape(-1, *(1 for _ in x.shape[2:]))
    below = np.floor(distance * (slope / 2.0**14) + 0.5)
    return np.clip(np.where(distance > 0, distance, below) + zero, -128, 127)


@st.composite
def cases(draw):
    name = draw(st.sampled_from(["tiny", "default", "batch2"]))
    rank = draw(st.integers(2, 5))
    shape = tuple(draw(st.integers(1, most)) for most in (3, 9, 7, 7, 2)[:rank])
    return CONFIGURATIONS[name], shape, values(shape, draw(st.integers(0, 99)))


@settings(max_examples=40)
@given(cases(), st.data())
def test_random_clips(case, data):
    cfg, shape, x = case
    low, high = sorted(data.draw(st.tuples(st.integers(-128, 127), st.integers(-128, 127))))
    assert_equal(clip(shape, low, high, cfg=cfg), [x], np.minimum(np.maximum(x, low), high))
    assert_equal(relu(shape, cfg=cfg, zero=low), [x], np.maximum(x, low))


@settings(max_examples=40)
@given(cases(), st.data())
def test_random_rectifiers(case, data):
    cfg, shape, x = case
    zero = data.draw(st.integers(-128, 127))
    slope = data.draw(st.integers(-(1 << 15), (1 << 15) - 1))
    op = leaky_relu(shape, slope / 2**14, cfg=cfg, zero=zero)
    assert_equal(op, [x], rectified(x, slope, zero))
    seed = data.draw(st.integers(0, 99))
    slopes = np.random.default_rng(seed).integers(-(1 << 15), 1 << 15, shape[1]).astype(np.int32)
    assert_equal(prelu(shape, cfg=cfg, zero=zero), [x, slopes], rectified(x, slopes, zero))


def test_relu6_in_steps_of_the_scale():
    x = np.arange(-128, 128, dtype=np.int8).reshape(1, 4, 8, 8)
    op = relu6(x.shape, cfg=TINY, scale=0.1, zero=-10)
    assert_equal(op, [x], np.clip(x, -10, 50))  # 6 / 0.1 - 10
    assert_equal(relu6(x.shape, cfg=TINY, scale=0.01), [x], np.maximum(x, 0))  # 6 is out of reach


def test_on_the_rtl():
    x = values((1, 9, 6, 6))
    slopes = np.arange(9, dtype=np.int32) * 900
    op = prelu(x.shape, cfg=TINY, zero=3)
    assert_equal(op, [x, slopes], rectified(x, slopes, 3), verilated("tiny", "ddr"))


class TestBadInput:
    def test_numbers(self):
        with pytest.raises(OperatorError, match="clip: low is 4 and high 3; low must not be"):
            clip((1, 4), 4, 3, cfg=TINY)
        with pytest.raises(OperatorError, match="clip: high is 128; must be -128 to 127"):
            clip((1, 4), 0, 128, cfg=TINY)
        with pytest.raises(OperatorError, match="relu: low is -129; must be an integer of at"):
            relu((1, 4), cfg=TINY, zero=-129)
        with pytest.raises(OperatorError, match="relu6: scale is 0; must be positive"):
            relu6((1, 4), cfg=TINY, scale=0)
        with pytest.raises(OperatorError, match=r"slope is 2\.0; must be at least -2 and below 2"):
            leaky_relu((1, 4), 2.0, cfg=TINY)
        with pytest.raises(OperatorError, match=r"relu: shape is \(4,\); must be 2 or 3 or 4 or"):
            relu((4,), cfg=TINY)

    def test_arrays(self):
        with pytest.raises(OperatorError, match="prelu: 1 arrays; must be 2: data, slope"):
            prelu((1, 4), cfg=TINY).pack(np.zeros((1, 4), np.int8))

    def test_a_type_that_accumulators_are_not_loaded_from(self):
        with pytest.raises(OperatorError, match="relu: activations are int4; must be int8"):
            relu((1, 4), cfg=CONFIGURATIONS["int4"])

    def test_accumulators_that_are_too_small(self):
        with pytest.raises(OperatorError, match=r"the accumulators hold 2 \(LOG_ACC_BUFF_SIZE\)"):
            relu((1, 4), cfg=CONFIGURATIONS["two_entries"])
