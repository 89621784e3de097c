"""Kernels that are in no tutorial and on no page of the documentation, with odd sizes: written with
the public names only, checked, and run on the reference model.
"""

import numpy as np
import pytest

from tests.support.checked import checked_build
from vta import get_env, rpc, te, topi
from vta.runtime import array, empty

env = get_env()
TILE = (env.BATCH, env.BLOCK_OUT)


def run(schedule, args, inputs):
    """The result, on the reference model."""
    device = rpc.LocalSession(env.cfg.replace(target="sim")).ext_dev(0)
    result = empty(args[-1].shape, args[-1].dtype, device)
    checked_build(schedule, args)(*(array(value, device) for value in inputs), result)
    return result.numpy()


@pytest.mark.parametrize("reduction", [1, 3, 7])
@pytest.mark.parametrize("block", [1, 2, 3, 5])
def test_dense_layer_with_bias(block, reduction):
    """3 rows of 7 tiles, 5 tiles of outputs; the bias is loaded for each block of outputs."""
    rows, inputs, outputs = 3, 7, 5
    x = te.placeholder((rows, inputs, env.BATCH, env.BLOCK_IN), name="x", dtype=env.inp_dtype)
    w = te.placeholder((outputs, inputs, env.BLOCK_OUT, env.BLOCK_IN), "int8", "w")
    bias = te.placeholder((outputs, *TILE), name="bias", dtype=env.acc_dtype)
    k, j = te.reduce_axis((0, inputs), name="k"), te.reduce_axis((0, env.BLOCK_IN), name="j")
    dot = te.compute(
        (rows, outputs, *TILE),
        lambda r, o, b, c: te.sum(
            x[r, k, b, j].astype(env.acc_dtype) * w[o, k, c, j].astype(env.acc_dtype), axis=[k, j]
        ),
        name="dot",
    )
    biased = te.compute(dot.shape, lambda r, o, b, c: dot[r, o, b, c] + bias[o, b, c], "biased")
    moved = te.compute(dot.shape, lambda *i: biased(*i) >> 6, "moved")
    low = te.compute(dot.shape, lambda *i: te.max(moved(*i), 0), "low")
    high = te.compute(dot.shape, lambda *i: te.min(low(*i), 127), "high")
    y = te.compute(dot.shape, lambda *i: high(*i).astype(env.out_dtype), "y")

    s = te.create_schedule(y.op)
    x_inp = s.cache_read(x, env.inp_scope, [dot])
    w_wgt = s.cache_read(w, env.wgt_scope, [dot])
    bias_acc = s.cache_read(bias, env.acc_scope, [biased])
    r, o, b, c = y.op.axis
    o_outer, o_inner = s[y].split(o, factor=block)
    s[y].reorder(o_outer, r, o_inner, b, c)
    for tensor in (dot, biased, moved, low, high):
        s[tensor].set_scope(env.acc_scope)
    for tensor in (bias_acc, dot, biased, moved, low, high):
        s[tensor].compute_at(s[y], o_outer)
    r, o, b, c = dot.op.axis
    k_outer, k_inner = s[dot].split(k, factor=reduction)
    s[dot].reorder(k_outer, r, o, k_inner, b, c, j)
    s[dot].tensorize(b, env.gemm)
    for tensor in (x_inp, w_wgt):
        s[tensor].compute_at(s[dot], k_outer)
    for tensor in (x_inp, w_wgt, bias_acc):
        s[tensor].pragma(s[tensor].op.axis[0], env.dma_copy)
    for tensor in (biased, moved, low, high):
        s[tensor].pragma(tensor.op.axis[0], env.alu)
    s[y].pragma(y.op.axis[0], env.dma_copy)

    rng = np.random.default_rng(0)
    x_, w_ = (rng.integers(-128, 128, t.shape).astype(np.int8) for t in (x, w))
    bias_ = rng.integers(-10000, 10000, bias.shape).astype(np.int32)
    total = np.einsum("rkbj,okcj->robc", x_.astype(np.int32), w_.astype(np.int32)) + bias_
    np.testing.assert_array_equal(
        run(s, [x, w, bias, y], [x_, w_, bias_]), np.clip(total >> 6, 0, 127)
    )


@pytest.mark.parametrize("rows", [1, 4, 9])
def test_depthwise_convolution(rows):
    """3x3, padded, on the vector ALU: nine products, each summed up; nine rows in blocks."""
    channels, height, width = 2, 9, 7
    a = te.placeholder((channels, height, width, *TILE), name="a", dtype="int8")
    w = te.placeholder((channels, 3, 3, *TILE), name="w", dtype="int8")
    padded = topi.nn.pad(a, [0, 1, 1, 0, 0], name="padded")
    a_acc = te.compute(padded.shape, lambda *i: padded(*i).astype("int32"), "a_acc")
    w_acc = te.compute(w.shape, lambda *i: w(*i).astype("int32"), "w_acc")
    chain = []
    total = None
    for dy, dx in np.ndindex(3, 3):
        part = te.compute(
            a.shape,
            lambda c, y, x, b, i, dy=dy, dx=dx: (
                a_acc[c, y + dy, x + dx, b, i] * w_acc[c, dy, dx, b, i]
            ),
            f"part{dy}{dx}",
        )
        chain.append(part)
        if total is None:
            total = part
        else:
            total = te.compute(a.shape, lambda *i, t=total, p=part: t(*i) + p(*i), f"sum{dy}{dx}")
            chain.append(total)
    out = te.compute(a.shape, lambda *i: total(*i).astype("int8"), "out")

    s = te.create_schedule(out.op)
    s[padded].compute_inline()
    outer, inner = s[out].split(out.op.axis[1], factor=rows)
    for tensor in (a_acc, w_acc, *chain):
        s[tensor].set_scope(env.acc_scope)
        s[tensor].compute_at(s[out], outer)
        s[tensor].pragma(tensor.op.axis[0], env.alu if tensor in chain else env.dma_copy)
    s[out].pragma(inner, env.dma_copy)

    rng = np.random.default_rng(0)
    image = rng.integers(-10, 10, a.shape).astype(np.int8)
    weights = rng.integers(-3, 4, w.shape).astype(np.int8)
    wide = np.pad(image.astype(np.int32), [(0, 0), (1, 1), (1, 1), (0, 0), (0, 0)])
    expected = np.zeros(a.shape, np.int32)
    for dy, dx in np.ndindex(3, 3):
        part = wide[:, dy : dy + height, dx : dx + width]
        expected += part * weights[:, dy, dx].astype(np.int32)[:, None, None]
    np.testing.assert_array_equal(run(s, [a, w, out], [image, weights]), expected.astype(np.int8))
