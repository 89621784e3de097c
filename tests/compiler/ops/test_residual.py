"""Convolutions with a residual sum: random shapes against NumPy, on the model and on the RTL."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.compiled import check_orders, run_program
from tests.support.verilated import verilated
from vta.compiler.driver import compile_func
from vta.compiler.lower.lower import lower
from vta.compiler.ops import OnePass, Requantise, choose_scales, conv2d
from vta.compiler.ops.residual import Residual
from vta.config import VTAConfig
from vta.errors import OperatorError

TINY = VTAConfig.preset("tiny")


def operands(rng, shape, channels, kernel):
    """Data, residual, kernel, bias; windows of a border of zeros, stride 1."""
    result = (shape[0], channels, *shape[2:])
    sizes = (shape, result, (channels, shape[1], kernel, kernel))
    data, residual, weights = (rng.integers(-128, 128, size).astype(np.int8) for size in sizes)
    return data, residual, weights, rng.integers(-999, 999, channels).astype(np.int32)


def expected(data, residual, weights, bias, rule):
    """``rule``: shift and least value of the convolution, then the numbers of the sum."""
    conv_shift, conv_low, (first, second), offset, shift, low, high = rule
    pad = weights.shape[2] // 2
    wide = np.pad(data.astype(np.int64), ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    views = np.lib.stride_tricks.sliding_window_view(wide, weights.shape[2:], axis=(2, 3))
    sums = np.einsum("ncyxab,ocab->noyx", views, weights.astype(np.int64))
    sums += bias[None, :, None, None]
    result = np.clip(np.floor(sums / 2.0**conv_shift + 0.5), conv_low, 127).astype(np.int64)
    total = result * first + residual.astype(np.int64) * second + offset
    return np.clip(np.floor(total / 2.0**shift), low, high).astype(np.int8)


def operator(shape, channels, kernel, rule, cfg):
    conv_shift, conv_low, multipliers, offset, shift, low, high = rule
    return conv2d(
        shape, channels, kernel,
        cfg=cfg, requantise=Requantise(conv_shift, conv_low), padding=kernel // 2,
        residual=Residual(multipliers, offset, shift, low, high),
    )  # fmt: skip


@settings(max_examples=25)
@given(st.data())
def test_random_shapes(data):
    draw = data.draw
    shape = tuple(draw(st.integers(1, most)) for most in (2, 9, 6, 6))
    channels, kernel = draw(st.integers(1, 9)), draw(st.sampled_from([1, 3]))
    factors = st.integers(-(1 << 15), (1 << 15) - 1)
    rule = (
        draw(st.integers(4, 10)), draw(st.sampled_from([-128, 0])), (draw(factors), draw(factors)),
        draw(st.integers(-(1 << 20), 1 << 20)), draw(st.integers(0, 20)),
        *draw(st.sampled_from([(-128, 127), (0, 127), (-3, 6)])),
    )  # fmt: skip
    cfg = TINY.replace(extension=draw(st.integers(0, 1)))
    arrays = operands(np.random.default_rng(draw(st.integers(0, 99))), shape, channels, kernel)
    op = operator(shape, channels, kernel, rule, cfg)
    want = expected(*arrays, rule)
    np.testing.assert_array_equal(op.reference(*arrays), want)
    program, inputs = compile_func(lower(op.schedule, op.args, op.name), cfg), op.pack(*arrays)
    (tiles,), _ = run_program(program, inputs)
    np.testing.assert_array_equal(op.unpack(tiles), want)
    check_orders(program, inputs, [tiles], seeds=(1,))


def test_on_the_rtl():
    rule = (8, -128, (9000, -12000), 700, 14, -100, 100)
    arrays = operands(np.random.default_rng(1), (1, 12, 7, 7), 8, 3)
    op = operator((1, 12, 7, 7), 8, 3, rule, TINY)
    program = compile_func(lower(op.schedule, op.args, op.name), TINY)
    (tiles,), _ = run_program(program, op.pack(*arrays), machine=verilated("tiny", "ddr"))
    np.testing.assert_array_equal(op.unpack(tiles), expected(*arrays, rule))


def test_the_sum_runs_beside_the_products():
    """On the RTL: the layer takes less than three cycles a tile more, a sum of its own five."""
    cfg = VTAConfig.preset("default")
    rng = np.random.default_rng(1)
    data, residual, weights, bias = operands(rng, (1, 64, 14, 14), 64, 3)
    scales = np.array(choose_scales([2.0**-9] * 64), np.int32)
    cycles = []
    for added in ((), (residual,)):
        op = conv2d(
            data.shape, 64, 3, cfg=cfg, requantise=OnePass(), padding=1,
            residual=Residual((9000, 12000), 0, 14) if added else None,
        )  # fmt: skip
        program = compile_func(lower(op.schedule, op.args, op.name), cfg)
        inputs = op.pack(data, *added, weights, bias, scales)
        _, run = run_program(program, inputs, machine=verilated("default", "ideal"))
        cycles.append(run.cycle_count)
    assert cycles[1] - cycles[0] < 3 * 4 * 14 * 14


def test_errors():
    rule = (8, -128, (1 << 15, 1), 0, 14, -128, 127)
    with pytest.raises(OperatorError, match=r"conv2d: multipliers are .*; must be 16 bits each"):
        operator((1, 4, 4, 4), 4, 1, rule, TINY)
    op = operator((1, 4, 4, 4), 4, 1, (8, -128, (1, 1), 0, 0, -128, 127), TINY)
    with pytest.raises(OperatorError, match="conv2d: 3 arrays; must be 4: data, residual, kernel"):
        op.pack(*(np.zeros((1, 4, 4, 4), np.int8),) * 3)
