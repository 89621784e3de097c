"""The accumulators: the register file of GEMM, ALU and loads, and its narrow mirror for stores.

``out[i][lane] = low bits of acc[i][lane]``, always.

The tiles are spread over banks, four in most machines, by a hash of their index
(:func:`bank_index`). A bank is a memory with one read port and one write port, so two accesses of
one kind to one bank in one cycle are a bank conflict. The priorities are fixed:

==========  ==========================  ========================================================
unit        accesses a cycle            stalls
==========  ==========================  ========================================================
GEMM        one read, one write         never
ALU         two reads, one write        before it reads, for a read of GEMM in the same cycle, and
                                        for a write of GEMM in the cycle in which the ALU would
                                        write ``dst``; so a write of the ALU never stalls
LOAD        one write                   for a write of GEMM or of the ALU
STORE       one read of the mirror      never: the mirror has read ports of its own
STORE, ACC  one read in four cycles,    while GEMM reads
            by the port of GEMM
==========  ==========================  ========================================================

A read for a STORE of ACC (:mod:`vta.hw.compute.tile_reader`) reserves its bank from the ALU, as a
read of GEMM does.

GEMM and the ALU write a tile the same number of cycles after its read. If a GEMM micro-op and an
ALU micro-op read in the same cycle, they also write in the same cycle: the two accesses of the GEMM
micro-op reserve one and the same bank. The hash spreads a walk with any stride over the
banks. GEMM and the ALU announce their accesses (:mod:`vta.hw.compute.lookahead`), so the reserved
banks of each cycle come from registers.
"""

from collections.abc import Sequence
from math import gcd

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vta.config import VTAConfig
from vta.hw.compute.lookahead import GEMM_WRITE_LOOKAHEAD, LookaheadSignature
from vta.hw.compute.tile_reader import TileReader
from vta.hw.interfaces import SramReadSignature, SramWriteSignature, TileReadSignature
from vta.hw.lib.selection import selected_by_bits, selected_by_code
from vta.hw.lib.sram import Sram

__all__ = ["BANK_HASH", "Accumulators", "BankArbiter", "bank_index", "log_banks"]


def log_banks(log_depth: int, most: int = VTAConfig.log_acc_banks) -> int:
    """log2 of the number of banks of ``2**log_depth`` tiles: ``most``, but at least two tiles in
    each bank."""
    return min(most, max(log_depth - 1, 0))


BANK_HASH = (0b110_1010_0101, 0b001_0001_1110)
"""Bit ``n`` of the bank of a tile is the parity of those bits of its index that are set in element
``n``. Chosen by search: for GEMM walks along the columns of rows of 1 to 128 tiles beside an ALU
walk over consecutive tiles, the ALU takes 1.5 cycles a tile at most and 1.3 on average. The low
bits of the index alone are the bank at a stride of 1, but keep any stride that is a multiple of the
number of banks in one bank; a plain XOR of all digits does so with strides such as 65."""


def bank_index(tile, log_depth: int, most: int = VTAConfig.log_acc_banks):
    """The bank of a tile: a hash of its index (:data:`BANK_HASH`).

    ``tile`` is a value of ``log_depth`` bits or a number. In its bank a tile has the address
    ``tile >> log_banks(log_depth, most)``: tiles with one address differ in the lowest bits only,
    and each of these is in one element of the hash, so they are in different banks.
    """
    masks = BANK_HASH[: log_banks(log_depth, most)]
    if isinstance(tile, int):
        return sum((tile & mask).bit_count() % 2 << n for n, mask in enumerate(masks))
    return Cat((tile & (mask % (1 << log_depth))).xor() for mask in masks)


def bank_select(valid, addr, most: int = VTAConfig.log_acc_banks):
    """The bank of a tile as a bit for each bank; no bit if not ``valid``."""
    banks = 1 << log_banks(len(addr), most)
    if banks == 1:
        return Cat(valid)
    bank = bank_index(addr, len(addr), most)
    return Cat(valid & (bank == number) for number in range(banks))


class BankArbiter(wiring.Component):
    """Turns announced accesses into reserved banks: a bit for each bank, from registers.

    Parameters
    ----------
    log_depth : int
        log2 of the number of tiles.
    most_banks : int
        log2 of the largest number of banks.

    Attributes
    ----------
    gemm_read_lookahead, gemm_write_lookahead, alu_write_lookahead : In(LookaheadSignature)
        The accesses of the cycles to come.
    store_read_lookahead : In(LookaheadSignature)
        A read for a STORE of ACC, if GEMM does not read.
    alu_src_reserved : Out
        GEMM reads the bank in this cycle.
    alu_dst_reserved : Out
        The same, or GEMM writes the bank in the cycle in which the ALU would write a tile whose
        ``dst`` it reads now.
    gemm_written, alu_written : Out
        GEMM, or the ALU, writes the bank in this cycle.
    load_reserved : Out
        One of the two writes the bank in this cycle.
    """

    def __init__(self, *, log_depth: int, most_banks: int = VTAConfig.log_acc_banks) -> None:
        self.most_banks = most_banks
        lookahead = LookaheadSignature(log_depth=log_depth)
        banks = 1 << log_banks(log_depth, most_banks)
        super().__init__({
            "gemm_read_lookahead": In(lookahead), "gemm_write_lookahead": In(lookahead),
            "alu_write_lookahead": In(lookahead), "store_read_lookahead": In(lookahead),
            "alu_src_reserved": Out(banks), "alu_dst_reserved": Out(banks),
            "gemm_written": Out(banks), "alu_written": Out(banks), "load_reserved": Out(banks),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        gemm_reads, gemm_writes, alu_writes = (
            bank_select(port.valid, port.addr, self.most_banks)
            for port in (
                self.gemm_read_lookahead, self.gemm_write_lookahead, self.alu_write_lookahead
            )
        )  # fmt: skip
        store = self.store_read_lookahead
        store_reads = bank_select(
            store.valid & ~self.gemm_read_lookahead.valid, store.addr, self.most_banks
        )
        reads = gemm_reads | store_reads
        m.d.sync += [
            self.alu_src_reserved.eq(reads),
            self.alu_dst_reserved.eq(reads | gemm_writes),
        ]
        # Writes of GEMM, delayed until the cycle before they happen.
        delayed = gemm_writes
        for cycle in range(GEMM_WRITE_LOOKAHEAD - 1):
            earlier, delayed = delayed, Signal.like(self.gemm_written, name=f"gemm_writes{cycle}")
            m.d.sync += delayed.eq(earlier)
        m.d.sync += [self.gemm_written.eq(delayed), self.alu_written.eq(alu_writes)]
        m.d.comb += self.load_reserved.eq(self.gemm_written | self.alu_written)
        return m


class Accumulators(wiring.Component):
    """Accumulator tiles with the ports of their units.

    Hazards between instructions are resolved before this block: in one cycle, the units write
    different tiles, and no unit reads a tile that another one has yet to write
    (:mod:`vta.hw.compute.issue`). Bank conflicts are resolved here.

    Parameters
    ----------
    log_depth : int
        log2 of the number of tiles.
    lanes, lane_bits : int
        Values in a tile, and their width in bits.
    out_bits : int
        Width of a value in the mirror, at most ``lane_bits``.
    granule : int
        Bits of a tile that a bit of the load's write mask covers, a multiple of ``lane_bits``.
    reads_tiles : bool
        Whether the block has ``tile_read``.
    most_banks : int
        log2 of the largest number of banks.
    alu_parts : int
        Parts of a tile, each with a bit in the mask of ``alu_write``; a power of 2 that divides
        ``lanes``.
    wide_luts : bool
        The part has LUTs of six inputs (:mod:`vta.hw.lib.selection`).

    Attributes
    ----------
    gemm_read : In(SramReadSignature)
        Never stalls. ``data`` is valid in the cycle after ``en`` only.
    gemm_read_lookahead : In(LookaheadSignature)
        The tile that ``gemm_read`` reads in the next cycle. Each read is announced.
    gemm_write : In(SramWriteSignature)
        Whole tiles; never stalls.
    gemm_write_lookahead : In(LookaheadSignature)
        The tile that ``gemm_write`` writes
        :data:`~vta.hw.compute.lookahead.GEMM_WRITE_LOOKAHEAD` cycles later. Each write is
        announced.
    alu_dst_read, alu_src_read : In(SramReadSignature)
        ``data`` is valid in the cycle after ``en`` only. The ALU never reads different tiles of
        one bank in one cycle.
    alu_dst_reserved, alu_src_reserved : Out
        A bit for each bank. What ``alu_dst_read``, ``alu_src_read`` reads of a reserved bank is
        undefined. The ALU issues no micro-op while the bank of its ``dst`` is reserved.
    alu_write : In(SramWriteSignature)
        ``alu_parts`` parts of a tile; never stalls.
    alu_write_lookahead : In(LookaheadSignature)
        The tile that ``alu_write`` writes in the next cycle. Each write is announced.
    load_write : In(SramWriteSignature)
        Parts of tiles.
    load_stall : Out(1)
        ``load_write`` does not happen in this cycle, and must be repeated.
    out_read : In(SramReadSignature)
        Tiles of the mirror; never stalls.
    tile_read : In(TileReadSignature)
        Whole tiles, for the store module.

    A read in the cycle of a write to the same tile returns the tile before that write.
    """

    def __init__(
        self, *, log_depth: int, lanes: int, lane_bits: int, out_bits: int, granule: int,
        reads_tiles: bool = False, most_banks: int = VTAConfig.log_acc_banks, alu_parts: int = 1,
        wide_luts: bool = False,
    ) -> None:  # fmt: skip
        self.wide_luts = wide_luts
        bits = lanes * lane_bits
        assert bits % granule == 0 and granule % lane_bits == 0 and out_bits <= lane_bits
        assert lanes % alu_parts == 0
        self.log_depth, self.lanes, self.lane_bits = log_depth, lanes, lane_bits
        self.out_bits, self.reads_tiles = out_bits, reads_tiles
        self.granule = gcd(granule, bits // alu_parts)
        self.most_banks, self.log_banks = most_banks, log_banks(log_depth, most_banks)
        read = SramReadSignature(log_depth=log_depth, bits=bits)
        lookahead = LookaheadSignature(log_depth=log_depth)
        banks = 1 << self.log_banks
        whole_tiles = SramWriteSignature(log_depth=log_depth, bits=bits, granule=bits)
        alu_parts_of_tiles = SramWriteSignature(
            log_depth=log_depth, bits=bits, granule=bits // alu_parts
        )
        parts = SramWriteSignature(log_depth=log_depth, bits=bits, granule=granule)
        super().__init__({
            "gemm_read": In(read), "alu_dst_read": In(read), "alu_src_read": In(read),
            "gemm_write": In(whole_tiles), "alu_write": In(alu_parts_of_tiles),
            "load_write": In(parts),
            "gemm_read_lookahead": In(lookahead), "gemm_write_lookahead": In(lookahead),
            "alu_write_lookahead": In(lookahead),
            "alu_dst_reserved": Out(banks), "alu_src_reserved": Out(banks), "load_stall": Out(1),
            "out_read": In(SramReadSignature(log_depth=log_depth, bits=lanes * out_bits)),
            **({"tile_read": In(TileReadSignature(log_depth=log_depth, bits=bits))}
               if reads_tiles else {}),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        arbiter = self._arbitrate(m)
        shared_read = self._share_read(m, arbiter) if self.reads_tiles else self.gemm_read
        tile_readers = (shared_read, self.alu_src_read, self.alu_dst_read)
        banks, mirrors = [], []
        for number in range(1 << self.log_banks):
            m.submodules[f"bank{number}"] = bank = Sram(
                log_depth=self.log_depth - self.log_banks,
                bits=self.lanes * self.lane_bits,
                granule=self.granule,
            )
            m.submodules[f"mirror{number}"] = mirror = Sram(
                log_depth=self.log_depth - self.log_banks,
                bits=self.lanes * self.out_bits,
                granule=self.granule // self.lane_bits * self.out_bits,
            )
            # The reads of GEMM and of a STORE of ACC are announced: their bank is in a register.
            announced = arbiter.alu_src_reserved[number]
            self._connect_readers(m, bank.read[0], number, tile_readers, announced)
            self._connect_readers(m, mirror.read[0], number, (self.out_read,))
            self._connect_writers(m, bank.write, number, arbiter)
            lanes = (
                bank.write.data.word_select(lane, self.lane_bits) for lane in range(self.lanes)
            )
            m.d.comb += [
                mirror.write.addr.eq(bank.write.addr),
                mirror.write.mask.eq(bank.write.mask),
                mirror.write.data.eq(Cat(lane[: self.out_bits] for lane in lanes)),
            ]
            banks.append(bank)
            mirrors.append(mirror)
        for reader in tile_readers:
            self._return_data(m, reader, banks)
        self._return_data(m, self.out_read, mirrors)
        return m

    def _share_read(self, m: Module, arbiter: BankArbiter):
        """The read port of GEMM, which the reader for STOREs of ACC uses too."""
        read = SramReadSignature(log_depth=self.log_depth, bits=len(self.gemm_read.data)).create()
        m.submodules.tile_reader = tile_reader = TileReader(
            log_depth=self.log_depth, bits=len(self.gemm_read.data)
        )
        wiring.connect(m, wiring.flipped(self.tile_read), tile_reader.tile)
        wiring.connect(m, tile_reader.lookahead, arbiter.store_read_lookahead)
        m.d.comb += [
            tile_reader.gemm_reads.eq(self.gemm_read_lookahead.valid),
            read.en.eq(self.gemm_read.en | tile_reader.port.en),
            read.addr.eq(Mux(tile_reader.port.en, tile_reader.port.addr, self.gemm_read.addr)),
            self.gemm_read.data.eq(read.data),
            tile_reader.port.data.eq(read.data),
        ]
        return read

    def _arbitrate(self, m: Module) -> BankArbiter:
        """Stalls the ALU and the load for the banks that units of a higher priority reserve."""
        m.submodules.arbiter = arbiter = BankArbiter(
            log_depth=self.log_depth, most_banks=self.most_banks
        )
        for name in ("gemm_read_lookahead", "gemm_write_lookahead", "alu_write_lookahead"):
            wiring.connect(m, wiring.flipped(getattr(self, name)), getattr(arbiter, name))
        load_bank = bank_select(1, self.load_write.addr, self.most_banks)
        m.d.comb += [
            self.alu_dst_reserved.eq(arbiter.alu_dst_reserved),
            self.alu_src_reserved.eq(arbiter.alu_src_reserved),
            self.load_stall.eq(
                self.load_write.mask.any() & (arbiter.load_reserved & load_bank).any()
            ),
        ]
        return arbiter

    def _connect_readers(
        self, m: Module, bank, number: int, readers: Sequence, announced=None
    ) -> None:
        """The read port of bank ``number`` serves the first of ``readers``, which are in the order
        of their priority, that reads one of its tiles: the first one if ``announced``, a register,
        says so."""
        # The address of the last reader is the default, so its enable, which is late, is not in the
        # path of an address.
        m.d.comb += bank.addr.eq(readers[-1].addr[self.log_banks :])
        for reader in reversed(readers):
            reads = reader.en & self._is_bank(reader.addr, number)
            if announced is not None and reader is readers[0]:
                reads = announced
            with m.If(reads):
                m.d.comb += [bank.en.eq(1), bank.addr.eq(reader.addr[self.log_banks :])]

    def _connect_writers(self, m: Module, bank, number: int, arbiter: BankArbiter) -> None:
        """The write port of bank ``number`` serves GEMM or the ALU in the cycles of their announced
        writes, which are in registers, and else the load, if it writes a tile of the bank. Only a
        load is ever overridden, and then ``load_stall`` is set."""
        writes_bank = self._is_bank(self.load_write.addr, number)
        addr, data = self.load_write.addr, self.load_write.data
        mask = Mux(writes_bank, self._bank_mask(bank, self.load_write), 0)
        for writer, banks in (
            (self.alu_write, arbiter.alu_written),
            (self.gemm_write, arbiter.gemm_written),
        ):
            addr = Mux(banks[number], writer.addr, addr)
            data = Mux(banks[number], writer.data, data)
            mask = Mux(banks[number], self._bank_mask(bank, writer), mask)
        m.d.comb += [
            bank.addr.eq(addr[self.log_banks :]), bank.data.eq(data), bank.mask.eq(mask)
        ]  # fmt: skip

    @staticmethod
    def _bank_mask(bank, writer):
        """The mask of ``writer`` with as many bits as that of a bank."""
        times = len(bank.mask) // len(writer.mask)
        return Cat(bit.replicate(times) for bit in writer.mask)

    def _is_bank(self, addr, number: int):
        """Whether the tile ``addr`` is in bank ``number``."""
        return bank_select(1, addr, self.most_banks)[number]

    def _return_data(self, m: Module, reader, banks: Sequence[Sram]) -> None:
        """Returns to a reader the data of the bank that it read in the cycle before."""
        tiles = [bank.read[0].data for bank in banks]
        if len(tiles) == 1:
            m.d.comb += reader.data.eq(tiles[0])
            return
        if self.wide_luts:
            bank_code = Signal(self.log_banks, reset_less=True)
            with m.If(reader.en):
                m.d.sync += bank_code.eq(bank_index(reader.addr, self.log_depth, self.most_banks))
            m.d.comb += reader.data.eq(selected_by_code(bank_code, tiles))
            return
        bank_read = Signal(len(tiles), reset_less=True)
        with m.If(reader.en):
            m.d.sync += bank_read.eq(bank_select(1, reader.addr, self.most_banks))
        m.d.comb += reader.data.eq(selected_by_bits(bank_read, tiles))
