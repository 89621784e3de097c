"""Sums of whole images that exceed the accumulators, by NumPy."""

import numpy as np
import pytest

from tests.support.configurations import CONFIGURATIONS
from tests.support.operators import assert_equal
from vta.compiler.ops.global_sum import global_sum
from vta.compiler.ops.requantise import Requantise
from vta.errors import OperatorError

RULE = Requantise(10, scaled=True)


@pytest.mark.parametrize(
    ("name", "shape"),
    [("default", (1, 20, 4, 4)), ("default", (2, 20, 50, 60)), ("tiny", (1, 5, 9, 10)),
     ("batch2", (3, 18, 10, 12))],
)  # fmt: skip
def test_sums(name, shape):
    rng = np.random.default_rng(0)
    data, channels = rng.integers(-128, 128, shape).astype(np.int8), shape[1]
    bias, factor = (rng.integers(1, most, channels).astype(np.int32) for most in (3000, 50))
    op = global_sum(shape, cfg=CONFIGURATIONS[name], requantise=RULE)
    sums = data.astype(np.int64).sum(axis=(2, 3)) + bias
    exact = ((sums * factor + 512) >> 10).clip(-128, 127)[:, :, None, None]
    assert_equal(op, [data, bias, factor], exact.astype(np.int8))


def test_pixels_without_a_divisor():
    with pytest.raises(OperatorError, match="101 pixels; must have a divisor with which"):
        global_sum((1, 4, 1, 101), cfg=CONFIGURATIONS["tiny"], requantise=RULE)
