"""Tables on the host: real functions in steps of a scale, and what is no table."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.configurations import CONFIGURATIONS
from vta.compiler.ops import lookup, table_of
from vta.config import VTAConfig
from vta.errors import OperatorError

TINY = VTAConfig.preset("tiny")


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@given(st.lists(st.integers(1, 5), min_size=1, max_size=5), st.integers(0, 99))
def test_random_tables(shape, seed):
    rng = np.random.default_rng(seed)
    table = rng.integers(-128, 128, 256)
    x = rng.integers(-128, 128, shape).astype(np.int8)
    op = lookup(shape, table, cfg=TINY)
    expected = np.vectorize(lambda value: table[128 + int(value)])(x)
    for result in (op(x), op.reference(x)):
        assert result.dtype == np.int8
        np.testing.assert_array_equal(result, expected)
    assert op.host


def test_a_real_function():
    options = {"data_scale": 0.05, "scale": 1 / 256, "zero": -128}
    op = lookup((256,), table_of(sigmoid, cfg=TINY, **options), cfg=TINY, name="sigmoid")
    x = np.arange(-128, 128)
    np.testing.assert_array_equal(op(x), np.clip(np.rint(sigmoid(x * 0.05) * 256) - 128, -128, 127))


def test_activations_of_four_bits():
    cfg = CONFIGURATIONS["int4"]
    op = lookup((16,), np.arange(16)[::-1] - 8, cfg=cfg)
    np.testing.assert_array_equal(op(np.arange(-8, 8)), np.arange(7, -9, -1))


def test_errors():
    with pytest.raises(
        OperatorError, match=r"lookup: table has shape \(255,\) .*; must be 256 int"
    ):
        lookup((4,), np.zeros(255, int), cfg=TINY)
    with pytest.raises(OperatorError, match="lookup: entries are 0 to 128; must be -128 to 127"):
        lookup((4,), np.full(256, 128) * (np.arange(256) > 0), cfg=TINY)
    with pytest.raises(OperatorError, match="table_of: scale is 0; must be positive and finite"):
        table_of(sigmoid, cfg=TINY, data_scale=1, scale=0)
    with pytest.raises(OperatorError, match=r"table_of: the function gives .* all finite"):
        table_of(lambda x: np.full_like(x, np.inf), cfg=TINY, data_scale=1, scale=1)
    with pytest.raises(OperatorError, match=r"sigmoid: data has shape \(3,\); must be \(4,\)"):
        lookup((4,), np.zeros(256, int), cfg=TINY, name="sigmoid").reference(np.zeros(3, np.int8))
