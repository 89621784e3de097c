"""The bridge from a processor's port to the registers: AXI's rules on both sides, for ever; one
register access a beat, at its address, and every answer, as far as the solver looks.

Ports are AXI3 with 32 bits, as on Cyclone V and Zynq-7000, and AXI4 with more, as on UltraScale+.
A processor that keeps to the standard may do anything in any cycle, registers may answer whenever
they like.
"""

import pytest
from amaranth.hdl import Array, Assert, Assume, Cat, Cover, Mux, Signal

from tests.formal.mutant import mutant
from tests.formal.runner import Properties, hold, prove, reach, refute
from vta.boards.shells import bridge
from vta.boards.shells.ports import AXIPort

NARROW = AXIPort(version=3, addr_bits=14, data_bits=32, id_bits=2)
WIDE = AXIPort(version=4, addr_bits=14, data_bits=64, id_bits=2)
BASE, PAGE = 0x1000, 4096
OKAY, SLVERR, DECERR = 0, 2, 3
INCR = 1
DEPTH = 13
"""Cycles that are looked at: a beat takes three or more, so some bursts of several beats."""

ADDRESS = ("addr", "len", "size", "burst", "id")


def _bridge(module=bridge, port=NARROW):
    return module.RegisterBridge(port, base=BASE)


class Standard(Properties):
    """The processor and the registers keep to the standard: what they offer stays until it is
    taken, a burst stays in its 4 KiB, its last beat says so, registers answer what was asked.

    Attributes
    ----------
    writing, reading : Signal
        A burst is between its address and the end of its answer.
    owing : Signal
        The burst that is written has data to come.
    wrote, asked : Signal
        A register has a write, or a read, to answer.
    """

    def elaborate(self, platform):
        m = super().elaborate(platform)
        axi, lite = self.block.axi, self.block.lite
        for bus, channel, fields in (
            (axi, "aw", ADDRESS), (axi, "w", ("data", "strb", "last")), (axi, "ar", ADDRESS),
            (lite, "b", ("resp",)), (lite, "r", ("data", "resp")),
        ):  # fmt: skip
            m.d.comb += Assume(self.kept(m, bus, channel, fields))
        for channel in ("aw", "ar"):
            size, length = getattr(axi, f"{channel}size"), getattr(axi, f"{channel}len")
            addr = getattr(axi, f"{channel}addr")
            ends = Array(((addr % PAGE >> log) + length + 1) << log for log in range(3))
            m.d.comb += [Assume(size <= 2), Assume(ends[size[:2]] <= PAGE)]
        self._writes(m, axi, lite)
        self._reads(m, axi, lite)
        return m

    @staticmethod
    def kept(m, bus, channel, fields):
        """Whether what was offered and not taken in the cycle before is offered again."""
        valid, ready = getattr(bus, f"{channel}valid"), getattr(bus, f"{channel}ready")
        payload = Cat(getattr(bus, channel + field) for field in fields)
        waited, before = Signal(), Signal(len(payload))
        m.d.sync += [waited.eq(valid & ~ready), before.eq(payload)]
        return ~waited | (valid & (payload == before))

    def _writes(self, m, axi, lite):
        self.writing, self.owing, self.wrote = Signal(), Signal(), Signal()
        beat, length = Signal.like(axi.awlen), Signal.like(axi.awlen)
        has_address, has_data = Signal(), Signal()
        taken = [lite.awvalid & lite.awready, lite.wvalid & lite.wready]
        both = (has_address | taken[0]) & (has_data | taken[1])
        m.d.comb += [
            Assume(~lite.bvalid | self.wrote),
            Assume(axi.wlast == (beat == length)),
            Assume(self.owing | ~axi.wvalid),  # data before its address would only wait for it
        ]
        m.d.sync += [
            has_address.eq((has_address | taken[0]) & ~both),
            has_data.eq((has_data | taken[1]) & ~both),
            self.wrote.eq((self.wrote & ~(lite.bvalid & lite.bready)) | both),
        ]
        with m.If(axi.awvalid & axi.awready):
            m.d.sync += [self.writing.eq(1), self.owing.eq(1), beat.eq(0), length.eq(axi.awlen)]
        with m.If(axi.wvalid & axi.wready):
            m.d.sync += [beat.eq(beat + 1), self.owing.eq(~axi.wlast)]
        with m.If(axi.bvalid & axi.bready):
            m.d.sync += self.writing.eq(0)

    def _reads(self, m, axi, lite):
        self.reading, self.asked = Signal(), Signal()
        m.d.comb += Assume(~lite.rvalid | self.asked)
        m.d.sync += self.asked.eq(
            (self.asked & ~(lite.rvalid & lite.rready)) | (lite.arvalid & lite.arready)
        )
        with m.If(axi.arvalid & axi.arready):
            m.d.sync += self.reading.eq(1)
        with m.If(axi.rvalid & axi.rready & axi.rlast):
            m.d.sync += self.reading.eq(0)


class Handshakes(Standard):
    """What the bridge offers stays, unchanged, until it is taken."""

    def elaborate(self, platform):
        m = super().elaborate(platform)
        axi, lite = self.block.axi, self.block.lite
        for bus, channel, fields in (
            (axi, "b", ("resp", "id")), (axi, "r", ("data", "resp", "last", "id")),
            (lite, "aw", ("addr",)), (lite, "w", ("data", "strb")), (lite, "ar", ("addr",)),
        ):  # fmt: skip
            m.d.comb += Assert(self.kept(m, bus, channel, fields))
        return m


def _place(addr, size, beat):
    """The word of a beat of a rising burst: A3.4.1 of ARM IHI 0022."""
    following = Array(((addr >> log) + beat) << log for log in range(3))[size[:2]]
    return Mux(beat == 0, addr, following) & (PAGE - 4)


def _fault(addr, length, burst):
    """The answer to a burst that reaches no register, or 0."""
    inside = (addr >= BASE) & (addr < BASE + PAGE)
    return Mux(inside, Mux((length != 0) & (burst != INCR), SLVERR, OKAY), DECERR)


class Writes(Standard):
    """Each beat is written once, where it belongs, and before the next; one answer, with the
    burst's ID, after all of them: the worst of the registers', or the reason why none was
    asked."""

    def elaborate(self, platform):
        m = super().elaborate(platform)
        axi, lite = self.block.axi, self.block.lite
        addr, size, ident = Signal(14), Signal(3), Signal(2)
        fault, worst = Signal(2), Signal(2)
        length, done = Signal.like(axi.awlen), Signal(len(axi.awlen) + 1)
        with m.If(axi.awvalid & axi.awready):
            m.d.comb += Assert(~self.writing)
            m.d.sync += [
                addr.eq(axi.awaddr), size.eq(axi.awsize), ident.eq(axi.awid),
                length.eq(axi.awlen), worst.eq(0), done.eq(0),
                fault.eq(_fault(axi.awaddr, axi.awlen, axi.awburst)),
            ]  # fmt: skip
        # Registers.
        sent = [Signal.like(done, name=name) for name in ("addresses", "words")]
        for count, channel in zip(sent, ("aw", "w"), strict=True):
            valid, ready = getattr(lite, f"{channel}valid"), getattr(lite, f"{channel}ready")
            with m.If(axi.awvalid & axi.awready):
                m.d.sync += count.eq(0)
            with m.If(valid):
                m.d.comb += Assert(self.writing & (fault == OKAY) & axi.wvalid)
                m.d.comb += Assert(count == done)
            with m.If(valid & ready):
                m.d.sync += count.eq(count + 1)
        with m.If(lite.awvalid):
            m.d.comb += Assert(lite.awaddr == _place(addr, size, done))
        # Of a wide port a beat uses the lanes of its address.
        lane = _place(addr, size, done)[2:].bit_select(0, len(axi.wstrb) // 4 - 1)
        strobes = axi.wstrb.word_select(lane, 4)
        m.d.comb += Assume(~self.owing | (axi.wstrb == strobes << (lane << 2)))
        with m.If(lite.wvalid):
            mask = Cat(bit.replicate(8) for bit in strobes)
            m.d.comb += [
                Assert(lite.wstrb == strobes),
                Assert((lite.wdata & mask) == (axi.wdata.word_select(lane, 32) & mask)),
            ]
        with m.If(lite.bvalid & lite.bready):
            m.d.sync += worst.eq(worst | lite.bresp)
        # The processor: a beat is taken when its register has answered.
        with m.If(axi.wvalid & axi.wready):
            m.d.sync += done.eq(done + 1)
            with m.If(fault == OKAY):
                m.d.comb += [Assert(count == done + 1) for count in sent]
                m.d.comb += Assert(lite.bvalid & lite.bready)
        with m.If(axi.bvalid):
            m.d.comb += [
                Assert(self.writing & (done == length + 1)),
                Assert(axi.bid == ident),
                Assert(axi.bresp == Mux(fault == OKAY, worst, fault)),
            ]
        m.d.comb += [
            Cover(axi.bvalid & axi.bready & (length == 2) & (fault == OKAY) & (worst == SLVERR)),
            Cover(axi.bvalid & axi.bready & (length == 3) & (fault == DECERR)),
            Cover(axi.bvalid & axi.bready & (length == 1) & (fault == SLVERR)),
        ]
        return m


class Reads(Standard):
    """Each beat is read once, from its register, and answered with what that said; beats beyond
    the registers, or of bursts that do not rise, are answered all the same."""

    def elaborate(self, platform):
        m = super().elaborate(platform)
        axi, lite = self.block.axi, self.block.lite
        addr, size, ident = Signal(14), Signal(3), Signal(2)
        fault = Signal(2)
        length, done = Signal.like(axi.arlen), Signal(len(axi.arlen) + 1)
        got, word, resp = Signal(), Signal(32), Signal(2)
        with m.If(axi.arvalid & axi.arready):
            m.d.comb += Assert(~self.reading)
            m.d.sync += [
                addr.eq(axi.araddr), size.eq(axi.arsize), ident.eq(axi.arid),
                length.eq(axi.arlen), done.eq(0), got.eq(0),
                fault.eq(_fault(axi.araddr, axi.arlen, axi.arburst)),
            ]  # fmt: skip
        with m.If(lite.arvalid):
            m.d.comb += [
                Assert(self.reading & (fault == OKAY) & ~got & ~self.asked),
                Assert(lite.araddr == _place(addr, size, done)),
            ]
        with m.If(lite.rvalid & lite.rready):
            m.d.comb += Assert(~got)
            m.d.sync += [got.eq(1), word.eq(lite.rdata), resp.eq(lite.rresp)]
        lane = _place(addr, size, done)[2:].bit_select(0, len(axi.rdata) // 32 - 1)
        with m.If(axi.rvalid):
            m.d.comb += [
                Assert(self.reading & (axi.rid == ident)),
                Assert(axi.rlast == (done == length)),
                Assert(axi.rresp == Mux(fault == OKAY, resp, fault)),
                Assert((fault != OKAY) | (got & (axi.rdata.word_select(lane, 32) == word))),
            ]
        with m.If(axi.rvalid & axi.rready):
            m.d.sync += [done.eq(done + 1), got.eq(0)]
        m.d.comb += [
            Cover(axi.rvalid & axi.rlast & (length == 2) & (fault == OKAY) & (resp == SLVERR)),
            Cover(axi.rvalid & axi.rlast & (length == 3) & (fault == DECERR)),
            Cover(axi.rvalid & axi.rlast & (length == 1) & (fault == SLVERR)),
        ]
        return m


class Progress(Standard):
    """Where nobody else waits, the bridge does not: while a burst is under way a beat is taken or
    answered every few cycles, until the last."""

    LONGEST = 4

    def elaborate(self, platform):
        m = super().elaborate(platform)
        axi, lite = self.block.axi, self.block.lite
        m.d.comb += [
            Assume(lite.awready & lite.wready & lite.arready & axi.bready & axi.rready),
            Assume(lite.bvalid == self.wrote),
            Assume(lite.rvalid == self.asked),
            Assume(axi.wvalid == self.owing),
        ]
        for under_way, moves in (
            (self.writing, (axi.wvalid & axi.wready) | (axi.bvalid & axi.bready)),
            (self.reading, axi.rvalid & axi.rready),
        ):
            waits = Signal(range(self.LONGEST + 2))
            m.d.sync += waits.eq(Mux(under_way & ~moves, waits + 1, 0))
            m.d.comb += Assert(waits <= self.LONGEST)
        return m


ports = pytest.mark.parametrize("port", [NARROW, WIDE], ids=["AXI3", "AXI4"])


@pytest.mark.formal
@ports
def test_what_is_offered_stays(port):
    prove(Handshakes(_bridge(port=port)), depth=4)


@pytest.mark.formal
@ports
@pytest.mark.parametrize("properties", [Writes, Reads])
def test_every_beat_and_every_answer(properties, port):
    hold(properties(_bridge(port=port)), depth=DEPTH)


@pytest.mark.formal
@ports
def test_it_never_hangs(port):
    hold(Progress(_bridge(port=port)), depth=DEPTH)


@pytest.mark.formal
@pytest.mark.parametrize("properties", [Writes, Reads])
def test_bursts_of_all_kinds_happen(properties):
    reach(properties(_bridge()), depth=DEPTH)


@pytest.mark.formal
@pytest.mark.parametrize(
    ("properties", "old", "new"),
    [
        (Handshakes, "with m.If(axi.bready):", "with m.If(1):"),
        (Writes, "asked.eq(asked | lite.awready)", "asked.eq(0)"),
        (Writes, "answer.eq(answer | lite.bresp)", "answer.eq(lite.bresp)"),
        (Writes, "axi.bid.eq(axi.awid)", "axi.bid.eq(0)"),
        (Reads, "axi.rlast.eq(left == 0)", "axi.rlast.eq(left == 1)"),
        (Reads, "lite.arvalid.eq(fault == Resp.OKAY)", "lite.arvalid.eq(1)"),
        (Reads, "left.eq(left - 1), addr.eq(addr + (1 << size))", "left.eq(left - 1)"),
        (Progress, "with m.If(axi.wvalid & axi.wlast):", "with m.If(axi.wlast & ~axi.wvalid):"),
    ],
    ids=["answer-withdrawn", "address-twice", "error-forgotten", "other-id", "last-early",
         "asks-all-the-same", "always-the-first", "hangs"],
)  # fmt: skip
def test_broken_bridges_are_found(properties, old, new):
    refute(properties(_bridge(mutant(bridge, old, new))), depth=DEPTH)
