"""A matrix product too large for the chip: blocking, DMA, tensorised loops, and an ALU tail.

python tutorials/matrix_multiply_opt.py --target sim      # the reference model
python tutorials/matrix_multiply_opt.py --target tsim     # the RTL, simulated clock by clock
"""

# %% [markdown]
# # Matrix product
#
# A fully connected layer: one row of 1024 inputs times a 1024 x 1024 matrix of weights, then what a
# quantised network does with the sums: shift them right, clip them to 0..127, keep 8 bits. The
# weights are 1 MiB, the memory for them on chip 256 KiB, so the schedule cuts the product into 16
# blocks of 256 x 256 and walks over them. These are the sizes of the default machine; on
# another one layer and blocks are such that they suit its tiles and its memories.

# %%
from tempfile import TemporaryDirectory

import numpy as np
from tutorial_session import open_session, report

import vta
from vta import te
from vta.runtime import array, empty

env, remote = open_session(__doc__)

# %% [markdown]
# ## What is computed
#
# Everything is cut into the tiles that one product takes: BATCH x BLOCK_IN inputs, BLOCK_OUT x
# BLOCK_IN weights (each row one output), BATCH x BLOCK_OUT sums. The layer is 64 x 64 tiles of
# weights, but no more than 1024 channels.

# %%
channel_tiles = min(64, 1024 // env.BLOCK_IN)
batch = env.BATCH
channels_in, channels_out = channel_tiles * env.BLOCK_IN, channel_tiles * env.BLOCK_OUT

data_shape = (batch // env.BATCH, channels_in // env.BLOCK_IN, env.BATCH, env.BLOCK_IN)
weight_shape = (
    channels_out // env.BLOCK_OUT,
    channels_in // env.BLOCK_IN,
    env.BLOCK_OUT,
    env.BLOCK_IN,
)
output_shape = (batch // env.BATCH, channels_out // env.BLOCK_OUT, env.BATCH, env.BLOCK_OUT)

ic = te.reduce_axis((0, channels_in // env.BLOCK_IN), name="ic")
ic_tns = te.reduce_axis((0, env.BLOCK_IN), name="ic_tns")

data = te.placeholder(data_shape, name="data", dtype=env.inp_dtype)
weight = te.placeholder(weight_shape, name="weight", dtype=env.wgt_dtype)
data_buf = te.compute(data_shape, lambda *i: data(*i), "data_buf")
weight_buf = te.compute(weight_shape, lambda *i: weight(*i), "weight_buf")

res_gemm = te.compute(
    output_shape,
    lambda bo, co, bi, ci: te.sum(
        data_buf[bo, ic, bi, ic_tns].astype(env.acc_dtype)
        * weight_buf[co, ic, ci, ic_tns].astype(env.acc_dtype),
        axis=[ic, ic_tns],
    ),
    name="res_gemm",
)
highest = (1 << (env.INP_WIDTH - 1)) - 1
res_shr = te.compute(output_shape, lambda *i: res_gemm(*i) >> env.INP_WIDTH, "res_shr")
res_max = te.compute(output_shape, lambda *i: te.max(res_shr(*i), 0), "res_max")
res_min = te.compute(output_shape, lambda *i: te.min(res_max(*i), highest), "res_min")
res = te.compute(output_shape, lambda *i: res_min(*i).astype(env.inp_dtype), "res")

# %% [markdown]
# ## Blocks
#
# The outputs are cut into blocks of 256 channels; all that makes a block happens inside its loop.
# The sum over the inputs is cut too, and its outer loop goes outermost: one block of inputs and one
# of weights are on chip at a time. Sizes of blocks are in tiles. A block is a quarter of the
# channels each way, halved until its inputs, its weights and its sums have room on the machine.

# %%
s = te.create_schedule(res.op)
i_block = o_block = channel_tiles // 4
while i_block > env.cfg.inp_depth:
    i_block //= 2
while o_block > env.cfg.acc_depth:
    o_block //= 2
while i_block * o_block > env.cfg.wgt_depth:
    if i_block > o_block:
        i_block //= 2
    else:
        o_block //= 2

b, oc, b_tns, oc_tns = s[res].op.axis
b_out, b_inn = s[res].split(b, 1)
oc_out, oc_inn = s[res].split(oc, o_block)
s[res].reorder(b_out, oc_out, b_inn, oc_inn)
for stage in (res_gemm, res_shr, res_max, res_min):
    s[stage].compute_at(s[res], oc_out)

b_inn, oc_inn, b_tns, oc_tns = s[res_gemm].op.axis
ic_out, ic_inn = s[res_gemm].split(ic, i_block)
s[res_gemm].reorder(ic_out, b_inn, oc_inn, ic_inn, b_tns, oc_tns, ic_tns)

print("After blocking:\n")
print(vta.lower(s, [data, weight, res], stage="nest"))

# %% [markdown]
# ## The units
#
# Inputs and weights are loaded for each block, in two instructions. `tensorize` matches the three
# innermost loops with one product of the GEMM core. The ALU works on the sums where they are.

# %%
s[data_buf].set_scope(env.inp_scope)
s[weight_buf].set_scope(env.wgt_scope)
for stage in (res_gemm, res_shr, res_max, res_min):
    s[stage].set_scope(env.acc_scope)

s[data_buf].compute_at(s[res_gemm], ic_out)
s[weight_buf].compute_at(s[res_gemm], ic_out)
s[data_buf].pragma(s[data_buf].op.axis[0], env.dma_copy)
s[weight_buf].pragma(s[weight_buf].op.axis[0], env.dma_copy)
s[res].pragma(s[res].op.axis[2], env.dma_copy)

s[res_gemm].tensorize(b_tns, env.gemm)
for stage in (res_shr, res_max, res_min):
    s[stage].pragma(s[stage].op.axis[0], env.alu)

# %% [markdown]
# The store was asked for inside the innermost loop, tile by tile; since the tiles lie in a row it
# is one instruction. Each unit waits for a token of its neighbour before it touches what the other
# one used.

# %%
print("\nFor the machine:\n")
print(vta.lower(s, [data, weight, res]))

# %% [markdown]
# ## Run

# %%
module = vta.build(s, [data, weight, res], name="dense")
with TemporaryDirectory() as folder:
    module.save(f"{folder}/dense.vta")
    remote.upload(f"{folder}/dense.vta")
f = remote.load_module("dense.vta")


def tiles(matrix, rows, columns):
    """A matrix as tiles of rows x columns."""
    outer_rows, outer_columns = matrix.shape[0] // rows, matrix.shape[1] // columns
    return matrix.reshape(outer_rows, rows, outer_columns, columns).transpose(0, 2, 1, 3)


rng = np.random.default_rng(1)
low, high = -(1 << (env.INP_WIDTH - 1)), 1 << (env.INP_WIDTH - 1)
x = rng.integers(low, high, (batch, channels_in)).astype(data.dtype)
low, high = -(1 << (env.WGT_WIDTH - 1)), 1 << (env.WGT_WIDTH - 1)
w = rng.integers(low, high, (channels_out, channels_in)).astype(weight.dtype)
device = remote.ext_dev(0)
y = empty(output_shape, res.dtype, device)
f(
    array(tiles(x, env.BATCH, env.BLOCK_IN), device),
    array(tiles(w, env.BLOCK_OUT, env.BLOCK_IN), device),
    y,
)

sums = x.astype(env.acc_dtype) @ w.T.astype(env.acc_dtype)
expected = np.clip(sums >> env.INP_WIDTH, 0, highest).astype(res.dtype)
np.testing.assert_array_equal(y.numpy(), tiles(expected, env.BATCH, env.BLOCK_OUT))
report()
print(f"Blocked matrix product on {env.TARGET}: the result equals NumPy's.")
