"""Lowered loop nests compute what NumPy computes, however they are scheduled."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.interpret import run_nest
from tests.support.numpy_golden import convolution, matrix_product
from tests.support.workloads import (
    conv2d,
    matmul,
    schedule_conv2d,
    schedule_matmul,
    schedule_vadd,
    vadd,
)
from vta import te, topi
from vta.compiler.lower.lower import lower
from vta.compiler.target import Target
from vta.config import VTAConfig
from vta.errors import LoweringError

BUFFERS = {"log_inp_buff_size": 10, "log_wgt_buff_size": 10, "log_acc_buff_size": 12}
TINY = Target.from_config(VTAConfig(log_block=2, **BUFFERS))
WIDE = Target.from_config(VTAConfig(log_block=2, log_batch=1, **BUFFERS))


def random_int8(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.integers(-128, 128, shape).astype(np.int8)


# ---- the tutorials, small ------------------------------------------------------------------------


def test_vector_add() -> None:
    ops = vadd(m=5, block=4)
    rng = np.random.default_rng(0)
    a, b = (rng.integers(-(2**31), 2**31, (1, 5, 1, 4)).astype(np.int32) for _ in "ab")
    (c,) = run_nest(lower(schedule_vadd(ops), ops.args), [a, b])
    np.testing.assert_array_equal(c, (a + b).astype(np.int8))


@pytest.mark.parametrize("upto", ["default", "blocked", "all"])
def test_blocked_matmul(upto: str) -> None:
    ops = matmul(o=2, n=4, m=4, block=4)
    s = schedule_matmul(ops, TINY, i_block=2, o_block=2, upto=upto)
    rng = np.random.default_rng(1)
    data, weight = random_int8(rng, 2, 4, 1, 4), random_int8(rng, 4, 4, 4, 4)
    (res,) = run_nest(lower(s, ops.args), [data, weight])
    np.testing.assert_array_equal(res, matrix_product(data, weight))


@pytest.mark.parametrize("upto", ["default", "blocked", "all"])
@pytest.mark.parametrize("stride", [(1, 1), (2, 1)])
def test_convolution(upto: str, stride: tuple[int, int]) -> None:
    ops = conv2d(ic=2, oc=4, height=6, width=4, stride=stride, block=4)
    s = schedule_conv2d(ops, TINY, oc_block=1, h_block=3, w_block=4, upto=upto)
    rng = np.random.default_rng(2)
    data, kernel = random_int8(rng, 1, 2, 6, 4, 1, 4), random_int8(rng, 4, 2, 3, 3, 4, 4)
    (res,) = run_nest(lower(s, ops.args), [data, kernel])
    np.testing.assert_array_equal(res, convolution(data, kernel, (1, 1), stride))


def test_reduction_inside_the_tile_is_reset_first() -> None:
    """When the tile holds the whole reduction, the instruction accumulates on a fresh zero."""
    ops = matmul(o=1, n=1, m=3, batch=2, block=4)
    s = te.create_schedule(ops.res.op)
    s[ops.data_buf].set_scope("local.inp_buffer")
    s[ops.weight_buf].set_scope("local.wgt_buffer")
    s[ops.gem].set_scope("local.acc_buffer")
    bo, co, bi, ci = s[ops.gem].op.axis
    s[ops.gem].reorder(bo, co, ops.ic, bi, ci, ops.ic_tns)
    s[ops.gem].tensorize(bi, WIDE.gemm)
    rng = np.random.default_rng(3)
    data, weight = random_int8(rng, 1, 1, 2, 4), random_int8(rng, 3, 1, 4, 4)
    (res,) = run_nest(lower(s, ops.args), [data, weight])
    np.testing.assert_array_equal(res, matrix_product(data, weight))


# ---- random schedules ----------------------------------------------------------------------------


def shuffle_loops(draw: st.DrawFn, stage: te.Stage, rounds: int) -> None:
    """Random splits, fusions and an order."""
    for _ in range(rounds):
        axis = draw(st.sampled_from(stage.leaves))
        match draw(st.sampled_from(["factor", "nparts", "fuse", "none"])):
            case "factor":
                stage.split(axis, factor=draw(st.integers(1, 5)))
            case "nparts":
                stage.split(axis, nparts=draw(st.integers(1, 5)))
            case "fuse":
                where = stage.leaves.index(axis)
                if where + 1 < len(stage.leaves) and stage.leaves[where + 1].kind == axis.kind:
                    stage.fuse(axis, stage.leaves[where + 1])
    stage.reorder(*draw(st.permutations(stage.leaves)))


def place_producers(draw: st.DrawFn, s: te.Schedule) -> None:
    """Each stage at the root or in a loop of its last consumer, if all that read it are there."""
    for stage in reversed(s.stages):
        consumers = s.consumers(stage)
        if not stage.is_compute or stage.is_output or not draw(st.booleans()):
            continue
        if len(consumers) == 1:
            stage.compute_at(consumers[0], draw(st.sampled_from(consumers[0].leaves)))
        else:
            stage.compute_inline()


@st.composite
def scheduled(draw: st.DrawFn, kind: str) -> tuple[te.Schedule, list[te.Tensor]]:
    if kind == "vadd":
        ops = vadd(m=draw(st.integers(1, 7)), block=draw(st.sampled_from([2, 3])))
        s = te.create_schedule(ops.C.op)
    elif kind == "matmul":
        o, n, m = (draw(st.integers(1, 4)) for _ in range(3))
        ops = matmul(o=o, n=n, m=m, block=2)
        s = te.create_schedule(ops.res.op)
    else:
        kernel = (draw(st.integers(1, 3)), draw(st.integers(1, 2)))
        pad = (draw(st.integers(0, kernel[0] - 1)), draw(st.integers(0, 1)))
        stride = (draw(st.integers(1, 2)), draw(st.integers(1, 2)))
        ops = conv2d(
            ic=draw(st.integers(1, 2)), oc=draw(st.integers(1, 3)), height=draw(st.integers(3, 5)),
            width=draw(st.integers(3, 4)), kernel=kernel, pad=pad, stride=stride, block=2,
        )  # fmt: skip
        s = te.create_schedule(ops.res.op)
        s.pad, s.stride = pad, stride
    for stage in s.stages:
        if stage.is_compute:
            shuffle_loops(draw, stage, draw(st.integers(0, 3)))
    place_producers(draw, s)
    return s, ops.args


def check(s: te.Schedule, args: list[te.Tensor], expected: np.ndarray, *arrays: np.ndarray) -> None:
    func = lower(s, args)
    (result,) = run_nest(func, arrays)
    np.testing.assert_array_equal(result, expected, err_msg=f"{func}\n{s.log}")
    again = te.create_schedule(args[-1].op).replay(s.log)
    assert str(lower(again, args)) == str(func)


@settings(max_examples=60)
@given(case=scheduled("vadd"), seed=st.integers(0, 99))
def test_random_schedules_of_vector_add(case: tuple, seed: int) -> None:
    s, args = case
    rng = np.random.default_rng(seed)
    a, b = (rng.integers(-(2**31), 2**31, args[0].shape).astype(np.int32) for _ in "ab")
    check(s, args, (a + b).astype(np.int8), a, b)


@settings(max_examples=60)
@given(case=scheduled("matmul"), seed=st.integers(0, 99))
def test_random_schedules_of_matmul(case: tuple, seed: int) -> None:
    s, args = case
    rng = np.random.default_rng(seed)
    data, weight = (random_int8(rng, *tensor.shape) for tensor in args[:2])
    check(s, args, matrix_product(data, weight), data, weight)


@settings(max_examples=60)
@given(case=scheduled("conv2d"), seed=st.integers(0, 99))
def test_random_schedules_of_convolution(case: tuple, seed: int) -> None:
    s, args = case
    rng = np.random.default_rng(seed)
    data, kernel = (random_int8(rng, *tensor.shape) for tensor in args[:2])
    check(s, args, convolution(data, kernel, s.pad, s.stride), data, kernel)


@st.composite
def stencil(draw: st.DrawFn) -> tuple[te.Schedule, list[te.Tensor], list[tuple[int, ...]]]:
    """``out[i, j] = sum of mid[step_i * i + a, step_j * j + b]`` over random offsets."""
    rows, columns = draw(st.integers(1, 9)), draw(st.integers(1, 6))
    step = (draw(st.integers(1, 3)), draw(st.integers(1, 2)))
    offset = st.tuples(st.integers(0, 4), st.integers(0, 3))
    offsets = draw(st.lists(offset, min_size=1, max_size=3))
    shape = (step[0] * (rows - 1) + 5, step[1] * (columns - 1) + 4)
    a = te.placeholder(shape, "int32", "A")
    mid = te.compute(shape, lambda i, j: a[i, j] * 3, "mid")

    def total(i: te.IterVar, j: te.IterVar) -> te.Var:
        reads = [mid[i * step[0] + di, j * step[1] + dj] for di, dj in offsets]
        return sum(reads[1:], reads[0])

    out = te.compute((rows, columns), total, "out")
    s = te.create_schedule(out.op)
    shuffle_loops(draw, s[mid], draw(st.integers(0, 3)))
    shuffle_loops(draw, s[out], draw(st.integers(0, 5)))
    s[mid].compute_at(s[out], draw(st.sampled_from(s[out].leaves)))
    return s, [a, out], [(*step, di, dj) for di, dj in offsets]


@settings(max_examples=150)
@given(case=stencil())
def test_random_regions(case: tuple) -> None:
    s, args, reads = case
    array = np.random.default_rng(4).integers(-100, 100, args[0].shape).astype(np.int32)
    rows, columns = args[1].shape
    expected = sum(
        3 * array[di : di + step_i * rows : step_i, dj : dj + step_j * columns : step_j]
        [:rows, :columns] for step_i, step_j, di, dj in reads
    )  # fmt: skip
    check(s, args, expected, array)


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_reduction_split_unevenly(factor: int) -> None:
    a = te.placeholder((3, 7), "int32", "A")
    k = te.reduce_axis((0, 7), "k")
    b = te.compute((3,), lambda i: te.sum(a[i, k], axis=k), "B")
    s = te.create_schedule(b.op)
    outer, inner = s[b].split(k, factor=factor)
    s[b].reorder(outer, b.op.axis[0], inner)
    array = np.arange(21, dtype=np.int32).reshape(3, 7)
    check(s, [a, b], array.sum(axis=1), array)


# ---- copies, several outputs, inlining -----------------------------------------------------------


def test_cache_read_and_write() -> None:
    a = te.placeholder((6, 4), "int32", "A")
    b = te.compute(a.shape, lambda i, j: a[i, j] * 3 + a[5 - i, j], "B")
    s = te.create_schedule(b.op)
    a_acc = s.cache_read(a, "local.acc_buffer", [b])
    b_acc = s.cache_write(b, "local.acc_buffer")
    outer, _ = s[b].split(s[b].op.axis[0], factor=2)
    s[b_acc].compute_at(s[b], outer)
    s[a_acc].compute_at(s[b_acc], s[b_acc].op.axis[1])
    array = np.arange(24, dtype=np.int32).reshape(6, 4)
    check(s, [a, b], array * 3 + array[::-1], array)


def test_cache_write_moves_the_reduction() -> None:
    ops = matmul(o=1, n=2, m=3, block=2)
    s = te.create_schedule(ops.gem.op)
    acc = s.cache_write(ops.gem, "local.acc_buffer")
    assert s[ops.gem].op.reduce_axis == ()
    assert s[acc].op.reduce_axis == (ops.ic, ops.ic_tns)
    s[acc].compute_at(s[ops.gem], s[ops.gem].op.axis[1])
    rng = np.random.default_rng(5)
    data, weight = random_int8(rng, 1, 2, 1, 2), random_int8(rng, 3, 2, 2, 2)
    expected = np.einsum("onbk,mnck->ombc", data.astype(np.int32), weight.astype(np.int32))
    check(s, [ops.data, ops.weight, ops.gem], expected, data, weight)


def test_max_reduction_starts_from_the_lowest_value() -> None:
    a = te.placeholder((3, 5), "int8", "A")
    k = te.reduce_axis((1, 5), "k")
    b = te.compute((3,), lambda i: te.max(a[i, k], axis=k), "B")
    s = te.create_schedule(b.op)
    array = np.full((3, 5), -128, np.int8)
    array[1, 0] = 7  # outside the reduction, which begins at 1
    array[2, 3] = -5
    check(s, [a, b], np.array([-128, -128, -5], np.int8), array)


def test_two_outputs_and_an_inlined_stage() -> None:
    a = te.placeholder((5,), "int32", "A")
    shifted = te.compute(a.shape, lambda i: a[i] << 2, "shifted")
    low = te.compute(a.shape, lambda i: te.min(shifted[i], 9), "low")
    high = te.compute(a.shape, lambda i: te.max(shifted[i], low[i] + 1), "high")
    s = te.create_schedule([low.op, high.op])
    s[shifted].compute_inline()
    array = np.array([-3, 0, 1, 2, 3], np.int32)
    func = lower(s, [high, a, low])
    assert "shifted" not in str(func)
    got_high, got_low = run_nest(func, [array])
    np.testing.assert_array_equal(got_low, [-12, 0, 4, 8, 9])
    np.testing.assert_array_equal(got_high, [-11, 1, 5, 9, 12])


def test_padding_of_a_computed_tensor() -> None:
    """The producer computes only elements of its tensor, although reads reach beyond it."""
    a = te.placeholder((7,), "int32", "A")
    double = te.compute(a.shape, lambda i: a[i] + a[i], "double")
    padded = topi.nn.pad(double, [2], [3], pad_value=-1, name="padded")
    s = te.create_schedule(padded.op)
    outer, _ = s[padded].split(padded.op.axis[0], factor=5)
    s[double].compute_at(s[padded], outer)
    array = np.arange(1, 8, dtype=np.int32)
    check(s, [a, padded], np.pad(array * 2, (2, 3), constant_values=-1), array)


def test_dilation() -> None:
    a = te.placeholder((3, 2), "int8", "A")
    wide = topi.nn.dilate(a, [2, 3], name="wide")
    expected = np.zeros((5, 4), np.int8)
    expected[::2, ::3] = array = np.arange(1, 7, dtype=np.int8).reshape(3, 2)
    check(te.create_schedule(wide.op), [a, wide], expected, array)


def test_unroll_and_threads_keep_the_result() -> None:
    ops = vadd(m=6, block=2)
    s = te.create_schedule(ops.C.op)
    outer, inner = s[ops.C].split(ops.C.op.axis[1], nparts=2)
    s[ops.C].bind(outer, te.thread_axis("cthread"))
    s[ops.C].unroll(inner)
    s[ops.C_buf].compute_at(s[ops.C], outer)
    func = lower(s, ops.args)
    assert "in cthread(2)" in str(func) and "in unroll(3)" in str(func)
    a = np.arange(12, dtype=np.int32).reshape(1, 6, 1, 2)
    check(s, ops.args, (a + 1).astype(np.int8), a, np.ones_like(a))


# ---- errors --------------------------------------------------------------------------------------


def test_arguments_are_checked() -> None:
    ops = vadd(m=2)
    s = te.create_schedule(ops.C.op)
    with pytest.raises(LoweringError, match="args are A, C; the argument B is missing"):
        lower(s, [ops.A, ops.C])
    with pytest.raises(LoweringError, match="the output C is missing"):
        lower(s, [ops.A, ops.B])
    with pytest.raises(LoweringError, match="A is named twice"):
        lower(s, [ops.A, ops.A, ops.B, ops.C])
    with pytest.raises(LoweringError, match="C_buf is computed on the way"):
        lower(s, [ops.A, ops.B, ops.C_buf, ops.C])
    with pytest.raises(LoweringError, match="`7` is not a tensor"):
        lower(s, [ops.A, ops.B, 7, ops.C])


def test_a_reader_outside_the_loop() -> None:
    a = te.placeholder((4,), "int32", "A")
    b = te.compute(a.shape, lambda i: a[i] + 1, "B")
    c = te.compute(a.shape, lambda i: b[i] + 1, "C")
    d = te.compute(a.shape, lambda i: b[i] + c[i], "D")
    s = te.create_schedule(d.op)
    s[b].compute_at(s[d], d.op.axis[0])
    with pytest.raises(LoweringError, match=r"B is computed at i of stage D, but stage C, which"):
        lower(s, [a, d])
    s[c].compute_at(s[d], d.op.axis[0])
    array = np.arange(4, dtype=np.int32)
    check(s, [a, d], 2 * array + 3, array)


def test_requests_on_an_inlined_stage() -> None:
    ops = vadd(m=2)
    s = te.create_schedule(ops.C.op)
    s[ops.C_buf].compute_inline()
    s[ops.C_buf].set_scope("local.acc_buffer")
    with pytest.raises(LoweringError, match=r"C_buf is inlined.*scope local.acc_buffer"):
        lower(s, ops.args)
