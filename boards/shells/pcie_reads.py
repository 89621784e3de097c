"""Reads of the PC's memory over PCIe: bursts on AR become requests on RQ, completions on RC become
beats on R.

    AR -> slot of the burst, request packet with the slot as its tag
    RC -> buffer of the slot that the tag names;  slot complete -> R, in the order of the bursts
"""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from vta.boards.shells.pcie_streams import (
    DATA_BITS,
    DWORDS,
    RC,
    RQ,
    ErrorCode,
    ReadDescriptor,
    RequestDescriptor,
    RequestType,
    Status,
)
from vta.hw.bus.axi import Resp, channels
from vta.hw.interfaces import ID_BITS, AXISignature
from vta.hw.lib.skid_buffer import SkidBuffer

__all__ = ["BURST_BEATS", "READ_NUMBER", "SLOTS", "PcieReads"]

BURST_BEATS = 8
"""Largest burst: 128 bytes, which every PCIe device must take in one packet."""
SLOTS = 32
"""Bursts in flight: the tags that need no permission of the host."""
READ_NUMBER = 0
"""The sequence number of reads on RQ."""

LOG_BEATS, LOG_SLOTS, LOG_DWORDS = (n.bit_length() - 1 for n in (BURST_BEATS, SLOTS, DWORDS))
DESCRIPTOR_BITS = ReadDescriptor.size

RequestLayout = data.StructLayout({"id": ID_BITS, "len": LOG_BEATS})
"""A burst in its slot."""
ProgressLayout = data.StructLayout({"words": LOG_BEATS + 1, "resp": Resp})
"""How many words of the slot have arrived, at most 15, and the first error among them."""
PacketLayout = data.StructLayout({
    "known": 1, "word": LOG_BEATS + 1, "end": LOG_BEATS + 1, "resp": Resp, "ends": 1,
})  # fmt: skip
"""A completion. ``known``: its tag is that of a request in flight. ``word``: where its next word
goes, of a burst of ``end``. ``ends``: no other completion of the request follows."""


class PcieReads(wiring.Component):
    """An AXI4 slave for reads in front of RQ and RC.

    Every burst is INCR, of whole beats, and lies in an aligned block of :data:`BURST_BEATS` beats:
    the core is made so, and nothing checks it. A burst is one request. It may be answered by
    several completions, those of other requests between them. The beats of a burst are delivered
    when its last one has arrived.

    All beats of a burst get one RRESP: DECERR if a completion has the status "unsupported request",
    which the host gives for addresses where it has nothing; SLVERR for each other error that the
    hard block reports, for a damaged or poisoned packet, and if the words do not fit the burst or
    do not fill it. After an error, the rest of the request's completions is discarded; its tag is
    free when the hard block says that none follows. A completion without a request is discarded.

    A reset loses what is in flight, and a completion of a request from before it may then be taken
    for that of a new one: the hard block must have none in flight.

    Parameters
    ----------
    addr_bits : int
        Of the bus.

    Attributes
    ----------
    ar*, r* : in
        The AXI4 channels.
    request : stream of RQ, out
        Packets of one beat.
    rc : stream of RC, in
        Always ready: a request has its slot.
    """

    def __init__(self, *, addr_bits: int) -> None:
        axi = AXISignature(addr_bits=addr_bits, data_bits=DATA_BITS)
        super().__init__({
            **{name: member.flip() for name, member in channels(axi, "ar", "r").items()},
            "request": Out(stream.Signature(RQ)),
            "rc": In(stream.Signature(RC)),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        m.submodules.buffer = buffer = Memory(
            shape=DATA_BITS, depth=SLOTS * BURST_BEATS, init=[], attrs={"no_rw_check": 1}
        )
        m.submodules.requests = requests = Memory(shape=RequestLayout, depth=SLOTS, init=[])
        m.submodules.progress = progress = Memory(shape=ProgressLayout, depth=SLOTS, init=[])
        in_flight = Signal(SLOTS)
        """Slots whose request is not answered."""
        level = Signal(range(SLOTS + 1))
        """Slots that have a burst, from the request to the last beat on R."""
        taken, freed = Signal(), Signal()
        m.d.sync += level.eq(level + taken - freed)
        m.d.comb += self.rc.ready.eq(1)
        self._request(m, requests.write_port(), in_flight, level, taken)
        self._complete(m, buffer.write_port(), requests, progress, in_flight)
        self._deliver(m, buffer.read_port(), requests, progress, in_flight, level, freed)
        return m

    def _request(self, m, requests, in_flight, level, taken):
        """AR: a slot and a packet for each burst."""
        newest = Signal(LOG_SLOTS)
        descriptor, packet = Signal(RequestDescriptor), self.request.payload
        m.d.comb += [
            self.arready.eq((level != SLOTS) & (~self.request.valid | self.request.ready)),
            taken.eq(self.arvalid & self.arready),
            requests.addr.eq(newest),
            requests.en.eq(taken),
            requests.data.id.eq(self.arid),
            requests.data.len.eq(self.arlen),
            descriptor.address.eq(self.araddr[2:]),
            descriptor.dwords.eq((self.arlen[:LOG_BEATS] + 1) << LOG_DWORDS),
            descriptor.type.eq(RequestType.MEM_READ),
            descriptor.tag.eq(newest),
        ]
        with m.If(self.request.ready):
            m.d.sync += self.request.valid.eq(0)
        with m.If(taken):
            m.d.sync += [
                self.request.valid.eq(1),
                packet.data.eq(descriptor),
                packet.keep.eq(-1),
                packet.last.eq(1),
                packet.user.first_be.eq(-1),
                packet.user.last_be.eq(-1),
                packet.user.seq_low.eq(READ_NUMBER),
                newest.eq(newest + 1),
                in_flight.bit_select(newest, 1).eq(1),
            ]

    def _complete(self, m, buffer, requests, progress, in_flight):
        """RC: words to their slot. A word is in the buffer two cycles after its beat is held."""
        beat, valid, is_first = Signal(RC), Signal(), Signal(init=1)
        m.d.sync += [beat.eq(self.rc.payload), valid.eq(self.rc.valid)]
        with m.If(valid):
            m.d.sync += is_first.eq(beat.last)

        begun = Signal(SLOTS)
        """Slots with a completion, whose progress is noted."""
        started, held = Signal(PacketLayout), Signal(PacketLayout)
        packet, before = Signal(PacketLayout), Signal(ProgressLayout)
        slot, held_slot = Signal(LOG_SLOTS), Signal(LOG_SLOTS)
        descriptor = data.View(ReadDescriptor, beat.data[:DESCRIPTOR_BITS])
        request, noted = requests.read_port(domain="comb"), progress.read_port(domain="comb")
        m.d.comb += [
            slot.eq(Mux(is_first, descriptor.tag, held_slot)),
            packet.eq(Mux(is_first, started, held)),
            request.addr.eq(slot),
            noted.addr.eq(slot),
            before.eq(Mux(begun.bit_select(slot, 1), noted.data, 0)),
            started.known.eq(
                in_flight.bit_select(slot, 1)
                & (descriptor.tag[LOG_SLOTS:] == 0)
                & (descriptor.error != ErrorCode.BAD_TAG.value)
            ),
        ]
        self._start(m, descriptor, started, request.data, before)
        with m.If(valid):
            m.d.sync += [held.eq(packet), held_slot.eq(slot)]

        # The first word's first dword comes with the descriptor, the other three in the next beat.
        carried = Signal(32)
        with m.If(valid):
            m.d.sync += carried.eq(beat.data[DESCRIPTOR_BITS:])
        word = Signal.like(packet.word)
        m.d.comb += word.eq(packet.word)
        m.d.sync += [
            buffer.en.eq(valid & ~is_first & packet.known),
            buffer.addr.eq(Cat(packet.word[:LOG_BEATS], slot)),
            buffer.data.eq(Cat(carried, beat.data[:DESCRIPTOR_BITS])),
        ]
        with m.If(~is_first):
            m.d.comb += word.eq(packet.word + ~packet.word.all())
            with m.If(valid):
                m.d.sync += held.word.eq(word)

        note = progress.write_port()
        resp = Signal(Resp)
        is_wrong = beat.user.discontinue | (packet.ends & (word != packet.end))
        with m.If(before.resp != Resp.OKAY):
            m.d.comb += resp.eq(before.resp)
        with m.Elif(packet.resp != Resp.OKAY):
            m.d.comb += resp.eq(packet.resp)
        with m.Elif(is_wrong):
            m.d.comb += resp.eq(Resp.SLVERR)
        m.d.comb += [
            note.en.eq(valid & beat.last & packet.known),
            note.addr.eq(slot),
            note.data.words.eq(word),
            note.data.resp.eq(resp),
        ]
        with m.If(note.en):
            m.d.sync += begun.bit_select(slot, 1).eq(~packet.ends)
            with m.If(packet.ends):
                m.d.sync += in_flight.bit_select(slot, 1).eq(0)

    def _start(self, m, descriptor, packet, request, before):
        """A completion at its descriptor, of the request in its slot."""
        error = Signal(ErrorCode)
        m.d.comb += [
            error.eq(descriptor.error),
            packet.word.eq(before.words),
            packet.end.eq(request.len + 1),
        ]
        # Only the tag has a meaning then.
        lost = (error == ErrorCode.TIMEOUT) | (error == ErrorCode.FUNCTION_LEVEL_RESET)
        refused = descriptor.status != Status.SUCCESS.value
        unsupported = descriptor.status == Status.UNSUPPORTED_REQUEST.value
        damaged = (error != ErrorCode.NONE) | descriptor.poisoned
        has_part = descriptor.dwords[:LOG_DWORDS].any()  # of a word
        with m.If(~lost & unsupported):
            m.d.comb += packet.resp.eq(Resp.DECERR)
        with m.Elif(refused | damaged | has_part):
            m.d.comb += packet.resp.eq(Resp.SLVERR)
        m.d.comb += packet.ends.eq(
            descriptor.completed | lost | refused | (error == ErrorCode.BAD_LENGTH)
        )

    def _deliver(self, m, buffer, requests, progress, in_flight, level, freed):
        """R: the oldest slot when it is complete, a beat a cycle."""
        result = data.StructLayout({"data": DATA_BITS, "id": ID_BITS, "resp": Resp, "last": 1})
        m.submodules.skid = skid = SkidBuffer(result)
        oldest, word = Signal(LOG_SLOTS), Signal(LOG_BEATS)
        request, noted = requests.read_port(domain="comb"), progress.read_port(domain="comb")
        last, advance = Signal(), Signal()
        into, out = skid.i, skid.o
        # The last word is in the buffer a cycle after its request is answered.
        complete = Signal(SLOTS)
        m.d.sync += complete.eq(~in_flight)
        m.d.comb += [
            request.addr.eq(oldest),
            noted.addr.eq(oldest),
            last.eq(word == request.data.len),
            advance.eq(~into.valid | into.ready),
            buffer.addr.eq(Cat(word, oldest)),
            buffer.en.eq(advance & (level != 0) & (complete & ~in_flight).bit_select(oldest, 1)),
            freed.eq(buffer.en & last),
            into.payload.data.eq(buffer.data),
        ]
        with m.If(advance):
            m.d.sync += [
                into.valid.eq(buffer.en),
                into.payload.id.eq(request.data.id),
                into.payload.resp.eq(noted.data.resp),
                into.payload.last.eq(last),
            ]
        with m.If(buffer.en):
            m.d.sync += word.eq(Mux(last, 0, word + 1))
        with m.If(freed):
            m.d.sync += oldest.eq(oldest + 1)
        m.d.comb += [
            self.rvalid.eq(out.valid),
            out.ready.eq(self.rready),
            Cat(self.rdata, self.rid, self.rresp, self.rlast).eq(out.payload),
        ]
