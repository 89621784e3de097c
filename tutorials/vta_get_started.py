"""Get started: the sum of two vectors, from a formula to the accelerator and back.

python tutorials/vta_get_started.py --target sim      # the reference model
python tutorials/vta_get_started.py --target tsim     # the RTL, simulated clock by clock
"""

# %% [markdown]
# # Vector add
#
# VTA computes on *tiles*: small matrices that lie side by side in its on-chip memories. A program
# says three things: what is computed (tensor expressions), where and in which order (a schedule),
# and on which arrays. This tutorial does each for the smallest useful program.

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
# 1024 sums. The vector unit works on tiles of BATCH x BLOCK_OUT values (1 x 16 by default), so the
# vectors are tensors of 64 such tiles, or of fewer where both do not fit in the accumulator memory
# of the machine. A and B are in DRAM. The unit only sees the accumulator
# memory on chip, so there are two stages that copy A and B there, one that adds, and one that
# copies the sum back. What is stored has the narrow type of an input, as the next layer would want
# it: a store keeps the low 8 bits.

# %%
o, m = 1, min(64, env.cfg.acc_depth // 2)
shape = (o, m, env.BATCH, env.BLOCK_OUT)

A = te.placeholder(shape, name="A", dtype=env.acc_dtype)
B = te.placeholder(shape, name="B", dtype=env.acc_dtype)
A_buf = te.compute(shape, lambda *i: A(*i), "A_buf")
B_buf = te.compute(shape, lambda *i: B(*i), "B_buf")
C_buf = te.compute(shape, lambda *i: A_buf(*i) + B_buf(*i), "C_buf")
C = te.compute(shape, lambda *i: C_buf(*i).astype(env.inp_dtype), "C")

# %% [markdown]
# ## Where, and by which unit
#
# Without a schedule every stage is a loop nest over values in DRAM, which no unit of the machine
# can run. `set_scope` puts the buffers on chip; a pragma says which unit runs the loops in an axis:
# the DMA engines copy, the ALU adds.

# %%
s = te.create_schedule(C.op)

for buffer in (A_buf, B_buf, C_buf):
    s[buffer].set_scope(env.acc_scope)
for copy in (A_buf, B_buf, C):
    s[copy].pragma(s[copy].op.axis[0], env.dma_copy)
s[C_buf].pragma(s[C_buf].op.axis[0], env.alu)

# %% [markdown]
# The loops are gone: two loads of 64 tiles, one micro-operation that the ALU repeats 64 times, one
# store. The sum lies where A was. A token tells the store unit when to begin.

# %%
print(vta.lower(s, [A, B, C]))

# %% [markdown]
# ## Compile, save, load
#
# A compiled module is data: instructions, micro-operations, and the shapes of its arguments. The
# file can be sent to another machine; one with other sizes refuses it.

# %%
module = vta.build(s, [A, B, C], name="vadd")
with TemporaryDirectory() as folder:
    module.save(f"{folder}/vadd.vta")
    remote.upload(f"{folder}/vadd.vta")
f = remote.load_module("vadd.vta")

# %% [markdown]
# ## Run
#
# Arrays live in the device's memory, already cut into tiles.

# %%
rng = np.random.default_rng(1)
a = rng.integers(-128, 128, (o * env.BATCH, m * env.BLOCK_OUT), dtype=env.acc_dtype)
b = rng.integers(-128, 128, (o * env.BATCH, m * env.BLOCK_OUT), dtype=env.acc_dtype)


def tiles(matrix):
    """A matrix as tiles: (rows, columns) to (row tile, column tile, row, column)."""
    return matrix.reshape(o, env.BATCH, m, env.BLOCK_OUT).transpose(0, 2, 1, 3)


device = remote.ext_dev(0)
operands = array(tiles(a), device), array(tiles(b), device)
c = empty(shape, C.dtype, device)
result = f(*operands, c)

np.testing.assert_array_equal(c.numpy(), tiles(a + b).astype(C.dtype))
report()
print(f"Vector add on {env.TARGET}: the result equals NumPy's.")

# %% [markdown]
# A call returns what the machine counted in this run.

# %%
result
