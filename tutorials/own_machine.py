"""A machine of your own: keys, sizes, what a program gains from them.

python tutorials/own_machine.py
"""

# %% [markdown]
# # Your own machine
#
# The accelerator is a generator: a configuration of 14 keys makes the RTL, the reference model, the
# encoding of instructions and what the compiler assumes. This tutorial changes some keys and
# measures one layer on each machine.

# %%
import json
from pathlib import Path
from tempfile import TemporaryDirectory

import vta
from vta import ops
from vta.config import VTAConfig
from vta.environment import Environment
from vta.errors import ConfigError
from vta.isa import Isa, Opcode
from vta.output import report_output_errors
from vta.profiling import profile_program

report_output_errors()

default = VTAConfig()
print(default.fingerprint)
default

# %% [markdown]
# The fingerprint says what programs depend on: products of 1x16 by 16x16 elements, int8 inputs and
# weights, int32 sums, and the log2 of the bytes of the four on-chip memories.

# %% [markdown]
# ## Three machines
#
# `small` has a quarter of the multipliers and smaller memories, for a small FPGA. `wide` has four
# times the multipliers and a memory port of 256 bits.

# %%
small = default.replace(
    log_block=3, log_uop_buff_size=13, log_inp_buff_size=13, log_wgt_buff_size=15,
    log_acc_buff_size=15,
)  # fmt: skip
wide = default.replace(
    log_block=5, log_inp_buff_size=16, log_wgt_buff_size=19, log_acc_buff_size=18, log_bus_width=8
)
machines = {"small": small, "default": default, "wide": wide}

# %% [markdown]
# What cannot be encoded is refused, with the key, its value and what is allowed:

# %%
try:
    default.replace(log_acc_buff_size=20)
except ConfigError as error:
    print(error)

# %% [markdown]
# The fields of an instruction are as wide as the memories need. Hardware, encoder and disassembler
# take them from one table:

# %%
for name, cfg in machines.items():
    fields = Isa.of(cfg).format_of(Opcode.GEMM).fields
    print(f"{name:<8}", ", ".join(f"{f.name} {f.width}" for f in fields if "factor" in f.name))

# %% [markdown]
# ## One layer on each of them
#
# A 3x3 convolution of 64 channels, 28 x 28 pixels. `vta.ops` gives it a schedule for the machine;
# the timing model says how many cycles the program takes, with a DRAM that has latency (`ddr`).


# %%
def layer(cfg):
    """The convolution, compiled for a machine."""
    with Environment(cfg):
        op = ops.conv2d((1, 64, 28, 28), 64, 3, padding=1, requantise=ops.Requantise(8))
        return vta.build(op.schedule, op.args, name=op.name)


print(f"{'':<8} {'multipliers':>11} {'cycles':>9} {'products':>9} {'utilisation':>11}  bound by")
for name, cfg in machines.items():
    (run,) = profile_program(layer(cfg).program, memory="ddr").layers
    multipliers = cfg.batch * cfg.block_in * cfg.block_out
    print(
        f"{name:<8} {multipliers:>11,} {run.cycles:>9,} {run.products:>9,} "
        f"{run.utilisation:>11.1%}  {run.bound}"
    )

# %% [markdown]
# ## From here to hardware
#
# A file with the keys is what all commands take:

# %%
with TemporaryDirectory() as folder:
    path = Path(folder) / "small.json"
    path.write_text(json.dumps(small.to_dict(), indent=2))
    assert VTAConfig.from_file(path) == small
    print(path.read_text())

# %% [markdown]
# - `vta config small.json` lists all sizes.
# - `make sim CONFIG=small.json` builds the RTL of this machine and runs the first three tutorials
#   on it.
# - `make rtl CONFIG=small.json` writes the Verilog.
# - `make synth BOARD=ulx3s_85f CONFIG=small.json` says what it takes of an FPGA, and
#   `make bitstream` makes the bitstream.
