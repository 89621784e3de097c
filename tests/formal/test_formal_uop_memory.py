"""Micro-ops read ahead: what a reader is given is what the SRAM holds."""

import pytest
from amaranth.hdl import Assert, Cover, Signal, Value
from amaranth.lib import wiring

from tests.formal.mutant import mutant
from tests.formal.runner import Properties, constant, prove, reach, refute
from vta.hw.compute import uop_memory as microops
from vta.hw.debug.signal_paths import SignalPaths

LOG_DEPTH, BITS = 4, 2
LOG_LANES = microops.log_lanes(LOG_DEPTH)


class WhatTheSramHolds(Properties):
    """One micro-op, any, is watched. Whenever the buffer has it, it is what was written last. A
    wanted one that is not there is asked for in the next cycle; where the port is free it is there
    in the one after, and stays; unless its word changes.

    Another reader comes first, whenever it likes, and anything may be written at any time. With
    ``looks``, registers and memory are compared too, for the induction.
    """

    def __init__(self, module=microops, *, looks=False):
        sizes = {"log_depth": LOG_DEPTH, "bits": BITS}
        self.sram = module.UopMemory(**sizes, readers=2)
        self.looks, self.watched = looks, Signal(LOG_DEPTH)
        rival, write = self.sram.read[0], self.sram.write
        free = [Value.cast(one) for one in (rival.en, rival.addr, write.addr, write.mask)]
        super().__init__(module.UopBuffer(**sizes), [self.watched, *free, Value.cast(write.data)])

    def elaborate(self, platform):
        block, inside, sram = self.block, SignalPaths(self.block), SignalPaths(self.sram)
        m = super().elaborate(platform, inside.fragment)
        m.submodules.sram = sram.fragment
        wiring.connect(m, block.read, self.sram.read[1])
        m.d.comb += [
            block.changed.eq(self.sram.changed),
            block.changed_addr.eq(self.sram.changed_addr),
        ]
        watched, write = constant(m, self.watched), self.sram.write
        uop, changes = Signal(BITS), Signal()
        m.d.comb += changes.eq(write.mask & (write.addr == watched))
        with m.If(changes):
            m.d.sync += uop.eq(write.data)
        has = block.hit & (block.number == watched)
        m.d.comb += Assert(~has | (block.uop == uop))

        # A wanted word is asked for; when the port is free it comes; and then it stays.
        word, before = block.number >> LOG_LANES, Signal(LOG_DEPTH - LOG_LANES)
        missed, comes = Signal(), Signal()
        changed = block.changed & (block.changed_addr == word)
        asks = block.read.en & (block.read.addr == word)
        m.d.sync += [
            before.eq(word),
            missed.eq(block.want & ~block.hit & ~changed),
            comes.eq(((asks & block.read.ready) | (block.want & block.hit)) & ~changed),
        ]
        m.d.comb += [
            Assert(~(missed & (word == before)) | block.hit | asks),
            Assert(~(comes & (word == before)) | block.hit),
            Cover(has & uop.all() & comes & block.next_want & ~block.read.en),
            Cover(has & changes & (uop == 2)),
            Cover(block.want & ~block.hit & ~block.read.ready & asks),
            Cover(block.want & block.hit & block.read.en & block.read.ready & missed),
        ]

        if self.looks:
            place = Signal(LOG_DEPTH - LOG_LANES)
            m.d.comb += place.eq(watched >> LOG_LANES)
            for lane in range(1 << LOG_LANES):
                held = Signal(BITS, name=f"held{lane}")
                sram.probe_memory(f"words.lane{lane}", place, held)
                with m.If(watched[:LOG_LANES] == lane):
                    m.d.comb += Assert(held == uop)
            for n in range(2):
                mine = inside[f"valid{n}"] & (inside[f"tag{n}"] == place)
                for arrives, words in ((1, block.read.data), (0, inside[f"stored{n}"])):
                    lane = words.word_select(watched[:LOG_LANES], BITS)
                    here = mine & (inside[f"arrives{n}"] == arrives)
                    m.d.comb += Assert(~here | (lane == uop))
                asked = block.read.en & (inside[f"tag{n}"] == block.read.addr)
                m.d.comb += Assert(~(inside[f"valid{n}"] & asked))
            both = inside["valid0"] & inside["valid1"]
            m.d.comb += Assert(~both | (inside["tag0"] != inside["tag1"]))
        return m


@pytest.mark.formal
def test_a_buffered_micro_op_is_that_of_the_sram():
    prove(WhatTheSramHolds(looks=True), depth=2)
    reach(WhatTheSramHolds(), depth=8)


@pytest.mark.formal
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("with m.Elif(self.changed & (self.changed_addr == tag)):", "with m.Elif(0):"),
        ("valid.eq(~(self.changed & (self.changed_addr == self.read.addr)))", "valid.eq(1)"),
        ("value.eq(Mux(arrives, self.read.data, stored))", "value.eq(stored)"),
        ("with m.If(arrives):\n                m.d.sync += stored",
         "with m.If(arrives & ~self.read.en):\n                m.d.sync += stored"),
        ("granted = self.read.en & self.read.ready", "granted = self.read.en"),
        ("self.read.en.eq(~(granted & (self.read.addr == word)))", "self.read.en.eq(~granted)"),
        ("Cat(valid & (tag == word) for", "Cat(tag == word for"),
        ("into_second = self.want & has_now[0]", "into_second = has_now[1]"),
        ("port.ready.eq(~taken)", "port.ready.eq(1)"),
        ("(self.write.addr[:lanes] if lanes else 0)", "0"),
    ],
    ids=["change-missed", "read-while-written", "arrives-late", "not-stored", "not-granted",
         "not-asked-for", "tag-of-nothing", "over-the-one-at-work", "both-read", "first-lane"],
)  # fmt: skip
def test_broken_buffers_are_found(old, new):
    refute(WhatTheSramHolds(mutant(microops, old, new)), depth=8)
