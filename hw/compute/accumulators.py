"""The accumulators: the register file of GEMM, ALU and loads, and its narrow mirror for stores.

``out[i][lane] = low bits of acc[i][lane]``, always.

The tiles are dealt out to four banks (tile ``i`` is in bank ``i mod 4``), each a memory with one
read port and one write port. In a cycle GEMM reads one tile and writes one, the ALU reads two and
writes one, and a load writes one. Where two of them want the same port of a bank, GEMM never
waits, the ALU waits for GEMM and a load for both. Two that walk through consecutive tiles meet
once; after that they are in different banks in every cycle. GEMM and the ALU say in advance what
they will read and write, so that the banks that another one must spare are in registers.
"""

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vta.hw.compute.lookahead import GEMM_WRITE_LOOKAHEAD, LookaheadSignature
from vta.hw.interfaces import SramReadSignature, SramWriteSignature
from vta.hw.lib.sram import Sram

__all__ = ["Accumulators", "log_banks"]


def log_banks(log_depth: int) -> int:
    """log2 of the number of banks: four, but at least two tiles in each."""
    return min(2, max(log_depth - 1, 0))


class Accumulators(wiring.Component):
    """Accumulator tiles with the ports of their users.

    The writes of GEMM, ALU and load in one cycle are to different tiles, and nobody reads what
    another unit is about to write: who issues instructions sees to it. Which banks the tiles are in
    is arbitrated here.

    Parameters
    ----------
    log_depth : int
        log2 of the number of tiles.
    lanes, lane_bits : int
        Values in a tile, and their width.
    out_bits : int
        Width of a value in the mirror.
    granule : int
        Bits of a tile that a bit of the load's write mask covers, a multiple of ``lane_bits``.

    Attributes
    ----------
    gemm_read : In(SramReadSignature)
        Never waits, but ``data`` is only valid in the cycle after ``en``.
    gemm_read_lookahead : In(LookaheadSignature)
        What ``gemm_read`` reads in the next cycle.
    gemm_write : In(SramWriteSignature)
        Whole tiles; never waits.
    gemm_write_lookahead : In(LookaheadSignature)
        What ``gemm_write`` will write :data:`~vta.hw.compute.lookahead.GEMM_WRITE_LOOKAHEAD` cycles
        later: one more than the ALU needs from read to write.
    alu_dst_read, alu_src_read : In(SramReadSignature)
        ``data`` is only valid in the cycle after ``en``. The ALU itself sees to it that its two
        reads are not of different tiles of one bank.
    alu_dst_reserved, alu_src_reserved : Out
        A bit for each bank: in this cycle ``alu_src_read`` and ``alu_dst_read`` do not get what
        they read there; nor can what is read now as ``dst`` be written when the ALU is done with
        it, so a ``dst`` must not go. Then ``alu_write`` never waits.
    alu_write : In(SramWriteSignature)
        Whole tiles.
    alu_write_lookahead : In(LookaheadSignature)
        What ``alu_write`` writes in the next cycle.
    load_write : In(SramWriteSignature)
        Parts of tiles.
    load_stall : Out(1)
        ``load_write`` does not happen in this cycle.
    out_read : In(SramReadSignature)
        Mirror tiles.

    A read in the cycle of a write to the same tile gives the tile before that write.
    """

    def __init__(
        self, *, log_depth: int, lanes: int, lane_bits: int, out_bits: int, granule: int
    ) -> None:
        bits = lanes * lane_bits
        assert bits % granule == 0 and granule % lane_bits == 0
        self.log_depth, self.lanes, self.lane_bits = log_depth, lanes, lane_bits
        self.out_bits, self.granule = out_bits, granule
        read = SramReadSignature(log_depth=log_depth, bits=bits)
        soon = LookaheadSignature(log_depth=log_depth)
        banks = 1 << log_banks(log_depth)
        whole = SramWriteSignature(log_depth=log_depth, bits=bits, granule=bits)
        parts = SramWriteSignature(log_depth=log_depth, bits=bits, granule=granule)
        super().__init__({
            "gemm_read": In(read), "alu_dst_read": In(read), "alu_src_read": In(read),
            "gemm_write": In(whole), "alu_write": In(whole), "load_write": In(parts),
            "gemm_read_lookahead": In(soon), "gemm_write_lookahead": In(soon),
            "alu_write_lookahead": In(soon),
            "alu_dst_reserved": Out(banks), "alu_src_reserved": Out(banks), "load_stall": Out(1),
            "out_read": In(SramReadSignature(log_depth=log_depth, bits=lanes * out_bits)),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        low = log_banks(self.log_depth)
        self._spare(m, low)
        readers = [self.alu_dst_read, self.alu_src_read, self.gemm_read]
        banks, mirrors = [], []
        for number in range(1 << low):
            m.submodules[f"bank{number}"] = bank = Sram(
                log_depth=self.log_depth - low,
                bits=self.lanes * self.lane_bits,
                granule=self.granule,
            )
            m.submodules[f"mirror{number}"] = mirror = Sram(
                log_depth=self.log_depth - low,
                bits=self.lanes * self.out_bits,
                granule=self.granule // self.lane_bits * self.out_bits,
            )
            banks.append(bank)
            mirrors.append(mirror)
            self._read(m, bank.read[0], number, readers)
            self._read(m, mirror.read[0], number, [self.out_read])
            self._write(m, bank.write, number)
            lanes = (
                bank.write.data.word_select(lane, self.lane_bits) for lane in range(self.lanes)
            )
            m.d.comb += [
                mirror.write.addr.eq(bank.write.addr),
                mirror.write.mask.eq(bank.write.mask),
                mirror.write.data.eq(Cat(lane[: self.out_bits] for lane in lanes)),
            ]
        for port in readers:
            self._choose(m, port, banks)
        self._choose(m, self.out_read, mirrors)
        return m

    def _spare(self, m: Module, low: int) -> None:
        """Which banks the ALU and the load must spare, known from the cycle before."""

        def bank_of(soon):
            return Mux(soon.valid, 1 << soon.addr[:low], 0)

        reads, writes = bank_of(self.gemm_read_lookahead), bank_of(self.gemm_write_lookahead)
        m.d.sync += [self.alu_src_reserved.eq(reads), self.alu_dst_reserved.eq(reads | writes)]
        for n in range(GEMM_WRITE_LOOKAHEAD - 1):
            before, writes = writes, Signal(1 << low, name=f"writes{n}")
            m.d.sync += writes.eq(before)
        written = Signal(1 << low)
        m.d.sync += written.eq(writes | bank_of(self.alu_write_lookahead))
        m.d.comb += self.load_stall.eq(
            self.load_write.mask.any() & written.bit_select(self.load_write.addr[:low], 1)
        )

    def _read(self, m: Module, bank, number: int, ports) -> None:
        """Reads for the last of the ports that reads a tile of this bank; what the first port
        says, while none does."""
        low = log_banks(self.log_depth)
        m.d.comb += bank.addr.eq(ports[0].addr[low:])
        for port in ports:
            with m.If(port.en & (port.addr[:low] == number)):
                m.d.comb += [bank.en.eq(1), bank.addr.eq(port.addr[low:])]

    def _write(self, m: Module, bank, number: int) -> None:
        """Writes for the most urgent port that writes a tile of this bank."""
        low = log_banks(self.log_depth)
        for port in (self.load_write, self.alu_write, self.gemm_write):
            whole = len(port.mask) == 1 and len(bank.mask) > 1
            with m.If(port.mask.any() & (port.addr[:low] == number)):
                m.d.comb += [
                    bank.addr.eq(port.addr[low:]),
                    bank.data.eq(port.data),
                    bank.mask.eq(port.mask.replicate(len(bank.mask)) if whole else port.mask),
                ]

    def _choose(self, m: Module, port, memories) -> None:
        """Gives a port the data of the bank that it has read."""
        tiles = [memory.read[0].data for memory in memories]
        if len(tiles) == 1:
            m.d.comb += port.data.eq(tiles[0])
            return
        # A bit for each bank: the choice is an AND and an OR, which flow into what follows.
        was = Signal(len(tiles), reset_less=True)
        with m.If(port.en):
            m.d.sync += was.eq(1 << port.addr[: log_banks(self.log_depth)])
        chosen = (Mux(here, tile, 0) for here, tile in zip(was, tiles))
        m.d.comb += port.data.eq(reduce(or_, chosen))
