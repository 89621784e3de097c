"""The bypass of GEMM: the memory ends as if every sum waited for the one before."""

import pytest
from amaranth.hdl import Assert, Assume, Cat, Cover, Mux, Signal, Value
from amaranth.lib import wiring

from tests.formal.mutant import mutant
from tests.formal.runner import Properties, constant, prove, reach, refute
from vta.hw import gemm, sram

LOG_DEPTH, LANES, LANE_BITS, ADDEND_BITS = 2, 2, 4, 3


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

        # The machine that does one thing at a time: the addend is there in the next cycle.
        given, given_reset = Signal(), Signal()
        expected = Signal(block.tile)
        m.d.sync += [
            given.eq(block.valid & (block.dst == watched)),
            given_reset.eq(block.reset),
        ]
        with m.If(given):
            for lane in range(LANES):
                m.d.sync += expected[lane].eq(expected[lane] + block.addend[lane])
                with m.If(given_reset):
                    m.d.sync += expected[lane].eq(0)

        with m.If(self.other & (self.other_addr == watched)):
            m.d.sync += Value.cast(expected).eq(self.other_data)

        written, stored = Signal(), Signal.like(block.write.data)
        now, kept_back = Signal(), Signal(2)  # the operation of two cycles ago is written now
        m.d.sync += [now.eq(given), kept_back.eq(Cat(block.again, kept_back))]
        m.d.comb += [
            written.eq(block.write.mask & (block.write.addr == watched)),
            Assert(written == (now & ~kept_back[1])),
        ]
        with m.If(self.other & (self.other_addr == watched)):
            m.d.sync += stored.eq(self.other_data)
        with m.If(written):
            m.d.sync += stored.eq(block.write.data)
        with m.If(now):
            m.d.comb += Assert(block.write.data == expected.as_value())
        with m.Elif(~given):
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
        since = Signal(range(5), init=4)
        with m.If(block.valid & (block.dst == watched)):
            m.d.sync += since.eq(1)
        with m.Elif(since != 4):
            m.d.sync += since.eq(since + 1)
        for distance in (1, 2, 3):
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
        for n in range(2):
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
    prove(AsIfOneByOne(), depth=4)


@pytest.mark.formal
def test_hazards_of_every_distance_happen():
    reach(AsIfOneByOne(), depth=12)


@pytest.mark.formal
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("from_result.eq(in_result)", "from_result.eq(0)"),
        ("from_kept.eq(in_kept)", "from_kept.eq(0)"),
        ("in_result.eq(add & (add_dst == self.dst))", "in_result.eq(add_dst == self.dst)"),
        ("writes.eq(add & ~add_again)", "writes.eq(add & ~self.again)"),
        ("add_again.eq(self.again),", "add_again.eq(self.again | ~add),"),
        ("& ~in_result & ~in_kept)", "& ~in_result & ~done)"),
        ("Mux(from_result, result[lane], Mux(from_kept, kept[lane], memory[lane]))",
         "Mux(from_kept, kept[lane], Mux(from_result, result[lane], memory[lane]))"),
        ("Mux(add_reset, 0, old + self.addend[lane])", "Mux(add_reset, self.addend[lane], old)"),
        ("add_reset.eq(self.reset),", "add_reset.eq(self.reset & ~add),"),
        ("with m.If(done):\n            m.d.sync += kept.eq(result)",
         "with m.If(done & ~add):\n            m.d.sync += kept.eq(result)"),
    ],
    ids=["no-bypass-1", "no-bypass-2", "stale-bypass", "kept-back-wrongly", "never-written",
         "not-read", "older-first", "reset-adds", "reset-lost", "kept-late"],
)  # fmt: skip
def test_broken_bypasses_are_found(old, new):
    refute(AsIfOneByOne(mutant(gemm, old, new)), depth=8)
