"""The computations of the three tutorials, of any size, with their schedules, for tests of the
compiler.
 Each function returns the tensors by name; the ``schedule_*`` functions apply the primitives of the
tutorials up to a stage of their text: ``blocked`` (loops only), then scopes, copies and intrinsics.
"""

from __future__ import annotations

from types import SimpleNamespace

from vta import te, topi
from vta.compiler.schedule.schedule import Schedule
from vta.compiler.target import ACC_SCOPE, INP_SCOPE, WGT_SCOPE, Target

__all__ = ["conv2d", "matmul", "schedule_conv2d", "schedule_matmul", "schedule_vadd", "vadd"]


def vadd(m: int = 64, batch: int = 1, block: int = 16) -> SimpleNamespace:
    """``C = int8(A + B)`` over ``(1, m, batch, block)``."""
    shape = (1, m, batch, block)
    a = te.placeholder(shape, name="A", dtype="int32")
    b = te.placeholder(shape, name="B", dtype="int32")
    a_buf = te.compute(shape, lambda *i: a(*i), "A_buf")
    b_buf = te.compute(shape, lambda *i: b(*i), "B_buf")
    c_buf = te.compute(shape, lambda *i: a_buf(*i) + b_buf(*i), "C_buf")
    c = te.compute(shape, lambda *i: c_buf(*i).astype("int8"), name="C")
    return SimpleNamespace(A=a, B=b, A_buf=a_buf, B_buf=b_buf, C_buf=c_buf, C=c, args=[a, b, c])


def schedule_vadd(ops: SimpleNamespace) -> Schedule:
    """The tutorial's schedule: everything on chip at once."""
    s = te.create_schedule(ops.C.op)
    for tensor in (ops.A_buf, ops.B_buf, ops.C_buf):
        s[tensor].set_scope(ACC_SCOPE)
    s[ops.A_buf].pragma(s[ops.A_buf].op.axis[0], "dma_copy")
    s[ops.B_buf].pragma(s[ops.B_buf].op.axis[0], "dma_copy")
    s[ops.C].pragma(s[ops.C].op.axis[0], "dma_copy")
    s[ops.C_buf].pragma(s[ops.C_buf].op.axis[0], "alu")
    return s


def _requantise(ops: SimpleNamespace, total: te.Tensor, shift: int = 8) -> None:
    """Shift, clip to 0 .. 127, narrow."""
    shape = total.shape
    ops.shr = te.compute(shape, lambda *i: total(*i) >> shift, name="res_shr")
    ops.max = te.compute(shape, lambda *i: te.max(ops.shr(*i), 0), "res_max")
    ops.min = te.compute(shape, lambda *i: te.min(ops.max(*i), 127), "res_min")
    ops.res = te.compute(shape, lambda *i: ops.min(*i).astype("int8"), name="res")


def matmul(
    o: int = 1, n: int = 64, m: int = 64, batch: int = 1, block: int = 16
) -> SimpleNamespace:
    """``res = clip(data · weightᵀ >> 8)``: ``o`` by ``n`` tiles of data, ``m`` by ``n`` of
    weights."""
    ops = SimpleNamespace()
    ops.ic = te.reduce_axis((0, n), name="ic")
    ops.ic_tns = te.reduce_axis((0, block), name="ic_tns")
    ops.data = te.placeholder((o, n, batch, block), name="data", dtype="int8")
    ops.weight = te.placeholder((m, n, block, block), name="weight", dtype="int8")
    ops.data_buf = te.compute(ops.data.shape, lambda *i: ops.data(*i), "data_buf")
    ops.weight_buf = te.compute(ops.weight.shape, lambda *i: ops.weight(*i), "weight_buf")
    ops.gem = te.compute(
        (o, m, batch, block),
        lambda bo, co, bi, ci: te.sum(
            ops.data_buf[bo, ops.ic, bi, ops.ic_tns].astype("int32")
            * ops.weight_buf[co, ops.ic, ci, ops.ic_tns].astype("int32"),
            axis=[ops.ic, ops.ic_tns],
        ),
        name="res_gem",
    )
    _requantise(ops, ops.gem)
    ops.args = [ops.data, ops.weight, ops.res]
    return ops


def schedule_matmul(
    ops: SimpleNamespace, target: Target, i_block: int = 16, o_block: int = 16, upto: str = "all"
) -> Schedule:
    """The schedule of the blocked matrix multiplication; ``upto`` is ``default``, ``blocked`` or
    ``all``."""
    s = te.create_schedule(ops.res.op)
    if upto == "default":
        return s
    b, oc, b_tns, oc_tns = s[ops.res].op.axis
    b_out, b_inn = s[ops.res].split(b, 1)
    oc_out, oc_inn = s[ops.res].split(oc, o_block)
    s[ops.res].reorder(b_out, oc_out, b_inn, oc_inn)
    for tensor in (ops.gem, ops.shr, ops.max, ops.min):
        s[tensor].compute_at(s[ops.res], oc_out)
    b_inn, oc_inn, b_tns, oc_tns = s[ops.gem].op.axis
    ic_out, ic_inn = s[ops.gem].split(ops.ic, i_block)
    s[ops.gem].reorder(ic_out, b_inn, oc_inn, ic_inn, b_tns, oc_tns, ops.ic_tns)
    if upto == "blocked":
        return s
    _place_on_chip(s, ops, ops.data_buf, ops.weight_buf, ops.gem, ic_out)
    s[ops.res].pragma(s[ops.res].op.axis[2], "dma_copy")
    s[ops.gem].tensorize(b_tns, target.gemm)
    return s


def _place_on_chip(
    s: Schedule,
    ops: SimpleNamespace,
    data: te.Tensor,
    weight: te.Tensor,
    total: te.Tensor,
    at: te.IterVar,
) -> None:
    s[data].set_scope(INP_SCOPE)
    s[weight].set_scope(WGT_SCOPE)
    for tensor in (total, ops.shr, ops.max, ops.min):
        s[tensor].set_scope(ACC_SCOPE)
    for tensor in (data, weight):
        s[tensor].compute_at(s[total], at)
        s[tensor].pragma(s[tensor].op.axis[0], "dma_copy")
    for tensor in (ops.shr, ops.max, ops.min):
        s[tensor].pragma(s[tensor].op.axis[0], "alu")


def conv2d(
    n: int = 1,
    ic: int = 16,
    oc: int = 16,
    height: int = 14,
    width: int = 14,
    kernel: tuple[int, int] = (3, 3),
    pad: tuple[int, int] = (1, 1),
    stride: tuple[int, int] = (1, 1),
    batch: int = 1,
    block: int = 16,
) -> SimpleNamespace:
    """A convolution in packed layout with shift and clip; ``ic`` and ``oc`` count channel
    blocks."""
    ops = SimpleNamespace()
    ops.dy = te.reduce_axis((0, kernel[0]), name="dy")
    ops.dx = te.reduce_axis((0, kernel[1]), name="dx")
    ops.ic = te.reduce_axis((0, ic), name="ic")
    ops.ic_tns = te.reduce_axis((0, block), name="ic_tns")
    ops.data = te.placeholder((n, ic, height, width, batch, block), name="data", dtype="int8")
    ops.kernel = te.placeholder((oc, ic, *kernel, block, block), name="kernel", dtype="int8")
    ops.data_buf = topi.nn.pad(ops.data, [0, 0, *pad, 0, 0], name="data_buf")
    ops.kernel_buf = te.compute(ops.kernel.shape, lambda *i: ops.kernel(*i), "kernel_buf")
    out_h = (height + 2 * pad[0] - kernel[0]) // stride[0] + 1
    out_w = (width + 2 * pad[1] - kernel[1]) // stride[1] + 1
    ops.conv = te.compute(
        (n, oc, out_h, out_w, batch, block),
        lambda bo, co, i, j, bi, ci: te.sum(
            ops.data_buf[
                bo, ops.ic, i * stride[0] + ops.dy, j * stride[1] + ops.dx, bi, ops.ic_tns
            ].astype("int32")
            * ops.kernel_buf[co, ops.ic, ops.dy, ops.dx, ci, ops.ic_tns].astype("int32"),
            axis=[ops.ic, ops.dy, ops.dx, ops.ic_tns],
        ),
        name="res_conv",
    )
    _requantise(ops, ops.conv)
    ops.args = [ops.data, ops.kernel, ops.res]
    return ops


def schedule_conv2d(
    ops: SimpleNamespace,
    target: Target,
    oc_block: int = 8,
    ic_block: int = 1,
    h_block: int = 7,
    w_block: int = 14,
    threads: int = 2,
    upto: str = "all",
) -> Schedule:
    """The schedule of the convolution tutorial; ``upto`` is ``default``, ``blocked`` or ``all``."""
    s = te.create_schedule(ops.res.op)
    if upto == "default":
        return s
    res, conv = s[ops.res], s[ops.conv]
    b, oc, y, x, b_tns, oc_tns = res.op.axis
    b_out, b_inn = res.split(b, factor=1)
    oc_out, oc_inn = res.split(oc, factor=oc_block)
    y_out, y_inn = res.split(y, factor=h_block)
    x_out, x_inn = res.split(x, factor=w_block)
    res.reorder(b_out, oc_out, y_out, x_out, b_inn, oc_inn, y_inn, x_inn, b_tns, oc_tns)
    for tensor in (ops.conv, ops.shr, ops.max, ops.min):
        s[tensor].compute_at(res, x_out)
    b_inn, oc_inn, y_inn, x_inn, b_tns, oc_tns = conv.op.axis
    ic_out, ic_inn = conv.split(ops.ic, factor=ic_block)
    conv.reorder(
        ic_out, b_inn, oc_inn, y_inn, ic_inn, ops.dy, ops.dx, x_inn, b_tns, oc_tns, ops.ic_tns
    )
    if threads > 1:
        _, tx = res.split(oc_out, factor=threads)
        res.reorder(tx, b_out)
        res.bind(tx, te.thread_axis("cthread"))
    if upto == "blocked":
        return s
    _place_on_chip(s, ops, ops.data_buf, ops.kernel_buf, ops.conv, ic_out)
    res.pragma(res.op.axis[4], "dma_copy")
    conv.tensorize(b_tns, target.gemm)
    return s
