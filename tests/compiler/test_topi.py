"""Operators on whole tensors: broadcasting as in NumPy, tags, and errors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import mutually_broadcastable_shapes

import vta
from tests.support.compiled import run_program
from vta import te, topi
from vta.config import VTAConfig
from vta.environment import Environment
from vta.errors import LoweringError, TensorError
from vta.runtime import CompiledModule

ENV = Environment(VTAConfig.preset("tiny"))
TILE = (ENV.BATCH, ENV.BLOCK_OUT)
A = te.placeholder((4, 8), "int32", "A")
ROW = te.placeholder((8,), "int32", "ROW")
COLUMN = te.placeholder((4, 1), "int32", "COLUMN")

OPERATORS = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "right_shift": np.right_shift,
    "left_shift": np.left_shift,
}


def build(a: te.Tensor, b: te.Tensor, result: te.Tensor) -> CompiledModule:
    """The program of an operator on two tensors that are brought on the chip whole."""
    out = topi.cast(result, "int8", name="out")
    s = te.create_schedule(out.op)
    for tensor in dict.fromkeys((a, b)):
        copy = s.cache_read(tensor, ENV.acc_scope, [result])
        s[copy].pragma(s[copy].op.axis[0], ENV.dma_copy)
    s[result].set_scope(ENV.acc_scope)
    s[result].pragma(result.op.axis[0], ENV.alu)
    s[out].pragma(out.op.axis[0], ENV.dma_copy)
    with ENV:
        return vta.build(s, [a, b, out])


@pytest.mark.parametrize("name", OPERATORS)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    shapes=mutually_broadcastable_shapes(num_shapes=2, min_dims=1, max_dims=3, max_side=3),
    seed=st.integers(0, 1000),
)
def test_broadcasting_is_that_of_numpy(name: str, shapes, seed: int) -> None:
    operator, rng = OPERATORS[name], np.random.default_rng(seed)
    a, b = (rng.integers(-50, 50, (*s, *TILE)).astype(np.int32) for s in shapes.input_shapes)
    if name.endswith("shift"):
        b = rng.integers(0, 8, b.shape).astype(np.int32)
    expected = operator(a, b)
    first, second = (
        te.placeholder(x.shape, "int32", label) for x, label in zip((a, b), ("first", "second"))
    )
    result = getattr(topi, name)(first, second, name="result")
    assert result.shape == expected.shape
    (out,), _ = run_program(build(first, second, result).program, [a, b])
    np.testing.assert_array_equal(out, expected.astype(np.int8))


def test_elements_that_are_read() -> None:
    assert str(topi.add(A, COLUMN).op.body) == "A[i0, i1] + COLUMN[i0, 0]"
    assert str(topi.multiply(ROW, A).op.body) == "ROW[i1] * A[i0, i1]"
    assert str(topi.subtract(0, A).op.body) == "0 - A[i0, i1]"
    assert str(topi.maximum(A, np.int8(3)).op.body) == "max(A[i0, i1], 3)"
    outer = topi.left_shift(COLUMN, ROW)
    assert outer.shape == (4, 8) and str(outer.op.body) == "COLUMN[i0, 0] << ROW[i1]"
    wide = topi.broadcast_to(ROW, (2, 4, 8))
    assert wide.shape == (2, 4, 8) and str(wide.op.body) == "ROW[i2]"


def test_tags() -> None:
    assert topi.add(A, ROW).op.tag == "broadcast" == topi.broadcast_to(ROW, A.shape).op.tag
    for tensor in (topi.add(A, 1), topi.cast(A, "int8"), topi.identity(A), topi.nn.relu(A)):
        assert tensor.op.tag == "elemwise"
    assert topi.nn.pad(A, [1, 1]).op.tag == "injective,pad"
    assert topi.nn.dilate(A, [2, 1]).op.tag == "injective,dilate"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: topi.add(A, te.placeholder((4, 7), "int32", "B")),
            r"add: the shapes do not broadcast as NumPy's do; A has \[4, 8\], B has \[4, 7\]; "
            "counted from the last dimension, extents must be equal or 1",
        ),
        (lambda: topi.add(A, te.placeholder((4,), "int32", "B")), r"A has \[4, 8\], B has \[4\]"),
        (lambda: topi.broadcast_to(A, (8,)), r"A has \[4, 8\]; must broadcast to \[8\]"),
        (lambda: topi.broadcast_to(A, (2, 8)), r"broadcast_to A: the shapes do not broadcast"),
        (lambda: topi.add(1, 2), "at least one operand must be a tensor; got 1 and 2"),
        (lambda: topi.add(A, te.placeholder((8,), "int8", "B")), "have different dtypes"),
        (lambda: topi.add(A, np.ones(8, np.int32)), r"cannot use an array of shape \(8,\)"),
        (lambda: topi.add(A, 2.5), r"`A\[i0, i1\] \+ 2.5`: cannot use 2.5 \(float\)"),
        (lambda: topi.nn.pad(A, [1, 0.5]), r"pad_before is \[1, 0.5\]; must be integers >= 0"),
    ],
)
def test_what_is_refused(make, message: str) -> None:
    with pytest.raises(TensorError, match=message):
        make()


def test_values_of_a_tile_cannot_be_repeated() -> None:
    a = te.placeholder((4, *TILE), "int32", "a")
    lane = te.placeholder((4, TILE[0], 1), "int32", "lane")
    with pytest.raises(LoweringError, match="innermost dimensions"):
        build(a, lane, topi.add(a, lane))
