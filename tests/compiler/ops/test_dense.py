"""Dense layers and batched products of the operator library against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.compiled import run_program
from tests.support.configurations import CONFIGURATIONS
from tests.support.verilated import verilated
from vta.compiler.driver import compile_func
from vta.compiler.lower.lower import lower
from vta.compiler.ops import Requantise, WholeSums, batch_matmul, dense
from vta.config import VTAConfig
from vta.errors import OperatorError

TINY = VTAConfig.preset("tiny")
MACHINES = ("tiny", "default", "batch2", "int16")


def golden(left, right, bias, shift, low, high):
    total = np.einsum("...mk,...nk->...mn", left.astype(np.int64), right.astype(np.int64)) + bias
    if shift:
        total = (total + (1 << (shift - 1))) >> shift
    return np.clip(total, low, high)


def result(op, arrays, machine=None):
    program = compile_func(lower(op.schedule, op.args, op.name), op.cfg)
    (tiles,), _ = run_program(program, op.pack(*arrays), machine=machine)
    return op.unpack(tiles)


@settings(max_examples=40)
@given(st.data())
def test_dense(data):
    draw = data.draw
    cfg = CONFIGURATIONS[draw(st.sampled_from(MACHINES))]
    rows, inputs, units = (draw(st.integers(1, 2 * cfg.block_in + 1)) for _ in range(3))
    shift = draw(st.integers(0, 8))
    op = dense((rows, inputs), units, cfg=cfg, requantise=Requantise(shift, -100, 90))
    rng = np.random.default_rng(draw(st.integers(0, 9)))
    x = rng.integers(-128, 128, (rows, inputs)).astype(cfg.inp_dtype)
    w = rng.integers(-128, 128, (units, inputs)).astype(cfg.wgt_dtype)
    b = rng.integers(-999, 999, units).astype(np.int32)
    want = golden(x, w, b, shift, -100, 90)
    np.testing.assert_array_equal(op.reference(x, w, b), want)
    np.testing.assert_array_equal(result(op, (x, w, b)), want)


@settings(max_examples=25)
@given(st.data())
def test_batched_products(data):
    draw = data.draw
    cfg = CONFIGURATIONS[draw(st.sampled_from(MACHINES))]
    pairs = draw(st.integers(1, 3))
    rows, inputs, columns = (draw(st.integers(1, cfg.block_in + 1)) for _ in range(3))
    op = batch_matmul(
        (pairs, rows, inputs), (pairs, columns, inputs), cfg=cfg, requantise=Requantise(5)
    )
    rng = np.random.default_rng(draw(st.integers(0, 9)))
    left = rng.integers(-128, 128, (pairs, rows, inputs)).astype(cfg.inp_dtype)
    right = rng.integers(-128, 128, (pairs, columns, inputs)).astype(cfg.wgt_dtype)
    want = golden(left, right, 0, 5, -128, 127)
    arrays = left, right
    np.testing.assert_array_equal(op.reference(*arrays), want)
    np.testing.assert_array_equal(result(op, arrays), want)


def test_dense_on_the_rtl():
    op = dense((3, 17), 10, cfg=TINY, requantise=Requantise(6))
    rng = np.random.default_rng(0)
    x = rng.integers(-128, 128, (3, 17)).astype(np.int8)
    w = rng.integers(-128, 128, (10, 17)).astype(np.int8)
    b = rng.integers(-999, 999, 10).astype(np.int32)
    np.testing.assert_array_equal(
        result(op, (x, w, b), verilated("tiny", "ddr")), golden(x, w, b, 6, -128, 127)
    )


@pytest.mark.parametrize("target", ["sim", "tsim"])
def test_whole_sums(target):
    """Sums of 32 bits leave the machine as they are."""
    cfg = VTAConfig()
    op = dense((5, 70), 33, cfg=cfg, requantise=WholeSums())
    rng = np.random.default_rng(0)
    x = rng.integers(-128, 128, (5, 70)).astype(np.int8)
    w = rng.integers(-128, 128, (33, 70)).astype(np.int8)
    b = rng.integers(-(1 << 24), 1 << 24, 33).astype(np.int32)
    want = x.astype(np.int64) @ w.T.astype(np.int64) + b
    got = result(op, (x, w, b), verilated("default", "ideal") if target == "tsim" else None)
    assert got.dtype == op.reference(x, w, b).dtype == np.int32
    np.testing.assert_array_equal(got, want)
    np.testing.assert_array_equal(op.reference(x, w, b), want)


def test_whole_sums_need_a_machine_and_no_attributes():
    with pytest.raises(OperatorError, match=r"whole sums need STORE_ACC .*; EXTENSION is 0"):
        dense((2, 3), 4, cfg=VTAConfig(extension=0), requantise=WholeSums())
    with pytest.raises(OperatorError, match="whole sums have no attributes"):
        WholeSums(low=0)


def test_bad_arguments():
    with pytest.raises(OperatorError, match="dense: shape"):
        dense((1, 2, 3), 4, cfg=TINY, requantise=Requantise(0))
    with pytest.raises(OperatorError, match="dense: units"):
        dense((1, 2), 0, cfg=TINY, requantise=Requantise(0))
    with pytest.raises(OperatorError, match="batch_matmul"):
        batch_matmul((1, 2, 3), (2, 2, 3), cfg=TINY, requantise=Requantise(0))
