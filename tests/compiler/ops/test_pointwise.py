"""Two slopes, hard-swish and products by the vector ALU: random shapes and integers by NumPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.configurations import CONFIGURATIONS
from tests.support.operators import assert_equal
from vta.compiler.ops.pointwise import GATE_BITS, hard_swish, product, two_slopes
from vta.config import VTAConfig
from vta.errors import OperatorError

TINY = VTAConfig.preset("tiny")


@st.composite
def cases(draw):
    name = draw(st.sampled_from(["tiny", "default", "batch2"]))
    rank = draw(st.integers(2, 4))
    shape = tuple(draw(st.integers(1, most)) for most in (3, 40, 7, 7)[:rank])
    return CONFIGURATIONS[name], shape, np.random.default_rng(draw(st.integers(0, 99)))


def along_channels(row, shape):
    return row.reshape(1, -1, *(1 for _ in shape[2:])).astype(np.int64)


@settings(max_examples=15)
@given(cases(), st.integers(-128, 127), st.integers(0, 14))
def test_two_slopes(case, zero, shift):
    cfg, shape, rng = case
    data = rng.integers(-128, 128, shape).astype(np.int8)
    rows = [rng.integers(-9000, 9000, shape[1]).astype(np.int32) for _ in range(3)]
    op = two_slopes(shape, cfg=cfg, data_zero=zero, shift=shift, low=-100, high=90)
    s = data.astype(np.int64) - zero
    rising, falling, offset = (along_channels(row, shape) for row in rows)
    exact = np.clip((np.where(s > 0, s * rising, s * falling) + offset) >> shift, -100, 90)
    assert_equal(op, [data, *rows], exact.astype(np.int8))


@settings(max_examples=15)
@given(cases(), st.integers(-128, 127), st.integers(1, 2000))
def test_hard_swish(case, zero, factor):
    cfg, shape, rng = case
    data = rng.integers(-128, 128, shape).astype(np.int8)
    op = hard_swish(shape, (factor, 6), 900, cfg=cfg, data_zero=zero, shift=17, low=-128, high=127)
    start, offset = 30_000, 1 << 18
    x = data.astype(np.int64)
    gate = np.clip((x * factor + start) >> 6, 0, 1 << GATE_BITS)
    exact = np.clip(((x - zero) * gate * 900 + offset) >> 17, -128, 127).astype(np.int8)
    rows = [np.full(shape[1], value, np.int32) for value in (start, offset)]
    assert_equal(op, [data, *rows], exact)


@settings(max_examples=20)
@given(cases(), st.booleans(), st.tuples(*[st.integers(-128, 127)] * 2), st.integers(1, 20_000))
def test_products(case, by_channel, zeros, multiplier):
    cfg, shape, rng = case
    small = (*shape[:2], *(1 for _ in shape[2:])) if by_channel else shape
    a, b = (rng.integers(-128, 128, size).astype(np.int8) for size in (shape, small))
    offset = rng.integers(-(1 << 20), 1 << 20, shape[1]).astype(np.int32)
    op = product(
        shape, multiplier, cfg=cfg, zeros=zeros, shift=15, low=-128, high=127,
        by_channel=by_channel,
    )  # fmt: skip
    total = (a.astype(np.int64) - zeros[0]) * (b.astype(np.int64) - zeros[1]) * multiplier
    exact = np.clip((total + along_channels(offset, shape)) >> 15, -128, 127)
    assert_equal(op, [a, b, offset], exact.astype(np.int8))


def test_wrong_multipliers():
    rule = {"cfg": TINY, "shift": 3, "low": 0, "high": 1}
    with pytest.raises(OperatorError, match="multiplier is 32768; must be 15 bits"):
        product((1, 4), 1 << 15, zeros=(0, 0), **rule)
    with pytest.raises(OperatorError, match="gate is 40000; must be 16 bits, signed"):
        hard_swish((1, 4), (40_000, 1), 1, data_zero=0, **rule)


def test_factors_that_do_not_fit():
    channels = 4 * TINY.acc_depth
    with pytest.raises(OperatorError, match=r"product: constants .* take 129 tiles; the accum"):
        product(
            (1, channels, 2, 2), 1, cfg=TINY, zeros=(0, 0), shift=0, low=0, high=1, by_channel=True
        )
