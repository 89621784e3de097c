"""A schedule for the transposed convolution of packed tensors."""

from __future__ import annotations

from vta.compiler.schedule.requests import thread_axis
from vta.compiler.schedule.schedule import Schedule, create_schedule
from vta.compiler.schedule.stage import Stage
from vta.compiler.target import ACC_SCOPE, INP_SCOPE, WGT_SCOPE, GemmIntrin
from vta.compiler.te.conv2d_transpose import TAG
from vta.compiler.te.expr import IterVar
from vta.compiler.te.tensor import Tensor
from vta.errors import ScheduleError

__all__ = ["schedule_conv2d_transpose_packed"]


def schedule_conv2d_transpose_packed(
    out: Tensor,
    gemm: GemmIntrin,
    *,
    co_block: int = 1,
    h_block: int | None = None,
    w_block: int | None = None,
    ci_block: int = 1,
    threads: int = 1,
) -> Schedule:
    """Compute the result in consecutive blocks, all products of a block on chip.

    Before::

        for each stage: for n, co, y, x, ...: ...

    After::

        for co_thread in cthread(threads):
            for n, co_outer, y_outer, x_outer:
                for ci_outer:
                    data and kernel: load what the products of these channels need
                    products of one block
                vector operations on the block, then its store

    Parameters
    ----------
    out : Tensor of shape (N, CO, OH, OW, batch, block_out)
        Computed from a ``conv2d_transpose_packed`` by element-wise operations of the ALU, narrowed
        to the type that is stored.
    gemm : GemmIntrin
        The tensor instruction, ``env.gemm``.
    co_block, h_block, w_block, ci_block : int
        Tiles of channels, rows and columns of a block; by default all rows and columns. Multiples
        of the stride need the fewest micro-ops.
    threads : int
        Virtual threads over the blocks of channels.

    Raises
    ------
    ScheduleError
        If ``out`` is not computed in this way.
    """
    s = create_schedule(out.op)
    found = [stage for stage in s.stages if stage.op.tag == TAG]
    if len(found) != 1 or found[0].is_output:
        raise ScheduleError(
            f"schedule_conv2d_transpose_packed: {out.name} must be computed from one "
            f"conv2d_transpose_packed by element-wise operations and narrowed at the end; "
            f"{len(found)} found" + (", it is the output itself" if found else "")
        )
    (conv,) = found
    res = s[out]
    n, co, y, x, b, c = out.op.axis
    co_outer, co_inner = res.split(co, factor=co_block)
    y_outer, y_inner = res.split(y, factor=h_block or out.shape[2])
    x_outer, x_inner = res.split(x, factor=w_block or out.shape[3])
    res.reorder(n, co_outer, y_outer, x_outer, co_inner, y_inner, x_inner, b, c)
    if threads > 1:
        _, thread = res.split(co_outer, factor=threads)
        res.reorder(thread, n)
        res.bind(thread, thread_axis("cthread"))
    for stage in s.stages[s.stages.index(conv) + 1 : s.stages.index(res)]:
        _on_chip(stage, ACC_SCOPE, res, x_outer, "alu")
    conv.set_scope(ACC_SCOPE)
    conv.compute_at(res, x_outer)
    d_c, d_h, d_w, d_ci = conv.op.reduce_axis
    ci_outer, ci_inner = conv.split(d_c, factor=ci_block)
    n, co, y, x, b, c = conv.op.axis
    conv.reorder(ci_outer, n, co, y, ci_inner, d_h, d_w, x, b, c, d_ci)
    data, kernel = conv.op.inputs
    weights = s.cache_read(kernel, WGT_SCOPE, [Tensor(conv.origin)])
    _on_chip(s[data], INP_SCOPE, conv, ci_outer, "dma_copy")
    _on_chip(s[weights], WGT_SCOPE, conv, ci_outer, "dma_copy")
    conv.tensorize(b, gemm)
    res.pragma(co_inner, "dma_copy")
    return s


def _on_chip(stage: Stage, scope: str, parent: Stage, axis: IterVar, key: str) -> None:
    """Compute the stage in ``scope``, in each iteration of a loop, with one pragma."""
    stage.set_scope(scope)
    stage.compute_at(parent, axis)
    stage.pragma(stage.op.axis[0], key)
