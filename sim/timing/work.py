"""What each instruction of a stream has to do: micro-ops, rows and access ranges, without time."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import numpy as np

from vta.config import INSN_BYTES, UOP_BYTES
from vta.isa import Isa, MemId, Opcode, PipelineModule
from vta.sim.timing import state
from vta.sim.timing.constants import Constants, Pipeline
from vta.sim.timing.fields import columns, heads
from vta.sim.timing.nests import NO_HIGH, NO_LOW, Nests, Shape

if TYPE_CHECKING:
    import numpy.typing as npt

    from vta.config import VTAConfig

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
        OPERATIONS                micro-ops, of the ALU their beats, or the cycles of products;
                                  1 for a loop nest without any
        NEST, LATE, MAY_STALL     ALU: the number of its loop nest, cycles by which results
                                  come too late, whether it may stall beside no GEMM
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
        For each micro-op. GEMM: a bit for the bank that it reads, and for the bank that it writes,
        or 0; ALU: its destination, and its source or 0, as :mod:`vta.sim.timing.state` says.
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

    def _columns(self, which: Ints, layout: str, *names: str) -> Ints:
        """Fields of the instructions ``which``, as :func:`~vta.sim.timing.fields.columns`."""
        return columns(self.cfg, self.bits[which], layout, names)

    def _modules(self) -> None:
        """Modules, tokens, and the order of the instructions in each module."""
        work = self.work
        self.opcode, is_transfer, self.memory, module, pops, pushes, decode = heads(
            self.cfg, self.bits
        )
        self.is_transfer = is_transfer == 1
        work[state.POPS], work[state.PUSHES], work[state.DECODE] = pops, pushes, decode
        work[state.MODULE] = module - PipelineModule.LOAD
        for number in range(len(PipelineModule)):
            (inside,) = np.nonzero(work[state.MODULE] == number)
            work[state.SEQUENCE + number, : len(inside)] = inside
            work[state.POSITION, inside] = np.arange(len(inside))
        work[[state.WRITE_LOW, state.READ_LOW, state.UOP_LOW]] = NO_LOW
        work[[state.WRITE_HIGH, state.READ_HIGH, state.UOP_HIGH]] = NO_HIGH

    # ---- transfers --------------------------------------------------------------------------

    def _transfers(self) -> None:
        """Rows, and the ranges of the LOADs of the compute module."""
        work, isa = self.work, self.isa
        (which,) = np.nonzero(self.is_transfer)
        count, elements, stride, top, bottom, left, right, address, base = self._columns(
            which, "memory", "y_size", "x_size", "x_stride", "y_pad_0", "y_pad_1", "x_pad_0",
            "x_pad_1", "dram_base", "sram_base",
        )  # fmt: skip
        memory, is_store = self.memory[which], self.opcode[which] == Opcode.STORE
        size = np.ones(isa.memory["memory"].high + 1, np.int64)
        for kind in MemId:
            size[kind] = isa.elem_bytes(kind)
        size = size[memory]
        if self.cfg.extension:
            pads, padded = self._columns(which, "pad_load", "has_pad_value", "dram_base")
            address = np.where((pads == 1) & ~is_store, padded, address)
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
        low, high, out, inner, resets, *dst_factors = self._columns(
            which, "gemm", "uop_bgn", "uop_end", "iter_out", "iter_in", "reset", "dst_factor_out",
            "dst_factor_in",
        )  # fmt: skip
        operations = out * inner * np.maximum(high - low, 0)
        starts = np.zeros_like(low)
        if self.cfg.extension:
            (starts,) = self._columns(which, "gemm", "start")
        overwrites = ~is_alu & ((resets | starts) == 1)
        code, immediate, *src_factors = self._columns(
            which, "alu", "alu_opcode", "use_imm", "src_factor_out", "src_factor_in"
        )
        code = np.where(is_alu, code, -1)
        cycles = operations * np.where(is_alu, self.constants.alu_beats, 1)
        for operation, period in self.constants.alu_periods.items():
            # The next instruction does not wait for the write of the last one.
            takes = cycles * period - self.constants.alu_read - self.constants.alu_write
            cycles = np.where(code == operation, takes, cycles)
        work[state.OPERATIONS, which] = np.maximum(cycles, 1)
        two = is_alu & (immediate == 0)
        src_factors = [factor * is_alu for factor in src_factors]
        some = operations > 0
        work[state.UOP_LOW, which[some]] = low[some]
        work[state.UOP_HIGH, which[some]] = high[some] - 1
        shapes = np.array([
            out, inner, *dst_factors, *src_factors, code, two, starts, overwrites,
        ], np.int64).T[some].tobytes()  # fmt: skip
        each = len(Shape._fields) * 8
        walk = zip(*(values[some].tolist() for values in (which, low, high)), strict=True)
        loads = iter([*sorted(self.uop_loads), len(self.bits)])
        load = next(loads)
        reads, numbers = [], []
        known: dict[tuple[int, int], bytes] = {}
        """Micro-ops by their range, since the last LOAD."""
        for number, (i, begin, end) in enumerate(walk):
            while load < i:
                self._load_uops(load)
                known.clear()
                load = next(loads)
            key = begin, end
            is_read = key not in self.cached
            if is_read:
                self.cached.append(key)
            uops = known.get(key)
            if uops is None:
                uops = known[key] = bytes(self.sram[begin * UOP_BYTES : end * UOP_BYTES])
            reads.append(is_read)
            numbers.append(self.nests.number(uops, shapes[number * each : (number + 1) * each]))
        table, self.banks = self.nests.computed()
        if numbers:
            nests, lanes = which[some], self.constants.uop_lanes
            read = Pipeline.BOUNDS_READ + (high[some] - 1) // lanes - low[some] // lanes
            decode = np.where(two, Pipeline.RANGES_TWO_OPERANDS, Pipeline.RANGES_LOOP)[some]
            work[state.DECODE, nests] = np.where(reads, np.maximum(decode, read), decode)
            work[state.READS_UOPS, nests] = reads
            rows = [
                state.LATE, state.MAY_STALL, state.BANKS_AT, state.BANKS,
                state.WRITE_LOW, state.WRITE_HIGH, state.READ_LOW, state.READ_HIGH,
            ]  # fmt: skip
            work[np.ix_(rows, nests)] = table[:, numbers]
            work[state.NEST, nests] = numbers
