"""Cycles of the simulated default machine, against what cannot be done faster, and the goals.

The tutorials are run as a user runs them. The others are streams of instructions without transfers;
of an ALU or GEMM instruction the steady state counts: the cycles that a second one adds.

    python -m tests.bench.bench_machine [MEMORY ...]
"""

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from vta.config import VTAConfig
from vta.isa import Alu, AluOpcode, Finish, Gemm, Isa, Load, MemId, Uop
from vta.sim.memory import Memory
from vta.sim.rtl.machine import VerilatedMachine

TUTORIALS = Path(__file__).parents[2] / "tutorials"
BASE = 0x1000_0000
THREADS = (0, 1024)
"""First accumulators of two threads."""
TILES, BLOCKS = 784, 16
"""Accumulators of a thread, and blocks of channels among them, which have a bias each."""
UOPS = [
    *(Uop(first, 0, 0) for first in THREADS),
    Uop(0, 1024, 0),
    *(Uop(first, first + TILES, 0) for first in THREADS),
]
WALKS, APART, BIASES = (0, 1), 2, (3, 4)
"""Micro-ops: the accumulators of a thread, one operand in each half, and with the biases."""


@dataclass(frozen=True)
class Row:
    """What is measured: cycles against a bound, and the most cycles of the goal, by memory."""

    work: str
    bound: int
    goals: dict[str, int]


TUTORIAL_ROWS = {
    "vta_get_started": Row("vector add tutorial", 1024 + 128, {"ideal": 1350}),
    "matrix_multiply_opt": Row("blocked product tutorial", 131_072, {"ideal": 137_970}),
    "convolution_opt": Row(
        "convolution tutorial", 451_584, {"ideal": int(451_584 / 0.97), "ddr": int(451_584 / 0.95)}
    ),
}


def walk(kind, uop, count, **fields):
    """One GEMM or ALU instruction over ``count`` consecutive accumulators."""
    step = {} if kind is Gemm else {"src_factor_in": 1}
    return kind(uop_bgn=uop, uop_end=uop + 1, iter_in=count, dst_factor_in=1, **step, **fields)


def layer(rounds, products):
    """Two threads in turn: so many products for each tile, then bias, shift, and clip."""
    insns = []
    for thread in (0, 1) * rounds:
        uop, pixels = WALKS[thread], TILES // BLOCKS
        bias = Alu(
            alu_opcode=AluOpcode.ADD, uop_bgn=BIASES[thread], uop_end=BIASES[thread] + 1,
            iter_out=BLOCKS, dst_factor_out=pixels, src_factor_out=1,
            iter_in=pixels, dst_factor_in=1,
        )  # fmt: skip
        insns += [
            walk(Gemm, uop, TILES, reset=True),
            walk(Gemm, uop, TILES, iter_out=products),
            bias,
            walk(Alu, uop, TILES, alu_opcode=AluOpcode.SHR, use_imm=True, imm=8),
            walk(Alu, uop, TILES, alu_opcode=AluOpcode.MAX, use_imm=True, imm=0),
            walk(Alu, uop, TILES, alu_opcode=AluOpcode.MIN, use_imm=True, imm=127),
        ]
    return insns


IMMEDIATE = walk(Alu, WALKS[0], 1024, alu_opcode=AluOpcode.SHR, use_imm=True)
OPERANDS = walk(Alu, APART, 1024, alu_opcode=AluOpcode.ADD)
SAME_TILE = Gemm(uop_end=1, iter_in=256)
STREAMS = [
    (Row("1024 vectors, immediate", 1024, {"ideal": 1075, "ddr": 1075}), [IMMEDIATE] * 2,
     [IMMEDIATE]),
    (Row("1024 vectors, two tensors", 1024, {"ideal": 1075, "ddr": 1075}), [OPERANDS] * 2,
     [OPERANDS]),
    (Row("256 products into one tile", 256, {"ideal": 256, "ddr": 256}), [SAME_TILE] * 2,
     [SAME_TILE]),
    (Row("layer: 8 x 784 tiles of 36 products", 8 * TILES * 36, {}), layer(4, 36), []),
]  # fmt: skip
"""What runs, and what runs before and does not count."""


def tutorial_cycles(name, memory):
    """Runs a tutorial on tsim."""
    command = [sys.executable, str(TUTORIALS / f"{name}.py"), "--target", "tsim"]
    done = subprocess.run(
        [*command, "--memory", memory], check=True, capture_output=True, text=True
    )
    return int(re.search(r"cycle_count *: *([\d,]+)", done.stdout)[1].replace(",", ""))


def stream_cycles(machine, insns):
    """Runs instructions behind a load of the micro-ops."""
    isa = Isa.of(machine.cfg)
    memory = Memory(BASE, np.zeros(1 << 16, np.uint8))
    memory.data[: 4 * len(UOPS)] = isa.encode_uops(UOPS).view(np.uint8)
    load = Load(memory=MemId.UOP, dram_base=BASE // 4, y_size=1, x_size=len(UOPS))
    machine.reset()
    machine.run(isa.encode_all([load, *insns, Finish()]), memory)
    return machine.bus.cycles


def measure(memory):
    """(row, cycles) of all work on a memory."""
    for name, row in TUTORIAL_ROWS.items():
        yield row, tutorial_cycles(name, memory)
    machine = VerilatedMachine(VTAConfig.preset("default"), memory)
    for row, insns, before in STREAMS:
        yield row, stream_cycles(machine, insns) - stream_cycles(machine, before)
    machine.close()


def main(memories):
    missed = []
    table = Table("work", "memory", "bound", "cycles", "bound/cycles", "goal", "")
    for memory in memories:
        for row, cycles in measure(memory):
            goal = row.goals.get(memory)
            reached = goal is None or cycles <= goal
            if not reached:
                missed.append(f"{row.work} ({memory})")
            table.add_row(
                row.work, memory, f"{row.bound:,}", f"{cycles:,}", f"{row.bound / cycles:.1%}",
                "" if goal is None else f"{goal:,}",
                "" if goal is None else "reached" if reached else "missed",
            )  # fmt: skip
    Console(width=110).print(table)
    if missed:
        print(f"Goals that are not reached: {', '.join(missed)}")


if __name__ == "__main__":
    main(sys.argv[1:] or ["ideal", "ddr"])
