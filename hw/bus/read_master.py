"""The read master: several readers on the AR and R channels of one AXI4 port.

    request -> BurstSplitter -> skid buffer -> credit check -> round-robin arbiter -> AR
    R -> beat queue of the reader that RID names -> beat

Arbitration is per burst.
"""

from collections.abc import Collection, Sequence

from amaranth.hdl import Array, Cat, Elaboratable, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out, connect, flipped

from vta.config import VTAConfig
from vta.hw.bus.axi import AXI4, INCR, Burst, BurstSplitter, BusTraits, channels, error_of
from vta.hw.interfaces import ERROR_ADDR_BITS, AXISignature, ErrorLayout, ReadPortSignature
from vta.hw.lib.skid_buffer import SkidBuffer
from vta.memmap import ErrorCode

BEATS_IN_FLIGHT = 256
"""Beats of one reader that may be outstanding: covers a latency of some 190 cycles, and bounds the
delay of the other readers."""


class ReadMaster(wiring.Component):
    """Issues the reads of ``clients`` readers on the AR and R channels.

    Parameters
    ----------
    clients : int
        Number of readers. The read ID of reader ``i``, and the source of its errors, is ``i``.
    addr_bits, data_bits : int
        Widths of the bus.
    bus : BusTraits
        Requirements of the port.
    bursts_in_flight : int
        Bursts of one reader that may be outstanding.
    queue_depth : int
        Beats that a stalled reader can leave in its queue before the R channel stalls for all
        readers.
    unqueued : collection of int
        Readers that are always ready for the beats that they requested. They have a register in
        place of the queue.
    beats_bits : sequence of int, or None
        Requests of reader ``i`` have fewer than ``2 ** beats_bits[i]`` beats; None: any number.
    shared : (int, int) or None
        A reader that reads for two modules, and the source of its errors for the second one.
    error_addr_bits : int
        As of :class:`~vta.hw.interfaces.ErrorLayout`.

    Attributes
    ----------
    client : list of ReadPortSignature, in
        The readers.
    second : in
        The request that the shared reader makes in this cycle is one for the second module.
    ar*, r* : out
        The AXI4 channels.
    abort : in
        Asserted: no further burst is issued, and arriving beats are discarded. Once asserted, must
        stay asserted until reset.
    idle : out
        Asserted while no beat is outstanding; may be asserted a cycle late.
    error : ErrorLayout, out
        The first SLVERR or DECERR, with the address of its beat.
    """

    def __init__(
        self, *, clients: int, addr_bits: int, data_bits: int, bus: BusTraits = AXI4,
        bursts_in_flight: int = VTAConfig.read_bursts,
        queue_depth: int = VTAConfig.read_queue_depth, unqueued: Collection[int] = (),
        beats_bits: Sequence[int] | None = None, shared: tuple[int, int] | None = None,
        error_addr_bits: int = ERROR_ADDR_BITS,
    ) -> None:  # fmt: skip
        self.addr_bits, self.data_bits, self.bus = addr_bits, data_bits, bus
        self.unqueued, self.beats_bits, self.shared = unqueued, beats_bits, shared
        self.bursts_in_flight, self.queue_depth = bursts_in_flight, queue_depth
        self.error_addr_bits = error_addr_bits
        axi = AXISignature(addr_bits=addr_bits, data_bits=data_bits)
        port = ReadPortSignature(addr_bits=addr_bits, data_bits=data_bits)
        super().__init__({
            "client": In(port).array(clients),
            "second": In(1),
            **channels(axi, "ar", "r"),
            "abort": In(1),
            "idle": Out(1),
            "error": Out(ErrorLayout(error_addr_bits)),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        readers = []
        shared = () if self.shared is None else self.shared[:1]
        for index, port in enumerate(self.client):
            reader = ReadChannel(
                addr_bits=self.addr_bits,
                data_bits=self.data_bits,
                burst_beats=self.bus.burst_beats,
                bursts_in_flight=self.bursts_in_flight,
                queue_depth=1 if index in self.unqueued else self.queue_depth,
                beats_bits=None if self.beats_bits is None else self.beats_bits[index],
                keeps_addresses=self.error_addr_bits > 0,
                keeps_marks=self.error_addr_bits > 0 or index in shared,
            )
            if index in shared:
                m.d.comb += reader.mark.eq(self.second)
            m.submodules[f"reader{index}"] = reader
            connect(m, flipped(port), reader.port)
            m.d.comb += reader.abort.eq(self.abort)
            readers.append(reader)
        self._arbitrate(m, readers)
        self._route(m, readers)
        busy = 0
        for reader in readers:
            busy |= reader.busy
        m.d.comb += self.idle.eq(~busy)
        return m

    def _arbitrate(self, m, readers):
        """AR: round robin. The grant goes to the next requesting reader after the last grant."""
        count = len(readers)
        last_grant = Signal(range(count))
        grant = Signal(range(count))
        requests = Signal(count)
        outranked = Signal(count)
        """Readers that wait for another one with a request: the grant, without its own index."""
        advance = Signal()
        m.d.comb += [
            advance.eq(~self.arvalid | self.arready),
            grant.eq(last_grant),
            self.arsize.eq((self.data_bits // 8).bit_length() - 1),
            self.arburst.eq(INCR),
            self.arcache.eq(self.bus.cache),
            self.arprot.eq(self.bus.prot),
        ]
        for index, reader in enumerate(readers):
            m.d.comb += [
                requests[index].eq(reader.burst.valid),
                reader.burst.ready.eq(advance & ~outranked[index]),
            ]
        with m.Switch(last_grant):
            for last in range(count):
                with m.Case(last):
                    order = [(last + distance) % count for distance in range(1, count + 1)]
                    for rank, index in reversed(list(enumerate(order))):
                        m.d.comb += outranked[index].eq(
                            Cat(requests[other] for other in order[:rank]).any()
                        )
                        with m.If(requests[index]):
                            m.d.comb += grant.eq(index)
        bursts = Array(reader.burst.payload for reader in readers)
        with m.If(advance):
            m.d.sync += [
                self.arvalid.eq(requests.any()),
                self.arid.eq(grant),
                self.araddr.eq(bursts[grant].addr),
                self.arlen.eq(bursts[grant].len),
                last_grant.eq(grant),
            ]

    def _route(self, m, readers):
        """R: to the reader that RID names. Beats of an ID without a reader are discarded."""
        for index, reader in enumerate(readers):
            m.d.comb += [
                reader.beat.payload.eq(self.rdata),
                reader.beat.valid.eq(self.rvalid & (self.rid == index)),
                reader.beat_last.eq(self.rlast),
            ]
        m.d.comb += self.rready.eq(1)
        with m.Switch(self.rid):
            for index, reader in enumerate(readers):
                with m.Case(index):
                    m.d.comb += self.rready.eq(reader.beat.ready)
        addresses = Array(reader.beat_addr for reader in readers)
        source = Signal.like(self.rid)
        m.d.comb += source.eq(self.rid)
        if self.shared is not None:
            shared, second = self.shared
            with m.If((self.rid == shared) & readers[shared].beat_mark):
                m.d.comb += source.eq(second)
        failed = self.rvalid & self.rready & self.rresp[1]
        # Source and address follow the beats until one fails: their enable knows nothing of these.
        with m.If(self.error.code == ErrorCode.NONE):
            m.d.sync += [
                self.error.source.eq(source),
                self.error.addr.eq(addresses[self.rid]),
            ]
            with m.If(failed):
                m.d.sync += self.error.code.eq(error_of(self.rresp))


class ReadChannel(wiring.Component):
    """One reader of the read master: burst splitting, credits, and the queue of its beats.

    Parameters
    ----------
    addr_bits, data_bits : int
        Widths of the bus.
    burst_beats : int
        Largest number of beats of a burst.
    bursts_in_flight, queue_depth : int
        As of :class:`ReadMaster`. A queue of one beat is a register.
    beats_bits : int or None
        As of :class:`~vta.hw.bus.axi.BurstSplitter`.
    keeps_addresses, keeps_marks : bool
        Whether ``beat_addr``, and ``beat_mark``, is driven; else it is 0.

    Attributes
    ----------
    port : ReadPortSignature, in
        The reader.
    mark : in
        A bit of the request that :attr:`beat_mark` gives back.
    burst : stream of Burst, out
        Valid while the credits of the reader cover one more burst.
    beat, beat_last : stream of data_bits, and RLAST, in
        The beats of the reader on the R channel.
    beat_addr, beat_mark : out
        The address of the next beat on the R channel, and the mark of its request.
    abort : in
        As of :class:`ReadMaster`.
    busy : out
        Asserted while beats are outstanding.
    """

    def __init__(
        self, *, addr_bits: int, data_bits: int, burst_beats: int, bursts_in_flight: int,
        queue_depth: int, beats_bits: int | None = None, keeps_addresses: bool = True,
        keeps_marks: bool = True,
    ) -> None:  # fmt: skip
        self.beats_bits = beats_bits
        self.keeps_addresses, self.keeps_marks = keeps_addresses, keeps_marks
        self.addr_bits, self.data_bits, self.burst_beats = addr_bits, data_bits, burst_beats
        self.bursts_in_flight, self.queue_depth = bursts_in_flight, queue_depth
        super().__init__({
            "port": In(ReadPortSignature(addr_bits=addr_bits, data_bits=data_bits)),
            "mark": In(1),
            "burst": Out(stream.Signature(Burst(addr_bits))),
            "beat": In(stream.Signature(data_bits)),
            "beat_last": In(1),
            "beat_addr": Out(addr_bits),
            "beat_mark": Out(1),
            "abort": In(1),
            "busy": Out(1),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        m.submodules.splitter = splitter = BurstSplitter(
            addr_bits=self.addr_bits, data_bits=self.data_bits, burst_beats=self.burst_beats,
            beats_bits=self.beats_bits,
        )  # fmt: skip
        beats = self._queue(m)
        entry = data.StructLayout({
            "addr": self.addr_bits if self.keeps_addresses else 0, "mark": int(self.keeps_marks)
        })  # fmt: skip
        queue = SyncFIFO if entry.size else EmptyEntries
        m.submodules.addresses = addresses = queue(width=entry.size, depth=self.bursts_in_flight)
        oldest, newest = data.View(entry, addresses.r_data), data.View(entry, addresses.w_data)
        # Ends the combinational path from the bus to the reader.
        m.submodules.skid = skid = SkidBuffer(splitter.burst.payload.shape())
        request, burst = self.port.request, skid.o
        connect(m, splitter.burst, skid.i)
        issued = Signal()
        arrived = Signal()
        has_credit = self._credits(m, burst, issued, arrived, addresses)
        allowed = Signal()
        m.d.comb += [
            splitter.request.payload.addr.eq(request.payload.addr),
            splitter.request.payload.beats.eq(request.payload.beats),
            splitter.request.valid.eq(request.valid),
            request.ready.eq(splitter.request.ready),
            allowed.eq(has_credit & ~self.abort),
            self.burst.payload.eq(burst.payload),
            self.burst.valid.eq(burst.valid & allowed),
            burst.ready.eq(self.burst.ready & allowed),
            issued.eq(self.burst.valid & self.burst.ready),
            arrived.eq(self.beat.valid & self.beat.ready),
            splitter.request.payload.last.eq(self.mark),
            newest.addr.eq(burst.payload.addr),
            newest.mark.eq(burst.payload.marked),
            addresses.w_en.eq(issued),
            addresses.r_en.eq(arrived & self.beat_last),
        ]

        if self.keeps_addresses:
            self._drive_beat_addr(m, oldest.addr, arrived)
        m.d.comb += [
            self.beat_mark.eq(oldest.mark),
            beats.payload.eq(self.beat.payload),
            beats.valid.eq(self.beat.valid & ~self.abort),
            self.beat.ready.eq(beats.ready | self.abort),
        ]
        return m

    def _drive_beat_addr(self, m, addr, arrived):
        """``beat_addr`` from the address of the oldest burst."""
        # No burst crosses a multiple of its largest size: only these bits of the address change.
        log_beat = (self.data_bits // 8).bit_length() - 1
        within_burst = slice(log_beat, log_beat + self.burst_beats.bit_length() - 1)
        first = addr[within_burst]
        beat_index = Signal(range(self.burst_beats))
        with m.If(arrived):
            m.d.sync += beat_index.eq(Mux(self.beat_last, 0, beat_index + 1))
        m.d.comb += [
            self.beat_addr.eq(addr),
            self.beat_addr[within_burst].eq(first + beat_index),
        ]

    def _queue(self, m):
        """The queue of the beats; returns the stream into it."""
        out = self.port.beat
        if self.queue_depth > 1:
            m.submodules.beats = beats = SyncFIFO(width=self.data_bits, depth=self.queue_depth)
            connect(m, beats.r_stream, flipped(out))
            return beats.w_stream
        beat = stream.Signature(self.data_bits).create()
        m.d.comb += beat.ready.eq(~out.valid | out.ready)
        with m.If(beat.ready):
            m.d.sync += [out.valid.eq(beat.valid), out.payload.eq(beat.payload)]
        return beat

    def _credits(self, m, burst, issued, arrived, addresses):
        """Count the outstanding beats; the returned register is high if one more burst is allowed.

        The count is updated a cycle late, and the comparison is registered, so the comparison
        leaves room for the burst that is issued now and the one issued in the cycle before.
        """
        in_flight = Signal(range(BEATS_IN_FLIGHT + 1))
        change = Signal(signed(len(burst.payload.len) + 1))
        has_credit = Signal()
        issued_before = Signal()

        def bursts_fit(number):
            """Whether this number of further bursts may be outstanding."""
            return addresses.w_level <= self.bursts_in_flight - number

        def beats_fit(number):
            """Whether the beats of this number of further bursts may be outstanding."""
            return in_flight <= BEATS_IN_FLIGHT - number * self.burst_beats

        m.d.sync += [
            issued_before.eq(issued),
            has_credit.eq(
                Mux(issued, bursts_fit(2), bursts_fit(1))
                & Mux(
                    issued,
                    Mux(issued_before, beats_fit(3), beats_fit(2)),
                    Mux(issued_before, beats_fit(2), beats_fit(1)),
                )
            ),
            change.eq(Mux(issued, burst.payload.len + ~arrived, Mux(arrived, -1, 0))),
            in_flight.eq(in_flight + change),
        ]
        m.d.comb += self.busy.eq((in_flight != 0) | (change != 0))
        return has_credit


class EmptyEntries(Elaboratable):
    """The number of entries of a queue whose entries have no bits, with the ports of ``SyncFIFO``
    that :class:`ReadChannel` needs. The memory of a queue has bits.

    Parameters
    ----------
    width : int
        0.
    depth : int
        Largest number of entries. The user neither writes to a full queue nor reads an empty one.
    """

    def __init__(self, *, width: int, depth: int) -> None:
        assert width == 0
        self.w_data, self.r_data = Signal(0), Signal(0)
        self.w_en, self.r_en = Signal(), Signal()
        self.w_level = Signal(range(depth + 1))

    def elaborate(self, platform):
        m = Module()
        m.d.sync += self.w_level.eq(self.w_level + self.w_en - self.r_en)
        return m
