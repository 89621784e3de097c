"""What each instruction of a stream has to do: micro-ops, rows and access ranges, without time."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vta.isa import (
    Alu,
    Gemm,
    Instruction,
    Isa,
    Load,
    MemId,
    MicroOpLoop,
    Opcode,
    PipelineModule,
    TokenCounts,
    Transfer,
)
from vta.sim.timing.constants import Constants, Pipeline

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from vta.config import VTAConfig

__all__ = ["Range", "Rows", "Work", "works_of"]

Range = tuple[int, int] | None
"""Lowest and highest entry, or None."""


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a transfer: ``count`` rows of ``elements`` elements, ``stride`` bytes apart.

    ``lead``, ``between`` and ``trail`` are the zeros before the first row, before each other row,
    and behind the last one (a row of its own). ``per_beat`` elements are in a beat, or an element
    takes ``beats_per_element`` beats. In a STORE of ACC, ``wait`` cycles are before the first
    element, and ``gap`` cycles between two elements.
    """

    count: int
    elements: int
    stride: int
    nbytes: int
    lead: int
    between: int
    trail: int
    per_beat: int
    beats_per_element: int
    wait: int = 0
    gap: int = 0

    @property
    def total(self) -> int:
        """Rows that the row generator makes."""
        return self.count + (self.trail > 0 or self.count == 0)


@dataclass(slots=True)
class Work:
    """One instruction, ready for the timing model.

    Attributes
    ----------
    index, module, unit
        As of :class:`~vta.sim.timing.timing.InstructionTiming`.
    pops, pushes : list of str
        Token queues.
    decode : int
        Compute module: accept to advance of its access ranges.
    writes, reads, uops : Range
        Access ranges: accumulators written, accumulators only read, micro-ops.
    reads_uops : bool
        Its micro-ops are read when its ranges are computed: they are not cached.
    operations : int
        Micro-ops; 1 for a loop nest without any.
    stalls : int
        Cycles of the unit between its own micro-ops: bank conflicts and hazards.
    overwrites : bool
        GEMM with ``reset`` or ``start``: the accumulator memory is not read.
    dst, src : ndarray of int64 or None
        Of GEMM and ALU: accumulators in the order of the micro-ops.
    rows : Rows or None
        Of transfers.
    """

    index: int
    module: PipelineModule
    unit: str
    pops: list[str]
    pushes: list[str]
    decode: int = 0
    writes: Range = None
    reads: Range = None
    uops: Range = None
    reads_uops: bool = False
    operations: int = 0
    stalls: int = 0
    overwrites: bool = False
    dst: npt.NDArray[np.int64] | None = None
    src: npt.NDArray[np.int64] | None = None
    rows: Rows | None = None
    address: int = 0


def works_of(
    cfg: VTAConfig,
    instructions: Sequence[Instruction],
    uop_words: npt.NDArray[np.uint32],
    uop_base: int = 0,
) -> list[Work]:
    """The work of each instruction of a stream.

    Parameters
    ----------
    uop_words : ndarray of uint32, shape (n,)
        The micro-ops in DRAM. A LOAD from outside of them loads zeros.
    uop_base : int
        Their DRAM index, in elements.
    """
    return _Reader(cfg, uop_words, uop_base).read(instructions)


class _Reader:
    """Walks through a stream with the contents of the micro-op SRAM."""

    def __init__(self, cfg: VTAConfig, uop_words: npt.NDArray[np.uint32], uop_base: int) -> None:
        self.cfg, self.isa, self.constants = cfg, Isa.of(cfg), Constants.of(cfg)
        self.words, self.base = np.asarray(uop_words, "<u4"), uop_base
        self.sram = np.zeros(cfg.uop_depth, "<u4")
        self.cached: deque[tuple[int, int]] = deque(maxlen=Pipeline.BOUNDS_CACHED)
        self.nests: dict[tuple[object, ...], tuple[object, ...]] = {}
        self.transfers: dict[tuple[object, ...], Rows] = {}
        self.tokens: dict[tuple[object, ...], tuple[list[str], list[str]]] = {}
        self.elem_bytes = {memory: self.isa.elem_bytes(memory) for memory in MemId}

    def read(self, instructions: Sequence[Instruction]) -> list[Work]:
        return [self._work(index, insn) for index, insn in enumerate(instructions)]

    def _work(self, index: int, insn: Instruction) -> Work:
        module = insn.module
        flags = (module, insn.pop_prev, insn.pop_next, insn.push_prev, insn.push_next)
        tokens = self.tokens.get(flags)
        if tokens is None:
            tokens = TokenCounts.popped_by(insn), TokenCounts.pushed_by(insn)
            self.tokens[flags] = tokens
        work = Work(index, module, "none", *tokens)
        if isinstance(insn, Transfer):
            work.address = insn.dram_base * self.elem_bytes[insn.memory]
            kind = (
                insn.opcode, insn.memory, insn.y_size, insn.x_size, insn.x_stride,
                insn.y_pad_0, insn.y_pad_1, insn.x_pad_0, insn.x_pad_1,
            )  # fmt: skip
            rows = self.transfers.get(kind)
            if rows is None:
                rows = self.transfers[kind] = self._rows(insn)
            work.rows = rows
            if module is PipelineModule.COMPUTE:
                work.unit = "none" if insn.is_nop else "loader"
            else:
                work.unit = "load" if module is PipelineModule.LOAD else "store"
        if module is not PipelineModule.COMPUTE:
            return work
        work.decode = Pipeline.RANGES_NO_ACCESS
        if isinstance(insn, Load) and not insn.is_nop:
            self._loader(work, insn)
        elif isinstance(insn, MicroOpLoop):
            self._nest(work, insn)
        return work

    # ---- transfers --------------------------------------------------------------------------

    def _rows(self, insn: Transfer) -> Rows:
        size = self.elem_bytes[insn.memory]
        beat = self.cfg.bus_bytes
        pitch = insn.x_pad_0 + insn.x_size + insn.x_pad_1
        packing = max(1, beat // size), max(1, size // beat)
        if insn.is_nop:
            return Rows(0, 0, 0, 0, 0, 0, 0, *packing)
        count, elements = insn.y_size, insn.x_size
        lead = insn.y_pad_0 * pitch + insn.x_pad_0
        trail = insn.y_pad_1 * pitch + insn.x_pad_1
        if not count:
            lead, trail = 0, (insn.y_pad_0 + insn.y_pad_1) * pitch
        elif insn.x_stride == elements and not insn.x_pad_0 and not insn.x_pad_1:
            count, elements = 1, elements * count
        between = insn.x_pad_0 + insn.x_pad_1
        is_acc_store = insn.opcode is Opcode.STORE and insn.memory is MemId.ACC
        read = self.constants.tile_read if is_acc_store else 1
        return Rows(
            count, elements, insn.x_stride * size, elements * size, lead, between, trail,
            *packing, wait=read - 1, gap=max(0, read - packing[1]),
        )  # fmt: skip

    def _loader(self, work: Work, insn: Load) -> None:
        rows = insn.y_size + insn.y_pad_0 + insn.y_pad_1
        columns = insn.x_size + insn.x_pad_0 + insn.x_pad_1
        if not rows:
            return
        work.decode = Pipeline.RANGES_ONE_ROW if rows == 1 else Pipeline.RANGES_ROWS
        entries = insn.sram_base, insn.sram_base + rows * columns - 1
        if insn.memory is not MemId.UOP:
            work.writes = entries
            return
        work.uops = entries
        self.cached.clear()
        at = insn.sram_base + insn.y_pad_0 * columns
        self.sram[insn.sram_base : entries[1] + 1] = 0
        for row in range(insn.y_size):
            first = insn.dram_base - self.base + row * insn.x_stride
            begin = at + row * columns + insn.x_pad_0
            found = self.words[max(first, 0) : max(first + insn.x_size, 0)]
            room = self.sram[begin : begin + len(found)]
            room[:] = found[: len(room)]

    # ---- loop nests -------------------------------------------------------------------------

    def _nest(self, work: Work, insn: MicroOpLoop) -> None:
        work.unit = "gemm" if isinstance(insn, Gemm) else "alu"
        work.operations = max(insn.operations, 1)
        work.overwrites = isinstance(insn, Gemm) and (insn.reset or insn.start)
        if not insn.operations:
            return
        two = isinstance(insn, Alu) and not insn.use_imm
        work.decode = Pipeline.RANGES_TWO_OPERANDS if two else Pipeline.RANGES_LOOP
        work.uops = insn.uop_bgn, insn.uop_end - 1
        lanes = self.constants.uop_lanes
        if work.uops not in self.cached:
            self.cached.append(work.uops)
            work.reads_uops = True
            words = work.uops[1] // lanes - work.uops[0] // lanes
            work.decode = max(work.decode, Pipeline.BOUNDS_READ + words)
        content = self.sram[insn.uop_bgn : insn.uop_end].tobytes()
        loops = insn.iter_out, insn.iter_in, insn.dst_factor_out, insn.dst_factor_in
        key: tuple[object, ...] = content, loops
        if isinstance(insn, Alu):
            sources = insn.src_factor_out, insn.src_factor_in
            key = content, loops, sources, insn.alu_opcode, insn.use_imm, insn.start
        found = self.nests.get(key)
        if found is None:
            found = self.nests[key] = self._walk(insn, content)
        work.dst, work.src, work.writes, work.reads, work.stalls = found  # type: ignore[assignment]

    def _walk(self, insn: MicroOpLoop, content: bytes) -> tuple[object, ...]:
        """The accumulators of a nest in order, their ranges, and the stalls of the unit itself."""
        uops = self.isa.uop_indices(np.frombuffer(content, "<u4"))
        o = np.arange(insn.iter_out)[:, None, None]
        i = np.arange(insn.iter_in)[None, :, None]
        dst = uops["dst"] + o * insn.dst_factor_out + i * insn.dst_factor_in
        src = uops["src"] + o * insn.src_factor_out + i * insn.src_factor_in
        dst, src = dst.ravel(), src.ravel()
        writes = int(dst.min()), int(dst.max())
        if isinstance(insn, Gemm):
            return dst, None, writes, None, 0
        assert isinstance(insn, Alu)
        stalls = _alu_stalls(insn, dst, src, self.constants)
        if insn.use_imm:
            return dst, None, writes, None, stalls
        return dst, src, writes, (int(src.min()), int(src.max())), stalls


def _alu_stalls(
    insn: Alu,
    dst: npt.NDArray[np.int64],
    src: npt.NDArray[np.int64],
    constants: Constants,
) -> int:
    """Cycles in which the ALU stalls for the instruction's own micro-ops: RAW hazards on results
    that come late, and two operands in one bank (``vta.hw.compute.alu_hazards``)."""
    late = constants.alu_late.get(insn.alu_opcode, 0)
    waits = np.zeros(len(dst), np.int64)
    for distance in range(1, late + 1):  # the nearest producer decides
        same = dst[distance:] == dst[:-distance]
        if not insn.use_imm:
            same = same | (src[distance:] == dst[:-distance])
        younger = waits[distance:]
        younger[same & (younger == 0)] = late + 1 - distance
    stalls = int(waits.sum())
    if insn.use_imm:
        return stalls
    banks = constants.banks
    dst_bank, src_bank = banks[dst], banks[src]
    conflict = (dst_bank == src_bank) & (dst != src)
    if insn.start:  # a run reads no tile from its bank: the first value is 0, then dst is forwarded
        return stalls
    if not conflict.any():
        return stalls
    blocked = np.zeros_like(conflict)
    blocked[1:] = (src_bank[1:] == dst_bank[:-1]) & (src[1:] != dst[:-1])
    early = False
    for own, older in zip(conflict.tolist(), blocked.tolist(), strict=True):
        if early and older:
            early = False
        if own and not early:
            stalls += 1
            early = True
    return stalls
