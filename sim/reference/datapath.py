"""What each instruction does to the on-chip memories and to DRAM, whole instructions at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vta.errors import SramRangeError
from vta.isa import Alu, Finish, Gemm, Instruction, Isa, Load, MemId, Store
from vta.sim.reference.alu import alu
from vta.sim.reference.gemm import gemm, reset
from vta.sim.reference.loops import MicroOpNest
from vta.sim.reference.runs import start_runs
from vta.sim.reference.start import start_sums
from vta.sim.reference.tiles import decode_tiles, encode_tiles, pad_lane, tile_dtype

if TYPE_CHECKING:
    import numpy.typing as npt

    from vta.config import VTAConfig
    from vta.run_result import Counters
    from vta.sim.memory import Memory

__all__ = ["Datapath"]


class Datapath:
    """The on-chip memories of one machine and the operations on them. They keep their contents.

    Attributes
    ----------
    uop : ndarray of uint32, shape (uop depth,)
        Micro-op words.
    inp : ndarray of int8 or int16, shape (inp depth, BATCH, BLOCK_IN)
    wgt : ndarray of int8 or int16, shape (wgt depth, BLOCK_OUT, BLOCK_IN)
    acc : ndarray of int32, shape (acc depth, BATCH, BLOCK_OUT)
    """

    def __init__(self, cfg: VTAConfig) -> None:
        self.cfg = cfg
        self.isa = Isa.of(cfg)
        self.uop = np.zeros(cfg.uop_depth, "<u4")
        self.inp = np.zeros((cfg.inp_depth, cfg.batch, cfg.block_in), tile_dtype(cfg.inp_width))
        self.wgt = np.zeros((cfg.wgt_depth, cfg.block_out, cfg.block_in), tile_dtype(cfg.wgt_width))
        self.acc = np.zeros((cfg.acc_depth, cfg.batch, cfg.block_out), tile_dtype(cfg.acc_width))

    def execute(self, insn: Instruction, memory: Memory, counters: Counters) -> None:
        """Do one legal instruction, tokens aside, and count it.

        Raises
        ------
        SramRangeError, DramRangeError
            If it would touch something beyond the end of an on-chip memory, or outside ``memory``.
            Nothing has changed then.
        """
        if isinstance(insn, Load):
            self._load(insn, memory, counters)
        elif isinstance(insn, Store):
            self._store(insn, memory, counters)
        elif isinstance(insn, Gemm):
            self._gemm(insn, counters)
        elif isinstance(insn, Alu):
            self._alu(insn, counters)
        else:
            assert isinstance(insn, Finish)

    # ---- DRAM ---------------------------------------------------------------------------------

    def _load(self, insn: Load, memory: Memory, counters: Counters) -> None:
        if insn.is_nop:
            return
        cfg, sram = self.cfg, self._sram_of(insn.memory)
        rows = insn.y_pad_0 + insn.y_size + insn.y_pad_1
        columns = insn.x_pad_0 + insn.x_size + insn.x_pad_1
        if rows:
            _check_sram(insn.memory.name, insn.sram_base + rows * columns - 1, len(sram))

        elem_bytes = self.isa.elem_bytes(insn.memory)
        raw = memory.read_rows(
            insn.dram_base * elem_bytes,
            insn.y_size,
            insn.x_size * elem_bytes,
            insn.x_stride * elem_bytes,
        )
        to = sram[insn.sram_base :][: rows * columns].reshape(rows, columns, *sram.shape[1:])
        to[...] = pad_lane(insn.pad_value, self._width(insn.memory))
        window = to[insn.y_pad_0 :, insn.x_pad_0 :][: insn.y_size, : insn.x_size]
        window[...] = self._decode(insn.memory, raw)

        tiles = insn.y_size * insn.x_size
        if insn.memory is MemId.INP:
            counters.inp_load_nbytes += tiles * cfg.inp_elem_bytes
        elif insn.memory is MemId.WGT:
            counters.wgt_load_nbytes += tiles * cfg.wgt_elem_bytes
        elif insn.memory is MemId.UOP:
            counters.uop_load_nbytes += tiles * cfg.uop_elem_bytes
        else:  # an ACC_8BIT load counts what it fills, not what it reads
            counters.acc_load_nbytes += tiles * cfg.acc_elem_bytes

    def _store(self, insn: Store, memory: Memory, counters: Counters) -> None:
        if insn.is_nop:
            return
        cfg = self.cfg
        tiles = insn.y_size * insn.x_size
        if tiles:
            _check_sram(insn.memory.name, insn.sram_base + tiles - 1, len(self.acc))
        elem_bytes = self.isa.elem_bytes(insn.memory)
        width = cfg.acc_width if insn.memory is MemId.ACC else cfg.out_width
        raw = encode_tiles(self.acc[insn.sram_base :][:tiles], width)
        memory.write_rows(
            insn.dram_base * elem_bytes,
            raw.reshape(insn.y_size, insn.x_size * elem_bytes),
            insn.x_stride * elem_bytes,
        )
        counters.out_store_nbytes += tiles * elem_bytes

    def _sram_of(self, memory: MemId) -> npt.NDArray[Any]:
        """The on-chip memory that a LOAD of this kind writes."""
        return {
            MemId.UOP: self.uop,
            MemId.WGT: self.wgt,
            MemId.INP: self.inp,
            MemId.ACC: self.acc,
            MemId.ACC_8BIT: self.acc,
        }[memory]

    def _decode(self, memory: MemId, raw: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
        """Elements as they lie on the chip, shape (rows, columns, *tile), from bytes (rows, n)."""
        if memory is MemId.UOP:
            return raw.view("<u4")
        return decode_tiles(raw, self._width(memory), self._sram_of(memory).shape[1:])

    def _width(self, memory: MemId) -> int:
        """Bits of a lane in DRAM; a micro-op is one of 32 bits."""
        return {
            MemId.UOP: 32,
            MemId.WGT: self.cfg.wgt_width,
            MemId.INP: self.cfg.inp_width,
            MemId.ACC: self.cfg.acc_width,
            MemId.ACC_8BIT: 8,
        }[memory]

    # ---- compute ------------------------------------------------------------------------------

    def _gemm(self, insn: Gemm, counters: Counters) -> None:
        nest = self._nest(insn)
        if not nest.size:
            return
        dst, src, wgt = nest.highest
        _check_sram("ACC", dst, len(self.acc))
        if insn.reset:
            reset(self.acc, nest)
            return
        _check_sram("INP", src, len(self.inp))
        _check_sram("WGT", wgt, len(self.wgt))
        counters.gemm_counter += nest.size
        if insn.start:
            if not nest.has_single_runs:
                start_sums(self.acc, self.inp, self.wgt, nest)
                return
            reset(self.acc, nest)
        product_bits = self.cfg.inp_width - 1 + self.cfg.wgt_width - 1
        gemm(self.acc, self.inp, self.wgt, nest, product_bits=product_bits)

    def _alu(self, insn: Alu, counters: Counters) -> None:
        nest = self._nest(insn)
        if not nest.size:
            return
        dst, src, _ = nest.highest
        _check_sram("ACC", dst, len(self.acc))
        if not insn.use_imm:
            _check_sram("ACC", src, len(self.acc))
        if insn.start:
            start_runs(self.acc, nest, insn.alu_opcode, insn.imm if insn.use_imm else None)
        else:
            alu(self.acc, nest, insn.alu_opcode, insn.imm, use_imm=insn.use_imm)
        counters.alu_counter += nest.size

    def _nest(self, insn: Gemm | Alu) -> MicroOpNest:
        words = self.uop[insn.uop_bgn : insn.uop_end]
        return MicroOpNest.of(self.isa, insn, words)


def _check_sram(name: str, highest: int, depth: int) -> None:
    if highest >= depth:
        raise SramRangeError(
            f"{name} index {highest} is beyond the end: the memory has {depth} entries"
        )
