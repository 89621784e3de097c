"""The skid buffer: each item leaves once and in order, and is offered in the next cycle."""

import pytest
from amaranth.hdl import Assert, Cover, Signal

from tests.formal.mutant import mutant
from tests.formal.runner import Properties, prove, reach, refute
from tests.formal.transaction_log import keep_log
from vta.hw.debug.signal_paths import SignalPaths
from vta.hw.lib import skid_buffer

WIDTH, HOLDS = 2, 2


class InOrder(Properties):
    """A queue of the items inside, the oldest first, which is the offered item. The skid buffer
    accepts an item whenever it holds fewer than two."""

    def __init__(self, module=skid_buffer):
        super().__init__(module.SkidBuffer(WIDTH))

    def elaborate(self, platform):
        block, paths = self.block, SignalPaths(self.block)
        m = super().elaborate(platform, paths.fragment)
        enqueue, dequeue = block.i.valid & block.i.ready, block.o.valid & block.o.ready
        log, level = keep_log(m, block.i.payload, depth=HOLDS, enqueue=enqueue, dequeue=dequeue)
        is_new, announced = Signal(), Signal(WIDTH)
        m.d.sync += [is_new.eq(~block.o.valid | block.o.ready), announced.eq(block.ahead)]
        m.d.comb += [
            Assert(level <= HOLDS),
            Assert(block.o.valid == (level != 0)),
            Assert(~block.o.valid | (block.o.payload == log[0])),
            Assert(block.i.ready == (level != HOLDS)),
            Assert(~is_new | ~block.o.valid | (block.o.payload == announced)),
            Assert((level != HOLDS) | (paths["skid"] == log[1])),
            Cover((level == HOLDS) & dequeue & (log[0] == 1) & (log[1] == 2)),
            Cover((level == 1) & dequeue & enqueue),
        ]
        return m


def test_items_come_out_in_order():
    prove(InOrder(), depth=1)


@pytest.mark.formal
def test_it_fills_and_goes_on():
    reach(InOrder(), depth=6)


@pytest.mark.formal
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("self.i.ready.eq(~skid_valid)", "self.i.ready.eq(1)"),
        ("self.i.valid | skid_valid", "self.i.valid"),
        ("with m.If(~self.o.valid | self.o.ready):", "with m.If(self.o.ready):"),
        ("self.o.payload.eq(self.ahead)", "self.o.payload.eq(self.i.payload)"),
        ("self.ahead.eq(Mux(skid_valid, skid, self.i.payload))", "self.ahead.eq(skid)"),
    ],
    ids=["overwritten", "lost", "waits-for-nothing", "skid-register-lost", "wrong-ahead"],
)
def test_broken_skid_buffers_are_found(old, new):
    refute(InOrder(mutant(skid_buffer, old, new)), depth=6)
