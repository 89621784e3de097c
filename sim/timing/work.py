"""What each instruction of a stream has to do: micro-ops, rows and access ranges, without time."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import numpy as np

from vta.config import INSN_BYTES, UOP_BYTES
from vta.isa import Isa, MemId, Opcode, PipelineModule
from vta.isa.tokens import TOKEN_QUEUES
from vta.sim.timing import state
from vta.sim.timing.constants import Constants, Pipeline
from vta.sim.timing.nests import NO_HIGH, NO_LOW, Nests

if TYPE_CHECKING:
    import numpy.typing as npt

    from vta.config import VTAConfig
    from vta.isa.formats import Field

    Ints = npt.NDArray[np.int64]

__all__ = ["works_of"]


def works_of(
    cfg: VTAConfig, code: bytes, uop_words: npt.NDArray[np.uint32], uop_base: int = 0
) -> tuple[Ints, tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]]:
    """The work of each instruction of a stream.

    Parameters
    ----------
    code : bytes
        Legal instructions.
    uop_words : ndarray of uint32, shape (n,)
        The micro-ops in DRAM. A LOAD from outside of them loads zeros.
    uop_base : int
        Their DRAM index, in elements.

    Returns
    -------
    work : ndarray of int64, shape (WORK_FIELDS, instructions)
        Fields as numbered in :mod:`vta.sim.timing.state`:

        ========================  =====================================================
        MODULE, UNIT              the module and its unit, by their numbers
        POPS, PUSHES              token queues, a bit each
        DECODE                    compute module: accept to advance of its access ranges
        WRITE_LOW .. UOP_HIGH     access ranges: accumulators written, accumulators only
                                  read, micro-ops
        READS_UOPS                its micro-ops are read when its ranges are computed:
                                  they are not cached
        OPERATIONS                micro-ops; 1 for a loop nest without any
        STALLS, CONFLICTS         cycles of the unit between its own micro-ops: hazards,
                                  and bank conflicts
        BANKS_AT, BANKS           its micro-ops in the two arrays of banks
        ROWS, ELEMENTS, STRIDE,   the rows of a transfer: their number, elements, bytes
        NBYTES, ADDRESS           from row to row, bytes, first byte
        LEAD, BETWEEN, TRAIL      padding before the first row, before each other row,
                                  and behind the last one (a row of its own)
        PER_BEAT, BEATS_EACH      elements in a beat, beats of an element
        DELAY, GAP                cycles before the first element of a STORE of ACC, and
                                  between two
        SEQUENCE                  three rows: the instructions of each module
        POSITION                  their places there
        ========================  =====================================================
    banks : two ndarrays of uint8
        For each micro-op a bit, or 0. GEMM: the bank that it reads, and the bank that it writes;
        ALU: the bank of its destination, and of a source that is another tile.
    """
    reader = _Reader(cfg, code, uop_words, uop_base)
    return reader.work, reader.banks


class _Reader:
    """The columns of a stream, and a walk through it with the contents of the micro-op SRAM."""

    def __init__(
        self, cfg: VTAConfig, code: bytes, uop_words: npt.NDArray[np.uint32], uop_base: int
    ) -> None:
        self.cfg, self.isa, self.constants = cfg, Isa.of(cfg), Constants.of(cfg)
        self.bits = np.frombuffer(code, "<u8").reshape(-1, INSN_BYTES // 8)
        self.words, self.base = np.asarray(uop_words, "<u4").tobytes(), uop_base
        self.work = np.zeros((state.WORK_FIELDS, len(self.bits)), np.int64)
        self.nests = Nests(self.isa, self.constants)
        self.cached: deque[tuple[int, int]] = deque(maxlen=Pipeline.BOUNDS_CACHED)
        self.sram = bytearray(cfg.uop_depth * UOP_BYTES)
        self._modules()
        self._transfers()
        self._compute()

    def _column(self, field: Field, which: Ints | None = None) -> Ints:
        """A field of the instructions ``which``, or of all, as int64 without its sign."""
        half, shift = divmod(field.offset, 64)
        words = self.bits[:, half] if which is None else self.bits[which, half]
        mask = np.uint64((1 << field.width) - 1)
        return (words >> np.uint64(shift) & mask).astype(np.int64)

    def _modules(self) -> None:
        """Modules, tokens, and the order of the instructions in each module."""
        work, layout = self.work, self.isa.memory
        self.opcode = self._column(layout["opcode"])
        self.is_transfer = (self.opcode == Opcode.LOAD) | (self.opcode == Opcode.STORE)
        self.memory = np.where(self.is_transfer, self._column(layout["memory"]), 0)
        is_load = (self.opcode == Opcode.LOAD) & np.isin(self.memory, (MemId.INP, MemId.WGT))
        module = np.full(len(self.opcode), int(PipelineModule.COMPUTE))
        module[is_load] = PipelineModule.LOAD
        module[self.opcode == Opcode.STORE] = PipelineModule.STORE
        for number, queue in enumerate(TOKEN_QUEUES):
            for row, flag, end in (
                (state.POPS, queue.pop_flag, queue.target),
                (state.PUSHES, queue.push_flag, queue.source),
            ):
                moves = (self._column(layout[flag]) == 1) & (module == end)
                work[row] |= moves.astype(np.int64) << number
        work[state.MODULE] = module - PipelineModule.LOAD
        for number in range(len(PipelineModule)):
            (inside,) = np.nonzero(work[state.MODULE] == number)
            work[state.SEQUENCE + number, : len(inside)] = inside
            work[state.POSITION, inside] = np.arange(len(inside))
        work[[state.WRITE_LOW, state.READ_LOW, state.UOP_LOW]] = NO_LOW
        work[[state.WRITE_HIGH, state.READ_HIGH, state.UOP_HIGH]] = NO_HIGH
        work[state.DECODE] = np.where(
            module == PipelineModule.COMPUTE, Pipeline.RANGES_NO_ACCESS, 0
        )

    # ---- transfers --------------------------------------------------------------------------

    def _transfers(self) -> None:
        """Rows, and the ranges of the LOADs of the compute module."""
        work, layout, isa = self.work, self.isa.memory, self.isa
        (which,) = np.nonzero(self.is_transfer)
        names = ("y_size", "x_size", "x_stride", "y_pad_0", "y_pad_1", "x_pad_0", "x_pad_1")
        count, elements, stride, top, bottom, left, right = (
            self._column(layout[name], which) for name in names
        )
        memory, is_store = self.memory[which], self.opcode[which] == Opcode.STORE
        size = np.ones(layout["memory"].high + 1, np.int64)
        for kind in MemId:
            size[kind] = isa.elem_bytes(kind)
        size = size[memory]
        address = self._column(layout["dram_base"], which)
        if self.cfg.extension:
            pads = (self._column(isa.pad_load["has_pad_value"], which) == 1) & ~is_store
            address = np.where(pads, self._column(isa.pad_load["dram_base"], which), address)
        is_nop = elements == 0
        pitch = left + elements + right
        lead, trail = top * pitch + left, bottom * pitch + right
        empty = count == 0
        lead[empty], trail[empty] = 0, ((top + bottom) * pitch)[empty]
        joined = ~empty & (stride == elements) & (left == 0) & (right == 0)
        rows = np.where(joined, 1, count)
        row_elements = np.where(joined, elements * count, elements)
        beat = self.cfg.bus_bytes
        for row, values in (
            (state.ROWS, rows), (state.ELEMENTS, row_elements), (state.STRIDE, stride * size),
            (state.NBYTES, row_elements * size), (state.LEAD, lead),
            (state.BETWEEN, left + right), (state.TRAIL, trail),
        ):  # fmt: skip
            work[row, which] = np.where(is_nop, 0, values)
        work[state.PER_BEAT, which] = np.maximum(1, beat // size)
        work[state.BEATS_EACH, which] = np.maximum(1, size // beat)
        work[state.ADDRESS, which] = address * size
        read = np.where(is_store & (memory == MemId.ACC) & ~is_nop, self.constants.tile_read, 1)
        work[state.DELAY, which] = read - 1
        work[state.GAP, which] = np.maximum(0, read - work[state.BEATS_EACH, which])
        in_compute = work[state.MODULE, which] == state.COMPUTE_MODULE
        unit = np.where(is_store, state.STORE_UNIT, state.LOAD_UNIT)
        unit[in_compute] = np.where(is_nop, state.NO_UNIT, state.LOADER_UNIT)[in_compute]
        work[state.UNIT, which] = unit
        total = count + top + bottom
        loads = in_compute & ~is_nop & (total > 0)
        one = np.where(total == 1, Pipeline.RANGES_ONE_ROW, Pipeline.RANGES_ROWS)
        work[state.DECODE, which[loads]] = one[loads]
        base = self._column(layout["sram_base"], which)
        last = base + total * pitch - 1
        for is_uop, row in ((False, state.WRITE_LOW), (True, state.UOP_LOW)):
            selected = loads & ((memory == MemId.UOP) == is_uop)
            work[row, which[selected]] = base[selected]
            work[row + 1, which[selected]] = last[selected]
        selected = loads & (memory == MemId.UOP)
        first = base + top * pitch + left
        in_uops = (base, last + 1, first, address - self.base, elements, stride, pitch)
        in_bytes = ((column[selected] * UOP_BYTES).tolist() for column in in_uops)
        self.uop_loads = dict(
            zip(
                which[selected].tolist(),
                zip(*in_bytes, count[selected].tolist(), strict=True),
                strict=True,
            )
        )

    def _load_uops(self, i: int) -> None:
        """A LOAD of micro-ops, in the SRAM; all numbers are bytes."""
        begin, end, at, address, elements, stride, pitch, count = self.uop_loads[i]
        self.cached.clear()
        self.sram[begin:end] = bytes(end - begin)
        for row in range(count):
            first, place = address + row * stride, at + row * pitch
            found = self.words[max(first, 0) : max(first + elements, 0)]
            self.sram[place : place + len(found)] = found

    # ---- loop nests -------------------------------------------------------------------------

    def _compute(self) -> None:
        """Loop nests: a walk through the stream, with the LOADs of micro-ops."""
        work = self.work
        is_nest = (self.opcode == Opcode.GEMM) | (self.opcode == Opcode.ALU)
        (which,) = np.nonzero(is_nest)
        is_alu = self.opcode[which] == Opcode.ALU
        work[state.UNIT, which] = np.where(is_alu, state.ALU_UNIT, state.GEMM_UNIT)
        gemm, alu = self.isa.gemm, self.isa.alu

        def column(name: str) -> Ints:
            return self._column(gemm[name], which)

        low, high, out, inner = (
            column(name) for name in ("uop_bgn", "uop_end", "iter_out", "iter_in")
        )
        operations = out * inner * np.maximum(high - low, 0)
        work[state.OPERATIONS, which] = np.maximum(operations, 1)
        starts = column("start") if self.cfg.extension else np.zeros_like(low)
        overwrites = ~is_alu & ((column("reset") | starts) == 1)
        code = np.where(is_alu, self._column(alu["alu_opcode"], which), -1)
        two = is_alu & (self._column(alu["use_imm"], which) == 0)
        sources = tuple(
            np.where(is_alu, self._column(alu[name], which), 0)
            for name in ("src_factor_out", "src_factor_in")
        )
        some = operations > 0
        work[state.UOP_LOW, which[some]] = low[some]
        work[state.UOP_HIGH, which[some]] = high[some] - 1
        decode = np.where(two, Pipeline.RANGES_TWO_OPERANDS, Pipeline.RANGES_LOOP)
        columns = (
            column("dst_factor_out"), column("dst_factor_in"), *sources, code, two, starts == 1,
            overwrites,
        )  # fmt: skip
        shapes = zip(*(values[some].tolist() for values in (out, inner, *columns)), strict=True)
        walk = (values[some].tolist() for values in (which, decode, low, high))
        loads = iter([*sorted(self.uop_loads), len(self.bits)])
        load = next(loads)
        lanes = self.constants.uop_lanes
        found: list[tuple[int, bool, int]] = []
        for i, cycles, begin, end, shape in zip(*walk, shapes, strict=True):
            while load < i:
                self._load_uops(load)
                load = next(loads)
            reads = (begin, end) not in self.cached
            if reads:
                self.cached.append((begin, end))
                cycles = max(cycles, Pipeline.BOUNDS_READ + (end - 1) // lanes - begin // lanes)
            uops = self.sram[begin * UOP_BYTES : end * UOP_BYTES]
            found.append((cycles, reads, self.nests.number(bytes(uops), shape)))
        table, self.banks = self.nests.computed()
        if found:
            cycles, reads, numbers = np.array(found, np.int64).T
            work[np.ix_([state.DECODE, state.READS_UOPS], which[some])] = cycles, reads
            rows = [
                state.STALLS, state.CONFLICTS, state.BANKS_AT, state.BANKS,
                state.WRITE_LOW, state.WRITE_HIGH, state.READ_LOW, state.READ_HIGH,
            ]  # fmt: skip
            work[np.ix_(rows, which[some])] = table[:, numbers]
