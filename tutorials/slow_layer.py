"""Find a slow layer: where the cycles of some layers went, and what to change.

python tutorials/slow_layer.py
"""

# %% [markdown]
# # Find a slow layer
#
# The machine is fast while its GEMM unit has a product to compute in every cycle. This tutorial
# profiles five layers, reads from the table which of them waits and for what, changes one of them,
# and compares.

# %%
from textwrap import fill

import vta
from vta import ops, rpc
from vta.output import report_output_errors
from vta.profiling.advice import advice
from vta.profiling.difference import difference
from vta.runtime import empty

report_output_errors()

device = rpc.LocalSession(vta.get_env().cfg.replace(target="sim")).ext_dev(0)


def network(requantise):
    """Five layers of a network for small images, by name."""
    return {
        "first": ops.conv2d((1, 3, 56, 56), 32, 3, stride=2, padding=1, requantise=requantise),
        "wide": ops.conv2d((1, 32, 28, 28), 64, 3, padding=1, requantise=requantise),
        "narrow": ops.conv2d((1, 64, 28, 28), 32, 1, requantise=requantise),
        "pool": ops.max_pool((1, 32, 28, 28), 2, stride=2),
        "classes": ops.dense((1, 32 * 14 * 14), 10, requantise=requantise),
    }


def run(layers):
    """Run each layer. Data decides no cycle, so the arrays are empty ones."""
    for name, op in layers.items():
        module = vta.build(op.schedule, op.args, name=name)
        module(*(empty(tensor.shape, tensor.dtype, device) for tensor in op.args))


# %% [markdown]
# ## A profile
#
# Programs that run inside `with vta.profile()` are recorded. On the target `sim` the timing model
# then says what each cycle was spent on; `target="tsim"` asks the simulated RTL instead. `ddr` is a
# memory with latency and pauses.

# %%
with vta.profile(memory="ddr") as before:
    run(network(ops.Requantise(8, low=0)))

before

# %% [markdown]
# Each cycle has one cause, so a row adds up to 100 %. *Utilisation* is the share of cycles in which
# a product was issued: 100 % is the most that the machine can do. `wide` is near it. The classes
# wait for weights: each weight is used once, so the bus decides, and no schedule changes that.
# `first` and `narrow` lose many cycles to the ALU and to its loads. The profile says so in words:

# %%
for line in advice(before.result):
    print(fill(line, 96, initial_indent="- ", subsequent_indent="  "))

# %% [markdown]
# ## A change
#
# `Requantise` shifts, clips and rounds in four to seven passes of the ALU over the sums. The
# machine has an operation that does all of it in one pass, with a multiplier for each channel:
# `ops.OnePass`.

# %%
with vta.profile(memory="ddr") as after:
    run(network(ops.OnePass(low=0)))

print(difference(before.result.as_dict(), after.result.as_dict()))

# %% [markdown]
# The same is available for whole models and for files: `vta profile model.onnx -o before`, and
# `vta profile --diff before after`. The folder holds a report with a timeline, and a trace for
# ui.perfetto.dev with each instruction, each token and each wait.
