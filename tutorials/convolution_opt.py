"""A convolution layer: padding on the fly, blocking, and two virtual threads that hide the loads.

python tutorials/convolution_opt.py --target sim      # the reference model
python tutorials/convolution_opt.py --target tsim     # the RTL, simulated clock by clock
"""

# %% [markdown]
# # Convolution
#
# A middle layer of ResNet-18: 14 x 14 pixels of 256 channels, 256 kernels of 3 x 3, padded by one
# pixel of zeros, then shift and clip. 115.6 million multiply-accumulates are 451,584 products of
# tiles. These are the sizes of the default machine; on another one layer and blocks are such that
# they suit its tiles and its memories.

# %%
from tempfile import TemporaryDirectory

import numpy as np
from tutorial_session import open_session, report

import vta
from vta import te, topi
from vta.compat import conv2d_nchw_python
from vta.runtime import array, empty

env, remote = open_session(__doc__)

# %% [markdown]
# ## What is computed
#
# Images are (batch, channels, rows, columns), each cut into tiles that lie innermost; `pad` puts
# zeros around the pixels. They never exist in DRAM: the load writes them while it copies. There are
# 16 tiles of channels, but no more than 256 channels; a machine with few accumulators gets a small
# layer, because it needs an instruction for every few products.

# %%
large = env.cfg.acc_depth >= 256
batch, channel_tiles = env.BATCH, min(16 if large else 4, 256 // env.BLOCK_IN)
channels_in, channels_out = channel_tiles * env.BLOCK_IN, channel_tiles * env.BLOCK_OUT
height = width = 14 if large else 4
kernel_size, pad = 3, 1

data_shape = (
    batch // env.BATCH,
    channels_in // env.BLOCK_IN,
    height,
    width,
    env.BATCH,
    env.BLOCK_IN,
)
kernel_shape = (
    channels_out // env.BLOCK_OUT,
    channels_in // env.BLOCK_IN,
    kernel_size,
    kernel_size,
    env.BLOCK_OUT,
    env.BLOCK_IN,
)
output_shape = (
    batch // env.BATCH,
    channels_out // env.BLOCK_OUT,
    height,
    width,
    env.BATCH,
    env.BLOCK_OUT,
)

dy = te.reduce_axis((0, kernel_size), name="dy")
dx = te.reduce_axis((0, kernel_size), name="dx")
ic = te.reduce_axis((0, channels_in // env.BLOCK_IN), name="ic")
ic_tns = te.reduce_axis((0, env.BLOCK_IN), name="ic_tns")

data = te.placeholder(data_shape, name="data", dtype=env.inp_dtype)
kernel = te.placeholder(kernel_shape, name="kernel", dtype=env.wgt_dtype)
data_buf = topi.nn.pad(data, [0, 0, pad, pad, 0, 0], name="data_buf")
kernel_buf = te.compute(kernel_shape, lambda *i: kernel(*i), "kernel_buf")

res_conv = te.compute(
    output_shape,
    lambda bo, co, i, j, bi, ci: te.sum(
        data_buf[bo, ic, i + dy, j + dx, bi, ic_tns].astype(env.acc_dtype)
        * kernel_buf[co, ic, dy, dx, ci, ic_tns].astype(env.acc_dtype),
        axis=[ic, dy, dx, ic_tns],
    ),
    name="res_conv",
)
highest = (1 << (env.INP_WIDTH - 1)) - 1
res_shr = te.compute(output_shape, lambda *i: res_conv(*i) >> env.INP_WIDTH, "res_shr")
res_max = te.compute(output_shape, lambda *i: te.max(res_shr(*i), 0), "res_max")
res_min = te.compute(output_shape, lambda *i: te.min(res_max(*i), highest), "res_min")
res = te.compute(output_shape, lambda *i: res_min(*i).astype(env.inp_dtype), "res")

# %% [markdown]
# ## Blocks
#
# A block is 128 output channels of 7 rows. Inside it the input channels are taken 16 at a time: the
# outer reduction loop goes outermost, and each of its rounds loads 9 rows of pixels and 8 x 9 tiles
# of weights.
#
# That is the largest block of which two have room on the default machine (two, for the threads
# below). A machine that has no room for the nine taps of the kernel at once gets the other order:
# the loops over the taps go out too, and each round loads the pixels and weights of a single tap.


# %%
def room(taps, oc_block, h_block, w_block):
    """Whether the machine holds two blocks with `taps` x `taps` of the kernel, and their micro-ops.

    The block has `oc_block` tiles of output channels, `h_block` rows and `w_block` columns.
    """
    cfg = env.cfg
    return (
        2 * (h_block + taps - 1) * (w_block + taps - 1) <= cfg.inp_depth
        and 2 * oc_block * taps * taps <= cfg.wgt_depth
        and 2 * oc_block * h_block * w_block <= cfg.acc_depth
        and taps * taps * w_block <= cfg.uop_depth
    )


sides = [side for side in range(1, height + 1) if height % side == 0]
blocks = [
    (taps, oc_block, h_block, w_block)
    for taps in (kernel_size, 1)
    for oc_block in (1, 2, 4, 8)
    for h_block in sides
    for w_block in sides
    if 2 * oc_block <= channel_tiles and room(taps, oc_block, h_block, w_block)
]
# The most taps, then the most accumulators, then the most channels, which share the pixels.
taps, oc_block, h_block, w_block = max(
    blocks, key=lambda block: (block[0], block[1] * block[2] * block[3], block[1], block[3])
)
ic_block = 1

s = te.create_schedule(res.op)

b, oc, y, x, b_tns, oc_tns = s[res].op.axis
b_out, b_inn = s[res].split(b, factor=1)
oc_out, oc_inn = s[res].split(oc, factor=oc_block)
y_out, y_inn = s[res].split(y, factor=h_block)
x_out, x_inn = s[res].split(x, factor=w_block)
s[res].reorder(b_out, oc_out, y_out, x_out, b_inn, oc_inn, y_inn, x_inn, b_tns, oc_tns)
for stage in (res_conv, res_shr, res_max, res_min):
    s[stage].compute_at(s[res], x_out)

b_inn, oc_inn, y_inn, x_inn, b_tns, oc_tns = s[res_conv].op.axis
ic_out, ic_inn = s[res_conv].split(ic, factor=ic_block)
if taps == kernel_size:
    round_loop = ic_out
    s[res_conv].reorder(ic_out, b_inn, oc_inn, y_inn, ic_inn, dy, dx, x_inn, b_tns, oc_tns, ic_tns)
else:
    round_loop = dx
    s[res_conv].reorder(ic_out, dy, dx, b_inn, oc_inn, y_inn, ic_inn, x_inn, b_tns, oc_tns, ic_tns)

# %% [markdown]
# ## Two virtual threads
#
# The two blocks of channels become two threads. Each has its own part of every on-chip memory, and
# they take turns step by step: while one computes, the other one's next tiles are loaded.

# %%
_, thread = s[res].split(oc_out, factor=2)
s[res].reorder(thread, b_out)
s[res].bind(thread, te.thread_axis("cthread"))

# %% [markdown]
# ## The units

# %%
s[data_buf].set_scope(env.inp_scope)
s[kernel_buf].set_scope(env.wgt_scope)
for stage in (res_conv, res_shr, res_max, res_min):
    s[stage].set_scope(env.acc_scope)

s[data_buf].compute_at(s[res_conv], round_loop)
s[kernel_buf].compute_at(s[res_conv], round_loop)
s[data_buf].pragma(s[data_buf].op.axis[0], env.dma_copy)
s[kernel_buf].pragma(s[kernel_buf].op.axis[0], env.dma_copy)
s[res].pragma(s[res].op.axis[4], env.dma_copy)

s[res_conv].tensorize(b_tns, env.gemm)
for stage in (res_shr, res_max, res_min):
    s[stage].pragma(s[stage].op.axis[0], env.alu)

# %% [markdown]
# A GEMM instruction has two loops; the compiler gives it the channels and the rows, and unrolls the
# rest (3 x 3 x 14) into micro-operations, recorded once for each thread.

# %%
print(vta.lower(s, [data, kernel, res]))

# %% [markdown]
# ## Run

# %%
module = vta.build(s, [data, kernel, res], name="conv2d")
with TemporaryDirectory() as folder:
    module.save(f"{folder}/conv2d.vta")
    remote.upload(f"{folder}/conv2d.vta")
f = remote.load_module("conv2d.vta")


def tiles(tensor, rows, columns):
    """(a, b, y, x) as tiles over the first two axes: (a tile, b tile, y, x, a, b)."""
    a, b, ys, xs = tensor.shape
    cut = tensor.reshape(a // rows, rows, b // columns, columns, ys, xs)
    return cut.transpose(0, 2, 4, 5, 1, 3)


rng = np.random.default_rng(1)
low, high = -(1 << (env.INP_WIDTH - 1)), 1 << (env.INP_WIDTH - 1)
image = rng.integers(low, high, (batch, channels_in, height, width)).astype(data.dtype)
low, high = -(1 << (env.WGT_WIDTH - 1)), 1 << (env.WGT_WIDTH - 1)
weights = rng.integers(low, high, (channels_out, channels_in, 3, 3)).astype(kernel.dtype)
device = remote.ext_dev(0)
out = empty(output_shape, res.dtype, device)
f(
    array(tiles(image, env.BATCH, env.BLOCK_IN), device),
    array(tiles(weights, env.BLOCK_OUT, env.BLOCK_IN), device),
    out,
)

sums = conv2d_nchw_python(image.astype(env.acc_dtype), weights.astype(env.acc_dtype), 1, pad)
expected = np.clip(sums >> env.INP_WIDTH, 0, highest).astype(res.dtype)
np.testing.assert_array_equal(out.numpy(), tiles(expected, env.BATCH, env.BLOCK_OUT))
report()
print(f"Convolution on {env.TARGET}: the result equals NumPy's.")
