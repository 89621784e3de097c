"""The memory side of a PCIe card: the arbiter keeps packets whole and takes turns; where the
enabled bytes of a burst begin and end; a tag is not used again while its request is in flight."""

import pytest
from amaranth.hdl import Array, Assert, Assume, Cat, Cover, Mux, Signal
from amaranth.lib import data, stream

from tests.formal.mutant import mutant, shrunk
from tests.formal.runner import Properties, hold, prove, reach, refute
from vta.boards.shells import pcie_memory, pcie_reads, pcie_writes
from vta.boards.shells.pcie_streams import ReadDescriptor, RequestDescriptor
from vta.hw.debug.signal_paths import SignalPaths

SMALL = data.StructLayout({"data": 3, "last": 1})
"""A packet's beat, as far as the arbiter looks at it."""


def _kept(m, packets: stream.Interface):
    """Whether what was offered and not taken in the cycle before is offered again."""
    payload = packets.payload.as_value()
    waited, before = Signal(), Signal(len(payload))
    m.d.sync += [waited.eq(packets.valid & ~packets.ready), before.eq(payload)]
    return ~waited | (packets.valid & (payload == before))


class Turns(Properties):
    """Two sources offer packets without gaps. So does the arbiter; each packet is whole, nothing is
    lost or made up, and no source has two packets while the other one waits."""

    def __init__(self, module=pcie_memory):
        super().__init__(shrunk(module, RQ=SMALL).PacketArbiter())

    def elaborate(self, platform):
        block, paths = self.block, SignalPaths(self.block)
        m = super().elaborate(platform, paths.fragment)
        out, skid_valid = block.o, paths["skid.skid_valid"]
        within = [Signal(name=f"within{number}") for number in range(2)]
        waits = [Signal(name=f"waits{number}") for number in range(2)]
        """One packet of the other source has begun since this one's was offered."""
        taken = [packets.valid & packets.ready for packets in block.i]
        for number, packets in enumerate(block.i):
            m.d.comb += [
                Assume(_kept(m, packets)),
                Assume(~within[number] | packets.valid),
                Assert(~taken[number] | ~within[1 - number]),
            ]
            with m.If(taken[number]):
                m.d.sync += within[number].eq(~packets.payload.last)
            other_begins = taken[1 - number] & ~within[1 - number]
            m.d.comb += Assert(~(waits[number] & other_begins))
            m.d.sync += waits[number].eq(
                packets.valid & ~taken[number] & (waits[number] | other_begins)
            )
        # What is inside, the oldest first.
        level = out.valid + skid_valid
        newest = Signal(SMALL)
        m.d.comb += newest.eq(Mux(skid_valid, paths["skid.skid"], out.payload.as_value()))
        enters = taken[0] | taken[1]
        before, entered, item = Signal(2), Signal(), Signal(SMALL)
        m.d.sync += [
            before.eq(level - (out.valid & out.ready)),
            entered.eq(enters),
            item.eq(Mux(taken[1], block.i[1].payload, block.i[0].payload)),
        ]
        outside = Signal()  # a packet has begun on ``o`` and not ended
        with m.If(out.valid & out.ready):
            m.d.sync += outside.eq(~out.payload.last)
        m.d.comb += [
            Assert(_kept(m, out)),
            Assert(~outside | out.valid),
            Assert(~(taken[0] & taken[1])),
            Assert(level == before + entered),
            Assert(~entered | (newest == item)),
            # Induction: the state of the arbiter is that of the sources.
            Assert(~(within[0] & within[1])),
            Assert(paths["within"] == (within[0] | within[1])),
            Assert(~paths["within"] | (within[1] == paths["last_grant"])),
            Assert((level != 0) | (outside == paths["within"])),
            Assert((level == 0) | (paths["within"] == ~newest.last)),
            Assert(~skid_valid | out.valid),
            Assert(~waits[0] | (paths["last_grant"] == 1)),
            Assert(~waits[1] | (paths["last_grant"] == 0)),
            Cover((level == 2) & out.ready & paths["within"] & waits[0]),
        ]
        return m


def test_packets_stay_whole_and_take_turns():
    prove(Turns(), depth=2)


@pytest.mark.formal
def test_both_sources_wait_and_go_on():
    reach(Turns(), depth=8)


@pytest.mark.formal
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Mux(within, last_grant, turn)", "turn"),
        ("self.i[1].valid & ~(self.i[0].valid & last_grant)", "self.i[1].valid"),
        ("self.i[1].valid & ~(self.i[0].valid & last_grant)",
         "self.i[1].valid & ~self.i[0].valid"),
        ("within.eq(~skid.i.payload.last)", "within.eq(0)"),
    ],
)  # fmt: skip
def test_a_broken_arbiter_is_found(old, new):
    refute(Turns(mutant(pcie_memory, old, new)), depth=10)


class Runs(Properties):
    """The runs of bursts, from all their strobes at once."""

    BEATS = 4
    """Of a burst, at most: of eight, the solver does not come to an end."""

    def __init__(self, module=pcie_writes):
        super().__init__(module.RunFinder())

    def elaborate(self, platform):
        m = super().elaborate(platform)
        block, bits = self.block, self.BEATS * 16
        gathered, count = Signal(bits), Signal(range(self.BEATS + 1))
        whole = Signal(bits)
        m.d.comb += [
            whole.eq(gathered | block.strobes << (count << 4)),
            Assume(block.last | ~block.valid | (count != self.BEATS - 1)),
        ]
        with m.If(block.valid):
            m.d.sync += [
                gathered.eq(Mux(block.last, 0, whole)),
                count.eq(Mux(block.last, 0, count + 1)),
            ]
        ended, later = Signal(2), Signal(bits)
        burst = Signal(bits)
        m.d.sync += [ended.eq(Cat(block.valid & block.last, ended)), later.eq(whole)]
        m.d.sync += burst.eq(later)
        m.d.comb += Assert(block.found == ended[1])

        dwords = [burst.word_select(number, 4) for number in range(bits // 4)]
        first, last = Signal(range(len(dwords))), Signal(range(len(dwords)))
        for number in range(len(dwords)):
            with m.If(dwords[number].any()):
                m.d.comb += last.eq(number)
        for number in reversed(range(len(dwords))):
            with m.If(dwords[number].any()):
                m.d.comb += first.eq(number)
        begun, ended_run, holes = Signal(bits), Signal(bits), Signal(bits)  # before each byte
        for byte in range(1, bits):
            m.d.comb += [
                begun[byte].eq(begun[byte - 1] | burst[byte - 1]),
                ended_run[byte].eq(begun[byte] & (ended_run[byte - 1] | ~burst[byte - 1])),
                holes[byte].eq(ended_run[byte] & burst[byte]),
            ]
        hole = holes.any()
        beats = sum(burst.word_select(number, 16).any() for number in range(self.BEATS))
        run = block.run
        with m.If(block.found):
            m.d.comb += [
                Assert(run.beats == beats),
                Assert(run.hole == hole),
                Assert(run.is_packet == (burst.any() & ~hole)),
            ]
            with m.If(run.is_packet):
                m.d.comb += [
                    Assert(Cat(run.first, run.beat) == first),
                    Assert(((run.beat + run.beats - 1) << 2) + run.last == last),
                    Assert(run.first_be == Array(dwords)[first]),
                    Assert(run.last_be == Array(dwords)[last]),
                ]
        m.d.comb += [
            Cover(block.found & run.is_packet & (run.beats == 2) & (run.beat == 1)),
            Cover(block.found & run.hole & (run.beats == 2)),
        ]
        return m


def test_where_the_enabled_bytes_begin_and_end():
    """In bursts of up to four beats, after each other."""
    hold(Runs(), depth=8)


@pytest.mark.formal
def test_runs_and_holes_happen():
    reach(Runs(), depth=8)


@pytest.mark.formal
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("| (begins & (begins - 1)).any()", ""),
        ("~(is_open & strobes[0])", "~is_open"),
        ("~(is_open & strobes[0])", "~strobes[0]"),
        ("Mux(last, 0, run)", "run"),
        ("Mux(last, 0, beat + 1)", "beat + 1"),
        ("run.last.eq(final)", "run.last.eq(first)"),
    ],
)
def test_a_broken_run_finder_is_found(old, new):
    refute(Runs(mutant(pcie_writes, old, new)), depth=8)


class Tags(Properties):
    """A hard block that keeps to its manual: it completes requests that were made, says which
    completion is the last, and that a tag is not in use if it completes another one. No request has
    a tag that is in flight; a burst is delivered only when its request is completed.

    With two slots, so that the solver sees tags used again.
    """

    SLOTS = 2
    COMPLETED = frozenset({2, 3, 8, 9})
    """Errors with which a request always ends."""

    def __init__(self, module=pcie_reads):
        module = shrunk(module, SLOTS=self.SLOTS, LOG_SLOTS=1)
        super().__init__(module.PcieReads(addr_bits=32))

    def elaborate(self, platform):
        m = super().elaborate(platform)
        block = self.block
        active = Signal(self.SLOTS)
        within, tag, ends, is_junk = Signal(), Signal(8), Signal(), Signal()
        """Of the packet on RC."""
        descriptor = data.View(ReadDescriptor, block.rc.payload.data[: ReadDescriptor.size])
        beat, first = block.rc.payload, block.rc.valid & ~within
        error, status = descriptor.error, descriptor.status
        must_end = Cat(error == code for code in self.COMPLETED).any() | (status != 0)
        with m.If(first):
            m.d.comb += [
                Assume(error <= 9),
                Assume(descriptor.completed | ~must_end),
                Assume((error == 6) | active.bit_select(descriptor.tag, 1)),
                Assume(descriptor.tag < self.SLOTS),
            ]
        now = data.StructLayout({"tag": 8, "ends": 1, "is_junk": 1})
        packet = Signal(now)
        m.d.comb += packet.eq(Mux(
            first, Cat(descriptor.tag, descriptor.completed, error == 6), Cat(tag, ends, is_junk)
        ))  # fmt: skip
        with m.If(block.rc.valid):
            m.d.comb += Assert(block.rc.ready)
            m.d.sync += [
                within.eq(~beat.last),
                tag.eq(packet.tag), ends.eq(packet.ends), is_junk.eq(packet.is_junk),
            ]  # fmt: skip
            with m.If(beat.last & packet.ends & ~packet.is_junk):
                m.d.sync += active.bit_select(packet.tag, 1).eq(0)

        request = data.View(RequestDescriptor, block.request.payload.data)
        made, delivered = Signal(4), Signal(4)
        m.d.comb += Assume(block.arlen < 2)
        with m.If(block.request.valid):
            m.d.comb += [
                Assert(request.tag < self.SLOTS),
                Assert(~active.bit_select(request.tag, 1)),
                Assert(block.request.payload.last),
            ]
            with m.If(block.request.ready):
                m.d.sync += [active.bit_select(request.tag, 1).eq(1), made.eq(made + 1)]
        with m.If(block.rvalid):
            # Requests are answered in their order: those that are not delivered and not active.
            oldest = delivered[: self.SLOTS.bit_length() - 1]
            m.d.comb += [
                Assert(made != delivered),
                Assert(~active.bit_select(oldest, 1) | ((made - delivered)[:4] > self.SLOTS)),
            ]
            with m.If(block.rready & block.rlast):
                m.d.sync += delivered.eq(delivered + 1)
        m.d.comb += Cover((made == 3) & (delivered == 1) & (active == 0))
        return m


@pytest.mark.formal
def test_no_tag_is_used_again_too_early():
    hold(Tags(), depth=20)


@pytest.mark.formal
def test_tags_are_used_again():
    reach(Tags(), depth=14)


@pytest.mark.formal
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("(level != SLOTS) & ", ""),
        ("& (descriptor.error != ErrorCode.BAD_TAG.value)", ""),
        ("(complete & ~in_flight)", "complete"),
        ("with m.If(packet.ends):", "with m.If(1):"),
        ("is_first.eq(beat.last)", "is_first.eq(1)"),
    ],
)  # fmt: skip
def test_broken_reads_are_found(old, new):
    refute(Tags(mutant(pcie_reads, old, new)), depth=14)
