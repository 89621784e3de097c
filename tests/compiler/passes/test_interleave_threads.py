"""Virtual threads that do not divide the iterations: interleaved, with a shorter last iteration."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.compiled import check_orders
from tests.support.numpy_golden import matrix_product
from tests.support.workloads import conv2d, matmul
from vta import te
from vta.compat import conv2d_nchw_python
from vta.compiler.driver import compile_func, run_passes
from vta.compiler.lower.lower import lower
from vta.compiler.target import ACC_SCOPE, INP_SCOPE, WGT_SCOPE, Target
from vta.compiler.tir.ir import CoprocScope, For
from vta.compiler.tir.visitor import walk
from vta.compiler.verify import verify
from vta.config import VTAConfig

CFG = VTAConfig.preset("tiny").replace(log_acc_buff_size=13, log_inp_buff_size=11)
TARGET = Target.from_config(CFG)


def place(s, ops, total, data, weight, at):
    for tensor, scope in ((data, INP_SCOPE), (weight, WGT_SCOPE)):
        s[tensor].set_scope(scope)
        s[tensor].compute_at(s[total], at)
        s[tensor].pragma(tensor.op.axis[0], "dma_copy")
    for tensor in (total, ops.shr, ops.max, ops.min):
        s[tensor].set_scope(ACC_SCOPE)
    for tensor in (ops.shr, ops.max, ops.min):
        s[tensor].pragma(tensor.op.axis[0], "alu")
    s[ops.res].pragma(ops.res.op.axis[-2], "dma_copy")


def threads_over(stage, axis, threads, inner):
    """Split ``axis``: the inner or the outer loop has ``threads`` iterations, the threads."""
    if inner:
        rounds, thread = stage.split(axis, factor=threads)
    else:
        thread, rounds = stage.split(axis, nparts=threads)
    stage.bind(thread, te.thread_axis("cthread"))
    return thread, rounds


def rows_of_convolutions(rows, h_block, threads, inner, oc=2, oc_block=1):
    """A convolution of ``rows`` rows; blocks of them, and of channels, are dealt to threads."""
    ops = conv2d(1, 2, oc, rows, 3, (3, 1), (1, 0), (1, 1), 1, 4)
    s = te.create_schedule(ops.res.op)
    res, conv = s[ops.res], s[ops.conv]
    b, c, y, x, bi, ci = res.op.axis
    y_outer, y_inner = res.split(y, factor=h_block)
    thread, rounds = threads_over(res, y_outer, threads, inner)
    c_outer, c_inner = res.split(c, factor=oc_block)
    res.reorder(thread, b, rounds, c_outer, c_inner, y_inner, x, bi, ci)
    for tensor in (ops.conv, ops.shr, ops.max, ops.min):
        s[tensor].compute_at(res, c_outer)
    b, c, y, x, bi, ci = conv.op.axis
    conv.reorder(ops.ic, b, c, y, ops.dy, ops.dx, x, bi, ci, ops.ic_tns)
    place(s, ops, ops.conv, ops.data_buf, ops.kernel_buf, ops.ic)
    conv.tensorize(bi, TARGET.gemm)
    return s, ops


def steps_of_threads(func):
    """How many scopes each loop of a thread holds once threads take turns."""
    threads = {node.var.name for node in walk(func.body)
               if isinstance(node, For) and node.kind == "cthread"}  # fmt: skip
    assert threads
    expanded = run_passes(func, TARGET, "interleave_threads", observe=verify)
    return [
        sum(isinstance(inner, CoprocScope) for inner in walk(node))
        for node in walk(expanded.body)
        if isinstance(node, For) and node.var.name in threads
    ]


@pytest.mark.parametrize("inner", [False, True])
@pytest.mark.parametrize("threads", [2, 3, 4])
def test_threads_with_a_remainder_are_interleaved(threads, inner):
    s, ops = rows_of_convolutions(14, 2, threads, inner)
    assert max(steps_of_threads(lower(s, ops.args))) == 1


@settings(max_examples=25)
@given(
    rows=st.integers(2, 12),
    h_block=st.integers(1, 4),
    threads=st.integers(2, 4),
    inner=st.booleans(),
    oc=st.integers(1, 3),
    oc_block=st.integers(1, 2),
)
def test_convolutions_with_remainders(rows, h_block, threads, inner, oc, oc_block):
    """Rests in the blocks, in the rows of the last block and in the channels."""
    s, ops = rows_of_convolutions(rows, h_block, threads, inner, oc, min(oc_block, oc))
    func = lower(s, ops.args)
    run_passes(func, TARGET, observe=verify)
    rng = np.random.default_rng(0)
    x, w = (rng.integers(-128, 128, t.shape).astype(np.int8) for t in ops.args[:2])
    plain_x = x.transpose(0, 4, 1, 5, 2, 3).reshape(1, 8, rows, 3)
    plain_w = w.transpose(0, 4, 1, 5, 2, 3).reshape(oc * 4, 8, 3, 1)
    sums = conv2d_nchw_python(plain_x.astype(np.int32), plain_w.astype(np.int32), 1, (1, 0))
    expected = np.clip(sums >> 8, 0, 127).astype(np.int8).reshape(1, oc, 1, 4, rows, 3)
    expected = np.ascontiguousarray(expected.transpose(0, 1, 4, 5, 2, 3))
    counters = check_orders(compile_func(func, CFG), [x, w], [expected])
    assert counters.gemm_counter == 2 * oc * rows * 3 * 3


@settings(max_examples=25)
@given(data=st.data())
def test_two_loops_of_threads_with_remainders(data):
    """Threads inside threads, none of which divides its iterations."""
    draw = data.draw
    o, n, m = draw(st.integers(1, 5)), draw(st.integers(1, 3)), draw(st.integers(1, 5))
    ops = matmul(o, n, m, 1, 4)
    s = te.create_schedule(ops.res.op)
    res = s[ops.res]
    b, c, bi, ci = res.op.axis
    one, b_rounds = threads_over(res, b, draw(st.integers(2, 3)), draw(st.booleans()))
    two, c_rounds = threads_over(res, c, draw(st.integers(2, 3)), draw(st.booleans()))
    order = draw(st.permutations([one, two, b_rounds, c_rounds]))
    res.reorder(*order, bi, ci)
    for tensor in (ops.gem, ops.shr, ops.max, ops.min):
        s[tensor].compute_at(res, order[-1])
    s[ops.gem].reorder(ops.ic, *ops.gem.op.axis, ops.ic_tns)
    place(s, ops, ops.gem, ops.data_buf, ops.weight_buf, ops.ic)
    s[ops.gem].tensorize(ops.gem.op.axis[2], TARGET.gemm)
    func = lower(s, ops.args)
    run_passes(func, TARGET, observe=verify)
    rng = np.random.default_rng(1)
    inputs = [rng.integers(-128, 128, t.shape).astype(np.int8) for t in ops.args[:2]]
    check_orders(compile_func(func, CFG), inputs, [matrix_product(*inputs)])
