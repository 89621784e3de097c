"""The write master: AXI's rules on AW and W, every beat once and in order, and the answers.

The constants are smaller than the real ones, so that the first cycles see full queues and bursts
that end: bursts of at most 4 beats of 2 bytes, 2 under way. That a burst stays inside a page is
proved, for ever and with the real constants, in ``test_formal_bursts.py``.
"""

import pytest
from amaranth.hdl import Array, Assert, Assume, Cat, Cover, Signal
from amaranth.lib.data import View

from tests.formal.mutant import mutant, shrunk
from tests.formal.runner import Properties, hold, prove, reach, refute
from vta.hw.bus import axi, write_master
from vta.hw.bus.axi import Burst
from vta.hw.debug.signal_paths import SignalPaths

ADDR_BITS, DATA_BITS = 6, 16
SMALL_AXI = shrunk(axi, BEATS_BITS=4)
SMALL = {"BURSTS_IN_FLIGHT": 2, "BurstSplitter": SMALL_AXI.BurstSplitter}
BUS = axi.BusTraits(burst_beats=4)
BEAT = DATA_BITS // 8
DEPTH = 13
BURSTS = 4
"""Bursts that the ledgers hold; there are not more in the cycles looked at."""


def _master(module=write_master, **others):
    return module.WriteMaster(addr_bits=ADDR_BITS, data_bits=DATA_BITS, bus=BUS, **others)


def _small(module=write_master, **others):
    return _master(shrunk(module, **SMALL), **others)


class Handshakes(Properties):
    """A valid address or beat stays, unchanged, until it is taken; a beat is what the writer gave,
    or after an abort one without a byte."""

    def elaborate(self, platform):
        m = super().elaborate(platform)
        block, beat = self.block, self.block.port.beat
        for channel, fields in (
            ("aw", ("addr", "len", "size", "burst", "id", "cache", "prot")),
            ("w", ("data", "strb", "last")),
        ):
            valid, ready = getattr(block, f"{channel}valid"), getattr(block, f"{channel}ready")
            payload = Cat(getattr(block, channel + field) for field in fields)
            waited, before = Signal(), Signal(len(payload))
            m.d.sync += [waited.eq(valid & ~ready), before.eq(payload)]
            m.d.comb += [
                Assert(~waited | (valid & (payload == before))),
                Cover(waited & ready),
            ]

        taken, held = Signal(), Signal.like(beat.payload)  # what the register of W should hold
        sent = block.wvalid & block.wready
        with m.If(beat.valid & beat.ready):
            m.d.comb += [Assert(~block.wvalid | sent), Assert(~block.abort)]
            m.d.sync += [taken.eq(1), held.eq(beat.payload)]
        with m.Elif(sent):
            m.d.sync += taken.eq(0)
        with m.If(taken):
            m.d.comb += [
                Assert(block.wvalid),
                Assert((block.wdata == held.data) & (block.wstrb == held.strb)),
            ]
        aborted = Signal()
        m.d.sync += aborted.eq(block.abort)
        m.d.comb += Assume(block.abort | ~aborted)
        with m.If(block.wvalid & ~taken):
            m.d.comb += [Assert(aborted & (block.wstrb == 0)), Cover(block.wready & ~block.wlast)]
        return m


class TransactionLogs(Properties):
    """Requests, addresses, beats and responses."""

    def elaborate(self, platform):
        self.inside = SignalPaths(self.block)
        m = super().elaborate(platform, self.inside.fragment)
        block, request = self.block, self.block.port.request
        asked = request.payload
        aborted = Signal()
        m.d.sync += aborted.eq(block.abort)
        m.d.comb += [
            Assume(block.abort | ~aborted),
            Assume(asked.addr % BEAT == 0),
            Assume((asked.beats != 0) & (asked.beats < 8)),
            Assume(asked.addr + asked.beats * BEAT <= 1 << ADDR_BITS),
        ]

        # AW: a table of the lengths of bursts; a valid burst is in the table in the next cycle.
        lengths = Array(Signal(2, name=f"length{n}") for n in range(BURSTS))
        counts = (Signal(range(BURSTS + 1), name=n) for n in ("addressed", "sent", "answered"))
        addressed, sent, answered = counts
        self.addressed, self.answered = addressed, answered
        offered, added = Signal(), Signal()
        m.d.comb += added.eq(block.awvalid & ~offered)
        m.d.sync += offered.eq(block.awvalid & ~block.awready)
        with m.If(added):
            m.d.sync += lengths[addressed].eq(block.awlen)
        m.d.comb += Assume(~(block.awvalid & (addressed == BURSTS)))
        with m.If(block.awvalid & block.awready):
            m.d.sync += addressed.eq(addressed + 1)

        # W: the address of a burst is valid before its beats; WLAST is on its last beat.
        number = Signal(3)
        with m.If(block.wvalid):
            m.d.comb += [
                Assert((sent < addressed) | (offered & (sent == addressed))),
                Assert(block.wlast == (number == lengths[sent])),
            ]
        with m.If(block.wvalid & block.wready):
            m.d.sync += number.eq(number + 1)
            with m.If(block.wlast):
                m.d.sync += [number.eq(0), sent.eq(sent + 1)]

        # B: a response for each burst that was sent; ``idle`` when no response is outstanding.
        m.d.comb += [
            Assume(~block.bvalid | ((answered < sent) & (answered < addressed))),
            Assert(block.bready),
            Assert(~(block.idle & (block.bvalid | block.awvalid | block.wvalid))),
            Assert(~block.idle | (addressed == answered)),
            Assert(addressed - answered <= 2),
        ]
        with m.If(block.bvalid):
            m.d.sync += answered.eq(answered + 1)
        m.d.comb += [
            Cover((answered == 3) & block.idle),
            Cover((addressed == 2) & (answered == 0) & (sent == 1)),
            Cover(aborted & block.wvalid & (number == 2)),
        ]
        self._answers(m, added)
        return m

    def _answers(self, m, added):
        """No properties of ``done`` here."""


class Answers(TransactionLogs):
    """``done`` is strobed with the response to each burst that ends a request with ``last``, unless
    an error occurred. (``test_formal_bursts.py`` proves that the splitter marks these bursts.)"""

    def _answers(self, m, added):
        block, burst = self.block, View(Burst(ADDR_BITS), self.inside["skid.o__payload"])
        lasts = Array(Signal(name=f"last{n}") for n in range(BURSTS))
        last = Signal()
        with m.If(self.inside["issued"]):
            m.d.sync += last.eq(burst.last)
        with m.If(added):
            m.d.sync += lasts[self.addressed].eq(last)
        failed, fails = Signal(), block.bvalid & block.bresp[1]
        m.d.sync += failed.eq(failed | fails)
        m.d.comb += [
            Assert(block.port.done == (block.bvalid & lasts[self.answered] & ~failed & ~fails)),
            Assert(failed == (block.error.code != 0)),
            Cover(block.port.done & (self.answered == 2)),
            Cover(block.bvalid & ~block.port.done & (self.answered == 2) & ~failed & ~fails),
        ]


@pytest.mark.formal
def test_valid_waits_for_ready_and_beats_are_the_writers():
    prove(Handshakes(_master()), depth=2)


@pytest.mark.formal
@pytest.mark.parametrize("properties", [TransactionLogs, Answers])
def test_bursts_and_answers_are_those_of_the_requests(properties):
    hold(properties(_small()), depth=DEPTH)


@pytest.mark.formal
def test_answers_without_addresses_of_errors():
    hold(Answers(_small(error_addr_bits=0)), depth=DEPTH)


@pytest.mark.formal
@pytest.mark.parametrize("properties", [Handshakes, TransactionLogs, Answers])
def test_writes_of_all_kinds_happen(properties):
    reach(properties(_small()), depth=16)


@pytest.mark.formal
@pytest.mark.parametrize(
    ("properties", "old", "new"),
    [
        (Handshakes, "with m.Elif(self.awready):", "with m.Else():"),
        (Handshakes, "lengths.r_rdy & (~self.wvalid | self.wready)", "lengths.r_rdy"),
        (Handshakes, "Mux(self.abort, 0, beat.payload.strb)", "beat.payload.strb"),
        (Handshakes, "advance & ~self.abort", "advance"),
        (TransactionLogs, "self.wlast.eq(last)", "self.wlast.eq(beat_index == 3)"),
        (TransactionLogs, "beat_index.eq(Mux(last, 0, beat_index + 1))",
         "beat_index.eq(beat_index + 1)"),
        (TransactionLogs, "lengths.r_en.eq(load & last)", "lengths.r_en.eq(load)"),
        (TransactionLogs, "& lengths.w_rdy & responses.w_rdy & ~self.abort",
         "& lengths.w_rdy & ~self.abort"),
        (Answers, "& responses.r_data[0] & (self", "& (self"),
        (Answers, "self.bvalid & ~failed & responses", "self.bvalid & responses"),
        (Answers, "& (self.error.code == ErrorCode.NONE)\n            )", ")"),
    ],
    ids=["address-withdrawn", "beat-overwritten", "strobes-after-abort", "beats-after-abort",
         "last-fixed", "number-kept", "length-lost", "too-many-under-way",
         "done-each-burst", "done-with-error", "done-after-error"],
)  # fmt: skip
def test_broken_masters_are_found(properties, old, new):
    refute(properties(_master(mutant(write_master, old, new, **SMALL))), depth=DEPTH)
