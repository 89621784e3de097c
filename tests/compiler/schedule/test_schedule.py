"""The primitives of a schedule: their effect on the loops, and their errors."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from vta import te
from vta.compiler.lower.lower import lower
from vta.compiler.target import GemmIntrin
from vta.errors import ScheduleError

GEMM = GemmIntrin(1, 4, 4, "int8", "int8", "int32")


@pytest.fixture
def ops() -> SimpleNamespace:
    """``total[i, j] = sum over k of A[i, k] + B[k, j]``, then ``out = total + 1``."""
    k = te.reduce_axis((0, 12), "k")
    a, b = te.placeholder((10, 12), "int32", "A"), te.placeholder((12, 6), "int32", "B")
    total = te.compute((10, 6), lambda i, j: te.sum(a[i, k] + b[k, j], axis=k), "total")
    out = te.compute((10, 6), lambda i, j: total[i, j] + 1, "out")
    s = te.create_schedule(out.op)
    return SimpleNamespace(a=a, b=b, k=k, total=total, out=out, s=s, i=total.op.axis[0],
                           j=total.op.axis[1], y=out.op.axis[0], x=out.op.axis[1])  # fmt: skip


def loops(stage: te.Stage) -> str:
    return " ".join(f"{axis.name}:{axis.extent}" for axis in stage.leaves)


def test_loop_primitives(ops: SimpleNamespace) -> None:
    stage = ops.s[ops.total]
    assert loops(stage) == "i:10 j:6 k:12"
    outer, inner = stage.split(ops.i, factor=4)
    assert loops(stage) == "i_outer:3 i_inner:4 j:6 k:12"
    stage.split(ops.k, nparts=3)
    assert loops(stage) == "i_outer:3 i_inner:4 j:6 k_outer:3 k_inner:4"
    stage.reorder(ops.j, outer)
    assert loops(stage) == "j:6 i_inner:4 i_outer:3 k_outer:3 k_inner:4"
    stage.fuse(ops.j, inner)
    assert loops(stage) == "j_i_inner_fused:24 i_outer:3 k_outer:3 k_inner:4"
    stage.split(outer, 8)
    assert loops(stage) == "j_i_inner_fused:24 i_outer_outer:1 i_outer_inner:3 k_outer:3 k_inner:4"


def test_tile(ops: SimpleNamespace) -> None:
    axes = ops.s[ops.out].tile(ops.y, ops.x, 5, 2)
    assert loops(ops.s[ops.out]) == "i_outer:2 j_outer:3 i_inner:5 j_inner:2"
    assert list(axes) == ops.s[ops.out].leaves


def test_names_stay_unique() -> None:
    a = te.placeholder((4,), "int32", "x")
    b = te.compute((4,), lambda i: a[i], "x")
    c = te.compute((4,), lambda i: a[i] + b[i], "x")
    s = te.create_schedule(c.op)
    assert [stage.name for stage in s.stages] == ["x", "x_1", "x_2"]
    assert "def main(x: int32[4], x_2: out int32[4])" in str(lower(s, [a, c]))


def test_stages_come_in_the_order_of_use(ops: SimpleNamespace) -> None:
    assert [stage.name for stage in ops.s.stages] == ["A", "B", "total", "out"]
    assert [stage.name for stage in ops.s.outputs] == ["out"]
    assert ops.s[ops.out.op] is ops.s[ops.out]


def test_log_reads_like_the_calls(ops: SimpleNamespace) -> None:
    s = ops.s
    copy = s.cache_read(ops.a, "local.inp_buffer", [ops.total])
    y_out, _ = s[ops.out].split(ops.y, nparts=2)
    s[ops.total].compute_at(s[ops.out], y_out)
    s[ops.out].bind(y_out, te.thread_axis("cthread"))
    s[copy].pragma(copy.op.axis[0], "dma_copy")
    s[ops.total].set_scope("local.acc_buffer")
    s[ops.out].reorder(ops.x, y_out)
    s[ops.out].unroll(ops.x)
    assert [str(step) for step in s.log] == [
        "s.cache_read(A, 'local.inp_buffer', [total])",
        "s[out].split(i, nparts=2)",
        "s[total].compute_at(s[out], i_outer)",
        "s[out].bind(i_outer, thread_axis('cthread'))",
        "s[A_inp].pragma(i0, 'dma_copy')",
        "s[total].set_scope('local.acc_buffer')",
        "s[out].reorder(j, i_outer)",
        "s[out].unroll(j)",
    ]
    again = te.create_schedule(ops.out.op).replay(s.log)
    args = [ops.a, ops.b, ops.out]
    assert again.log == s.log
    assert str(lower(again, args)) == str(lower(s, args))


def refused(message: str) -> object:
    return pytest.raises(ScheduleError, match=message)


def test_split_refuses(ops: SimpleNamespace) -> None:
    stage = ops.s[ops.out]
    with refused("stage out: split: axis i needs factor or nparts; got factor=None, nparts=None"):
        stage.split(ops.y)
    with refused("axis i needs factor or nparts; got factor=2, nparts=2"):
        stage.split(ops.y, 2, 2)
    with refused("axis i factor is 0; must be a positive integer"):
        stage.split(ops.y, 0)
    with refused("axis i nparts is 2.5; must be a positive integer"):
        stage.split(ops.y, nparts=2.5)
    with refused("axis k is not a loop of stage out; its loops are i, j"):
        stage.split(ops.k, 2)
    with refused("Tensor.* is not an axis of stage out"):
        stage.split(ops.out, 2)
    outer, inner = stage.split(ops.y, 2)
    with refused("axis i of stage out was split into i_outer and i_inner; use one of these"):
        stage.split(ops.y, 5)
    stage.fuse(outer, inner)
    with refused("axis i_outer of stage out was fused into i_outer_i_inner_fused; use that axis"):
        stage.unroll(outer)


def test_what_refers_to_a_loop_keeps_it(ops: SimpleNamespace) -> None:
    out, total = ops.s[ops.out], ops.s[ops.total]
    out.pragma(ops.x, "dma_copy")
    with refused("fuse: axis j has the pragma dma_copy; fuse must come before pragma"):
        out.fuse(ops.x)
    total.bind(ops.i, te.thread_axis("cthread"))
    with refused("split: axis i is bound to a virtual thread; split must come before bind"):
        total.split(ops.i, 2)
    total.unroll(ops.j)
    with refused("split: axis j is unrolled; split must come before unroll"):
        total.split(ops.j, 2)
    total.tensorize(ops.k, GEMM)
    with refused("split: axis k is tensorized; split must come before tensorize"):
        total.split(ops.k, 2)


def test_fuse_and_reorder_refuse(ops: SimpleNamespace) -> None:
    stage = ops.s[ops.total]
    with refused("fuse: axis k must be the loop directly inside i"):
        stage.fuse(ops.i, ops.k)
    with refused("fuse: axis i must be the loop directly inside j"):
        stage.fuse(ops.j, ops.i)
    with refused("fuse: axis k is a reduce axis and j a data axis"):
        stage.fuse(ops.j, ops.k)
    with refused("fuse: at least one axis"):
        stage.fuse()
    with refused("reorder: an axis is named twice in i, i"):
        stage.reorder(ops.i, ops.i)


def test_bind_refuses(ops: SimpleNamespace) -> None:
    stage = ops.s[ops.total]
    with refused("thread_axis: tag is 'threadIdx.x'; must be 'cthread'"):
        te.thread_axis("threadIdx.x")
    with refused("bind: axis i must be bound to a te.thread_axis.*; got 'cthread'"):
        stage.bind(ops.i, "cthread")
    with refused("bind: axis k is a reduction axis"):
        stage.bind(ops.k, te.thread_axis("cthread"))
    with refused("bind: axis i has 10 iterations, the thread axis 2 threads"):
        stage.bind(ops.i, te.thread_axis(2, "cthread"))
    stage.bind(ops.i, te.thread_axis("cthread"))
    with refused("bind: axis i is bound already"):
        stage.bind(ops.i, te.thread_axis("cthread"))


def test_compute_at_refuses(ops: SimpleNamespace) -> None:
    s = ops.s
    with refused("stage out: compute_at: out is an output of the program"):
        s[ops.out].compute_at(s[ops.total], ops.i)
    with refused("stage A: compute_at: A is an argument of the program"):
        s[ops.a].compute_at(s[ops.total], ops.i)
    with refused(
        "stage total: compute_at: stage total does not depend on total, whose readers are out"
    ):
        s[ops.total].compute_at(s[ops.total], ops.i)
    with refused("stage total: compute_at: axis i is not a loop of stage out; its loops are i, j"):
        s[ops.total].compute_at(s[ops.out], ops.i)
    with refused("is not a stage of this schedule"):
        s[ops.total].compute_at(te.create_schedule(ops.out.op)[ops.out], ops.y)


def test_inline_scope_pragma_and_tensorize_refuse(ops: SimpleNamespace) -> None:
    s = ops.s
    with refused("stage total: compute_inline: total reduces over k"):
        s[ops.total].compute_inline()
    with refused("set_scope: 'local.acc' is not a memory; must be one of global, local.inp_buffer"):
        s[ops.total].set_scope("local.acc")
    with refused("stage out: set_scope: out is an output of the program, which is in global"):
        s[ops.out].set_scope("local.acc_buffer")
    with refused("stage A: set_scope: A is an argument of the program, which is in global"):
        s[ops.a].set_scope("local.inp_buffer")
    with refused("pragma: axis i key is 'dma'; must be one of dma_copy, alu"):
        s[ops.total].pragma(ops.i, "dma")
    with refused("tensorize: axis i needs a tensor intrinsic .*; got 'gemm'"):
        s[ops.total].tensorize(ops.i, "gemm")
    s[ops.total].tensorize(ops.i, GEMM)
    with refused("tensorize: axis j is in a stage tensorized from i on"):
        s[ops.total].tensorize(ops.j, GEMM)


def test_cache_refuses(ops: SimpleNamespace) -> None:
    s = ops.s
    with refused("stage A: cache_read: stage out does not read A; its readers are total"):
        s.cache_read(ops.a, "local.inp_buffer", [ops.out])
    with refused("stage A: cache_read: at least one reader"):
        s.cache_read(ops.a, "local.inp_buffer", [])
    with refused("stage A: cache_write: A is an argument"):
        s.cache_write(ops.a, "local.acc_buffer")
    with refused("'local' is not a memory"):
        s.cache_read(ops.a, "local", [ops.total])
    s[ops.out].split(ops.y, 2)
    with refused("stage out: cache_write: the loops of out were changed already"):
        s.cache_write(ops.out, "local.acc_buffer")


def test_a_refused_primitive_changes_nothing(ops: SimpleNamespace) -> None:
    args = [ops.a, ops.b, ops.out]
    before = str(lower(ops.s, args))
    for attempt in (
        lambda: ops.s.cache_read(ops.a, "local", [ops.total]),
        lambda: ops.s.cache_write(ops.out, "local"),
        lambda: ops.s[ops.out].tile(ops.y, ops.x, 2, 0),
        lambda: ops.s[ops.total].fuse(ops.i, ops.j, ops.k),
    ):
        with pytest.raises(ScheduleError):
            attempt()
        assert ops.s.log == ()
        assert str(lower(ops.s, args)) == before


def test_foreign_things(ops: SimpleNamespace) -> None:
    stranger = te.compute((3,), lambda i: i * 2, "stranger")
    with refused("stranger.* is not in this schedule; its stages are A, B, total, out"):
        ops.s[stranger]
    with refused("create_schedule: A is not computed"):
        te.create_schedule(ops.a.op)
    with refused("at least one output"):
        te.create_schedule([])
    with refused("no stage total; the stages are stranger"):
        ops.s[ops.total].unroll(ops.i)
        te.create_schedule(stranger.op).replay(ops.s.log)
