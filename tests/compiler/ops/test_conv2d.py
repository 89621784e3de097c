"""The convolution of the operator library: random shapes on every kind of machine against NumPy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.support.compiled import check_orders, run_program
from tests.support.configurations import CONFIGURATIONS
from tests.support.operators import assert_equal
from tests.support.verilated import verilated
from vta.compiler.driver import compile_func
from vta.compiler.lower.lower import lower
from vta.compiler.ops import Operator, Requantise, conv2d
from vta.config import VTAConfig
from vta.errors import OperatorError

TINY = VTAConfig.preset("tiny")
DEFAULT = VTAConfig.preset("default")
RELU = Requantise(8, low=0, high=127)


def golden(data, kernel, bias, *, stride, padding, dilation, shift, low, high):
    """The convolution tap by tap in 64-bit integers, at 32 bits, rounded halves up, clipped."""
    top, left, bottom, right = padding
    wide = np.pad(data.astype(np.int64), ((0, 0), (0, 0), (top, bottom), (left, right)))
    span_y = (kernel.shape[2] - 1) * dilation[0] + 1
    span_x = (kernel.shape[3] - 1) * dilation[1] + 1
    rows = range(0, wide.shape[2] - span_y + 1, stride[0])
    columns = range(0, wide.shape[3] - span_x + 1, stride[1])
    out = np.empty((len(data), len(kernel), len(rows), len(columns)), np.int64)
    for y, row in enumerate(rows):
        for x, column in enumerate(columns):
            window = wide[
                :, :, row : row + span_y : dilation[0], column : column + span_x : dilation[1]
            ]
            out[:, :, y, x] = np.tensordot(window, kernel.astype(np.int64), ([1, 2, 3], [1, 2, 3]))
    out += bias[None, :, None, None]
    half = 1 << (shift - 1) if shift else 0
    out = ((out + half + 2**31) % 2**32 - 2**31) >> shift  # sums of int16 exceed 32 bits
    return np.clip(out, low, high)


def random_arrays(op: Operator, cfg: VTAConfig, shape, channels, kernel, seed=0):
    rng = np.random.default_rng(seed)
    limit_inp, limit_wgt = 1 << (cfg.inp_width - 1), 1 << (cfg.wgt_width - 1)
    return (
        rng.integers(-limit_inp, limit_inp, shape).astype(cfg.inp_dtype),
        rng.integers(-limit_wgt, limit_wgt, (channels, shape[1], *kernel)).astype(cfg.wgt_dtype),
        rng.integers(-(1 << 12), 1 << 12, channels).astype(np.int32),
    )


def program_of(op: Operator):
    return compile_func(lower(op.schedule, op.args, op.name), op.cfg)


@settings(max_examples=60)
@given(st.data())
def test_random_shapes(data):
    draw = data.draw
    name = draw(st.sampled_from(sorted(CONFIGURATIONS)))
    cfg = CONFIGURATIONS[name].replace(extension=draw(st.integers(0, 1)))
    kernel = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    stride = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    dilation = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    padding = tuple(draw(st.integers(0, 2)) for _ in range(4))
    most = 2 * cfg.block_in + 1 if cfg.block_in <= 8 else cfg.block_in + 1
    shape = (
        draw(st.integers(1, 3 * cfg.batch)), draw(st.integers(1, most)),
        draw(st.integers(1, 8)), draw(st.integers(1, 8)),
    )  # fmt: skip
    channels = draw(st.integers(1, most))
    shift = draw(st.integers(0, 9))
    low, high = draw(st.sampled_from([(-8, 7), (0, 7), (0, 5), (-3, 7)]))
    try:
        op = conv2d(
            shape, channels, kernel, cfg=cfg, requantise=Requantise(shift, low, high),
            stride=stride, padding=padding, dilation=dilation,
        )  # fmt: skip
    except OperatorError as error:
        fits = all(
            extent <= padded
            for extent, padded in zip(
                ((k - 1) * d + 1 for k, d in zip(kernel, dilation)),
                (shape[2] + padding[0] + padding[2], shape[3] + padding[1] + padding[3]),
            )
        )
        assert not fits or "of the machine" in str(error) or "leaves no room" in str(error)
        assume(False)
    arrays = random_arrays(op, cfg, shape, channels, kernel)
    expected = golden(
        *arrays, stride=stride, padding=padding, dilation=dilation, shift=shift, low=low, high=high
    )
    np.testing.assert_array_equal(op.reference(*arrays), expected)
    program = program_of(op)
    inputs = op.pack(*arrays)
    (tiles,), _ = run_program(program, inputs)
    np.testing.assert_array_equal(op.unpack(tiles), expected)
    check_orders(program, inputs, [tiles])


@pytest.mark.parametrize(
    ("shape", "channels", "kernel", "options"),
    [
        ((1, 9, 10, 10), 10, 3, {"padding": 1}),
        ((1, 8, 9, 9), 8, 1, {"stride": 2}),
        ((1, 3, 11, 11), 4, 3, {"stride": 2, "padding": (1, 0)}),
    ],
)
def test_on_the_rtl(shape, channels, kernel, options):
    op = conv2d(shape, channels, kernel, cfg=TINY, requantise=RELU, **options)
    arrays = random_arrays(op, TINY, shape, channels, (kernel, kernel))
    (tiles,), _ = run_program(program_of(op), op.pack(*arrays), machine=verilated("tiny", "ddr"))
    np.testing.assert_array_equal(op.unpack(tiles), op.reference(*arrays))


@pytest.mark.parametrize("columns_first", [False, True])
@pytest.mark.parametrize("images", [2, 3])
def test_images_of_a_block(images, columns_first):
    """Three images, of which the last block has one or all three."""
    shape, channels = (3, 9, 6, 6), 10
    op = conv2d(shape, channels, 3, cfg=TINY, requantise=RELU, padding=1)
    tiling = replace(
        op.tiling, images=images, outputs=2, rows=2, columns=2, inputs=1, inp_slots=1, wgt_slots=2,
        acc_slots=1, columns_first=columns_first,
    )  # fmt: skip
    op = conv2d(shape, channels, 3, cfg=TINY, requantise=RELU, padding=1, tiling=tiling)
    arrays = random_arrays(op, TINY, shape, channels, (3, 3))
    same = (1, 1)
    want = golden(*arrays, stride=same, padding=(1,) * 4, dilation=same, shift=8, low=0, high=127)
    assert_equal(op, arrays, want)


def test_images_of_a_block_that_do_not_fit():
    shape = (8, 8, 4, 4)
    op = conv2d(shape, 8, 3, cfg=TINY, requantise=RELU, padding=1)
    tiling = replace(op.tiling, images=8, rows=4, columns=4, inp_slots=1, acc_slots=4)
    with pytest.raises(OperatorError, match="entries of the accumulators; the machine has"):
        conv2d(shape, 8, 3, cfg=TINY, requantise=RELU, padding=1, tiling=tiling)
    grouped = conv2d(shape, 8, 3, cfg=TINY, requantise=RELU, padding=1, groups=2)
    tiling = replace(grouped.tiling, images=2, rows=1, columns=1, acc_slots=1, inp_slots=1)
    with pytest.raises(OperatorError, match="a block has 2 batches of images; must be 1"):
        conv2d(shape, 8, 3, cfg=TINY, requantise=RELU, padding=1, groups=2, tiling=tiling)


@pytest.mark.parametrize("size", [7, 14, 28, 56])
def test_layers_of_resnet_18(size):
    """The tiler keeps the memories, needs no more products than there are, and expects overlap."""
    channels = 64 * 56 // size
    op = conv2d((1, channels, size, size), channels, 3, cfg=DEFAULT, requantise=RELU, padding=1)
    program = program_of(op)
    gemms = [insn for insn in program.instructions if type(insn).__name__ == "Gemm"]
    products = sum(insn.operations for insn in gemms if not insn.reset)
    assert products == op.products == 451584
    assert op.tiling.cost.cycles < 1.06 * op.products


class TestBadInput:
    @pytest.mark.parametrize(
        ("arguments", "options", "message"),
        [
            (((1, 4, 8), 4, 3), {}, r"conv2d: shape is \(1, 4, 8\); must be 4 integers"),
            (((1, 4, 8, 0), 4, 3), {}, "conv2d: shape is 0; must be an integer of at least 1"),
            (((1, 4, 8, 8), 0, 3), {}, "conv2d: channels is 0; must be an integer of at least 1"),
            (((1, 4, 8, 8), 4, "3"), {}, "conv2d: kernel is '3'; must be 1 or 2 integers"),
            (((1, 4, 8, 8), 4, 3), {"padding": -1}, "conv2d: padding is -1; must be an integer"),
            (((1, 4, 8, 8), 4, 3), {"padding": (1, 1, 1)}, "must be 1 or 2 or 4 integers"),
            (((1, 4, 8, 8), 4, 3), {"stride": 0}, "conv2d: stride is 0"),
            (((1, 4, 8, 8), 4, 9), {}, "spans 9 rows; the data has 8, with padding 8"),
            (((1, 4, 8, 8), 4, 3), {"requantise": Requantise(3, -200)}, "hold -128 to 127"),
        ],
    )
    def test_arguments(self, arguments, options, message):
        with pytest.raises(OperatorError, match=message):
            conv2d(*arguments, **{"cfg": DEFAULT, "requantise": RELU, **options})

    def test_a_window_that_exceeds_the_input_memory(self):
        with pytest.raises(OperatorError, match=r"2500 tiles.* holds 2048 \(LOG_INP_BUFF_SIZE\)"):
            conv2d((1, 16, 60, 60), 16, 50, cfg=DEFAULT, requantise=RELU)

    def test_requantise(self):
        with pytest.raises(OperatorError, match="shift is 32; must be 0 to 31"):
            Requantise(32)
        with pytest.raises(OperatorError, match="low is 3 and high 2"):
            Requantise(1, 3, 2)

    def test_arrays(self):
        op = conv2d((1, 4, 8, 8), 4, 3, cfg=DEFAULT, requantise=RELU)
        arrays = random_arrays(op, DEFAULT, (1, 4, 8, 8), 4, (3, 3))
        with pytest.raises(OperatorError, match=r"kernel has shape \(4, 4, 8, 8\); must be"):
            op.pack(arrays[0], np.zeros((4, 4, 8, 8), np.int8), arrays[2])


@pytest.mark.parametrize("cfg", [TINY, DEFAULT], ids=["tiny", "default"])
@pytest.mark.parametrize(
    ("inputs", "outputs", "groups", "size", "stride"),
    [(32, 32, 32, 3, 1), (16, 32, 4, 3, 2), (8, 8, 8, 3, 1), (12, 6, 3, 1, 1), (48, 48, 3, 3, 1)],
)
def test_groups(cfg, inputs, outputs, groups, size, stride):
    """Each group is a convolution of its own."""
    shape, pad, requantise = (1, inputs, 9, 9), size // 2, Requantise(5)
    op = conv2d(
        shape, outputs, size, cfg=cfg, requantise=requantise, padding=pad, stride=stride,
        groups=groups,
    )  # fmt: skip
    data, _, bias = random_arrays(op, cfg, shape, outputs, (size, size))
    rng = np.random.default_rng(1)
    kernel = rng.integers(-128, 128, (outputs, inputs // groups, size, size)).astype(np.int8)
    parts = [
        golden(
            *(np.split(array, groups, axis)[group] for array, axis in
              ((data, 1), (kernel, 0), (bias, 0))),
            stride=(stride, stride), padding=(pad,) * 4, dilation=(1, 1), shift=5, low=-128,
            high=127,
        )
        for group in range(groups)
    ]  # fmt: skip
    (tiles,), _ = run_program(program_of(op), op.pack(data, kernel, bias))
    np.testing.assert_array_equal(op.unpack(tiles), np.concatenate(parts, axis=1))


@pytest.mark.parametrize("kernel, stride, groups", [(3, 1, 1), (5, 2, 20), (2, 1, 1)])
def test_padding_that_is_not_zero(kernel, stride, groups):
    """As a convolution of the data that NumPy has padded."""
    rng = np.random.default_rng(kernel)
    data = rng.integers(-128, 128, (1, 20, 9, 8)).astype(np.int8)
    weights = rng.integers(-9, 9, (20, 20 // groups, kernel, kernel)).astype(np.int8)
    bias = rng.integers(-99, 99, 20).astype(np.int32)
    wide = np.pad(data, ((0, 0), (0, 0), (1, 1), (0, 1)), constant_values=-77)
    rule = {"cfg": VTAConfig(), "requantise": Requantise(6), "stride": stride, "groups": groups}
    padded = conv2d(data.shape, 20, kernel, padding=(1, 0, 1, 1), pad_value=-77, **rule)
    plain = conv2d(wide.shape, 20, kernel, **rule)
    assert_equal(padded, [data, weights, bias], plain.reference(wide, weights, bias))


def test_padding_of_a_machine_without_the_extension():
    cfg = VTAConfig().replace(extension=0)
    with pytest.raises(OperatorError, match="pad_value is 3; must be 0 on a machine without"):
        conv2d((1, 16, 4, 4), 16, 3, cfg=cfg, requantise=Requantise(6), padding=1, pad_value=3)
