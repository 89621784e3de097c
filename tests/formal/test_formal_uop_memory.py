"""Prefetched micro-ops: a hit of the buffer returns what the micro-op SRAM holds."""

import pytest
from amaranth.hdl import Assert, Cover, Signal, Value
from amaranth.lib import wiring

from tests.formal.mutant import mutant
from tests.formal.runner import Properties, constant, prove, reach, refute
from vta.hw.compute import uop_memory
from vta.hw.debug.signal_paths import SignalPaths

LOG_DEPTH, BITS = 4, 2
LOG_LANES = uop_memory.log_lanes(LOG_DEPTH)


class HitReturnsSram(Properties):
    """One micro-op, any, is watched. Each hit of the buffer returns the value that was written
    last. A required micro-op that misses is requested in the next cycle; if the port is granted
    there is a hit in the cycle after that, and in each cycle until the word is written again.

    A second reader with higher priority requests reads at any time, and any micro-op may be written
    at any time. With ``invariants``, registers and memory are compared too, for the induction.
    """

    def __init__(self, module=uop_memory, *, invariants=False):
        sizes = {"log_depth": LOG_DEPTH, "bits": BITS}
        self.sram = module.UopMemory(**sizes, readers=2)
        self.invariants, self.watched = invariants, Signal(LOG_DEPTH)
        rival, write = self.sram.read[0], self.sram.write
        free = [Value.cast(one) for one in (rival.en, rival.addr, write.addr, write.mask)]
        super().__init__(module.UopBuffer(**sizes), [self.watched, *free, Value.cast(write.data)])

    def elaborate(self, platform):
        block, registers, sram = self.block, SignalPaths(self.block), SignalPaths(self.sram)
        m = super().elaborate(platform, registers.fragment)
        m.submodules.sram = sram.fragment
        wiring.connect(m, block.read, self.sram.read[1])
        m.d.comb += [
            block.written.eq(self.sram.written),
            block.written_addr.eq(self.sram.written_addr),
        ]
        watched, write = constant(m, self.watched), self.sram.write
        uop, uop_written = Signal(BITS), Signal()
        m.d.comb += uop_written.eq(write.mask & (write.addr == watched))
        with m.If(uop_written):
            m.d.sync += uop.eq(write.data)
        watched_hit = block.hit & (block.number == watched)
        m.d.comb += Assert(~watched_hit | (block.uop == uop))

        # A miss is requested in the next cycle; a granted request hits in the next cycle, and a hit
        # is followed by a hit.
        word, previous_word = block.number >> LOG_LANES, Signal(LOG_DEPTH - LOG_LANES)
        missed, hit_due = Signal(), Signal()
        word_written = block.written & (block.written_addr == word)
        requested = block.read.en & (block.read.addr == word)
        granted = requested & block.read.ready
        m.d.sync += [
            previous_word.eq(word),
            missed.eq(block.required & ~block.hit & ~word_written),
            hit_due.eq((granted | (block.required & block.hit)) & ~word_written),
        ]
        m.d.comb += [
            Assert(~(missed & (word == previous_word)) | block.hit | requested),
            Assert(~(hit_due & (word == previous_word)) | block.hit),
            Cover(watched_hit & uop.all() & hit_due & block.prefetch & ~block.read.en),
            Cover(watched_hit & uop_written & (uop == 2)),
            Cover(block.required & ~block.hit & ~block.read.ready & requested),
            Cover(block.required & block.hit & block.read.en & block.read.ready & missed),
        ]
        if self.invariants:
            self._compare_registers(m, registers, sram, watched, uop)
        return m

    def _compare_registers(self, m, registers, sram, watched, uop):
        """SRAM and slots hold ``uop`` at the watched place; the slots hold different words."""
        block = self.block
        word, lane = Signal(LOG_DEPTH - LOG_LANES), watched[:LOG_LANES]
        m.d.comb += word.eq(watched >> LOG_LANES)
        for n in range(1 << LOG_LANES):
            stored = Signal(BITS, name=f"sram_lane{n}")
            sram.probe_memory(f"words.lane{n}", word, stored)
            with m.If(lane == n):
                m.d.comb += Assert(stored == uop)
        for n in range(2):
            valid, tag, arrives = (registers[f"{name}{n}"] for name in ("valid", "tag", "arrives"))
            holds_watched = valid & (tag == word)
            for arriving, data in ((1, block.read.data), (0, registers[f"stored{n}"])):
                same = data.word_select(lane, BITS) == uop
                m.d.comb += Assert(~(holds_watched & (arrives == arriving)) | same)
            m.d.comb += Assert(~(valid & block.read.en & (tag == block.read.addr)))
        both_valid = registers["valid0"] & registers["valid1"]
        m.d.comb += Assert(~both_valid | (registers["tag0"] != registers["tag1"]))


@pytest.mark.formal
def test_a_hit_returns_the_micro_op_of_the_sram():
    prove(HitReturnsSram(invariants=True), depth=2)
    reach(HitReturnsSram(), depth=8)


BROKEN = {
    "write-missed": (
        "with m.Elif(self.written & (self.written_addr == tag[n])):", "with m.Elif(0):",
    ),
    "write-missed-while-read": (
        "valid[n].eq(~(self.written & (self.written_addr == self.read.addr)))", "valid[n].eq(1)",
    ),
    "arrival-not-forwarded": (
        "Mux(Mux(hits[1], arrives[1], arrives[0]), arriving, ", "Mux(0, arriving, ",
    ),
    "arrival-not-stored": (
        "with m.If(arrives[n]):\n                m.d.sync += stored",
        "with m.If(arrives[n] & ~self.read.en):\n                m.d.sync += stored",
    ),
    "fills-without-grant": ("granted = self.read.en & self.read.ready", "granted = self.read.en"),
    "miss-not-requested": (
        "self.read.en.eq(~(granted & (self.read.addr == word)))", "self.read.en.eq(~granted)",
    ),
    "invalid-slot-hits": ("Cat(valid[n] & (tag[n] == word) for", "Cat(tag[n] == word for"),
    "fills-required-slot": ("fill_slot1 = self.required & hits[0]", "fill_slot1 = hits[1]"),
    "two-readers-granted": ("port.ready.eq(~higher_priority)", "port.ready.eq(1)"),
    "first-lane-written": ("(self.write.addr[:lanes] if lanes else 0)", "0"),
}  # fmt: skip
"""Name: (source text, what it becomes)."""


@pytest.mark.formal
@pytest.mark.parametrize("name", BROKEN)
def test_faults_are_found(name):
    old, new = BROKEN[name]
    refute(HitReturnsSram(mutant(uop_memory, old, new)), depth=8)
