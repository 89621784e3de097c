"""The read master: the rules of AXI on AR, beats to their readers, errors with their address, or
without one.

The constants are smaller than the real ones, so that the first cycles see full queues: bursts of
at most 4 beats of 2 bytes, 6 beats and 2 bursts of a reader outstanding, beat queues of 2. One of
the readers has a register in place of the queue. Where a reader reads for two modules, the second
one reads the upper half of the memory.
"""

import pytest
from amaranth.hdl import Assert, Assume, Cat, Cover, Mux, Signal
from amaranth.lib.data import StructLayout

from tests.formal.mutant import mutant, shrunk
from tests.formal.runner import Properties, hold, prove, reach, refute
from vta.hw.bus import axi, read_master

CLIENTS, ADDR_BITS, DATA_BITS = 2, 6, 16
UNQUEUED = 1
BEAT = DATA_BITS // 8
BUS = axi.BusTraits(burst_beats=4)
SMALL = {
    "BEATS_IN_FLIGHT": 6,
    "BurstSplitter": shrunk(axi, BEATS_BITS=4).BurstSplitter,
}  # fmt: skip
DEPTH = 11
SHARED = {"shared": (0, 2)}
NO_ADDRESS = {"error_addr_bits": 0}


def _master(module=read_master, **others):
    return module.ReadMaster(
        clients=CLIENTS, addr_bits=ADDR_BITS, data_bits=DATA_BITS, bus=BUS, bursts_in_flight=2,
        queue_depth=2, unqueued=(UNQUEUED,), **others,
    )  # fmt: skip


def _small(module=read_master, **others):
    return _master(shrunk(module, **SMALL), **others)


class Handshakes(Properties):
    """A valid address is stable until accepted, and has the ID of a reader."""

    def elaborate(self, platform):
        m = super().elaborate(platform)
        block = self.block
        fields = ("id", "addr", "len", "size", "burst", "cache", "prot")
        payload = Cat(getattr(block, f"ar{field}") for field in fields)
        stalled, payload_before = Signal(), Signal(len(payload))
        m.d.sync += [stalled.eq(block.arvalid & ~block.arready), payload_before.eq(payload)]
        m.d.comb += [
            Assert(~stalled | (block.arvalid & (payload == payload_before))),
            Assert(~block.arvalid | (block.arid < CLIENTS)),
            Assert(block.arsize == 1),
            Cover(stalled & block.arready & (block.arid == 1)),
        ]
        return m


class TransactionLogs(Properties):
    """For each reader, the outstanding bursts, the oldest first, and the beats in its queue."""

    def elaborate(self, platform):
        m = super().elaborate(platform)
        block = self.block
        aborted, offered = Signal(), Signal()
        m.d.sync += [aborted.eq(block.abort), offered.eq(block.arvalid & ~block.arready)]
        m.d.comb += [Assume(block.abort | ~aborted), Assume(block.rid < CLIENTS)]
        arrives = block.rvalid & block.rready
        outstanding = []
        for number, client in enumerate(block.client):
            requested = client.request.payload
            m.d.comb += [
                Assume(requested.addr % BEAT == 0),
                Assume((requested.beats != 0) & (requested.beats < 8)),
                Assume(requested.addr + requested.beats * BEAT <= 1 << ADDR_BITS),
            ]
            if self._is_shared(number):
                last = Signal(ADDR_BITS, name=f"last{number}")
                m.d.comb += [
                    last.eq(requested.addr + (requested.beats - 1) * BEAT),
                    Assume(block.second == requested.addr[-1]),
                    Assume(last[-1] == requested.addr[-1]),
                ]
            outstanding.append(self._bursts(m, number, arrives & (block.rid == number)))
            depth = 1 if number == UNQUEUED else 2
            self._beats(m, client, arrives & (block.rid == number), aborted, depth)
        was_outstanding = Signal()
        m.d.sync += was_outstanding.eq(block.arvalid | Cat(outstanding).any())
        m.d.comb += [
            Assert(~block.idle | ~(block.arvalid | Cat(outstanding).any())),
            Assert(block.idle | block.arvalid | Cat(outstanding).any() | was_outstanding),
            Cover(Cat(outstanding).all() & offered),
            Cover(aborted & block.arvalid),
        ]
        return m

    def _is_shared(self, reader):
        return self.block.shared is not None and reader == self.block.shared[0]

    def _bursts(self, m, reader, arrives):
        """The bus serves the bursts of a reader in order; returns whether a beat is outstanding."""
        block = self.block
        burst = StructLayout({"addr": ADDR_BITS, "len": 2})
        log = [Signal(burst, name=f"burst{reader}_{n}") for n in range(4)]
        level, beat = Signal(3, name=f"bursts{reader}"), Signal(2, name=f"beat{reader}")
        is_reader = block.arid == reader
        accepted = block.arvalid & block.arready & is_reader
        burst_end = arrives & block.rlast
        m.d.sync += level.eq(level + accepted - burst_end)
        for n in range(3):
            with m.If(burst_end):
                m.d.sync += log[n].eq(log[n + 1])
            with m.If(accepted & (level - burst_end == n)):
                m.d.sync += [log[n].addr.eq(block.araddr), log[n].len.eq(block.arlen)]
        with m.If(arrives):
            m.d.sync += beat.eq(Mux(burst_end, 0, beat + 1))
        beats = sum(Mux(level > n, log[n].len + 1, 0) for n in range(3)) - beat
        reader_offered = block.arvalid & is_reader
        m.d.comb += [
            Assume(~(block.rvalid & (block.rid == reader)) | (level != 0)),
            Assume(~(block.rvalid & (block.rid == reader))
                   | (block.rlast == (beat == log[0].len))),
            # The limits of outstanding bursts and beats; bursts do not cross blocks of 4 beats.
            Assert(level + reader_offered <= 2),
            Assert(beats + Mux(reader_offered, block.arlen + 1, 0) <= 6),
            Assert(~reader_offered | (block.araddr % 8 + (block.arlen + 1) * BEAT <= 8)),
            Cover((level == 2) & (beat == 1)),
        ]  # fmt: skip

        # The first error names the module and the address of its beat.
        first_error = arrives & block.rresp[1] & (block.error.code == 0)
        failed = Signal(name=f"failed{reader}")
        error_addr = Signal(ADDR_BITS, name=f"where{reader}")
        source = Signal.like(block.error.source, name=f"source{reader}")
        second = log[0].addr[-1] if self._is_shared(reader) else 0
        m.d.sync += [
            failed.eq(first_error),
            error_addr.eq(log[0].addr + beat * BEAT),
            source.eq(Mux(second, SHARED["shared"][1], reader)),
        ]
        with m.If(failed):
            m.d.comb += [
                Assert(block.error.code != 0),
                Assert(block.error.source == source),
                Cover(error_addr == 6),
            ]
            if len(block.error.addr):
                m.d.comb += Assert(block.error.addr == error_addr)
            if self._is_shared(reader):
                m.d.comb += Cover(source != reader)
        return level != 0

    def _beats(self, m, client, arrives, aborted, depth):
        """Beats reach their reader, once and in order, until an abort; at most ``depth`` wait."""
        block = self.block
        log = [Signal(DATA_BITS) for _ in range(3)]
        level = Signal(2)
        enqueue, dequeue = arrives & ~block.abort, client.beat.valid & client.beat.ready
        m.d.sync += level.eq(level + enqueue - dequeue)
        for n in range(2):
            with m.If(dequeue):
                m.d.sync += log[n].eq(log[n + 1])
            with m.If(enqueue & (level - dequeue == n)):
                m.d.sync += log[n].eq(block.rdata)
        m.d.comb += [
            Assert(client.beat.valid == (level != 0)),
            Assert(~client.beat.valid | (client.beat.payload == log[0])),
            Assert(level <= depth),
            Assert(~aborted | block.rready),
            Cover((level == depth) & ~block.rready & block.rvalid),
        ]


@pytest.mark.formal
def test_valid_waits_for_ready():
    prove(Handshakes(_master()), depth=2)


MASTERS = {
    "addresses": {}, "addresses-of-two": SHARED, "no-addresses": NO_ADDRESS,
    "no-addresses-of-two": NO_ADDRESS | SHARED,
}  # fmt: skip


@pytest.mark.formal
@pytest.mark.parametrize("name", MASTERS)
def test_beats_reach_their_reader(name):
    hold(TransactionLogs(_small(**MASTERS[name])), depth=DEPTH)


@pytest.mark.formal
@pytest.mark.parametrize("properties", [Handshakes, TransactionLogs])
@pytest.mark.parametrize("name", ["addresses", "no-addresses-of-two"])
def test_reads_of_all_kinds_happen(properties, name):
    reach(properties(_small(**MASTERS[name])), depth=14)


@pytest.mark.formal
@pytest.mark.parametrize(
    ("properties", "old", "new"),
    [
        (Handshakes, "advance.eq(~self.arvalid | self.arready)", "advance.eq(1)"),
        (TransactionLogs, "self.arid.eq(grant)", "self.arid.eq(last_grant)"),
        (TransactionLogs, "reader.burst.ready.eq(advance & ~outranked[index])",
         "reader.burst.ready.eq(advance)"),
        (TransactionLogs, "BEATS_IN_FLIGHT - number * self.burst_beats", "BEATS_IN_FLIGHT"),
        (TransactionLogs, "Mux(issued_before, beats_fit(2), beats_fit(1))", "beats_fit(1)"),
        (TransactionLogs, "addresses.w_level <= self.bursts_in_flight - number", "1"),
        (TransactionLogs, "beats_fit(3), beats_fit(2))", "beats_fit(2), beats_fit(1))"),
        (TransactionLogs, "Mux(issued, burst.payload.len + ~arrived",
         "Mux(issued, burst.payload.len"),
        (TransactionLogs, "(in_flight != 0) | (change != 0)", "in_flight != 0"),
        (TransactionLogs, "beats.ready | self.abort", "1"),
        (TransactionLogs, "beat_index.eq(Mux(self.beat_last, 0, beat_index + 1))",
         "beat_index.eq(beat_index + 1)"),
        (TransactionLogs, "source.eq(self.rid)", "source.eq(self.arid)"),
        (TransactionLogs, "self.beat.valid & ~self.abort", "self.beat.valid"),
    ],
    ids=["address-withdrawn", "wrong-id", "burst-of-another", "too-many-beats", "one-more-before",
         "too-many-bursts", "one-more-now", "len-off-by-one", "idle-too-early", "beat-lost",
         "beat-number-kept", "error-of-another", "beats-after-abort"],
)  # fmt: skip
def test_broken_masters_are_found(properties, old, new):
    refute(properties(_master(mutant(read_master, old, new, **SMALL))), depth=DEPTH)


@pytest.mark.formal
@pytest.mark.parametrize(
    ("others", "old", "new"),
    [
        (NO_ADDRESS, "self.w_level + self.w_en - self.r_en", "self.w_level - self.r_en"),
        (NO_ADDRESS, "self.w_level + self.w_en - self.r_en",
         "Mux(self.r_en, self.w_level - 1, self.w_level + self.w_en)"),
        (NO_ADDRESS | SHARED, "newest.mark.eq(burst.payload.marked)",
         "newest.mark.eq(burst.payload.last)"),
        (NO_ADDRESS | SHARED, "source.eq(second)", "source.eq(0)"),
    ],
    ids=["bursts-not-counted", "two-at-once", "last-for-marked", "never-the-second"],
)  # fmt: skip
def test_broken_masters_without_addresses_are_found(others, old, new):
    module = mutant(read_master, old, new, **SMALL)
    refute(TransactionLogs(_master(module, **others)), depth=DEPTH + 4)
