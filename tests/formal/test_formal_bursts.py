"""Requests become bursts: legal ones, all of the beats, each once, in order."""

import pytest
from amaranth.hdl import Assert, Assume, Cover, Mux, Signal
from amaranth.lib.data import StructLayout, View

from tests.formal.mutant import mutant
from tests.formal.runner import Properties, prove, reach, refute
from vta.config import BURST_BEATS
from vta.hw.bus import axi
from vta.hw.debug.signal_paths import SignalPaths
from vta.hw.interfaces import BEATS_BITS, WriteRequest

ADDR_BITS = 20
PAGE = 4096
FIELDS = ("addr", "beats", "last")


class BurstsAreTheRequest(Properties):
    """The requests that were taken and not yet handed on, at most two, are kept in a ledger; each
    burst must be the beginning of the oldest."""

    def __init__(self, module=axi, *, data_bits=512, burst_beats=BURST_BEATS, beats_bits=None):
        self.beat_bytes, self.burst_beats = data_bits // 8, burst_beats
        self.most_beats = 2 ** (BEATS_BITS if beats_bits is None else beats_bits)
        super().__init__(
            module.BurstSplitter(
                addr_bits=ADDR_BITS, data_bits=data_bits, burst_beats=burst_beats,
                beats_bits=beats_bits,
            )
        )  # fmt: skip

    def elaborate(self, platform):
        block, request, burst = self.block, self.block.request, self.block.burst
        paths = SignalPaths(block)
        m = super().elaborate(platform, paths.fragment)
        asked, got = request.payload, burst.payload

        # What the world promises: whole beats, at least one, inside the address space.
        m.d.comb += [
            Assume(asked.addr % self.beat_bytes == 0),
            Assume(asked.beats != 0),
            Assume(asked.beats < self.most_beats),
            Assume(asked.addr + asked.beats * self.beat_bytes <= 1 << ADDR_BITS),
        ]

        # AXI: a valid burst waits, unchanged, until it is taken.
        waited, before = Signal(), Signal.like(got)
        m.d.sync += [waited.eq(burst.valid & ~burst.ready), before.eq(got)]
        m.d.comb += Assert(~waited | (burst.valid & (got == before)))
        # AXI: at most the beats of the port, whole beats, and none across a page.
        size = Signal(range(257))
        m.d.comb += size.eq(got.len + 1)
        with m.If(burst.valid):
            m.d.comb += [
                Assert(size <= self.burst_beats),
                Assert(got.addr % self.beat_bytes == 0),
                Assert(got.addr % PAGE + size * self.beat_bytes <= PAGE),
            ]

        # The ledger.
        entry = WriteRequest(ADDR_BITS + 1)  # the end may be the end of the address space
        oldest, next_one = Signal(entry), Signal(entry)
        has_oldest, has_next = Signal(), Signal()
        handed, finishes = Signal(), Signal()
        m.d.comb += [
            handed.eq(burst.valid & burst.ready),
            finishes.eq(handed & (size == oldest.beats)),
        ]
        with m.If(burst.valid):
            m.d.comb += [
                Assert(has_oldest),
                Assert(got.addr == oldest.addr),
                Assert(size <= oldest.beats),
                Assert(got.last == (oldest.last & (size == oldest.beats))),
            ]
        with m.If(handed):
            m.d.sync += [
                oldest.addr.eq(oldest.addr + size * self.beat_bytes),
                oldest.beats.eq(oldest.beats - size),
            ]
        with m.If(finishes):
            m.d.sync += [has_oldest.eq(has_next), oldest.eq(next_one), has_next.eq(0)]
        with m.If(request.valid & request.ready):
            m.d.comb += Assert(~has_next | finishes)
            with m.If(Mux(finishes, ~has_next, ~has_oldest)):
                m.d.sync += [has_oldest.eq(1), *(oldest[f].eq(asked[f]) for f in FIELDS)]
            with m.Else():
                m.d.sync += [has_next.eq(1), *(next_one[f].eq(asked[f]) for f in FIELDS)]

        # How the registers of the block and the ledger belong together, for the induction.
        reach_bits = (self.most_beats - 1 + self.burst_beats - 1).bit_length()
        rest = StructLayout({
            "beat": ADDR_BITS - self.beat_bytes.bit_length() + 1, "reach": reach_bits, "last": 1,
        })  # fmt: skip
        remaining, accepted = View(rest, paths["remaining"]), View(rest, paths["accepted"])
        accepted_valid = paths["accepted_valid"]
        for valid, beats, request_left in (
            (burst.valid, remaining, oldest),
            (accepted_valid, accepted, Mux(burst.valid, next_one, oldest)),
        ):
            request_left = View(entry, request_left)
            with m.If(valid):
                m.d.comb += [
                    Assert(beats.beat * self.beat_bytes == request_left.addr),
                    Assert(beats.reach == request_left.beats + beats.beat % self.burst_beats),
                    Assert(beats.last == request_left.last),
                ]
        with m.If(burst.valid):
            m.d.comb += [
                Assert(paths["last_burst"] == (remaining.reach <= self.burst_beats)),
                Assert(paths["last_beat"] == (remaining.reach - 1) % self.burst_beats),
            ]
        m.d.comb += [
            Assert(has_oldest == (burst.valid | accepted_valid)),
            Assert(has_next == (burst.valid & accepted_valid)),
        ]
        with m.If(has_next):
            m.d.comb += [Assert(next_one.beats != 0), Assert(next_one.addr % self.beat_bytes == 0)]
            m.d.comb += Assert(next_one.addr + next_one.beats * self.beat_bytes <= 1 << ADDR_BITS)
            m.d.comb += Assert(next_one.beats < self.most_beats)
        with m.If(has_oldest):
            m.d.comb += [
                Assert(oldest.beats != 0),
                Assert(oldest.beats < self.most_beats),
                Assert(oldest.addr % self.beat_bytes == 0),
                Assert(oldest.addr + oldest.beats * self.beat_bytes <= 1 << ADDR_BITS),
            ]

        # Whole pages, pieces of them, and two requests at once; work that goes on every cycle.
        bursts = Signal(3)
        with m.If(finishes):
            m.d.sync += bursts.eq(0)
        with m.Elif(handed):
            m.d.sync += bursts.eq(bursts + 1)
        m.d.comb += [
            Cover((bursts == 3) & finishes & (size == 1)),
            Cover(burst.valid & (size == self.burst_beats)),
            Cover(has_next & waited),
            Cover(finishes & request.valid & request.ready & (oldest.beats == 5) & got.last),
        ]
        return m


@pytest.mark.parametrize(
    ("data_bits", "burst_beats", "beats_bits"),
    [
        (512, 64, None), pytest.param(64, 64, None, marks=pytest.mark.formal), (64, 16, None),
        (64, 64, 5), (64, 16, 8),
    ],
)  # fmt: skip
def test_bursts_are_the_request(data_bits, burst_beats, beats_bits):
    prove(
        BurstsAreTheRequest(data_bits=data_bits, burst_beats=burst_beats, beats_bits=beats_bits),
        depth=2,
    )


@pytest.mark.formal
def test_requests_of_all_kinds_happen():
    reach(BurstsAreTheRequest(), depth=14)


@pytest.mark.formal
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("size - 1) - remaining.beat % size)", "size - 1))"),
        ("beats_bits] + beat % size)", "beats_bits] + (beat + 1) % size)"),
        ("| (reach == blocks * size)", ""),
        ("(accepted.reach - 1) % size", "accepted.reach % size"),
        ("burst.last.eq(remaining.last & last_burst)", "burst.last.eq(remaining.last)"),
        ("load.eq(~self.burst.valid | (self.burst.ready & last_burst))",
         "load.eq(~self.burst.valid | last_burst)"),
        ("self.request.ready.eq(~accepted_valid | load)", "self.request.ready.eq(1)"),
        ("remaining.reach - size)", "remaining.reach - size - 1)"),
        ("accepted_valid.eq(self.request.valid)", "accepted_valid.eq(1)"),
        ("within(remaining.reach, 2)", "within(remaining.reach, 1)"),
    ],
    ids=["page-ignored", "page-off-by-one", "end-missed", "len-off-by-one", "last-early",
         "burst-not-held", "request-overwritten", "beats-lost", "request-invented",
         "end-found-late"],
)  # fmt: skip
def test_broken_splitters_are_found(old, new):
    refute(BurstsAreTheRequest(mutant(axi, old, new)), depth=8)
