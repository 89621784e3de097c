"""The on-chip memories over time: how many entries hold data that an instruction still reads.

An entry is in use from the start of the instruction that writes it to the end of the last
instruction that reads it before it is overwritten; an entry that nothing reads, while it is
written. Instructions that work on accumulators in place keep them in use.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from vta.check.accesses import operand_reach
from vta.isa import Alu, Gemm, Isa, Load, MemId, Store

if TYPE_CHECKING:
    import numpy.typing as npt

    from vta.check.accesses import Places
    from vta.isa import Instruction
    from vta.program import Program
    from vta.sim.timing import Timing

__all__ = ["MEMORIES", "occupancy"]

MEMORIES = (MemId.UOP, MemId.INP, MemId.WGT, MemId.ACC)
Curves = dict[tuple[MemId, str], "npt.NDArray[np.int64]"]


def occupancy(program: Program, timing: Timing, bins: int) -> tuple[int, Curves]:
    """Entries in use, by memory and buffer.

    Parameters
    ----------
    program : Program
    timing : Timing
        Of its instructions; those that have not retired count as not run.
    bins : int
        Points of a curve at most.

    Returns
    -------
    int
        Cycles of a point.
    dict of (MemId, str) to ndarray of int64, shape (points,)
        The most entries in use at once in the cycles of each point. Buffers have the names of the
        stages that write them; ``micro-ops``, and the name of the memory where there is no source.
        None for a raw stream with loops of micro-ops, which are somewhere in DRAM.
    """
    if not program.uops and any(isinstance(i, Gemm | Alu) for i in program.instructions):
        return max(1, timing.cycles), {}
    isa = Isa.of(program.cfg)
    memories = {memory: _Memory(isa.depth(memory)) for memory in MEMORIES}
    uops = np.zeros(isa.depth(MemId.UOP), np.uint32)
    for time in timing.instructions:
        insn = program.instructions[time.index]
        source = program.sources.of(time.index)
        for memory, places, reads, writes in _accesses(insn, isa, uops):
            name = memory.name.lower() if source is None else source.stage
            name = "micro-ops" if memory is MemId.UOP else name
            memories[memory].access(places, reads, writes, name, time.start, time.end + 1)
        if isinstance(insn, Load) and insn.memory is MemId.UOP and not insn.is_nop and program.uops:
            words = program.uop_words[insn.dram_base : insn.dram_base + insn.x_size]
            uops[insn.sram_base : insn.sram_base + insn.x_size] = words
    width = max(1, -(-timing.cycles // bins))
    curves: Curves = {}
    for memory, state in memories.items():
        for name, curve in state.curves(timing.cycles).items():
            padded = np.pad(curve, (0, -len(curve) % width))
            curves[memory, name] = padded.reshape(-1, width).max(axis=1)
    return width, curves


_Access = tuple[MemId, "Places", bool, bool]
"""Memory, entries, whether they are read, whether they are written."""


def _accesses(insn: Instruction, isa: Isa, uops: npt.NDArray[np.uint32]) -> list[_Access]:
    match insn:
        case Load() if not insn.is_nop:
            columns = insn.x_pad_0 + insn.x_size + insn.x_pad_1
            size = (insn.y_pad_0 + insn.y_size + insn.y_pad_1) * columns
            memory = MemId.ACC if insn.memory is MemId.ACC_8BIT else insn.memory
            return [(memory, slice(insn.sram_base, insn.sram_base + size), False, True)]
        case Store() if not insn.is_nop:
            end = insn.sram_base + insn.y_size * insn.x_size
            return [(MemId.ACC, slice(insn.sram_base, end), True, False)]
        case Gemm() | Alu():
            fields = isa.uop_indices(uops[insn.uop_bgn : insn.uop_end])
            found: list[_Access] = [(MemId.UOP, slice(insn.uop_bgn, insn.uop_end), True, False)]
            if isinstance(insn, Gemm) and not insn.reset:
                found += [
                    (memory, operand_reach(insn, name, fields[name]), True, False)
                    for name, memory in (("src", MemId.INP), ("wgt", MemId.WGT))
                ]
            elif isinstance(insn, Alu) and not insn.use_imm:
                found.append((MemId.ACC, operand_reach(insn, "src", fields["src"]), True, False))
            anew = insn.start or (isinstance(insn, Gemm) and insn.reset)
            found.append((MemId.ACC, operand_reach(insn, "dst", fields["dst"]), not anew, True))
            return found
        case _:
            return []


class _Memory:
    """For each entry: who wrote it, from when on it is in use, and until when."""

    def __init__(self, depth: int) -> None:
        self._begin = np.full(depth, -1, np.int64)
        self._end = np.zeros(depth, np.int64)
        self._owner = np.zeros(depth, np.int64)
        self._names: dict[str, int] = {}
        self._closed: dict[int, list[npt.NDArray[np.int64]]] = defaultdict(list)

    def access(
        self, places: Places, reads: bool, writes: bool, name: str, begin: int, end: int
    ) -> None:
        """An instruction accesses entries in the cycles ``begin <= cycle < end``."""
        if writes:
            # What is read and written keeps its owner, but an entry that nothing has written.
            new = self._numbers(places)
            new = new[self._begin[new] < 0] if reads else new
            self._close(new)
            self._begin[new] = begin
            self._end[new] = end
            self._owner[new] = self._names.setdefault(name, len(self._names))
        if reads:
            self._end[places] = np.maximum(self._end[places], end)

    def _numbers(self, places: Places) -> npt.NDArray[np.int64]:
        if isinstance(places, slice):
            return np.arange(places.start, min(places.stop, len(self._begin)))
        return places

    def _close(self, places: npt.NDArray[np.int64]) -> None:
        """The data of these entries is overwritten."""
        used = places[self._begin[places] >= 0]
        for owner in np.unique(self._owner[used]).tolist():
            mine = used[self._owner[used] == owner]
            self._closed[owner].append(np.stack([self._begin[mine], self._end[mine]]))

    def curves(self, cycles: int) -> dict[str, npt.NDArray[np.int64]]:
        """Entries in use in each cycle, by the name of the buffer."""
        self._close(np.arange(len(self._begin)))
        found = {}
        for name, owner in self._names.items():
            begins, ends = np.concatenate(self._closed[owner], axis=1)
            begins, ends = np.minimum(begins, cycles), np.minimum(ends, cycles)
            changes = np.bincount(begins, minlength=cycles + 1)
            changes = changes - np.bincount(ends, minlength=cycles + 1)
            found[name] = np.cumsum(changes)[:cycles]
        return found
