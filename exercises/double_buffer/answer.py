"""A matrix product that waits for its loads. Change it, then run:

make exercise EXERCISE=double_buffer
"""

from vta import te

ROWS = 32
BLOCK = 16
"""Tiles of weights of a block, each way."""


def schedule(env):
    """``out = clip(data . weight >> 8)``; a schedule, and the arguments of the kernel."""
    tiles = 1024 // env.BLOCK_IN
    data = te.placeholder((ROWS, tiles, env.BATCH, env.BLOCK_IN), name="data", dtype=env.inp_dtype)
    weight = te.placeholder(
        (tiles, tiles, env.BLOCK_OUT, env.BLOCK_IN), name="weight", dtype=env.wgt_dtype
    )
    shape = (ROWS, tiles, env.BATCH, env.BLOCK_OUT)
    inp = te.compute(data.shape, lambda *i: data(*i), "inp")
    wgt = te.compute(weight.shape, lambda *i: weight(*i), "wgt")
    ic, k = te.reduce_axis((0, tiles), "ic"), te.reduce_axis((0, env.BLOCK_IN), "k")
    sums = te.compute(
        shape,
        lambda b, c, i, j: te.sum(
            inp[b, ic, i, k].astype(env.acc_dtype) * wgt[c, ic, j, k].astype(env.acc_dtype),
            axis=[ic, k],
        ),
        "sums",
    )
    shifted = te.compute(shape, lambda *i: sums(*i) >> 8, "shifted")
    low = te.compute(shape, lambda *i: te.max(shifted(*i), -127), "low")
    clipped = te.compute(shape, lambda *i: te.min(low(*i), 127), "clipped")
    out = te.compute(shape, lambda *i: clipped(*i).astype(env.inp_dtype), "out")

    s = te.create_schedule(out.op)
    row, c, i, j = s[out].op.axis
    c_out, c_in = s[out].split(c, factor=BLOCK)
    s[out].reorder(c_out, row, c_in, i, j)
    for tensor in (sums, shifted, low, clipped):
        s[tensor].set_scope(env.acc_scope)
        s[tensor].compute_at(s[out], c_out)
    b, c, i, j = s[sums].op.axis
    ic_out, ic_in = s[sums].split(ic, factor=BLOCK)
    s[sums].reorder(ic_out, b, c, ic_in, i, j, k)
    for tensor, scope in ((inp, env.inp_scope), (wgt, env.wgt_scope)):
        s[tensor].set_scope(scope)
        s[tensor].compute_at(s[sums], ic_out)
        s[tensor].pragma(s[tensor].op.axis[0], env.dma_copy)
    s[sums].tensorize(i, env.gemm)
    for tensor in (shifted, low, clipped):
        s[tensor].pragma(s[tensor].op.axis[0], env.alu)
    s[out].pragma(row, env.dma_copy)
    return s, [data, weight, out]
