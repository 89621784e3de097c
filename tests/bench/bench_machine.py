"""Cycles of the simulated default machine, against what cannot be done faster, and the goals.

python -m tests.bench.bench_machine [MEMORY ...]
"""

import sys

import numpy as np
from rich.console import Console
from rich.table import Table

from vta.config import VTAConfig
from vta.isa import Alu, AluOpcode, Finish, Gemm, Isa, Load, MemId, Uop
from vta.sim.memory import Memory
from vta.sim.verilator import VerilatedMachine

BASE = 0x1000_0000
UOPS = [Uop(0, 0, 0), Uop(0, 1024, 0), Uop(1024, 0, 0)]
"""Both halves of the accumulators, and one operand in each."""


def stream(*insns):
    """The instructions, behind a load of the micro-ops."""
    load = Load(memory=MemId.UOP, dram_base=BASE // 4, y_size=1, x_size=len(UOPS))
    return [load, *insns, Finish()]


def walk(kind, uop, count, **fields):
    """One GEMM or ALU instruction over ``count`` consecutive accumulators."""
    step = {} if kind is Gemm else {"src_factor_in": 1}
    return kind(uop_bgn=uop, uop_end=uop + 1, iter_in=count, dst_factor_in=1, **step, **fields)


def layer(rounds):
    """Two threads in turn: 16 products for each of 784 tiles, then bias, shift and clip."""
    insns = []
    for _ in range(rounds):
        for thread in (0, 2):
            insns += [
                walk(Gemm, thread, 784, reset=True),
                walk(Gemm, thread, 784, iter_out=16),
                walk(Alu, thread, 784, alu_opcode=AluOpcode.ADD, use_imm=True, imm=3),
                walk(Alu, thread, 784, alu_opcode=AluOpcode.SHR, use_imm=True, imm=8),
                walk(Alu, thread, 784, alu_opcode=AluOpcode.MAX, use_imm=True, imm=0),
                walk(Alu, thread, 784, alu_opcode=AluOpcode.MIN, use_imm=True, imm=127),
            ]
    return insns


WORK = {
    "1024 tiles, immediate": ([walk(Alu, 0, 1024, alu_opcode=AluOpcode.SHR, use_imm=True)], 1024,
                              1.05),
    "1024 tiles, two operands": ([walk(Alu, 1, 1024, alu_opcode=AluOpcode.ADD)], 1024, 1.05),
    "256 products into one tile": ([Gemm(uop_end=1, iter_in=256)], 256, 1.0),
    "layer of 8 x 784 x 16 products": (layer(4), 8 * 784 * 17, None),
}  # fmt: skip
"""Name: what runs, the cycles of its products or tiles (with resets), the goal for their ratio."""


def main(memories):
    cfg = VTAConfig.preset("default")
    isa = Isa.of(cfg)
    table = Table("work", "memory", "bound", "cycles beyond an empty run", "ratio", "goal")
    for name in memories:
        machine = VerilatedMachine(cfg, name)

        def cycles(insns, machine=machine):
            memory = Memory(BASE, np.zeros(1 << 16, np.uint8))
            memory.data[: 4 * len(UOPS)] = isa.encode_uops(UOPS).view(np.uint8)
            machine.reset()
            machine.run(isa.encode_all(insns), memory)
            return machine.bus.cycles

        empty = cycles(stream())
        for work, (insns, bound, goal) in WORK.items():
            took = cycles(stream(*insns)) - empty
            row = (work, name, f"{bound:,}", f"{took:,}", f"{took / bound:.3f}")
            table.add_row(*row, "" if goal is None else f"{goal:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main(sys.argv[1:] or ["ideal", "ddr"])
