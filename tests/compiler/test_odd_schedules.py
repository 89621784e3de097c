"""Schedules that are legal and unusual: fused loops around stages and in them, threads that fill
parts of one buffer, threads around a reduction.
"""

import numpy as np
import pytest

from tests.support.compiled import check_orders
from tests.support.numpy_golden import matrix_product
from tests.support.workloads import matmul
from vta import te
from vta.compiler.driver import compile_func, run_passes
from vta.compiler.lower.lower import lower
from vta.compiler.target import ACC_SCOPE, INP_SCOPE, WGT_SCOPE, Target
from vta.compiler.verify import verify
from vta.config import VTAConfig
from vta.errors import LoweringError

CFG = VTAConfig.preset("tiny")
TARGET = Target.from_config(CFG)


class Clip:
    """``C = int8(max(A, 3))`` over ``rows`` by ``columns`` tiles, everything in the accumulator
    memory, and nothing else decided.
    """

    def __init__(self, rows, columns):
        shape = (rows, columns, 1, 4)
        self.a = te.placeholder(shape, "int32", "A")
        self.copy = te.compute(shape, lambda *i: self.a(*i), "copy")
        self.clip = te.compute(shape, lambda *i: te.max(self.copy(*i), 3), "clip")
        self.c = te.compute(shape, lambda *i: self.clip(*i).astype("int8"), "C")
        self.s = te.create_schedule(self.c.op)
        for tensor in (self.copy, self.clip):
            self.s[tensor].set_scope(ACC_SCOPE)

    def finish(self, copy=None, clip=None, store=None):
        """Pragmas at these axes, by default at the first one; then compile, run, compare."""
        tensors = ((self.copy, copy, "dma_copy"), (self.clip, clip, "alu"))
        for tensor, axis, key in (*tensors, (self.c, store, "dma_copy")):
            self.s[tensor].pragma(tensor.op.axis[0] if axis is None else axis, key)
        data = np.random.default_rng(0).integers(-50, 50, self.a.shape).astype(np.int32)
        check(self.s, [self.a, self.c], [data], np.maximum(data, 3).astype(np.int8))


def check(schedule, args, inputs, expected):
    func = lower(schedule, args)
    run_passes(func, TARGET, observe=verify)
    check_orders(compile_func(func, CFG), inputs, [expected])


@pytest.mark.parametrize("factor", [1, 2, 3, 4, 5, 8, 16])
@pytest.mark.parametrize("load", ["root", "inside"])
def test_stages_inside_a_fused_loop(factor, load):
    """Blocks of parts of rows, of whole rows, and across rows of four tiles."""
    case = Clip(4, 4)
    fused = case.s[case.c].fuse(*case.c.op.axis[:2])
    outer, inner = case.s[case.c].split(fused, factor=factor)
    case.s[case.clip].compute_at(case.s[case.c], outer)
    if load == "inside":
        case.s[case.copy].compute_at(case.s[case.c], outer)
    case.finish(store=inner)


def test_an_order_that_no_transfer_has_is_refused():
    """The store runs over columns of a tensor in rows, in blocks that are not columns."""
    a = te.placeholder((4, 3, 1, 4), "int32", "A")
    copy = te.compute(a.shape, lambda *i: a(*i), "copy")
    c = te.compute((12, 1, 4), lambda i, b, n: copy(i % 4, i // 4, b, n).astype("int8"), "C")
    s = te.create_schedule(c.op)
    s[copy].set_scope(ACC_SCOPE)
    s[copy].pragma(copy.op.axis[0], "dma_copy")
    _, inner = s[c].split(c.op.axis[0], factor=3)
    s[c].pragma(inner, "dma_copy")
    with pytest.raises(
        LoweringError, match=r"stage C, dma_copy at axis i_inner: .* must be affine"
    ):
        compile_func(lower(s, [a, c]), CFG)


@pytest.mark.parametrize("factor", [3, 5, 12])
def test_vector_arithmetic_over_a_fused_loop_with_a_rest(factor):
    case = Clip(3, 4)
    fused = case.s[case.clip].fuse(*case.clip.op.axis[:2])
    outer, _ = case.s[case.clip].split(fused, factor=factor)
    case.finish(clip=outer)


@pytest.mark.parametrize("stages", [("clip",), ("copy", "c"), ("copy", "clip", "c")])
def test_threads_fill_parts_of_one_buffer(stages):
    case = Clip(4, 3)
    where = dict.fromkeys(("copy", "clip", "c"))
    for name in stages:
        tensor = getattr(case, name)
        case.s[tensor].bind(tensor.op.axis[0], te.thread_axis("cthread"))
        where[name] = tensor.op.axis[1]
    case.finish(where["copy"], where["clip"], where["c"])


@pytest.mark.parametrize("threads", [2, 3, 4])
def test_threads_with_a_rest(threads):
    case = Clip(5, 3)
    thread, inner = case.s[case.clip].split(case.clip.op.axis[0], nparts=threads)
    case.s[case.clip].bind(thread, te.thread_axis("cthread"))
    case.finish(clip=inner)


def test_threads_outside_of_a_reduction_share_the_accumulator_memory():
    ops = matmul(2, 3, 4, 1, 4)
    s = te.create_schedule(ops.res.op)
    chain = (ops.shr, ops.max, ops.min)
    for tensor in (ops.gem, *chain):
        s[tensor].set_scope(ACC_SCOPE)
    bo, co, bi, ci = ops.gem.op.axis
    s[ops.gem].reorder(co, ops.ic, bo, bi, ci, ops.ic_tns)
    s[ops.gem].bind(co, te.thread_axis("cthread"))
    s[ops.gem].tensorize(bi, TARGET.gemm)
    for tensor, scope in ((ops.data_buf, INP_SCOPE), (ops.weight_buf, WGT_SCOPE)):
        s[tensor].set_scope(scope)
        s[tensor].compute_at(s[ops.gem], co)
        s[tensor].pragma(tensor.op.axis[0], "dma_copy")
    for tensor in chain:
        s[tensor].pragma(tensor.op.axis[0], "alu")
    s[ops.res].pragma(ops.res.op.axis[0], "dma_copy")
    rng = np.random.default_rng(1)
    inputs = [rng.integers(-128, 128, t.shape).astype(np.int8) for t in ops.args[:2]]
    check(s, ops.args, inputs, matrix_product(*inputs))
