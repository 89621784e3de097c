"""Writes of the PC's memory over PCIe: bursts on AW and W become packets on RQ, each in one piece.

W -> queue of beats that have strobes, and of runs: where the bytes of a burst begin and end
AW, run, beats -> packet;  the hard block's word that it is sent -> B
"""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from vta.boards.shells.pcie_reads import LOG_BEATS, LOG_DWORDS
from vta.boards.shells.pcie_streams import DATA_BITS, DWORDS, RQ, RequestDescriptor, RequestType
from vta.hw.bus.axi import Resp, channels
from vta.hw.interfaces import ID_BITS, AXISignature
from vta.hw.lib.block_queue import BlockQueue
from vta.hw.lib.output_queue import OutputQueue

__all__ = ["WRITES_IN_FLIGHT", "WRITE_NUMBER", "PcieWrites", "RunFinder", "RunLayout"]

WRITE_NUMBER = 1
"""The sequence number of writes on RQ."""
WRITES_IN_FLIGHT = 32
"""Bursts whose response is outstanding."""
BEATS_QUEUED = 64
"""Beats that wait for the rest of their burst, or for RQ."""
RUNS_QUEUED = 16
"""Bursts whose beats are queued."""
BYTES = DATA_BITS // 8

RunLayout = data.StructLayout({
    "beat": LOG_BEATS, "first": LOG_DWORDS, "last": LOG_DWORDS, "beats": LOG_BEATS + 1,
    "first_be": 4, "last_be": 4, "hole": 1, "is_packet": 1,
})  # fmt: skip
"""The enabled bytes of a burst: in ``beats`` beats from ``beat`` on (0: there are none), from dword
``first`` of the first of these up to ``last`` of the last, with the enabled bytes of these two
dwords. ``hole``: there are disabled ones between them. ``is_packet``: neither a hole nor no
bytes."""


class RunFinder(wiring.Component):
    """Finds the enabled bytes of bursts, a beat a cycle.

    Attributes
    ----------
    strobes, last, valid : in
        The strobes of a beat of the W channel; the last one of its burst.
    run : Out(RunLayout)
        The run of a burst.
    found : out
        Strobe, two cycles after the last beat: ``run`` is valid.
    """

    def __init__(self) -> None:
        super().__init__({
            "strobes": In(BYTES), "last": In(1), "valid": In(1), "run": Out(RunLayout),
            "found": Out(1),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        strobes, last, valid = Signal(BYTES), Signal(), Signal()
        m.d.sync += [strobes.eq(self.strobes), last.eq(self.last), valid.eq(self.valid)]

        # Of the beat: its first and last dword with an enabled byte, and the number of its runs.
        dwords = [strobes.word_select(number, 4) for number in range(DWORDS)]
        first, final = Signal(LOG_DWORDS), Signal(LOG_DWORDS)
        for number in range(1, DWORDS):
            with m.If(dwords[number].any()):
                m.d.comb += final.eq(number)
        for number in reversed(range(DWORDS)):
            with m.If(dwords[number].any()):
                m.d.comb += first.eq(number)
        begins = Signal(BYTES)
        m.d.comb += begins.eq(strobes & ~(strobes << 1))

        # Of the burst, up to the beat before.
        before, run = Signal(RunLayout), Signal(RunLayout)
        beat, is_open = Signal(LOG_BEATS), Signal()  # the last byte of the beat before is enabled
        m.d.comb += run.eq(before)
        with m.If(strobes.any()):
            m.d.comb += [
                run.beats.eq(before.beats + 1),
                run.last.eq(final),
                run.last_be.eq(strobes.word_select(final, 4)),
                run.hole.eq(
                    before.hole
                    | (begins & (begins - 1)).any()
                    | ((before.beats != 0) & ~(is_open & strobes[0]))
                ),
            ]
            with m.If(before.beats == 0):
                m.d.comb += [
                    run.beat.eq(beat),
                    run.first.eq(first),
                    run.first_be.eq(strobes.word_select(first, 4)),
                ]
        m.d.sync += self.found.eq(valid & last)
        with m.If(valid):
            m.d.sync += [
                before.eq(Mux(last, 0, run)),
                beat.eq(Mux(last, 0, beat + 1)),
                is_open.eq(strobes[-1]),
                self.run.eq(run),
                self.run.is_packet.eq((run.beats != 0) & ~run.hole),
            ]
        return m


class PcieWrites(wiring.Component):
    """An AXI4 slave for writes in front of RQ.

    Every burst is INCR, of whole beats, and lies in an aligned block of
    :data:`~vta.boards.shells.pcie_reads.BURST_BEATS` beats: the core is made so, and nothing checks
    it. A burst is one packet, from the first enabled byte to the last. It is begun when all of it
    is here, so that its beats follow each other. A burst without an enabled byte, as an aborted run
    has them, is no packet. A burst with a disabled byte between enabled ones, which the core never
    makes, cannot be one packet: nothing of it is written.

    Responses are in the order of the bursts: OKAY when the packet is sent, or if there is none;
    SLVERR for bursts with a disabled byte between enabled ones. PCIe has no answers to writes: that
    the host has nothing at an address, the card is not told.

    Parameters
    ----------
    addr_bits : int
        Of the bus.

    Attributes
    ----------
    aw*, w*, b* : in
        The AXI4 channels.
    request : stream of RQ, out
        Packets. Valid in each cycle from the first to the last beat of a packet.
    sent : in
        Strobe, once for each packet, in their order: what is requested from now on comes after it.
    """

    def __init__(self, *, addr_bits: int) -> None:
        self.addr_bits = addr_bits
        axi = AXISignature(addr_bits=addr_bits, data_bits=DATA_BITS)
        super().__init__({
            **{name: member.flip() for name, member in channels(axi, "aw", "w", "b").items()},
            "request": Out(stream.Signature(RQ)),
            "sent": In(1),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        m.submodules.addresses = addresses = OutputQueue(width=self.addr_bits + ID_BITS, depth=8)
        m.submodules.beats = beats = BlockQueue(width=DATA_BITS, depth=BEATS_QUEUED)
        m.submodules.runs = runs = OutputQueue(width=RunLayout.size, depth=RUNS_QUEUED)
        m.submodules.responses = responses = OutputQueue(
            width=ID_BITS + Resp.as_shape().width + 1, depth=WRITES_IN_FLIGHT
        )
        m.d.comb += [
            addresses.w_data.eq(Cat(self.awaddr, self.awid)),
            addresses.w_en.eq(self.awvalid),
            self.awready.eq(addresses.w_rdy),
        ]
        self._collect(m, beats, runs)
        self._send(m, addresses, beats, runs, responses)
        self._respond(m, responses)
        return m

    def _collect(self, m, beats, runs):
        """W: queue the beats that have strobes, and the run of each burst."""
        m.submodules.finder = finder = RunFinder()
        taken, has_room = Signal(), Signal()
        # Two runs are on their way, and the level is known a cycle late.
        m.d.sync += has_room.eq(runs.w_level <= RUNS_QUEUED - 4)
        m.d.comb += [
            self.wready.eq(beats.w_rdy & has_room),
            taken.eq(self.wvalid & self.wready),
            beats.w_data.eq(self.wdata),
            beats.w_en.eq(taken & self.wstrb.any()),
            finder.strobes.eq(self.wstrb),
            finder.last.eq(self.wlast),
            finder.valid.eq(taken),
            runs.w_data.eq(finder.run),
            runs.w_en.eq(finder.found),
        ]

    def _send(self, m, addresses, beats, runs, responses):
        """A packet for each burst: its descriptor, then its dwords, moved to the front."""
        run, packet = data.View(RunLayout, runs.r_data), self.request.payload
        awaddr, awid = addresses.r_data[: self.addr_bits], addresses.r_data[self.addr_bits :]
        log_beat = LOG_DWORDS + 2
        dwords = Signal(LOG_BEATS + LOG_DWORDS + 1)
        descriptor = Signal(RequestDescriptor)
        block = awaddr[log_beat + LOG_BEATS :]
        within = Cat(run.first, (awaddr[log_beat:] + run.beat)[:LOG_BEATS])
        m.d.comb += [
            dwords.eq((run.beats << LOG_DWORDS) + run.last - run.first - (DWORDS - 1)),
            descriptor.address.eq(Cat(within, block)),
            descriptor.dwords.eq(dwords),
            descriptor.type.eq(RequestType.MEM_WRITE),
        ]
        ready, begins = Signal(), Signal()
        m.d.comb += [
            ready.eq(addresses.r_rdy & runs.r_rdy & responses.w_rdy),
            addresses.r_en.eq(begins),
            runs.r_en.eq(begins),
            responses.w_en.eq(begins),
            responses.w_data.eq(Cat(run.is_packet, Mux(run.hole, Resp.SLVERR, Resp.OKAY), awid)),
        ]

        held = Signal(DATA_BITS)
        """The beat before the oldest in the queue."""
        queued, left = Signal(LOG_BEATS + 1), Signal(LOG_BEATS)
        """Beats of the burst in the queue; beats of the packet after this one."""
        first, tail = Signal(LOG_DWORDS), Signal(LOG_DWORDS)
        both, shifted = Cat(held, beats.r_data), Signal(DATA_BITS)
        with m.Switch(first):
            for number in range(DWORDS):
                with m.Case(number):
                    m.d.comb += shifted.eq(both[32 * number :])
        with m.If(beats.r_en):
            m.d.sync += held.eq(beats.r_data)
        # The fields are not driven under conditions: of a signal with fields that are and fields
        # that are constant, Verilog would have a block that no simulator starts.
        is_first, last, keep = Signal(), Signal(), Signal(DWORDS)
        m.d.comb += [
            packet.data.eq(Mux(is_first, descriptor, shifted)),
            packet.keep.eq(keep),
            packet.last.eq(last),
            packet.user.first_be.eq(Mux(is_first, run.first_be, 0)),
            packet.user.last_be.eq(Mux(is_first & (dwords != 1), run.last_be, 0)),
            packet.user.seq_low.eq(Mux(is_first, WRITE_NUMBER, 0)),
        ]
        with m.FSM():
            with m.State("DESCRIPTOR"):
                m.d.comb += [
                    is_first.eq(1),
                    keep.eq(-1),
                    self.request.valid.eq(ready & run.is_packet & beats.r_rdy),
                    begins.eq(Mux(run.is_packet, self.request.valid & self.request.ready, ready)),
                    beats.r_en.eq(begins & run.is_packet),
                ]
                m.d.sync += [
                    queued.eq(run.beats - run.is_packet),
                    left.eq((dwords - 1) >> LOG_DWORDS),
                    first.eq(run.first),
                    tail.eq(dwords),
                ]
                with m.If(begins & run.is_packet):
                    m.next = "PAYLOAD"
                with m.Elif(begins & (run.beats != 0)):
                    m.next = "DISCARD"
            with m.State("PAYLOAD"):
                m.d.comb += [
                    last.eq(left == 0),
                    keep.eq(-1),
                    self.request.valid.eq(1),
                    beats.r_en.eq(self.request.ready & (queued != 0)),
                ]
                with m.Switch(Mux(last, tail, 0)):
                    for count in range(1, DWORDS):
                        with m.Case(count):
                            m.d.comb += keep.eq((1 << count) - 1)
                with m.If(self.request.ready):
                    m.d.sync += left.eq(left - 1)
                    with m.If(queued != 0):
                        m.d.sync += queued.eq(queued - 1)
                    with m.If(last):
                        m.next = "DESCRIPTOR"
            with m.State("DISCARD"):
                m.d.comb += beats.r_en.eq(1)
                with m.If(beats.r_rdy):
                    m.d.sync += queued.eq(queued - 1)
                    with m.If(queued == 1):
                        m.next = "DESCRIPTOR"

    def _respond(self, m, responses):
        """B, when the packet is sent, if there is one."""
        is_packet, resp_and_id = responses.r_data[0], responses.r_data[1:]
        sent, used = Signal(range(WRITES_IN_FLIGHT + 1)), Signal()
        """Packets that are sent and have no response yet."""
        m.d.sync += sent.eq(sent + self.sent - used)
        m.d.comb += [
            self.bvalid.eq(responses.r_rdy & (~is_packet | (sent != 0))),
            Cat(self.bresp, self.bid).eq(resp_and_id),
            responses.r_en.eq(self.bvalid & self.bready),
            used.eq(responses.r_en & is_packet),
        ]
