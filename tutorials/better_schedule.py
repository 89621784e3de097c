"""Find a better schedule: one convolution, scheduled five times, each time faster.

python tutorials/better_schedule.py
"""

# %% [markdown]
# # Find a better schedule
#
# A schedule does not change what is computed, only when and where. This tutorial starts with the
# shortest schedule of a convolution that the machine can run, and improves it in four steps. The
# timing model counts the cycles of each in a fraction of a second, so trying is cheap.
#
# The layer: 64 input and 64 output channels, 28 x 28 pixels, kernels of 3 x 3, on the default
# machine. Its 112,896 products take 112,896 cycles at least.

# %%
import vta
from vta import ops, te, topi
from vta.config import VTAConfig
from vta.environment import Environment
from vta.output import report_output_errors
from vta.profiling import profile_program

report_output_errors()

Environment.current = env = Environment(VTAConfig())
tiles_in, tiles_out, side = 64 // env.BLOCK_IN, 64 // env.BLOCK_OUT, 28
PRODUCTS = tiles_in * tiles_out * side * side * 9


def tensors():
    """The layer: pad, convolve, shift, clip, keep 8 bits."""
    data = te.placeholder(
        (tiles_in, side, side, env.BATCH, env.BLOCK_IN), name="data", dtype="int8"
    )
    kernel = te.placeholder(
        (tiles_out, tiles_in, 3, 3, env.BLOCK_OUT, env.BLOCK_IN), name="kernel", dtype="int8"
    )
    inp = topi.nn.pad(data, [0, 1, 1, 0, 0], name="inp")
    wgt = te.compute(kernel.shape, lambda *i: kernel(*i), "wgt")
    ic, dy, dx, k = (
        te.reduce_axis((0, n), name)
        for n, name in ((tiles_in, "ic"), (3, "dy"), (3, "dx"), (env.BLOCK_IN, "k"))
    )
    shape = (tiles_out, side, side, env.BATCH, env.BLOCK_OUT)
    sums = te.compute(
        shape,
        lambda oc, y, x, b, c: te.sum(
            inp[ic, y + dy, x + dx, b, k].astype("int32")
            * wgt[oc, ic, dy, dx, c, k].astype("int32"),
            axis=[ic, dy, dx, k],
        ),
        "sums",
    )
    shifted = te.compute(shape, lambda *i: sums(*i) >> 8, "shifted")
    low = te.compute(shape, lambda *i: te.max(shifted(*i), 0), "low")
    clipped = te.compute(shape, lambda *i: te.min(low(*i), 127), "clipped")
    out = te.compute(shape, lambda *i: clipped(*i).astype("int8"), "out")
    return data, kernel, inp, wgt, sums, shifted, low, clipped, out


# %% [markdown]
# One function makes all schedules. `rows` is the height of a block of outputs, `channels` its tiles
# of output channels.


# %%
def conv(rows, channels, *, threads=False, ring=False):
    """The profile of the layer with a schedule."""
    data, kernel, inp, wgt, sums, shifted, low, clipped, out = tensors()
    chain = (shifted, low, clipped)
    s = te.create_schedule(out.op)
    oc, y, x, b, c = s[out].op.axis
    oc_out, oc_in = s[out].split(oc, factor=channels)
    y_out, y_in = s[out].split(y, factor=rows)
    s[out].reorder(oc_out, y_out, oc_in, y_in, x, b, c)
    if threads:  # two blocks of rows, each with its own part of the memories, take turns
        y_out, thread = s[out].split(y_out, factor=2)
        s[out].reorder(oc_out, thread, y_out, oc_in)
        s[out].bind(thread, te.thread_axis("cthread"))
    for tensor in (sums, *chain):
        s[tensor].set_scope(env.acc_scope)
        s[tensor].compute_at(s[out], y_out)
    oc, y, x, b, c = s[sums].op.axis
    ic, dy, dx, k = s[sums].op.reduce_axis
    s[sums].reorder(ic, oc, y, dy, dx, x, b, c, k)
    for tensor, scope in ((inp, env.inp_scope), (wgt, env.wgt_scope)):
        s[tensor].set_scope(scope)
        s[tensor].compute_at(s[sums], ic)
        s[tensor].pragma(s[tensor].op.axis[0], env.dma_copy)
        if ring:
            s[tensor].ring(2)
    if ring:
        s[sums].ring(2)
    s[sums].tensorize(b, env.gemm)
    for tensor in chain:
        s[tensor].pragma(s[tensor].op.axis[0], env.alu)
    s[out].pragma(oc_in, env.dma_copy)
    return profile_program(vta.build(s, [data, kernel, out], name="conv").program, memory="ddr")


def show(what, profile):
    """A line: cycles, utilisation, and what more than one percent of the cycles was lost on."""
    causes = sorted(profile.by_cause.items(), key=lambda item: -item[1])
    shares = {cause.label: cycles / profile.cycles for cause, cycles in causes}
    lost = [f"{name} {share:.0%}" for name, share in shares.items() if share > 0.01]
    print(f"{what:<30} {profile.cycles:>8,}  {PRODUCTS / profile.cycles:>6.1%}  {', '.join(lost)}")


# %% [markdown]
# ## One row at a time
#
# The smallest block: one row of one tile of output channels. Each block loads three rows of inputs
# and its weights, and the GEMM unit waits for both.

# %%
show("1 row, 1 tile of channels", conv(1, 1))

# %% [markdown]
# ## Larger blocks
#
# A block of seven rows loads nine rows for seven rows of results, and its weights once for all of
# them. A block of all four tiles of channels uses each input four times.

# %%
show("7 rows, 1 tile of channels", conv(7, 1))
show("7 rows, 4 tiles of channels", conv(7, 4))

# %% [markdown]
# ## Loads behind products
#
# What is left is waiting for loads: a block is loaded, then computed, then the next one is loaded.
# With two virtual threads one block is loaded while the other one is computed.

# %%
show("7 rows, two threads", conv(7, 4, threads=True))

# %% [markdown]
# Ring buffers do the same without threads: each load takes the slot that was used least recently,
# and waits for those instructions only that still read the slot. The accumulators have two slots
# too, so that a block is stored while the next one is computed. Slots are room, so blocks are
# smaller.

# %%
show("7 rows, ring buffers", conv(7, 4, ring=True))
show("4 rows, ring buffers", conv(4, 4, ring=True))

# %% [markdown]
# ## What the operator library does
#
# `vta.ops` estimates the cost of many tilings and takes the best. It also starts each sum with its
# first product instead of a reset, and keeps on chip what the next block needs again.

# %%
op = ops.conv2d((1, 64, side, side), 64, 3, padding=1, requantise=ops.Requantise(8, low=0))
library = vta.build(op.schedule, op.args, name="library").program
show("vta.ops", profile_program(library, memory="ddr"))
op.tiling

# %% [markdown]
# ## A search
#
# `vta tune` tries many schedules of an operator or of all layers of a model, measures the best ones
# on the RTL, compares their results with NumPy, and keeps them in a log:
#
# ```sh
# vta tune "conv2d((1, 64, 28, 28), 64, 3, padding=1)" --memory ddr --trials 64
# ```
#
# The RTL has the last word in any case: `vta profile --target tsim` counts its cycles.
