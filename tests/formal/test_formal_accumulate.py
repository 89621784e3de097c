"""The bypass of GEMM: the memory ends as if every sum waited for the one before."""

import pytest
from amaranth.hdl import Assert, Assume, Cover, Mux, Signal, Value
from amaranth.lib import wiring

from tests.formal.mutant import mutant
from tests.formal.runner import Properties, constant, prove, reach, refute
from vta.hw.compute import gemm
from vta.hw.lib import sram

LOG_DEPTH, LANES, LANE_BITS, ADDEND_BITS = 2, 2, 4, 3


ADDEND, LATENCY = gemm.Accumulate.ADDEND, gemm.Accumulate.LATENCY


def later(m, value, cycles):
    """What ``value`` was so many cycles ago."""
    for _ in range(cycles):
        before, value = value, Signal.like(value, name="later")
        m.d.sync += value.eq(before)
    return value


class AsIfOneByOne(Properties):
    """One tile, any, is watched: what is written to it, and what the memory holds when nothing is
    on its way there, is what a machine would hold that finishes each operation before the next.
    Only a result that the next operation adds to (``again``) is not written.

    Loads and the ALU may write the memory too, at any time, but no tile that GEMM is at work on:
    who issues instructions sees to that, and the banks see to it that two writes do not meet. The
    second read port of the memory looks at the tile all the time.
    """

    def __init__(self, module=gemm):
        block = module.Accumulate(
            log_depth=LOG_DEPTH, lanes=LANES, lane_bits=LANE_BITS, addend_bits=ADDEND_BITS
        )
        self.watched = Signal(LOG_DEPTH)
        self.other = Signal()
        self.other_addr, self.other_data = Signal(LOG_DEPTH), Signal(LANES * LANE_BITS)
        super().__init__(block, [self.watched, self.other, self.other_addr, self.other_data])

    def elaborate(self, platform):
        m = super().elaborate(platform)
        block, watched = self.block, constant(m, self.watched)
        m.submodules.memory = memory = sram.Sram(
            log_depth=LOG_DEPTH, bits=LANES * LANE_BITS, read_ports=2
        )
        wiring.connect(m, block.read, memory.read[0])
        self._others(m)
        m.d.comb += [
            memory.write.mask.eq(block.write.mask | self.other),
            memory.write.addr.eq(Mux(self.other, self.other_addr, block.write.addr)),
            memory.write.data.eq(Mux(self.other, self.other_data, block.write.data)),
        ]

        # The machine that does one thing at a time: when its addend comes.
        given = later(m, block.valid & (block.dst == watched), ADDEND)
        given_reset = later(m, block.reset, ADDEND)
        expected = Signal(block.tile)
        with m.If(given):
            for lane in range(LANES):
                m.d.sync += expected[lane].eq(expected[lane] + block.addend[lane])
                with m.If(given_reset):
                    m.d.sync += expected[lane].eq(0)

        with m.If(self.other & (self.other_addr == watched)):
            m.d.sync += Value.cast(expected).eq(self.other_data)

        written, stored = Signal(), Signal.like(block.write.data)
        now, kept_back = later(m, given, LATENCY - ADDEND), later(m, block.again, LATENCY)
        m.d.comb += [
            written.eq(block.write.mask & (block.write.addr == watched)),
            Assert(written == (now & ~kept_back)),
        ]
        with m.If(self.other & (self.other_addr == watched)):
            m.d.sync += stored.eq(self.other_data)
        with m.If(written):
            m.d.sync += stored.eq(block.write.data)
        with m.If(now):
            m.d.comb += Assert(block.write.data == expected.as_value())
        with m.Else():
            m.d.comb += Assert(stored == expected.as_value())

        # What was written is what the memory holds.
        looked, held = Signal(), Signal.like(stored)
        m.d.sync += [looked.eq(1), held.eq(stored)]
        m.d.comb += [
            memory.read[1].en.eq(1),
            memory.read[1].addr.eq(watched),
            Assert(~looked | (memory.read[1].data == held)),
        ]

        # Distances between two operations on the tile; other tiles may come between.
        since = Signal(range(6), init=5)
        with m.If(block.valid & (block.dst == watched)):
            m.d.sync += since.eq(1)
        with m.Elif(since != 5):
            m.d.sync += since.eq(since + 1)
        for distance in (1, 2, 3, 4):
            m.d.comb += Cover(
                block.valid & (block.dst == watched) & ~block.reset & (since == distance)
                & (expected[1] == 3) & (watched == 2)
            )  # fmt: skip
        busy = Signal()
        m.d.sync += busy.eq(block.valid)
        m.d.comb += Cover(self.other & busy & block.valid & (expected[1] == 3))
        return m

    def _others(self, m):
        """Who else writes spares the tiles that are at work; ``again`` is what it says."""
        block = self.block
        at_work = [(block.valid, block.dst)]
        for n in range(LATENCY):
            live, dst = Signal(name=f"live{n}"), Signal(LOG_DEPTH, name=f"dst{n}")
            m.d.sync += [live.eq(at_work[-1][0]), dst.eq(at_work[-1][1])]
            at_work.append((live, dst))
        for live, dst in at_work:
            m.d.comb += Assume(~(self.other & live & (self.other_addr == dst)))
        was_again = Signal()
        m.d.sync += was_again.eq(block.valid & block.again)
        (live, dst) = at_work[1]
        m.d.comb += [
            Assume(~was_again | (block.valid & (block.dst == dst))),
            Assume(~(self.other & block.write.mask)),
        ]


@pytest.mark.formal
def test_bypass_is_as_good_as_a_wait():
    prove(AsIfOneByOne(), depth=8)


@pytest.mark.formal
def test_hazards_of_every_distance_happen():
    reach(AsIfOneByOne(), depth=14)


@pytest.mark.formal
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("from_before.eq(same(reads))", "from_before.eq(0)"),
        ("from_second.eq(same(fetches))", "from_second.eq(0)"),
        ("from_third.eq(same(adds))", "from_third.eq(0)"),
        ("older.live & (older.dst == self.dst)", "older.dst == self.dst"),
        ("writes.live & ~writes.again", "writes.live & ~adds.again"),
        ("came.again.eq(self.again),", "came.again.eq(self.again | ~reads.live),"),
        ("| came.from_third)", "| adds.live)"),
        ("Mux(fetches.from_second, result, Mux(fetches.from_third, kept, memory))",
         "Mux(fetches.from_third, kept, Mux(fetches.from_second, result, memory))"),
        ("Mux(adds.from_before, result[lane], tile[lane])",
         "Mux(adds.from_before & ~adds.from_second, result[lane], tile[lane])"),
        ("Mux(adds.reset, 0, old + self.addend[lane])", "Mux(adds.reset, self.addend[lane], old)"),
        ("came.reset.eq(self.reset),", "came.reset.eq(self.reset & ~reads.live),"),
        ("with m.If(writes.live):\n            m.d.sync += kept.eq(result)",
         "with m.If(writes.live & ~adds.live):\n            m.d.sync += kept.eq(result)"),
    ],
    ids=["no-bypass-1", "no-bypass-2", "no-bypass-3", "stale-bypass", "kept-back-wrongly",
         "never-written", "not-read", "older-first", "right-before-last", "reset-adds",
         "reset-lost", "kept-late"],
)  # fmt: skip
def test_broken_bypasses_are_found(old, new):
    refute(AsIfOneByOne(mutant(gemm, old, new)), depth=12)
