"""The queues between and inside the blocks (``SyncFIFO`` is of Amaranth): each item leaves once
and in order."""

import pytest
from amaranth.hdl import Assert, Cover, Mux, Signal
from amaranth.lib import fifo

from tests.formal.mutant import mutant
from tests.formal.runner import Properties, prove, reach, refute
from tests.formal.transaction_log import keep_log
from vta.hw.debug.signal_paths import SignalPaths
from vta.hw.lib import block_queue, output_queue

WIDTH, DEPTH = 2, 4


class InOrder(Properties):
    """The log has the contents of the queue, the oldest first. The queue returns the oldest item
    and is ready while it has room. Its output is valid in the cycle after an item entered at the
    latest (a buffered queue: two cycles)."""

    def __init__(self, module, name):
        super().__init__(getattr(module, name)(width=WIDTH, depth=DEPTH))
        self.buffered = name == "BlockQueue"
        self.has_register = name != "SyncFIFO"

    def elaborate(self, platform):
        block, paths = self.block, SignalPaths(self.block)
        m = super().elaborate(platform, paths.fragment)
        writes, reads = block.w_en & block.w_rdy, block.r_en & block.r_rdy
        log, level = keep_log(m, block.w_data, depth=DEPTH, enqueue=writes, dequeue=reads)

        waited = Signal()
        m.d.sync += waited.eq((level != 0) & ~block.r_rdy)
        m.d.comb += [
            Assert(block.w_level == level),
            Assert(block.r_level == level),
            Assert(~block.r_rdy | (level != 0)),
            Assert(~block.r_rdy | (block.r_data == log[0])),
            Assert(block.w_rdy == (level != DEPTH)),
            Assert(block.r_rdy | (level == 0) | (~waited if self.buffered else 0)),
            Assert(level <= DEPTH),
            Cover((level == DEPTH) & reads & (log[0] == 1) & (log[DEPTH - 1] == 2)),
            Cover((level == 1) & reads & writes & (paths["produce"] == 1)),
        ]

        if self.buffered:  # what the synthesis of a BlockQueue relies on
            word_is_read = (level != block.r_rdy) & (~block.r_rdy | block.r_en)
            m.d.comb += Assert(~(writes & word_is_read & (paths["produce"] == paths["consume"])))

        # What the memory and its two pointers hold, for the induction.
        ahead = block.r_rdy if self.has_register else 0  # entries before those of the memory
        produce, consume = paths["produce"], paths["consume"]
        distance = (produce + DEPTH - consume) % DEPTH
        m.d.comb += [
            Assert(distance == (level - ahead) % DEPTH),
            Assert(level - ahead <= DEPTH),
        ]
        for n in range(DEPTH):
            place, word = Signal.like(consume, name=f"place{n}"), Signal(WIDTH, name=f"word{n}")
            m.d.comb += place.eq((consume + n) % DEPTH)
            paths.probe_memory("storage", place, word)
            with m.If(n + ahead < level):
                entry = log[n]
                if self.has_register:
                    m.d.comb += Assert(word == Mux(ahead, log[n + 1], entry))
                else:
                    m.d.comb += Assert(word == entry)
        return m

    def inputs(self):
        return [self.block.w_data, self.block.w_en, self.block.r_en]


QUEUES = {"SyncFIFO": fifo, "BlockQueue": block_queue, "OutputQueue": output_queue}
"""Name: its module."""


@pytest.mark.formal
@pytest.mark.parametrize("name", QUEUES)
def test_what_goes_in_comes_out_in_order(name):
    prove(InOrder(QUEUES[name], name), depth=3)


@pytest.mark.formal
@pytest.mark.parametrize("name", QUEUES)
def test_queues_fill_and_empty(name):
    reach(InOrder(QUEUES[name], name), depth=10)


@pytest.mark.formal
@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("SyncFIFO", "self.w_rdy.eq(self.level != self.depth)", "self.w_rdy.eq(1)"),
        ("SyncFIFO", "self.r_rdy.eq(self.level != 0)", "self.r_rdy.eq(1)"),
        ("BlockQueue", "self.w_rdy.eq(level != self.depth)", "self.w_rdy.eq(1)"),
        ("BlockQueue", "(level > self.r_rdy) &", "(level != 0) &"),
        ("BlockQueue", "& (~self.r_rdy | self.r_en)", ""),
        ("BlockQueue", "with m.Elif(self.r_en):", "with m.Elif(0):"),
        ("BlockQueue", "with m.If(enters ^ leaves)", "with m.If(enters | leaves)"),
        ("OutputQueue", "(is_full | becomes_full)", "is_full"),
        ("OutputQueue", "~moves_on & (is_full", "(is_full"),
        ("OutputQueue", "~is_full & (held | ~is_left)", "~is_full & ~is_left"),
        ("OutputQueue", "with m.If(is_left):", "with m.If(~self.r_rdy):"),
        ("OutputQueue", "Mux(held, read.data, self.w_data)", "read.data"),
    ],
    ids=[
        "overflow",
        "underflow",
        "block-overflow",
        "block-underflow",
        "output-overwritten",
        "output-stays",
        "miscounted",
        "output-queue-overflow",
        "output-queue-remains-full",
        "overtaken",
        "remains-readable",
        "not-past-the-memory",
    ],
)
def test_broken_queues_are_found(name, old, new):
    refute(InOrder(mutant(QUEUES[name], old, new), name), depth=8)
