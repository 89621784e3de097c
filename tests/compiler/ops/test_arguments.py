"""Arguments that no operator can have: the error names the operator, the argument and the value."""

import numpy as np
import pytest

from vta import ops
from vta.errors import OperatorError

RULE = ops.Requantise(shift=6)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: ops.conv2d((1, 16, 1 << 40, 8), 16, 3, requantise=RULE),
         r"conv2d: shape is .*; must have at most 268435456 elements"),
        (lambda: ops.max_pool((1, 1, 1 << 20, 8), 2),
         r"max_pool: shape is .*; sides must have at most 65536 pixels"),
        (lambda: ops.conv2d((1, 16, 8, 8), 1 << 40, 3, requantise=RULE),
         r"conv2d: \(shape\[1\], channels\) is \(16, 1099511627776\); must have at most"),
        (lambda: ops.dense((1, 1 << 40), 8, requantise=RULE), "dense: shape is .*; must have at"),
        (lambda: ops.dense((1, 16), 8, requantise=None), "dense: requantise is None; must be a"),
        (lambda: ops.conv2d((1, 16, 8, 8), 16, 3, requantise=6), "conv2d: requantise is 6; must"),
        (lambda: ops.conv2d_transpose((1, 16, 8, 8), 16, 3, requantise="6"),
         "conv2d_transpose: requantise is '6'; must"),
        (lambda: ops.batch_matmul((1, 4, 8), (1, 4, 8), requantise=None),
         "batch_matmul: requantise is None; must"),
    ],
)  # fmt: skip
def test_refused(call, said):
    with pytest.raises(OperatorError, match=said):
        call()


def _arrays():
    return {"data": np.ones((1, 16), np.int8), "kernel": np.ones((8, 16), np.int8),
            "bias": np.ones(8, np.int32)}  # fmt: skip


@pytest.mark.parametrize("name", ["pack", "reference"])
@pytest.mark.parametrize(
    ("operand", "values", "said"),
    [
        ("data", np.full((1, 16), 0.7), "dense: data is float64; must be integers that int8 holds"),
        ("data", np.full((1, 16), 128), "dense: data holds 0 to 128; int8 holds -128 to 127"),
        ("kernel", np.full((8, 16), -129), "dense: weights holds -129 to 0; int8 holds -128"),
        ("bias", np.full(8, 1 << 31), "dense: bias holds 0 to 2147483648; int32 holds"),
    ],
)
def test_values_that_an_operand_cannot_hold(name, operand, values, said):
    """Nothing is cut off."""
    op = ops.dense((1, 16), 8, requantise=RULE)
    with pytest.raises(OperatorError, match=said):
        getattr(op, name)(*{**_arrays(), operand: values}.values())


def test_wider_types_of_values_that_fit():
    op = ops.dense((1, 16), 8, requantise=RULE)
    arrays = {name: values.astype(np.int64) for name, values in _arrays().items()}
    np.testing.assert_array_equal(op.reference(*arrays.values()), op.reference(*_arrays().values()))
