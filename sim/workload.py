"""How long a stream may take at most: the limit beyond which a simulated machine is taken to
hang."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vta.isa import Alu, Gemm, Instruction, Load, MemId, Store

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vta.config import VTAConfig

    from .timing import MemoryTiming

__all__ = ["cycle_bound"]

MARGIN = 4
"""The limit is so many times what a slow machine would need."""
CYCLES_PER_RUN = 20_000
CYCLES_PER_INSTRUCTION = 500
CYCLES_PER_OPERATION = 4
"""Of the GEMM core and the ALU; a machine as it should be takes one."""


def cycle_bound(cfg: VTAConfig, insns: Iterable[Instruction | None], timing: MemoryTiming) -> int:
    """A number of cycles that no run of the stream needs, unless something hangs; None is no
    instruction at all."""
    round_trip = timing.read_latency + timing.write_latency
    total = float(CYCLES_PER_RUN)
    for insn in insns:
        total += CYCLES_PER_INSTRUCTION + round_trip + timing.slowest_beat
        if isinstance(insn, Load | Store) and not insn.is_nop:
            total += _transfer(cfg, insn, timing, round_trip)
        elif isinstance(insn, Gemm | Alu):
            total += insn.operations * CYCLES_PER_OPERATION
    return MARGIN * int(total)


def _transfer(cfg: VTAConfig, insn: Load | Store, timing: MemoryTiming, round_trip: int) -> float:
    elem_bytes = {
        MemId.UOP: cfg.uop_elem_bytes,
        MemId.WGT: cfg.wgt_elem_bytes,
        MemId.INP: cfg.inp_elem_bytes,
        MemId.ACC: cfg.acc_elem_bytes,
        MemId.OUT: cfg.out_elem_bytes,
        MemId.ACC_8BIT: cfg.acc8_elem_bytes,
    }[insn.memory]
    columns = insn.x_pad_0 + insn.x_size + insn.x_pad_1
    rows = insn.y_pad_0 + insn.y_size + insn.y_pad_1
    beats_in_row = insn.x_size * elem_bytes // cfg.bus_bytes + 2
    bursts_in_row = beats_in_row // 256 + beats_in_row * cfg.bus_bytes // 4096 + 2
    row = beats_in_row * timing.slowest_beat + bursts_in_row * round_trip
    return rows * columns + insn.y_size * row
