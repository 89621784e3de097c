"""The transposed convolution of the operator library against NumPy, scattering tap by tap."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.support.compiled import run_program
from tests.support.configurations import CONFIGURATIONS
from tests.support.verilated import verilated
from vta.compiler.driver import compile_func
from vta.compiler.lower.lower import lower
from vta.compiler.ops import Requantise, conv2d_transpose
from vta.config import VTAConfig
from vta.errors import OperatorError
from vta.isa import Load, MemId

TINY = VTAConfig.preset("tiny")


def golden(data, kernel, bias, stride, padding, more, shift):
    """Each pixel adds its window of products to the result, which is then cropped."""
    n, _, h, w = data.shape
    _, o, kh, kw = kernel.shape
    high, wide = (h - 1) * stride[0] + kh + more[0], (w - 1) * stride[1] + kw + more[1]
    out = np.zeros((n, o, high, wide), np.int64)
    for y in range(h):
        for x in range(w):
            window = np.einsum(
                "nc,cokl->nokl", data[:, :, y, x].astype(np.int64), kernel.astype(np.int64)
            )
            rows, columns = y * stride[0], x * stride[1]
            out[:, :, rows : rows + kh, columns : columns + kw] += window
    top, left, bottom, right = padding
    out = out[:, :, top : high - bottom, left : wide - right] + bias[None, :, None, None]
    if shift:
        out = (out + (1 << (shift - 1))) >> shift
    return np.clip(out, -128, 127)


def arrays_of(rng, cfg, shape, channels, kernel):
    return (
        rng.integers(-128, 128, shape).astype(cfg.inp_dtype),
        rng.integers(-128, 128, (shape[1], channels, *kernel)).astype(cfg.wgt_dtype),
        rng.integers(-999, 999, channels).astype(np.int32),
    )


def result(op, arrays, machine=None):
    program = compile_func(lower(op.schedule, op.args, op.name), op.cfg)
    (tiles,), _ = run_program(program, op.pack(*arrays), machine=machine)
    return op.unpack(tiles)


@settings(max_examples=40)
@given(st.data())
def test_random_shapes(data):
    draw = data.draw
    cfg = CONFIGURATIONS[draw(st.sampled_from(["tiny", "default", "batch2"]))]
    shape = (
        draw(st.integers(1, 2)), draw(st.integers(1, cfg.block_in + 1)),
        draw(st.integers(1, 5)), draw(st.integers(1, 5)),
    )  # fmt: skip
    channels = draw(st.integers(1, cfg.block_out + 1))
    kernel = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    stride = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    padding = tuple(draw(st.integers(0, 1)) for _ in range(4))
    more = draw(st.integers(0, stride[0] - 1)), draw(st.integers(0, stride[1] - 1))
    try:
        op = conv2d_transpose(
            shape, channels, kernel, cfg=cfg, requantise=Requantise(6), stride=stride,
            padding=padding, output_padding=more,
        )  # fmt: skip
    except OperatorError:
        assume(False)
    arrays = arrays_of(np.random.default_rng(0), cfg, shape, channels, kernel)
    want = golden(*arrays, stride, padding, more, 6)
    np.testing.assert_array_equal(op.reference(*arrays), want)
    np.testing.assert_array_equal(result(op, arrays), want)


def test_no_products_of_zeros():
    op = conv2d_transpose(
        (1, 4, 4, 4), 4, 4, cfg=TINY, requantise=Requantise(6), stride=2, padding=1
    )
    arrays = arrays_of(np.random.default_rng(1), TINY, (1, 4, 4, 4), 4, (4, 4))
    got = result(op, arrays, verilated("tiny", "ideal"))
    np.testing.assert_array_equal(got, golden(*arrays, (2, 2), (1, 1, 1, 1), (0, 0), 6))
    assert op.products == 8 * 8 * 4  # four taps of sixteen meet a pixel


def test_weights_are_loaded_once_for_the_images_of_a_block():
    """Two images whose weights exceed the memory: blocks of images, chosen by the tiler."""
    shape, channels = (2, 64, 1, 1), 8
    op = conv2d_transpose(
        shape, channels, 4, cfg=TINY, requantise=Requantise(6), stride=2, padding=1
    )
    assert op.tiling.images == 2
    program = compile_func(lower(op.schedule, op.args, op.name), op.cfg)
    loads = [insn for insn in program.instructions if isinstance(insn, Load)]
    tiles = sum(insn.x_size * insn.y_size for insn in loads if insn.memory is MemId.WGT)
    assert tiles == 64 * channels * 16 // (TINY.block_in * TINY.block_out)
    arrays = arrays_of(np.random.default_rng(2), TINY, shape, channels, (4, 4))
    want = golden(*arrays, (2, 2), (1, 1, 1, 1), (0, 0), 6)
    np.testing.assert_array_equal(op.reference(*arrays), want)
    np.testing.assert_array_equal(result(op, arrays, verilated("tiny", "ideal")), want)


def test_bad_arguments():
    with pytest.raises(OperatorError, match="conv2d_transpose: shape"):
        conv2d_transpose((1, 2, 3), 4, 3, cfg=TINY, requantise=Requantise(0))
    with pytest.raises(OperatorError, match="output_padding"):
        conv2d_transpose(
            (1, 4, 3, 3), 4, 3, cfg=TINY, requantise=Requantise(0), stride=2, output_padding=2
        )
