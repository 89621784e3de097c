"""The read master: AXI's rules on AR, beats to who asked for them, errors with their address.

The constants are smaller than the real ones, so that the first cycles see full queues: bursts of
at most 4 beats of 2 bytes, 6 beats and 2 bursts of a reader under way, 2 beats waiting for it.
"""

import pytest
from amaranth.hdl import Assert, Assume, Cat, Cover, Mux, Signal
from amaranth.lib.data import StructLayout

from tests.formal.mutant import mutant, shrunk
from tests.formal.runner import Properties, hold, prove, reach, refute
from vta.hw.bus import axi, read_master

CLIENTS, ADDR_BITS, DATA_BITS = 2, 6, 16
BEAT = DATA_BITS // 8
BUS = axi.BusTraits(burst_beats=4)
SMALL = {
    "BEATS_IN_FLIGHT": 6, "BURSTS_IN_FLIGHT": 2, "BEAT_QUEUE_DEPTH": 2,
    "BurstSplitter": shrunk(axi, BEATS_BITS=4).BurstSplitter,
}  # fmt: skip
DEPTH = 11


def _master(module=read_master):
    return module.ReadMaster(clients=CLIENTS, addr_bits=ADDR_BITS, data_bits=DATA_BITS, bus=BUS)


def _small(module=read_master):
    return _master(shrunk(module, **SMALL))


class Handshakes(Properties):
    """A valid address stays, unchanged, until it is taken, and is a reader's."""

    def elaborate(self, platform):
        m = super().elaborate(platform)
        block = self.block
        fields = ("id", "addr", "len", "size", "burst", "cache", "prot")
        payload = Cat(getattr(block, f"ar{field}") for field in fields)
        waited, before = Signal(), Signal(len(payload))
        m.d.sync += [waited.eq(block.arvalid & ~block.arready), before.eq(payload)]
        m.d.comb += [
            Assert(~waited | (block.arvalid & (payload == before))),
            Assert(~block.arvalid | (block.arid < CLIENTS)),
            Assert(block.arsize == 1),
            Cover(waited & block.arready & (block.arid == 1)),
        ]
        return m


class Ledgers(Properties):
    """For each reader, the bursts that were offered and not answered, the oldest first, and the
    beats that came for it and were not taken."""

    def elaborate(self, platform):
        m = super().elaborate(platform)
        block = self.block
        aborted, offered = Signal(), Signal()
        m.d.sync += [aborted.eq(block.abort), offered.eq(block.arvalid & ~block.arready)]
        m.d.comb += [Assume(block.abort | ~aborted), Assume(block.rid < CLIENTS)]
        comes = block.rvalid & block.rready
        missing = []
        for number, client in enumerate(block.client):
            asked = client.request.payload
            m.d.comb += [
                Assume(asked.addr % BEAT == 0),
                Assume((asked.beats != 0) & (asked.beats < 8)),
                Assume(asked.addr + asked.beats * BEAT <= 1 << ADDR_BITS),
            ]
            missing.append(self._bursts(m, number, comes & (block.rid == number)))
            self._beats(m, client, comes & (block.rid == number), aborted)
        was_missing = Signal()
        m.d.sync += was_missing.eq(block.arvalid | Cat(missing).any())
        m.d.comb += [
            Assert(~block.idle | ~(block.arvalid | Cat(missing).any())),
            Assert(block.idle | block.arvalid | Cat(missing).any() | was_missing),
            Cover(Cat(missing).all() & offered),
            Cover(aborted & block.arvalid),
        ]
        return m

    def _bursts(self, m, reader, comes):
        """The world answers each reader's bursts in order; gives whether some beat is missing."""
        block = self.block
        burst = StructLayout({"addr": ADDR_BITS, "len": 2})
        ledger = [Signal(burst, name=f"burst{reader}_{n}") for n in range(4)]
        level, beat = Signal(3, name=f"bursts{reader}"), Signal(2, name=f"beat{reader}")
        mine = block.arid == reader
        taken = block.arvalid & block.arready & mine
        ends = comes & block.rlast
        m.d.sync += level.eq(level + taken - ends)
        for n in range(3):
            with m.If(ends):
                m.d.sync += ledger[n].eq(ledger[n + 1])
            with m.If(taken & (level - ends == n)):
                m.d.sync += [ledger[n].addr.eq(block.araddr), ledger[n].len.eq(block.arlen)]
        with m.If(comes):
            m.d.sync += beat.eq(Mux(ends, 0, beat + 1))
        beats = sum(Mux(level > n, ledger[n].len + 1, 0) for n in range(3)) - beat
        mine_offered = block.arvalid & mine
        m.d.comb += [
            Assume(~(block.rvalid & (block.rid == reader)) | (level != 0)),
            Assume(~(block.rvalid & (block.rid == reader))
                   | (block.rlast == (beat == ledger[0].len))),
            # No more under way than there may be; bursts stay inside their 4 beats.
            Assert(level + mine_offered <= 2),
            Assert(beats + Mux(mine_offered, block.arlen + 1, 0) <= 6),
            Assert(~mine_offered | (block.araddr % 8 + (block.arlen + 1) * BEAT <= 8)),
            Cover((level == 2) & (beat == 1)),
        ]  # fmt: skip

        # The first error names the reader and the address of its beat.
        first = comes & block.rresp[1] & (block.error.code == 0)
        failed = Signal(name=f"failed{reader}")
        where = Signal(ADDR_BITS, name=f"where{reader}")
        m.d.sync += [failed.eq(first), where.eq(ledger[0].addr + beat * BEAT)]
        with m.If(failed):
            m.d.comb += [
                Assert(block.error.code != 0),
                Assert(block.error.source == reader),
                Assert(block.error.addr == where),
                Cover(where == 6),
            ]
        return level != 0

    def _beats(self, m, client, comes, aborted):
        """What came for a reader reaches it, once and in order, until an abort."""
        block = self.block
        ledger = [Signal(DATA_BITS) for _ in range(3)]
        level = Signal(2)
        enters, leaves = comes & ~block.abort, client.beat.valid & client.beat.ready
        m.d.sync += level.eq(level + enters - leaves)
        for n in range(2):
            with m.If(leaves):
                m.d.sync += ledger[n].eq(ledger[n + 1])
            with m.If(enters & (level - leaves == n)):
                m.d.sync += ledger[n].eq(block.rdata)
        m.d.comb += [
            Assert(client.beat.valid == (level != 0)),
            Assert(~client.beat.valid | (client.beat.payload == ledger[0])),
            Assert(level <= 2),
            Assert(~aborted | block.rready),
            Cover((level == 2) & ~block.rready & block.rvalid),
        ]


@pytest.mark.formal
def test_valid_waits_for_ready():
    prove(Handshakes(_master()), depth=2)


@pytest.mark.formal
def test_beats_go_to_who_asked():
    hold(Ledgers(_small()), depth=DEPTH)


@pytest.mark.formal
@pytest.mark.parametrize("properties", [Handshakes, Ledgers])
def test_reads_of_all_kinds_happen(properties):
    reach(properties(_small()), depth=14)


@pytest.mark.formal
@pytest.mark.parametrize(
    ("properties", "old", "new"),
    [
        (Handshakes, "advance.eq(~self.arvalid | self.arready)", "advance.eq(1)"),
        (Ledgers, "self.arid.eq(grant)", "self.arid.eq(last_grant)"),
        (Ledgers, "reader.burst.ready.eq(advance & (grant == index))",
         "reader.burst.ready.eq(advance)"),
        (Ledgers, "BEATS_IN_FLIGHT - number * self.burst_beats", "BEATS_IN_FLIGHT"),
        (Ledgers, "Mux(issued_before, beats_fit(2), beats_fit(1))", "beats_fit(1)"),
        (Ledgers, "addresses.w_level <= BURSTS_IN_FLIGHT - number", "1"),
        (Ledgers, "beats_fit(3), beats_fit(2))", "beats_fit(2), beats_fit(1))"),
        (Ledgers, "Mux(issued, burst.payload.len + ~arrived", "Mux(issued, burst.payload.len"),
        (Ledgers, "(in_flight != 0) | (change != 0)", "in_flight != 0"),
        (Ledgers, "beats.w_rdy | self.abort", "1"),
        (Ledgers, "beat_index.eq(Mux(self.beat_last, 0, beat_index + 1))",
         "beat_index.eq(beat_index + 1)"),
        (Ledgers, "self.error.source.eq(self.rid)", "self.error.source.eq(self.arid)"),
        (Ledgers, "self.beat.valid & ~self.abort", "self.beat.valid"),
    ],
    ids=["address-withdrawn", "wrong-id", "burst-of-another", "too-many-beats", "one-more-before",
         "too-many-bursts", "one-more-now", "len-off-by-one", "idle-too-early", "beat-lost",
         "beat-number-kept", "error-of-another", "beats-after-abort"],
)  # fmt: skip
def test_broken_masters_are_found(properties, old, new):
    refute(properties(_master(mutant(read_master, old, new, **SMALL))), depth=DEPTH)
