"""The banks of the accumulators: whoever reads a tile sees the last write, and none is lost."""

import pytest
from amaranth.hdl import Assert, Assume, Cat, Cover, Module, Signal, Value

from tests.formal.inside import Inside
from tests.formal.mutant import mutant
from tests.formal.runner import Properties, constant, prove, reach, refute
from vta.hw import acc
from vta.hw.alu import AluPipeline

LOG_DEPTH, LANES, LANE_BITS, OUT_BITS = 3, 2, 2, 1
LOG_BANKS = acc.log_banks(LOG_DEPTH)
AHEAD = AluPipeline.LATENCY
"""Cycles from a read of the ALU, and from GEMM's announcement, to their writes."""


class LastWriteSeen(Properties):
    """One tile, any, is watched. What GEMM, ALU, load and store read of it is what was written to
    it last, before this cycle, by whoever; with ``looks``, that is also what the memories hold,
    for the induction.

    In the world GEMM reads and writes when it likes, and announces its writes. The ALU reads what
    it is granted, its two operands not from different tiles of one bank, and writes each ``dst``.
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
        block, inside = self.block, Inside(self.block)
        m = super().elaborate(platform, inside.fragment)
        watched = constant(m, self.watched)
        self._world(m)

        # What the tile is, whoever writes.
        tile = Signal(LANES * LANE_BITS)
        written = {
            name: (port := getattr(block, name)).mask.any() & (port.addr == watched)
            for name in ("gemm_write", "alu_write", "load_write")
        }
        loads = written["load_write"] & ~block.load_refused
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
            m.d.sync += [asked.eq(port.en & (port.addr == watched)), held.eq(right)]
            m.d.comb += [Assert(~asked | (port.data == held)), Cover(asked & held.all())]
        m.d.comb += Cover(block.load_refused & ~block.alu_write.mask)
        m.d.comb += Cover(block.gemm_write.mask & block.alu_write.mask & loads)

        if self.looks:
            self._look(m, inside, watched, tile, narrow)
        return m

    def _world(self, m: Module):
        """Who reads and writes what, and when."""
        block, goes = self.block, self.goes
        dst, src = block.alu_dst_read, block.alu_src_read
        clash = (dst.addr[:LOG_BANKS] == src.addr[:LOG_BANKS]) & (dst.addr != src.addr)
        m.d.comb += [
            Assume(~goes | dst.ready),
            Assume(~dst.en | goes),
            Assume(~src.en | src.ready),
            Assume(~(dst.en & src.en & clash)),
        ]
        later = [(block.gemm_soon.valid, block.gemm_soon.addr, goes, dst.addr)]
        for n in range(AHEAD):
            gemm, alu = Signal(name=f"gemm{n}"), Signal(name=f"alu{n}")
            gemm_addr, alu_addr = (Signal(LOG_DEPTH, name=f"{u}_addr{n}") for u in ("gemm", "alu"))
            m.d.sync += [
                own.eq(before) for own, before in zip((gemm, gemm_addr, alu, alu_addr), later[-1])
            ]
            later.append((gemm, gemm_addr, alu, alu_addr))
            m.d.comb += Assert(~(gemm & alu & (gemm_addr[:LOG_BANKS] == alu_addr[:LOG_BANKS])))
        gemm, gemm_addr, alu, alu_addr = later[-1]
        m.d.comb += [
            Assume(block.gemm_write.mask == gemm),
            Assume(block.gemm_write.addr == gemm_addr),
            Assume(block.alu_write.mask == alu),
            Assume(block.alu_write.addr == alu_addr),
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
                    inside.look(f"{memory}{number}.lane{lane}", place, word)
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
        ("for port in (self.gemm_write, self.alu_write)\n", "for port in (self.gemm_write,)\n"),
        ("& ~(self.gemm_soon.valid & same_bank(self.gemm_soon, dst))", ""),
        ("~(gemm.en & same_bank(gemm, dst))", "~(gemm.en & 0)"),
        ("src.ready.eq(~(gemm.en & same_bank(gemm, src)))", "src.ready.eq(1)"),
        ("with m.If(port.en & (port.addr[:low] == number)):", "with m.If(port.en):"),
        ("Array(tiles)[was]", "Array(tiles)[port.addr[: len(was)]]"),
        ("else port.mask),", "else port.mask | 1),"),
        ("mirror.write.addr.eq(bank.write.addr)", "mirror.write.addr.eq(0)"),
        ("(self.load_write, self.alu_write, self.gemm_write)",
         "(self.alu_write, self.gemm_write, self.load_write)"),
    ],
    ids=["load-over-alu", "written-at-once", "dst-read-at-once", "src-read-at-once", "other-bank",
         "bank-of-next", "mask-ignored", "mirror-elsewhere", "load-goes-first"],
)  # fmt: skip
def test_broken_banks_are_found(old, new):
    refute(LastWriteSeen(mutant(acc, old, new)), depth=8)
