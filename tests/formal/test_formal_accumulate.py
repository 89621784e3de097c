"""Forwarding in GEMM: the accumulators hold what a machine without a pipeline computes."""

import pytest
from amaranth.hdl import Assert, Assume, Cover, Mux, Signal, Value
from amaranth.lib import wiring

from tests.formal.mutant import mutant
from tests.formal.runner import Properties, constant, prove, reach, refute
from vta.hw.compute import accumulate
from vta.hw.lib import sram

LOG_DEPTH, LANES, LANE_BITS, ADDEND_BITS = 2, 2, 4, 3
ADDEND, LATENCY = accumulate.Accumulate.ADDEND, accumulate.Accumulate.LATENCY


def delayed(m, value, cycles):
    """``value`` of so many cycles before."""
    for _ in range(cycles):
        undelayed, value = value, Signal.like(value, name="delayed")
        m.d.sync += value.eq(undelayed)
    return value


class AsIfSequential(Properties):
    """One tile, any, is watched. What is written to it, and what the memory holds while no write is
    in flight, is what a machine computes that finishes each operation before the next one. Only a
    deferred write is left out.

    LOADs and the ALU (``other``) may write the memory in any cycle, but no tile that GEMM has in
    flight, as the issue stage guarantees, and not in a cycle in which GEMM writes, as the banks
    guarantee. The second read port of the memory reads the watched tile in each cycle.
    """

    def __init__(self, module=accumulate):
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
        self._restrict_others(m)
        m.d.comb += [
            memory.write.mask.eq(block.write.mask | self.other),
            memory.write.addr.eq(Mux(self.other, self.other_addr, block.write.addr)),
            memory.write.data.eq(Mux(self.other, self.other_data, block.write.data)),
        ]

        # The sequential machine executes an operation in the cycle in which its addend arrives.
        executes = delayed(m, block.valid & (block.dst == watched), ADDEND)
        resets, starts = (delayed(m, flag, ADDEND) for flag in (block.reset, block.start))
        other_writes = self.other & (self.other_addr == watched)
        expected = Signal(block.tile)
        with m.If(executes):
            for lane in range(LANES):
                old = Mux(starts, 0, expected[lane])
                m.d.sync += expected[lane].eq(old + block.addend[lane])
                with m.If(resets):
                    m.d.sync += expected[lane].eq(0)
        with m.If(other_writes):
            m.d.sync += Value.cast(expected).eq(self.other_data)

        # What the memory should hold: the result of an operation a cycle after that of the
        # sequential machine, while it is in stage HOLD.
        assert LATENCY - ADDEND == 2
        settled = Signal.like(expected)
        m.d.sync += settled.eq(expected)
        with m.If(other_writes):
            m.d.sync += Value.cast(settled).eq(self.other_data)

        # A write is due in the cycle after that, unless it is deferred.
        due = delayed(m, executes, LATENCY - ADDEND)
        deferred = delayed(m, block.defer_write, LATENCY)
        written, stored = Signal(), Signal.like(block.write.data)
        m.d.comb += [
            written.eq(block.write.mask & (block.write.addr == watched)),
            Assert(written == (due & ~deferred)),
        ]
        with m.If(other_writes):
            m.d.sync += stored.eq(self.other_data)
        with m.If(written):
            m.d.sync += stored.eq(block.write.data)
        with m.If(due):
            m.d.comb += Assert(block.write.data == settled.as_value())
        with m.Else():
            m.d.comb += Assert(stored == settled.as_value())

        # The memory holds what was written.
        read_valid, stored_before = Signal(), Signal.like(stored)
        m.d.sync += [read_valid.eq(1), stored_before.eq(stored)]
        m.d.comb += [
            memory.read[1].en.eq(1),
            memory.read[1].addr.eq(watched),
            Assert(~read_valid | (memory.read[1].data == stored_before)),
        ]
        self._cover(m, watched, expected)
        return m

    def _cover(self, m, watched, expected):
        """RAW hazards at each distance, with operations on other tiles in between."""
        block = self.block
        distance = Signal(range(7), init=6)
        with m.If(block.valid & (block.dst == watched)):
            m.d.sync += distance.eq(1)
        with m.Elif(distance != 6):
            m.d.sync += distance.eq(distance + 1)
        adds = block.valid & (block.dst == watched) & ~block.reset & ~block.start
        for hazard in (1, 2, 3, 4, 5):
            m.d.comb += Cover(adds & (distance == hazard) & (expected[1] == 3) & (watched == 2))
        starts = block.valid & (block.dst == watched) & block.start
        m.d.comb += Cover(starts & (distance == 1) & (expected[1] == 3))
        valid_before = Signal()
        m.d.sync += valid_before.eq(block.valid)
        m.d.comb += Cover(self.other & valid_before & block.valid & (expected[1] == 3))

    def _restrict_others(self, m):
        """Others write no tile that is in flight, and ``defer_write`` is true to its meaning."""
        block = self.block
        in_flight = [(block.valid, block.dst)]
        for n in range(1, LATENCY + 1):
            valid, dst = Signal(name=f"valid{n}"), Signal(LOG_DEPTH, name=f"dst{n}")
            m.d.sync += [valid.eq(in_flight[-1][0]), dst.eq(in_flight[-1][1])]
            in_flight.append((valid, dst))
        for valid, dst in in_flight:
            m.d.comb += Assume(~(self.other & valid & (self.other_addr == dst)))
        deferred, (_, dst_before) = Signal(), in_flight[1]
        m.d.sync += deferred.eq(block.valid & block.defer_write)
        m.d.comb += [
            Assume(~deferred | (block.valid & (block.dst == dst_before))),
            Assume(~(self.other & block.write.mask)),
        ]


@pytest.mark.formal
def test_forwarding_is_as_good_as_a_stall():
    prove(AsIfSequential(), depth=10)


@pytest.mark.formal
def test_hazards_of_every_distance_happen():
    reach(AsIfSequential(), depth=14)


BROKEN = {
    "no-forwarding-1": ("forward_1.eq(same_tile(read) & ~self.start)", "forward_1.eq(0)"),
    "no-forwarding-2": ("forward_2.eq(same_tile(fetch))", "forward_2.eq(0)"),
    "no-forwarding-3": ("forward_3.eq(same_tile(add))", "forward_3.eq(0)"),
    "no-forwarding-4": ("forward_4.eq(same_tile(hold))", "forward_4.eq(0)"),
    "empty-stage-forwards": ("older.valid & (older.dst == self.dst)", "older.dst == self.dst"),
    "wrong-write-deferred": ("write.valid & ~write.defer_write", "write.valid & ~add.defer_write"),
    "never-written": (
        "new.defer_write.eq(self.defer_write),",
        "new.defer_write.eq(self.defer_write | ~read.valid),",
    ),
    "not-read": ("| new.forward_4)", "| hold.valid)"),
    "older-result-first": (
        "with m.If(read.forward_2):", "with m.If(read.forward_2 & ~read.forward_3):",
    ),
    "oldest-result-first": (
        "with m.Elif(read.forward_3):", "with m.Elif(read.forward_3 & ~read.forward_4):",
    ),
    "newest-result-last": (
        "Mux(add.forward_1, result[lane], old[lane])",
        "Mux(add.forward_1 & ~add.forward_2, result[lane], old[lane])",
    ),
    "reset-adds": (
        "Mux(add.reset, 0, term + self.addend[lane])", "Mux(add.reset, self.addend[lane], term)",
    ),
    "reset-lost": ("new.reset.eq(self.reset),", "new.reset.eq(self.reset & ~read.valid),"),
    "start-lost": ("new.start.eq(self.start),", "new.start.eq(self.start & ~read.valid),"),
    "start-adds": ("with m.If(fetch.start):", "with m.If(fetch.start & ~fetch.forward_2):"),
    "start-forwards": ("same_tile(read) & ~self.start", "same_tile(read)"),
    "written-not-held": (
        "with m.If(write.valid):\n            m.d.sync += written.eq(to_write)",
        "with m.If(write.valid & ~add.valid):\n            m.d.sync += written.eq(to_write)",
    ),
}  # fmt: skip
"""Name: (source text, what it becomes)."""


@pytest.mark.formal
@pytest.mark.parametrize("name", BROKEN)
def test_faults_are_found(name):
    old, new = BROKEN[name]
    refute(AsIfSequential(mutant(accumulate, old, new)), depth=12)
