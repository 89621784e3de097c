"""How long a stream may take at most: the limit beyond which a simulated machine hangs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vta.config import AXI3_BURST_BEATS
from vta.isa import Isa, MemId, Opcode

if TYPE_CHECKING:
    import numpy.typing as npt

    from vta.isa import Format
    from vta.memory_timing import MemoryTiming

__all__ = ["cycle_bound"]

MARGIN = 4
"""The limit is so many times what a slow machine would need."""
CYCLES_PER_RUN = 20_000
CYCLES_PER_INSTRUCTION = 500
CYCLES_PER_OPERATION = 4
"""Of the GEMM core, and for each beat of the ALU; a machine as it should be takes one."""
SERIAL_BEATS = 8
"""So many times that for a beat of an ALU without multipliers."""


def cycle_bound(isa: Isa, stream: bytes, timing: MemoryTiming) -> int:
    """A number of cycles that no run of the stream needs, unless something hangs.

    Works on all instructions at once: a stream may have a hundred thousand. What is no instruction
    counts as some other one.
    """
    words = np.frombuffer(stream, "<u8").reshape(-1, 2)
    round_trip = timing.read_latency + timing.write_latency
    opcode = words[:, 0] & 7
    transfers = _transfers(isa, words[np.isin(opcode, (Opcode.LOAD, Opcode.STORE))], timing)
    alu_cycles = isa.cfg.alu_beats * (1 if isa.cfg.alu_multiplier else SERIAL_BEATS)
    operations = sum(
        _operations(isa.format_of(kind), words[opcode == kind]) * cycles
        for kind, cycles in ((Opcode.GEMM, 1), (Opcode.ALU, alu_cycles))
    )
    each = CYCLES_PER_INSTRUCTION + round_trip + timing.slowest_beat
    total = CYCLES_PER_RUN + len(words) * each + transfers + operations * CYCLES_PER_OPERATION
    return MARGIN * int(total)


def _column(layout: Format, words: npt.NDArray[np.uint64], name: str) -> npt.NDArray[np.float64]:
    """A field of every instruction in ``words``, shape (n, 2)."""
    field = layout[name]
    half, shift = divmod(field.offset, 64)
    mask = np.uint64((1 << field.width) - 1)
    return ((words[:, half] >> np.uint64(shift)) & mask).astype(np.float64)


def _operations(layout: Format, words: npt.NDArray[np.uint64]) -> float:
    """Micro-operations of GEMM or ALU instructions."""
    bgn, end, outer, inner = (
        _column(layout, words, name) for name in ("uop_bgn", "uop_end", "iter_out", "iter_in")
    )
    return float((np.maximum(end - bgn, 0) * outer * inner).sum())


def _transfers(isa: Isa, words: npt.NDArray[np.uint64], timing: MemoryTiming) -> float:
    """Cycles of LOAD and STORE instructions: elements written or padded, beats, bursts."""
    cfg = isa.cfg

    def column(name: str) -> npt.NDArray[np.float64]:
        return _column(isa.memory, words, name)

    sizes = np.zeros(1 << isa.memory["memory"].width)
    for memory in MemId:
        sizes[memory] = isa.elem_bytes(memory)
    columns = column("x_pad_0") + column("x_size") + column("x_pad_1")
    rows = column("y_pad_0") + column("y_size") + column("y_pad_1")
    row_bytes = column("x_size") * sizes[column("memory").astype(np.intp)]
    beats = row_bytes / cfg.bus_bytes + 2
    bursts = beats / AXI3_BURST_BEATS + row_bytes / 4096 + 2
    round_trip = timing.read_latency + timing.write_latency
    in_dram = column("y_size") * (beats * timing.slowest_beat + bursts * round_trip)
    works = column("x_size") > 0
    return float(((rows * columns + in_dram) * works).sum())
