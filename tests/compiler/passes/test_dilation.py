"""Dilated tensors: zeros first, then the values at a stride; against NumPy."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.compiled import check_orders, run_program
from tests.support.dilation import Dilation
from tests.support.pooling import machine
from vta import te, topi
from vta.compiler.driver import compile_func, run_passes
from vta.compiler.lower.lower import lower
from vta.compiler.target import ACC_SCOPE, Target
from vta.compiler.verify import verify
from vta.errors import LoweringError
from vta.isa import Load, MemId

PAIR = st.tuples(st.integers(0, 2), st.integers(0, 2))


@st.composite
def dilations(draw, how):
    sizes = st.tuples(st.integers(1, 5), st.integers(1, 5))
    strides = st.tuples(st.integers(1, 4), st.integers(1, 4))
    value = 0 if how == "load" else draw(st.sampled_from([0, -3, 70_000]))
    dtype = draw(st.sampled_from(["int8", "int32"]))
    cfg = machine(draw(st.integers(0, 1)))
    return Dilation(cfg, draw(sizes), draw(strides), draw(PAIR), draw(PAIR), how, dtype, value)


@settings(max_examples=60)
@given(case=dilations("load"))
def test_loads(case):
    case.check()


@settings(max_examples=40)
@given(case=dilations("alu"))
def test_stages_of_the_alu(case):
    case.check()


@pytest.mark.parametrize("how", ["load", "alu"])
@settings(max_examples=40)
@given(data=st.data(), factor=st.integers(1, 5), dim=st.integers(0, 1))
def test_blocks(how, data, factor, dim):
    """The phase of a block depends on where it begins."""
    case = data.draw(dilations(how))
    if (case.out.shape[dim] % factor) and factor < case.out.shape[dim]:
        factor = 1  # a load pads whole blocks only
    case.check(case.in_blocks(factor, dim))


def loads(program):
    return [insn for insn in program.instructions
            if isinstance(insn, Load) and insn.memory is MemId.ACC and insn.x_size]  # fmt: skip


def test_rows_with_zeros_between_the_columns_are_two_loads():
    """One for all values but the last with its zeros behind, one for the last."""
    case = Dilation(machine(), (3, 5), (2, 3), (0, 0), (0, 0))
    zeros, *rows = loads(case.program())
    assert (zeros.y_size, zeros.y_pad_0 * zeros.x_size) == (0, 5 * 13)
    assert [(load.y_size, load.x_size, load.x_pad_1) for load in rows] == [(4, 1, 2), (1, 1, 0)] * 3


def test_rows_with_zeros_between_them_are_one_load_each():
    case = Dilation(machine(), (3, 20), (2, 1), (0, 0), (0, 0))
    _, *rows = loads(case.program())
    assert [(load.y_size, load.x_size) for load in rows] == [(1, 20)] * 3


def refused(schedule, args, message):
    with pytest.raises(LoweringError, match=message):
        compile_func(lower(schedule, args), machine())


def test_a_store_cannot_dilate():
    a = te.placeholder((3, 1, 4), "int32", "A")
    copy = te.compute(a.shape, lambda *i: a(*i), "copy")
    narrow = te.compute(a.shape, lambda *i: copy(*i).astype("int8"), "narrow")
    out = topi.nn.dilate(narrow, [2, 1, 1], name="out")
    s = te.create_schedule(out.op)
    s[narrow].compute_inline()
    s[copy].set_scope(ACC_SCOPE)
    for tensor in (copy, out):
        s[tensor].pragma(tensor.op.axis[0], "dma_copy")
    refused(s, [a, out], r"stage out, dma_copy at axis i0: a store to DRAM cannot insert zeros; "
            r"the tensor with zeros must be a stage of the vector ALU \(env.alu\) in "
            r"local.acc_buffer, which is then stored")  # fmt: skip


def test_a_split_of_the_dilated_axis_is_refused():
    case = Dilation(machine(), (5, 2), (2, 1), (0, 0), (0, 0))
    case.s[case.wide].pragmas.clear()
    outer, _ = case.s[case.wide].split(case.wide.op.axis[0], factor=3)
    case.s[case.wide].pragma(outer, "dma_copy")
    with pytest.raises(
        LoweringError,
        match=r"the condition `\(i0_outer \* 3 \+ i0_inner\) % 2 == 0` must use one loop of "
        r"the stage; the dilated axis must not be split, fused or scaled",
    ):
        case.program()


def test_numbers_between_the_values_need_the_alu():
    a = te.placeholder((3, 1, 4), "int32", "A")
    wide = topi.nn.dilate(a, [2, 1, 1], 200, name="wide")
    out = te.compute(wide.shape, lambda *i: wide(*i).astype("int8"), "out")
    s = te.create_schedule(out.op)
    s[wide].set_scope(ACC_SCOPE)
    for tensor in (wide, out):
        s[tensor].pragma(tensor.op.axis[0], "dma_copy")
    message = r"stage wide, dma_copy at axis i0: pads with `200`; a transfer pads with 0 only, or "
    refused(s, [a, out], message + r"with the (.*) Other numbers need a stage of")


def test_int8_between_the_values():
    """With the instruction set extension a load writes them."""
    a = te.placeholder((3, 1, 4), "int32", "A")
    wide = topi.nn.dilate(a, [2, 1, 1], -7, name="wide")
    out = te.compute(wide.shape, lambda *i: wide(*i).astype("int8"), "out")
    s = te.create_schedule(out.op)
    s[wide].set_scope(ACC_SCOPE)
    for tensor in (wide, out):
        s[tensor].pragma(tensor.op.axis[0], "dma_copy")
    values = np.arange(12, dtype=np.int32).reshape(3, 1, 4)
    (result,), _ = run_program(compile_func(lower(s, [a, out]), machine()), [values])
    expected = np.full((5, 1, 4), -7, np.int8)
    expected[::2] = values
    np.testing.assert_array_equal(result, expected)


def test_a_copy_of_zeros_alone():
    """All that is read is padding; the argument is not read at all."""
    a = te.placeholder((3, 1, 4), "int32", "A")
    padded = topi.nn.pad(a, [4, 0, 0], name="padded")
    out = te.compute((4, 1, 4), lambda i, b, c: padded(i, b, c).astype("int8"), "out")
    s = te.create_schedule(out.op)
    s[padded].set_scope(ACC_SCOPE)
    s[padded].compute_at(s[out], out.op.axis[0])
    for tensor, axis in ((padded, padded.op.axis[0]), (out, out.op.axis[1])):
        s[tensor].pragma(axis, "dma_copy")
    program = compile_func(lower(s, [a, out]), machine())
    check_orders(program, [np.ones((3, 1, 4), np.int32)], [np.zeros((4, 1, 4), np.int8)])


@settings(max_examples=25)
@given(
    kind=st.sampled_from(["sum", "max"]),
    size=st.integers(1, 5),
    stride=st.integers(1, 3),
    taps=st.integers(1, 4),
    weighted=st.booleans(),
    reduction_first=st.booleans(),
)
@example(kind="sum", size=3, stride=2, taps=3, weighted=True, reduction_first=False)
def test_windows_of_a_dilated_tensor(kind, size, stride, taps, weighted, reduction_first):
    """Inlined into a reduction on the ALU: the remainder is of a sum of two of its loops."""
    a = te.placeholder((size, 1, 4), "int32", "A")
    copy = te.compute(a.shape, lambda *i: a(*i), "copy")
    wide = topi.nn.dilate(copy, [stride, 1, 1], name="wide")
    wide = topi.nn.pad(wide, [taps - 1, 0, 0], name="frame")
    k = te.reduce_axis((0, taps), "k")
    weights = te.placeholder((taps, 1, 4), "int32", "W")
    chip = te.compute(weights.shape, lambda *i: weights(*i), "chip")
    reduce = te.sum if kind == "sum" else te.max

    def window(i, b, c):
        value = wide[i + k, b, c]
        return reduce(value * chip[k, b, c] if weighted else value, axis=k)

    total = te.compute((wide.shape[0] - taps + 1, 1, 4), window, "total")
    out = te.compute(total.shape, lambda *i: total(*i).astype("int8"), "out")
    s = te.create_schedule(out.op)
    for stage in s.stages:
        if stage.name in ("wide", "frame"):
            stage.compute_inline()
    for tensor, key in ((copy, "dma_copy"), (chip, "dma_copy"), (total, "alu"), (out, "dma_copy")):
        if tensor is chip and not weighted:
            continue
        if tensor is not out:
            s[tensor].set_scope(ACC_SCOPE)
        axis = s[tensor].op.axis[0]
        if tensor is total and reduction_first:
            s[total].reorder(k, axis)
            axis = k
        s[tensor].pragma(axis, key)
    args = [a, *([weights] if weighted else []), out]
    func = lower(s, args)
    cfg = machine()
    run_passes(func, Target.from_config(cfg), observe=verify)
    rng = np.random.default_rng(1)
    x, w = (rng.integers(-9, 10, t.shape).astype(np.int32) for t in (a, weights))
    apart = np.zeros(((size - 1) * stride + 1 + 2 * (taps - 1), 1, 4), np.int64)
    apart[taps - 1 : apart.shape[0] - taps + 1 : stride] = x
    windows = np.lib.stride_tricks.sliding_window_view(apart, taps, axis=0)
    windows = windows * w.transpose(1, 2, 0) if weighted else windows
    expected = windows.sum(-1) if kind == "sum" else windows.max(-1)
    check_orders(compile_func(func, cfg), [x, w][: 1 + weighted], [expected.astype(np.int8)])
