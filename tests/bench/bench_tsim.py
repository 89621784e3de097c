"""How fast the simulated RTL runs, and what the harness around it costs.

Two programs on each memory: one that keeps the GEMM core busy, one that keeps the bus busy. The
harness's share is measured against a replay: the same core with the same inputs in each cycle, and
nothing but ``eval()``.

    python -m tests.bench.bench_tsim [PRESET ...]
"""

import sys
import time

import numpy as np
from rich.console import Console
from rich.table import Table

from vta.config import VTAConfig
from vta.isa import Finish, Gemm, Load, MemId, Store
from vta.sim.memory import Memory
from vta.sim.rtl.machine import VerilatedMachine

BASE = 0x1000_0000
REPEATS = 3


def gemm_bound(cfg):
    """About 200,000 products, with hardly a transfer."""
    tiles = min(cfg.acc_depth, cfg.inp_depth)
    inp = {"memory": MemId.INP, "dram_base": BASE // cfg.inp_elem_bytes + 64, "x_size": tiles}
    wgt = {"memory": MemId.WGT, "dram_base": BASE // cfg.wgt_elem_bytes + 64, "x_size": 8}
    steps = {"iter_in": tiles, "dst_factor_in": 1, "src_factor_in": 1}
    loops = 200_000 // tiles // 8
    return [
        Load(memory=MemId.UOP, dram_base=BASE // 4, y_size=1, x_size=1),
        Load(**inp, y_size=1),
        Load(**wgt, y_size=1, push_next=True),
        *(Gemm(uop_end=1, iter_out=loops, **steps, pop_prev=not tile) for tile in range(8)),
        Finish(),
    ]


def bus_bound(cfg):
    """Loads and stores without a pause, at the same time."""
    inp = {"dram_base": BASE // cfg.inp_elem_bytes, "x_size": cfg.inp_depth, "y_size": 1}
    out = {"dram_base": (BASE + (1 << 20)) // cfg.out_elem_bytes, "x_size": cfg.out_depth}
    rounds = 4_000_000 // (cfg.inp_depth * cfg.inp_elem_bytes) // 4
    pair = [Load(memory=MemId.INP, **inp), Store(**out, y_size=1)]
    return [*pair * rounds, Finish()]


def measure(machine, program):
    """Cycles, CPU seconds of the run, and of the bare core; the best of some repetitions."""
    memory = Memory(BASE, np.random.default_rng(0).integers(0, 256, 1 << 21, np.uint8))
    memory.data[:4] = 0
    whole, bare = [], []
    for _ in range(REPEATS):
        machine.reset()
        begin = time.process_time()
        machine.run(program, memory)
        whole.append(time.process_time() - begin)
        cycles = machine.bus.cycles
        bare.append(machine.time_core_alone(program, memory))
    return cycles, min(whole), min(bare)


def main(presets):
    table = Table("machine", "memory", "program", "cycles", "cycles/s", "core alone", "harness")
    for preset in presets:
        cfg = VTAConfig.preset(preset)
        for memory in ("ideal", "ddr"):
            machine = VerilatedMachine(cfg, memory)
            for program in (gemm_bound, bus_bound):
                cycles, whole, bare = measure(machine, program(cfg))
                table.add_row(
                    preset, memory, program.__name__, f"{cycles:,}", f"{cycles / whole:,.0f}",
                    f"{cycles / bare:,.0f}", f"{whole / bare - 1:+.1%}",
                )  # fmt: skip
    Console().print(table)


if __name__ == "__main__":
    main(sys.argv[1:] or ("default",))
