"""With ring buffers the ALU passes of a block hide behind the products of the next block, at any
width of the rows: only the passes of the last block are exposed."""

import pytest

from vta import get_env, te, topi
from vta.build_module import build
from vta.sim.timing import estimate

ROWS, BLOCK_ROWS = 16, 8
BLOCK_CHANNELS = 2
STAGES = (4, 8)
"""ALU stages of the two programs whose cycles are compared."""


def convolution(width, stages, inputs, outputs):
    """A 3x3 convolution over rows of ``width`` tiles, and ``stages`` maxima with constants. Sums,
    inputs and weights are in ring buffers of two slots."""
    env = get_env()
    data = te.placeholder((1, inputs, ROWS, width, 1, env.BLOCK_IN), env.inp_dtype, "data")
    kernel = te.placeholder(
        (outputs, inputs, 3, 3, env.BLOCK_OUT, env.BLOCK_IN), env.wgt_dtype, "kernel"
    )
    padded = topi.nn.pad(data, [0, 0, 1, 1, 0, 0], name="padded")
    ci = te.reduce_axis((0, inputs), "ci")
    dy, dx = te.reduce_axis((0, 3), "dy"), te.reduce_axis((0, 3), "dx")
    k = te.reduce_axis((0, env.BLOCK_IN), "k")

    def product(b, c, y, x, i, o):
        value = padded[b, ci, y + dy, x + dx, i, k].astype(env.acc_dtype)
        return te.sum(value * kernel[c, ci, dy, dx, o, k].astype(env.acc_dtype), [ci, dy, dx, k])

    sums = te.compute((1, outputs, ROWS, width, 1, env.BLOCK_OUT), product, "sums")
    chain = [sums]
    for number in range(stages):
        chain.append(
            te.compute(
                sums.shape,
                lambda *at, n=number: te.max(chain[n](*at), n - 9),
                f"stage{number}",
            )
        )
    result = te.compute(sums.shape, lambda *at: chain[-1](*at).astype(env.out_dtype), "result")

    s = te.create_schedule(result.op)
    weights = s.cache_read(kernel, env.wgt_scope, [sums])
    b, c, y, x, i, o = result.op.axis
    c_block, c = s[result].split(c, factor=BLOCK_CHANNELS)
    y_block, y = s[result].split(y, factor=BLOCK_ROWS)
    s[result].reorder(b, y_block, c_block, c, y, x, i, o)
    s[result].pragma(c, env.dma_copy)
    for tensor in chain:
        s[tensor].set_scope(env.acc_scope)
        s[tensor].compute_at(s[result], c_block)
    for tensor in chain[1:]:
        s[tensor].pragma(s[tensor].op.axis[0], env.alu)
    b, c, y, x, i, o = sums.op.axis
    s[sums].reorder(b, ci, x, dx, dy, c, y, i, o, k)
    s[padded].set_scope(env.inp_scope)
    for tensor in (padded, weights):
        s[tensor].compute_at(s[sums], ci)
        s[tensor].pragma(s[tensor].op.axis[0], env.dma_copy)
    s[sums].tensorize(i, env.gemm)
    for tensor in (padded, weights, sums):
        s[tensor].ring(2)
    return build(s, [data, kernel, result]).program


def cost_of_a_stage(width, inputs, outputs):
    """Cycles that a tile of one more ALU stage costs."""
    few, many = (estimate(convolution(width, n, inputs, outputs)).cycles for n in STAGES)
    return (many - few) / ((STAGES[1] - STAGES[0]) * outputs * ROWS * width)


def exposed(outputs):
    """The share of the last block, in which the ALU has a tile a cycle."""
    return BLOCK_CHANNELS / outputs * BLOCK_ROWS / ROWS


def assert_hidden(width, inputs, outputs):
    assert cost_of_a_stage(width, inputs, outputs) <= exposed(outputs) + 0.045


@pytest.mark.parametrize("width", [52, 57])
def test_only_the_last_block_is_exposed(width):
    assert_hidden(width, 4, 4)


@pytest.mark.slow
@pytest.mark.parametrize(("inputs", "outputs"), [(4, 4), (2, 4), (4, 8)])
@pytest.mark.parametrize("width", range(49, 65))
def test_only_the_last_block_is_exposed_at_any_width(width, inputs, outputs):
    assert_hidden(width, inputs, outputs)
