"""The banks of the accumulators: every read returns the last write, and no write is lost."""

from dataclasses import dataclass

import pytest
from amaranth.hdl import Assert, Assume, Cat, Cover, Module, Signal, Value

from tests.formal.mutant import mutant
from tests.formal.runner import Properties, constant, prove, reach, refute
from vta.hw.compute import accumulators as acc
from vta.hw.compute.alu_pipeline import AluPipeline
from vta.hw.debug.signal_paths import SignalPaths

LOG_DEPTH, LANES, LANE_BITS, OUT_BITS = 3, 2, 2, 1
LOG_BANKS = acc.log_banks(LOG_DEPTH)


@dataclass(frozen=True)
class Access:
    """A read or a write of the tile ``addr``, if ``valid``."""

    valid: Value
    addr: Value

    @property
    def bank(self) -> Value:
        """A bit for each bank."""
        return acc.bank_select(self.valid, self.addr)

    def delayed(self, m: Module, name: str) -> "Access":
        """The same access, a cycle later."""
        valid, addr = Signal(name=f"{name}_valid"), Signal(LOG_DEPTH, name=f"{name}_addr")
        m.d.sync += [valid.eq(self.valid), addr.eq(self.addr)]
        return Access(valid, addr)


class LastWriteSeen(Properties):
    """One tile is watched, any. What GEMM, ALU, load and store read of it is what was written to it
    last before this cycle; with ``invariants``, the memories hold that too, for the induction.

    Assumptions: GEMM reads and writes at any time and announces both. The ALU issues no micro-op
    while the bank of its ``dst`` is reserved, never reads different tiles of one bank at once, and
    writes each ``dst``, which it announces too. What it reads of a reserved bank does not count.
    A load writes any part of any tile at any time; a write that stalls has not happened. A STORE
    of ACC asks for any tile, and holds what it asks for until it is ready.
    """

    def __init__(self, module=acc, *, invariants=False, wide_luts=False):
        block = module.Accumulators(
            log_depth=LOG_DEPTH, lanes=LANES, lane_bits=LANE_BITS, out_bits=OUT_BITS,
            granule=LANE_BITS, reads_tiles=True, wide_luts=wide_luts,
        )  # fmt: skip
        self.invariants = invariants
        self.watched, self.alu_issue = Signal(LOG_DEPTH), Signal()
        super().__init__(block, [self.watched, self.alu_issue])

    def elaborate(self, platform):
        block, paths = self.block, SignalPaths(self.block)
        m = super().elaborate(platform, paths.fragment)
        watched = constant(m, self.watched)
        gemm_read = self._assume_gemm_reads(m)
        gemm_writes, alu_writes = self._assume_writes(m)
        self._assume_alu_reads(m)

        # The value of the tile, whichever unit wrote it.
        tile = Signal(LANES * LANE_BITS)
        is_written = {
            name: (port := getattr(block, name)).mask.any() & (port.addr == watched)
            for name in ("gemm_write", "alu_write", "load_write")
        }
        is_loaded = is_written["load_write"] & ~block.load_stall
        for lane in range(LANES):
            with m.If(is_loaded & block.load_write.mask[lane]):
                value = tile.word_select(lane, LANE_BITS)
                m.d.sync += value.eq(block.load_write.data.word_select(lane, LANE_BITS))
        for name in ("gemm_write", "alu_write"):
            with m.If(is_written[name]):
                m.d.sync += tile.eq(getattr(block, name).data)
        narrow = Cat(tile.word_select(lane, LANE_BITS)[:OUT_BITS] for lane in range(LANES))

        # What each port reads of it.
        for name in ("gemm_read", "alu_dst_read", "alu_src_read", "out_read"):
            port, was_read = getattr(block, name), Signal(name=f"{name}_was_read")
            value = narrow if name == "out_read" else tile
            expected = Signal(len(value), name=f"{name}_expected")
            bank_is_free = 1
            if name.startswith("alu"):
                reserved = getattr(block, name.replace("read", "reserved"))
                bank_is_free = ~reserved.bit_select(acc.bank_index(port.addr, LOG_DEPTH), 1)
            m.d.sync += [
                was_read.eq(port.en & bank_is_free & (port.addr == watched)),
                expected.eq(value),
            ]
            m.d.comb += [
                Assert(~was_read | (port.data == expected)),
                Cover(was_read & expected.all()),
            ]
        waited, asked = self._store_reads(m, watched, tile)
        m.d.comb += Cover(block.load_stall & ~block.alu_write.mask)
        m.d.comb += Cover(block.gemm_write.mask & block.alu_write.mask & is_loaded)

        if self.invariants:
            self._assert_memories(m, paths, watched, tile, narrow)
            store_read = self._assert_tile_reader(m, paths, gemm_read, waited, asked)
            self._assert_reserved_banks(
                m, paths, Access(gemm_read.valid, gemm_read.addr).bank | store_read.bank,
                gemm_writes, alu_writes,
            )  # fmt: skip
        return m

    def _store_reads(self, m: Module, watched, tile) -> tuple[Signal, Signal]:
        """A STORE of ACC that takes a tile reads it as it is in the cycle before ``ready``. Returns
        whether a read was asked for in the cycle before and is not made yet, and of which tile."""
        port = self.block.tile_read
        waited, asked = Signal(name="store_waited"), Signal(LOG_DEPTH, name="store_asked")
        older, expected = Signal.like(tile, name="older"), Signal.like(tile, name="store_expected")
        was_read, was_taken, data = Signal(name="store_was_read"), Signal(), Signal.like(port.data)
        taken = port.ready & port.take
        m.d.sync += [
            waited.eq(port.en & ~port.ready), asked.eq(port.addr), older.eq(tile),
            was_read.eq(taken & (port.addr == watched)), expected.eq(older),
            was_taken.eq(taken), data.eq(port.data),
        ]  # fmt: skip
        m.d.comb += [
            Assume(~waited | (port.en & (port.addr == asked))),
            Assert(~was_read | (port.data == expected)),
            Assert(was_taken | (port.data == data)),
            Assert(~port.ready | port.en),
            Cover(was_read & expected.all()),
            Cover(port.ready & ~port.take),
        ]
        return waited, asked

    def _assert_tile_reader(self, m, paths, gemm_read, waited, asked) -> Access:
        """One read at a time, of the tile that is asked for, and not beside one of GEMM. Returns
        the read of this cycle."""
        addr, reads = paths["tile_reader.addr"], paths["tile_reader.port__en"]
        states = (paths["tile_reader.asked"], reads, paths["tile_reader.tile__ready"])
        m.d.comb += [
            Assert(sum(states) <= 1),
            Assert(~Cat(states).any() | (waited & (addr == asked))),
            Assert(~(reads & gemm_read.valid)),
        ]
        return Access(reads, addr)

    def _assume_gemm_reads(self, m: Module) -> Access:
        """GEMM announces each read a cycle before; returns the read of this cycle."""
        block = self.block
        announced = block.gemm_read_lookahead
        read = Access(announced.valid, announced.addr).delayed(m, "gemm_read")
        m.d.comb += [
            Assume(block.gemm_read.en == read.valid),
            Assume(block.gemm_read.addr == read.addr),
        ]
        return read

    def _assume_alu_reads(self, m: Module) -> None:
        """The ALU resolves the conflicts of its own reads, and respects the reserved banks."""
        block, dst, src = self.block, self.block.alu_dst_read, self.block.alu_src_read
        same_bank = acc.bank_index(dst.addr, LOG_DEPTH) == acc.bank_index(src.addr, LOG_DEPTH)
        dst_reserved = block.alu_dst_reserved.bit_select(acc.bank_index(dst.addr, LOG_DEPTH), 1)
        m.d.comb += [
            Assume(~(self.alu_issue & dst_reserved)),
            Assume(~(dst.en & src.en & same_bank & (dst.addr != src.addr))),
        ]

    def _assume_writes(self, m: Module) -> tuple[list[Access], list[Access]]:
        """GEMM writes what it announced, the ALU the ``dst`` of what it issued.

        Returns the writes of both, by the number of cycles since a micro-op of the ALU that would
        write in the same cycle was issued: the last ones are made in this cycle.
        """
        block = self.block
        announced = block.gemm_write_lookahead
        gemm = [Access(announced.valid, announced.addr).delayed(m, "gemm_write0")]
        alu = [Access(self.alu_issue, block.alu_dst_read.addr)]
        for cycle in range(1, AluPipeline.LATENCY + 1):
            gemm.append(gemm[-1].delayed(m, f"gemm_write{cycle}"))
            alu.append(alu[-1].delayed(m, f"alu_write{cycle}"))
            m.d.comb += Assert((gemm[-1].bank & alu[-1].bank) == 0)
        m.d.comb += [
            Assume(block.alu_write_lookahead.valid == alu[-2].valid),
            Assume(block.alu_write_lookahead.addr == alu[-2].addr),
            Assume(block.gemm_write.mask == gemm[-1].valid),
            Assume(block.gemm_write.addr == gemm[-1].addr),
            Assume(block.alu_write.mask == alu[-1].valid),
            Assume(block.alu_write.addr == alu[-1].addr),
        ]
        return gemm, alu

    def _assert_reserved_banks(self, m, paths, read_banks, gemm_writes, alu_writes):
        """The registers of the arbiter hold the banks of the announced accesses."""
        for cycle, write in enumerate(gemm_writes[:-1]):
            m.d.comb += Assert(paths[f"arbiter.gemm_writes{cycle}"] == write.bank)
        m.d.comb += [
            Assert(paths["arbiter.gemm_written"] == gemm_writes[-1].bank),
            Assert(paths["arbiter.alu_written"] == alu_writes[-1].bank),
            Assert(self.block.alu_src_reserved == read_banks),
            Assert(self.block.alu_dst_reserved == read_banks | gemm_writes[0].bank),
        ]

    def _assert_memories(self, m, paths, watched, tile, narrow):
        """The bank of the watched tile, and its mirror, hold its value."""
        for number in range(1 << LOG_BANKS):
            for memory, value in (("bank", tile), ("mirror", narrow)):
                width = len(value) // LANES
                for lane in range(LANES):
                    addr = Signal(LOG_DEPTH - LOG_BANKS, name=f"{memory}{number}_{lane}_addr")
                    word = Signal(width, name=f"{memory}{number}_{lane}_word")
                    m.d.comb += addr.eq(watched[LOG_BANKS:])
                    paths.probe_memory(f"{memory}{number}.lane{lane}", addr, word)
                    with m.If(acc.bank_index(watched, LOG_DEPTH) == number):
                        m.d.comb += Assert(word == Value.cast(value).word_select(lane, width))


@pytest.mark.formal
@pytest.mark.parametrize("wide_luts", [False, True])
def test_every_read_returns_the_last_write(wide_luts):
    prove(LastWriteSeen(invariants=True, wide_luts=wide_luts), depth=2)
    reach(LastWriteSeen(wide_luts=wide_luts), depth=8)


@pytest.mark.formal
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("self.load_reserved.eq(self.gemm_written | self.alu_written)",
         "self.load_reserved.eq(self.gemm_written)"),
        ("self.load_reserved.eq(self.gemm_written | self.alu_written)",
         "self.load_reserved.eq(self.alu_written)"),
        ("range(GEMM_WRITE_LOOKAHEAD - 1)", "range(GEMM_WRITE_LOOKAHEAD - 2)"),
        ("self.alu_dst_reserved.eq(reads | gemm_writes)", "self.alu_dst_reserved.eq(reads)"),
        ("self.alu_dst_reserved.eq(reads | gemm_writes)",
         "self.alu_dst_reserved.eq(gemm_writes)"),
        ("self.alu_src_reserved.eq(reads)", "self.alu_src_reserved.eq(0)"),
        ("reads = gemm_reads | store_reads", "reads = gemm_reads"),
        ("reads = gemm_reads | store_reads", "reads = store_reads"),
        ("tile_reader.gemm_reads.eq(self.gemm_read_lookahead.valid)",
         "tile_reader.gemm_reads.eq(0)"),
        ("reads = reader.en & self._is_bank(reader.addr, number)", "reads = reader.en"),
        ("0b110_1010_0101, 0b001_0001_1110", "0b110_1010_0101, 0b001_0001_1101"),
        ("selected_by_bits(bank_read, tiles)",
         "selected_by_bits(bank_select(1, reader.addr), tiles)"),
        ("mask = Mux(writes_bank, self._bank_mask(bank, self.load_write), 0)",
         "mask = Mux(writes_bank, self._bank_mask(bank, self.load_write) | 1, 0)"),
        ("mask = Mux(writes_bank, self._bank_mask(bank, self.load_write), 0)",
         "mask = self._bank_mask(bank, self.load_write)"),
        ("mirror.write.addr.eq(bank.write.addr)", "mirror.write.addr.eq(0)"),
        ("data = Mux(banks[number], writer.data, data)",
         "data = Mux(banks[number] & ~writes_bank, writer.data, data)"),
    ],
    ids=["load-conflicts-alu", "load-conflicts-gemm", "load-stalls-early", "alu-conflicts-write",
         "dst-conflicts-read", "src-conflicts-read", "alu-conflicts-store",
         "alu-conflicts-gemm", "store-conflicts-gemm", "other-bank", "not-a-bijection",
         "data-of-next-read", "mask-ignored",
         "load-of-other-bank", "mirror-elsewhere", "load-has-priority"],
)  # fmt: skip
def test_broken_banks_are_found(old, new):
    refute(LastWriteSeen(mutant(acc, old, new)), depth=8)


@pytest.mark.formal
def test_a_broken_code_of_a_bank_is_found():
    of_next_read = "selected_by_code(bank_index(reader.addr, self.log_depth), tiles)"
    broken = mutant(acc, "selected_by_code(bank_code, tiles)", of_next_read)
    refute(LastWriteSeen(broken, wide_luts=True), depth=8)
