"""The banks of the accumulators: whoever reads a tile sees the last write, and none is lost."""

import pytest
from amaranth.hdl import Assert, Assume, Cat, Cover, Module, Mux, Signal, Value

from tests.formal.mutant import mutant
from tests.formal.runner import Properties, constant, prove, reach, refute
from vta.hw.compute import accumulators as acc
from vta.hw.compute.alu_pipeline import AluPipeline
from vta.hw.debug.signal_paths import SignalPaths

LOG_DEPTH, LANES, LANE_BITS, OUT_BITS = 3, 2, 2, 1
LOG_BANKS = acc.log_banks(LOG_DEPTH)
AHEAD = AluPipeline.LATENCY
"""Cycles from a read of the ALU to its write; GEMM announces its writes a cycle earlier."""


class LastWriteSeen(Properties):
    """One tile, any, is watched. What GEMM, ALU, load and store read of it is what was written to
    it last, before this cycle, by whoever; with ``looks``, that is also what the memories hold,
    for the induction.

    In the world GEMM reads and writes when it likes, and announces both. The ALU lets no ``dst`` go
    whose bank is busy, its two reads are not of different tiles of one bank, and it writes each
    ``dst``, which it announces too. What it reads of a busy bank does not count.
    A load writes any part of any tile when it likes; what is refused has not happened.
    """

    def __init__(self, module=acc, *, looks=False):
        block = module.Accumulators(
            log_depth=LOG_DEPTH, lanes=LANES, lane_bits=LANE_BITS, out_bits=OUT_BITS,
            granule=LANE_BITS,
        )  # fmt: skip
        self.looks = looks
        self.watched, self.goes = Signal(LOG_DEPTH), Signal()
        super().__init__(block, [self.watched, self.goes])

    def elaborate(self, platform):
        block, inside = self.block, SignalPaths(self.block)
        m = super().elaborate(platform, inside.fragment)
        watched = constant(m, self.watched)
        world = self._world(m)

        # What the tile is, whoever writes.
        tile = Signal(LANES * LANE_BITS)
        written = {
            name: (port := getattr(block, name)).mask.any() & (port.addr == watched)
            for name in ("gemm_write", "alu_write", "load_write")
        }
        loads = written["load_write"] & ~block.load_stall
        for lane in range(LANES):
            with m.If(loads & block.load_write.mask[lane]):
                now = tile.word_select(lane, LANE_BITS)
                m.d.sync += now.eq(block.load_write.data.word_select(lane, LANE_BITS))
        for name in ("gemm_write", "alu_write"):
            with m.If(written[name]):
                m.d.sync += tile.eq(getattr(block, name).data)
        narrow = Cat(tile.word_select(lane, LANE_BITS)[:OUT_BITS] for lane in range(LANES))

        # What is read of it.
        for name in ("gemm_read", "alu_dst_read", "alu_src_read", "out_read"):
            port, asked = getattr(block, name), Signal(name=f"{name}_asked")
            right = narrow if name == "out_read" else tile
            held = Signal(len(right), name=f"{name}_held")
            free = 1
            if name.startswith("alu"):
                busy = getattr(block, name.replace("read", "reserved"))
                free = ~busy.bit_select(port.addr[:LOG_BANKS], 1)
            m.d.sync += [asked.eq(port.en & free & (port.addr == watched)), held.eq(right)]
            m.d.comb += [Assert(~asked | (port.data == held)), Cover(asked & held.all())]
        m.d.comb += Cover(block.load_stall & ~block.alu_write.mask)
        m.d.comb += Cover(block.gemm_write.mask & block.alu_write.mask & loads)

        if self.looks:
            self._look(m, inside, watched, tile, narrow)
            self._look_at_announcements(m, inside, *world)
        return m

    def _world(self, m: Module):
        """Who reads and writes what, and when. Gives what GEMM reads now, and for now and each of
        the cycles since it was announced what will then be written, by GEMM and by the ALU."""
        block, goes = self.block, self.goes
        dst, src = block.alu_dst_read, block.alu_src_read
        clash = (dst.addr[:LOG_BANKS] == src.addr[:LOG_BANKS]) & (dst.addr != src.addr)
        reads, read_addr = Signal(), Signal(LOG_DEPTH)
        m.d.sync += [
            reads.eq(block.gemm_read_lookahead.valid),
            read_addr.eq(block.gemm_read_lookahead.addr),
        ]
        m.d.comb += [
            Assume(block.gemm_read.en == reads),
            Assume(block.gemm_read.addr == read_addr),
            Assume(~(goes & block.alu_dst_reserved.bit_select(dst.addr[:LOG_BANKS], 1))),
            Assume(~(dst.en & src.en & clash)),
        ]
        announced, announced_addr = Signal(), Signal(LOG_DEPTH)
        m.d.sync += [
            announced.eq(block.gemm_write_lookahead.valid),
            announced_addr.eq(block.gemm_write_lookahead.addr),
        ]
        later = [(announced, announced_addr, goes, dst.addr)]
        for n in range(AHEAD):
            gemm, alu = Signal(name=f"gemm{n}"), Signal(name=f"alu{n}")
            gemm_addr, alu_addr = (Signal(LOG_DEPTH, name=f"{u}_addr{n}") for u in ("gemm", "alu"))
            m.d.sync += [
                own.eq(before) for own, before in zip((gemm, gemm_addr, alu, alu_addr), later[-1])
            ]
            later.append((gemm, gemm_addr, alu, alu_addr))
            m.d.comb += Assert(~(gemm & alu & (gemm_addr[:LOG_BANKS] == alu_addr[:LOG_BANKS])))
        _, _, alu, alu_addr = later[-2]
        m.d.comb += [
            Assume(block.alu_write_lookahead.valid == alu),
            Assume(block.alu_write_lookahead.addr == alu_addr),
        ]
        gemm, gemm_addr, alu, alu_addr = later[-1]
        m.d.comb += [
            Assume(block.gemm_write.mask == gemm),
            Assume(block.gemm_write.addr == gemm_addr),
            Assume(block.alu_write.mask == alu),
            Assume(block.alu_write.addr == alu_addr),
        ]
        return (reads, read_addr), later

    def _look_at_announcements(self, m, inside, gemm_reads, later):
        """What is known of the cycles to come."""

        def bank_of(valid, addr):
            return Mux(valid, 1 << addr[:LOG_BANKS], 0)

        for n, (gemm, addr, _, _) in enumerate(later[:-1]):
            m.d.comb += Assert(inside[f"writes{n}"] == bank_of(gemm, addr))
        gemm, gemm_addr, alu, alu_addr = later[-1]
        reads = bank_of(*gemm_reads)
        m.d.comb += [
            Assert(inside["written"] == bank_of(gemm, gemm_addr) | bank_of(alu, alu_addr)),
            Assert(self.block.alu_src_reserved == reads),
            Assert(self.block.alu_dst_reserved == reads | inside["writes0"]),
        ]

    def _look(self, m, inside, watched, tile, narrow):
        """The memories of the watched tile's bank."""
        for number in range(1 << LOG_BANKS):
            for memory, right in (("bank", tile), ("mirror", narrow)):
                width = len(right) // LANES
                for lane in range(LANES):
                    place = Signal(LOG_DEPTH - LOG_BANKS, name=f"{memory}{number}_{lane}_place")
                    word = Signal(width, name=f"{memory}{number}_{lane}_word")
                    m.d.comb += place.eq(watched[LOG_BANKS:])
                    inside.probe_memory(f"{memory}{number}.lane{lane}", place, word)
                    with m.If(watched[:LOG_BANKS] == number):
                        m.d.comb += Assert(word == Value.cast(right).word_select(lane, width))


@pytest.mark.formal
def test_the_last_write_is_seen():
    prove(LastWriteSeen(looks=True), depth=2)
    reach(LastWriteSeen(), depth=8)


@pytest.mark.formal
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("written.eq(writes | bank_of(self.alu_write_lookahead))", "written.eq(writes)"),
        ("written.eq(writes | bank_of(self.alu_write_lookahead))",
         "written.eq(bank_of(self.alu_write_lookahead))"),
        ("range(GEMM_WRITE_LOOKAHEAD - 1)", "range(GEMM_WRITE_LOOKAHEAD - 2)"),
        ("self.alu_dst_reserved.eq(reads | writes)", "self.alu_dst_reserved.eq(reads)"),
        ("self.alu_dst_reserved.eq(reads | writes)", "self.alu_dst_reserved.eq(writes)"),
        ("self.alu_src_reserved.eq(reads)", "self.alu_src_reserved.eq(0)"),
        ("with m.If(port.en & (port.addr[:low] == number)):", "with m.If(port.en):"),
        ("zip(was, tiles)", "zip(1 << port.addr[: log_banks(self.log_depth)], tiles)"),
        ("else port.mask),", "else port.mask | 1),"),
        ("mirror.write.addr.eq(bank.write.addr)", "mirror.write.addr.eq(0)"),
        ("(self.load_write, self.alu_write, self.gemm_write)",
         "(self.alu_write, self.gemm_write, self.load_write)"),
    ],
    ids=["load-over-alu", "load-over-gemm", "refused-early", "written-at-once", "dst-read-at-once",
         "src-read-at-once", "other-bank", "bank-of-next", "mask-ignored", "mirror-elsewhere",
         "load-goes-first"],
)  # fmt: skip
def test_broken_banks_are_found(old, new):
    refute(LastWriteSeen(mutant(acc, old, new)), depth=8)
