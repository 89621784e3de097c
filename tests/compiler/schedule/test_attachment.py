"""Loops that are changed after another stage was computed at them: the stage moves along."""

import numpy as np
import pytest

from tests.support.compiled import check_orders
from vta import te
from vta.compiler.driver import compile_func, run_passes
from vta.compiler.lower.lower import lower
from vta.compiler.target import ACC_SCOPE, Target
from vta.compiler.verify import verify
from vta.config import VTAConfig

CFG = VTAConfig.preset("tiny")
SHAPE = (6, 4, 1, 4)


class Case:
    """``C = int8(A + 1)`` with both stages on chip computed at the second loop of ``C``."""

    def __init__(self, at=1):
        self.a = te.placeholder(SHAPE, "int32", "A")
        self.copy = te.compute(SHAPE, lambda *i: self.a(*i), "copy")
        self.plus = te.compute(SHAPE, lambda *i: self.copy(*i) + 1, "plus")
        self.c = te.compute(SHAPE, lambda *i: self.plus(*i).astype("int8"), "C")
        self.s = te.create_schedule(self.c.op)
        self.axes = self.c.op.axis
        self.attach(self.axes[at])

    def attach(self, axis):
        for tensor, key in ((self.copy, "dma_copy"), (self.plus, "alu")):
            if self.s[tensor].attach.kind == "root":
                self.s[tensor].set_scope(ACC_SCOPE)
                self.s[tensor].pragma(tensor.op.axis[0], key)
            self.s[tensor].compute_at(self.s[self.c], axis)

    def text(self):
        return str(lower(self.s, [self.a, self.c]))

    def run(self):
        self.s[self.c].pragma(self.axes[2], "dma_copy")
        func = lower(self.s, [self.a, self.c])
        run_passes(func, Target.from_config(CFG), observe=verify)
        data = np.random.default_rng(0).integers(-50, 50, SHAPE).astype(np.int32)
        check_orders(compile_func(func, CFG), [data], [(data + 1).astype(np.int8)])


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("factor", [1, 2, 3, 4, 5])
def test_a_split_leaves_a_stage_in_the_same_iterations(axis, factor):
    case = Case(at=axis)
    _, inner = case.s[case.c].split(case.axes[axis], factor=factor)
    assert case.s[case.plus].attach.axis is inner
    again = Case(at=axis)
    _, inner = again.s[again.c].split(again.axes[axis], factor=factor)
    again.attach(inner)
    assert case.text() == again.text()
    case.run()


@pytest.mark.parametrize("at", [0, 1])
def test_a_fused_loop_computes_what_was_computed_at_its_parts(at):
    case = Case(at)
    fused = case.s[case.c].fuse(*case.axes[:2])
    assert {case.s[t].attach.axis for t in (case.copy, case.plus)} == {fused}
    case.run()


@pytest.mark.parametrize("at", [0, 1])
def test_tile_and_reorder(at):
    case = Case(at)
    _, _, x_inner, y_inner = case.s[case.c].tile(*case.axes[:2], 4, 3)
    assert case.s[case.plus].attach.axis is (x_inner, y_inner)[at]
    case.s[case.c].reorder(y_inner, x_inner)
    case.run()


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_around_an_attached_stage(threads):
    case = Case(0)
    thread, _ = case.s[case.c].split(case.axes[0], nparts=threads)
    case.s[case.c].bind(thread, te.thread_axis("cthread"))
    case.run()


def test_a_thread_of_the_loop_itself():
    case = Case(1)
    case.s[case.c].bind(case.axes[1], te.thread_axis("cthread"))
    case.run()


def test_the_log_gives_the_same_places():
    case = Case(1)
    case.s[case.c].split(case.axes[1], factor=3)
    again = te.create_schedule(case.c.op).replay(case.s.log)
    assert str(lower(again, [case.a, case.c])) == case.text()


@pytest.mark.parametrize("request_first", [True, False])
def test_cache_write_moves_the_requests_of_the_reduction(request_first):
    a = te.placeholder((8, 1, 4), "int32", "A")
    b = te.compute(a.shape, lambda *i: a(*i) + 1, "B")
    k = te.reduce_axis((0, 8), "k")
    c = te.compute((1, 4), lambda n, i: te.sum(b[k, n, i], axis=k), "C")
    s = te.create_schedule(c.op)

    def request(stage):
        s[b].compute_at(stage, k)
        stage.unroll(k)

    if request_first:
        request(s[c])
    copy = s.cache_write(c, ACC_SCOPE)
    if not request_first:
        request(s[copy])
    assert str(lower(s, [a, c])) == (
        "def main(A: int32[8, 1, 4], C: out int32[1, 4]):\n"
        '    C_acc = allocate(int32[1, 4], "local.acc_buffer")\n'
        "    for i in range(4):\n"
        "        C_acc[0, i] = 0\n"
        "        for k in unroll(8):\n"
        '            B = allocate(int32[1, 1, 1], "global")\n'
        "            B[0, 0, 0] = A[k, 0, i] + 1\n"
        "            C_acc[0, i] = C_acc[0, i] + B[0, 0, 0]\n"
        "    for i in range(4):\n"
        "        C[0, i] = C_acc[0, i]"
    )
