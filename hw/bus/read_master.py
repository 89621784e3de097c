"""The read side of the AXI4 memory master: several readers on one bus.

Readers take turns, a burst at a time. A beat goes to the reader that its ID names.
"""

from amaranth.hdl import Array, Module, Mux, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out, connect, flipped

from vta.hw.bus.axi import AXI4, INCR, Burst, BurstSplitter, BusTraits, channels, error_of
from vta.hw.interfaces import AXI4Signature, ErrorLayout, ReadPortSignature
from vta.hw.lib.skid_buffer import SkidBuffer
from vta.memmap import ErrorCode

BEATS_IN_FLIGHT = 256
"""Beats that one reader may have asked for and not got: covers a latency of some 190 cycles, and
bounds how long the others wait behind it."""

BURSTS_IN_FLIGHT = 32
"""Bursts that one reader may have asked for and not got."""

BEATS_WAITING = 32
"""Beats that wait for a reader that does not take them, before they stop those of the others."""


class ReadMaster(wiring.Component):
    """Issues the reads of ``clients`` readers on the AR and R channels.

    Parameters
    ----------
    clients : int
        Number of readers. The read ID of reader ``i``, and the source of its errors, is ``i``.
    addr_bits, data_bits : int
        Of the bus.
    bus : BusTraits
        What it asks for.

    Attributes
    ----------
    client : list of ReadPortSignature, in
        The readers.
    ar*, r* : out
        The AXI4 channels.
    abort : in
        Issue nothing more and throw away what comes. Once high, high until reset.
    idle : out
        Nothing that was asked for is missing; may be a cycle late.
    error : ErrorLayout, out
        The first SLVERR or DECERR, with the address of its beat.
    """

    def __init__(
        self, *, clients: int, addr_bits: int, data_bits: int, bus: BusTraits = AXI4
    ) -> None:
        self.addr_bits, self.data_bits, self.bus = addr_bits, data_bits, bus
        axi = AXI4Signature(addr_bits=addr_bits, data_bits=data_bits)
        port = ReadPortSignature(addr_bits=addr_bits, data_bits=data_bits)
        super().__init__({
            "client": In(port).array(clients),
            **channels(axi, "ar", "r"),
            "abort": In(1),
            "idle": Out(1),
            "error": Out(ErrorLayout()),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        readers = []
        for index, port in enumerate(self.client):
            reader = _Reader(
                addr_bits=self.addr_bits,
                data_bits=self.data_bits,
                burst_beats=self.bus.burst_beats,
            )
            m.submodules[f"reader{index}"] = reader
            connect(m, flipped(port), reader.port)
            m.d.comb += reader.abort.eq(self.abort)
            readers.append(reader)
        self._request(m, readers)
        self._answer(m, readers)
        busy = 0
        for reader in readers:
            busy |= reader.busy
        m.d.comb += self.idle.eq(~busy)
        return m

    def _request(self, m, readers):
        """AR: the next willing reader after the one that had the last turn."""
        count = len(readers)
        turn = Signal(range(count))
        chosen = Signal(range(count))
        willing = Signal(count)
        advance = Signal()
        m.d.comb += [
            advance.eq(~self.arvalid | self.arready),
            chosen.eq(turn),
            self.arsize.eq((self.data_bits // 8).bit_length() - 1),
            self.arburst.eq(INCR),
            self.arcache.eq(self.bus.cache),
            self.arprot.eq(self.bus.prot),
        ]
        for index, reader in enumerate(readers):
            m.d.comb += [
                willing[index].eq(reader.burst.valid),
                reader.burst.ready.eq(advance & (chosen == index)),
            ]
        with m.Switch(turn):
            for last in range(count):
                with m.Case(last):
                    for step in reversed(range(1, count + 1)):
                        index = (last + step) % count
                        with m.If(willing[index]):
                            m.d.comb += chosen.eq(index)
        bursts = Array(reader.burst.payload for reader in readers)
        with m.If(advance):
            m.d.sync += [
                self.arvalid.eq(willing.any()),
                self.arid.eq(chosen),
                self.araddr.eq(bursts[chosen].addr),
                self.arlen.eq(bursts[chosen].len),
                turn.eq(chosen),
            ]

    def _answer(self, m, readers):
        """R: to the reader of the ID. An ID that nobody has is taken and ignored."""
        for index, reader in enumerate(readers):
            mine = self.rid == index
            m.d.comb += [
                reader.beat.payload.eq(self.rdata),
                reader.beat.valid.eq(self.rvalid & mine),
                reader.beat_last.eq(self.rlast),
            ]
        m.d.comb += self.rready.eq(1)
        with m.Switch(self.rid):
            for index, reader in enumerate(readers):
                with m.Case(index):
                    m.d.comb += self.rready.eq(reader.beat.ready)
        addresses = Array(reader.beat_addr for reader in readers)
        failed = self.rvalid & self.rready & self.rresp[1]
        with m.If(failed & (self.error.code == ErrorCode.NONE)):
            m.d.sync += [
                self.error.code.eq(error_of(self.rresp)),
                self.error.source.eq(self.rid),
                self.error.addr.eq(addresses[self.rid]),
            ]


class _Reader(wiring.Component):
    """One reader: its requests as bursts, as many as may be in flight, and its beats.

    ``beat_addr`` is the address of the beat that comes next on the bus.
    """

    def __init__(self, *, addr_bits: int, data_bits: int, burst_beats: int) -> None:
        self.addr_bits, self.data_bits, self.burst_beats = addr_bits, data_bits, burst_beats
        super().__init__({
            "port": In(ReadPortSignature(addr_bits=addr_bits, data_bits=data_bits)),
            "burst": Out(stream.Signature(Burst(addr_bits))),
            "beat": In(stream.Signature(data_bits)),
            "beat_last": In(1),
            "beat_addr": Out(addr_bits),
            "abort": In(1),
            "busy": Out(1),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        m.submodules.splitter = splitter = BurstSplitter(
            addr_bits=self.addr_bits, data_bits=self.data_bits, burst_beats=self.burst_beats
        )
        m.submodules.beats = beats = SyncFIFO(width=self.data_bits, depth=BEATS_WAITING)
        m.submodules.starts = starts = SyncFIFO(width=self.addr_bits, depth=BURSTS_IN_FLIGHT)
        # The reader and the bus do not meet in one cycle.
        m.submodules.skid = skid = SkidBuffer(splitter.burst.payload.shape())
        request, burst = self.port.request, skid.o
        connect(m, splitter.burst, skid.i)
        in_flight = Signal(range(BEATS_IN_FLIGHT + 1))
        room = Signal()
        allowed = Signal()
        m.d.comb += [
            splitter.request.payload.addr.eq(request.payload.addr),
            splitter.request.payload.beats.eq(request.payload.beats),
            splitter.request.valid.eq(request.valid),
            request.ready.eq(splitter.request.ready),
            allowed.eq(room & ~self.abort),
            self.burst.payload.eq(burst.payload),
            self.burst.valid.eq(burst.valid & allowed),
            burst.ready.eq(self.burst.ready & allowed),
        ]
        issued = Signal()
        came = Signal()

        # Beats are summed up a cycle late, and whether there is room is found out a cycle ahead:
        # for one burst more than is issued now, and was issued in the cycle before.
        change = Signal(signed(len(burst.payload.len) + 1))
        was_issued = Signal()

        def room_for(bursts):
            """Whether so many more may be in flight."""
            return starts.w_level <= BURSTS_IN_FLIGHT - bursts

        def room_for_beats(bursts):
            """Whether the beats of so many more may be in flight."""
            return in_flight <= BEATS_IN_FLIGHT - bursts * self.burst_beats

        m.d.sync += [
            was_issued.eq(issued),
            room.eq(
                Mux(issued, room_for(2), room_for(1))
                & Mux(
                    issued,
                    Mux(was_issued, room_for_beats(3), room_for_beats(2)),
                    Mux(was_issued, room_for_beats(2), room_for_beats(1)),
                )
            ),
        ]
        m.d.comb += [
            issued.eq(self.burst.valid & self.burst.ready),
            came.eq(self.beat.valid & self.beat.ready),
            self.busy.eq((in_flight != 0) | (change != 0)),
            starts.w_data.eq(burst.payload.addr),
            starts.w_en.eq(issued),
            starts.r_en.eq(came & self.beat_last),
        ]
        m.d.sync += [
            change.eq(Mux(issued, burst.payload.len + ~came, Mux(came, -1, 0))),
            in_flight.eq(in_flight + change),
        ]

        beat_bytes = self.data_bits // 8
        number = Signal(range(self.burst_beats))
        with m.If(came):
            m.d.sync += number.eq(Mux(self.beat_last, 0, number + 1))
        m.d.comb += [
            self.beat_addr.eq(starts.r_data + number * beat_bytes),
            beats.w_data.eq(self.beat.payload),
            beats.w_en.eq(self.beat.valid & ~self.abort),
            self.beat.ready.eq(beats.w_rdy | self.abort),
        ]
        connect(m, beats.r_stream, flipped(self.port.beat))
        return m
