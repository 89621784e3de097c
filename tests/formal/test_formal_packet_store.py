"""The store of packets in front of the PCIe hard block: packets leave whole, once and in order."""

import pytest
from amaranth.hdl import Assert, Assume, Cover, Signal
from amaranth.lib import data

from tests.formal.mutant import mutant
from tests.formal.runner import Properties, hold, reach, refute
from tests.formal.transaction_log import keep_log
from vta.boards.shells import pcie_crossing

DEPTH = 6
BEAT = data.StructLayout({"number": 1, "last": 1})


class WholePackets(Properties):
    """Packets of any length that fits. A queue holds the beats inside, the oldest first."""

    def __init__(self, module=pcie_crossing):
        super().__init__(module.PacketStore(BEAT, depth=DEPTH))

    def elaborate(self, platform):
        block = self.block
        m = super().elaborate(platform)
        enqueue, dequeue = block.i.valid & block.i.ready, block.o.valid & block.o.ready
        log, level = keep_log(
            m, block.i.payload.as_value(), depth=DEPTH, enqueue=enqueue, dequeue=dequeue
        )
        inside, came = Signal(), Signal(range(DEPTH))
        with m.If(dequeue):
            m.d.sync += inside.eq(~block.o.payload.last)
        with m.If(enqueue):
            m.d.sync += came.eq(came + 1)
            with m.If(block.i.payload.last):
                m.d.sync += came.eq(0)
        m.d.comb += [
            Assume((came < DEPTH - 2) | block.i.payload.last),
            Assert(level <= DEPTH),
            Assert(~block.o.valid | (level != 0)),
            Assert(~block.o.valid | (block.o.payload.as_value() == log[0])),
            Assert(~inside | block.o.valid),
            Cover(dequeue & block.o.payload.last & (level == DEPTH)),
            Cover(dequeue & inside & enqueue),
        ]
        return m


@pytest.mark.formal
def test_packets_leave_whole_and_in_order():
    hold(WholePackets(), depth=14)


@pytest.mark.formal
def test_it_fills_and_goes_on():
    reach(WholePackets(), depth=14)


@pytest.mark.formal
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("self.o.valid.eq(fifo.r_rdy & (packets != 0))", "self.o.valid.eq(fifo.r_rdy)"),
        ("packets + came - went", "packets + came"),
        ("self.i.valid & self.i.ready & self.i.payload.last", "self.i.valid & self.i.ready"),
        ("fifo.r_en.eq(self.o.ready & self.o.valid)", "fifo.r_en.eq(self.o.ready)"),
    ],
    ids=["not-whole", "never-fewer", "any-beat-counts", "dropped"],
)
def test_broken_stores_are_found(old, new):
    refute(WholePackets(mutant(pcie_crossing, old, new)), depth=14)
