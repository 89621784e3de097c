"""The write master: one writer on the AW, W and B channels of an AXI4 port.

request -> BurstSplitter -> skid buffer -> AW, and the queues of burst lengths and responses
beat -> W, with WLAST from the length queue;  B -> done, from the response queue
"""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from vta.hw.bus.axi import AXI4, INCR, BurstSplitter, BusTraits, channels, error_of
from vta.hw.interfaces import ERROR_ADDR_BITS, AXISignature, ErrorLayout, WritePortSignature
from vta.hw.lib.output_queue import OutputQueue
from vta.hw.lib.skid_buffer import SkidBuffer
from vta.memmap import ErrorCode, Source

BURSTS_IN_FLIGHT = 32
"""Bursts whose responses may be outstanding."""


class WriteMaster(wiring.Component):
    """Issues the writes of one writer on the AW, W and B channels, with ID 0.

    Parameters
    ----------
    addr_bits, data_bits : int
        Widths of the bus.
    bus : BusTraits
        Requirements of the port.
    beats_bits : int or None
        Requests have fewer than ``2 ** beats_bits`` beats; None: any number.
    error_addr_bits : int
        As of :class:`~vta.hw.interfaces.ErrorLayout`.

    Attributes
    ----------
    port : WritePortSignature, in
        The writer.
    aw*, w*, b* : out
        The AXI4 channels.
    abort : in
        Asserted: no further burst is issued; the outstanding beats of issued bursts are sent with
        all byte strobes low. Once asserted, must stay asserted until reset.
    idle : out
        Asserted while no response is outstanding.
    error : ErrorLayout, out
        The first SLVERR or DECERR, with the address of its burst. No ``done`` follows.
    """

    def __init__(
        self, *, addr_bits: int, data_bits: int, bus: BusTraits = AXI4,
        beats_bits: int | None = None, error_addr_bits: int = ERROR_ADDR_BITS,
    ) -> None:  # fmt: skip
        self.addr_bits, self.data_bits, self.bus = addr_bits, data_bits, bus
        self.beats_bits, self.error_addr_bits = beats_bits, error_addr_bits
        axi = AXISignature(addr_bits=addr_bits, data_bits=data_bits)
        super().__init__({
            "port": In(WritePortSignature(addr_bits=addr_bits, data_bits=data_bits)),
            **channels(axi, "aw", "w", "b"),
            "abort": In(1),
            "idle": Out(1),
            "error": Out(ErrorLayout(error_addr_bits)),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        m.submodules.splitter = splitter = BurstSplitter(
            addr_bits=self.addr_bits,
            data_bits=self.data_bits,
            burst_beats=self.bus.burst_beats,
            beats_bits=self.beats_bits,
        )
        m.submodules.lengths = lengths = OutputQueue(width=8, depth=4)
        m.submodules.responses = responses = OutputQueue(
            width=(self.addr_bits if self.error_addr_bits else 0) + 1, depth=BURSTS_IN_FLIGHT
        )
        # Ends the combinational path from the bus to the writer.
        m.submodules.skid = skid = SkidBuffer(splitter.burst.payload.shape())
        connect(m, flipped(self.port.request), splitter.request)
        connect(m, splitter.burst, skid.i)
        self._address(m, skid.o, lengths, responses)
        self._data(m, lengths)
        self._respond(m, responses)
        return m

    def _address(self, m, burst, lengths, responses):
        """AW; the length of each burst for W, its address and ``last`` for B."""
        issued = Signal()
        m.d.comb += [
            burst.ready.eq(
                (~self.awvalid | self.awready) & lengths.w_rdy & responses.w_rdy & ~self.abort
            ),
            issued.eq(burst.valid & burst.ready),
            lengths.w_data.eq(burst.payload.len),
            lengths.w_en.eq(issued),
            responses.w_data.eq(Cat(burst.payload.last, burst.payload.addr)),
            responses.w_en.eq(issued),
            self.awsize.eq((self.data_bits // 8).bit_length() - 1),
            self.awburst.eq(INCR),
            self.awcache.eq(self.bus.cache),
            self.awprot.eq(self.bus.prot),
        ]
        with m.If(issued):
            m.d.sync += [
                self.awaddr.eq(burst.payload.addr),
                self.awlen.eq(burst.payload.len),
                self.awvalid.eq(1),
            ]
        with m.Elif(self.awready):
            m.d.sync += self.awvalid.eq(0)

    def _data(self, m, lengths):
        """W: the beats of the writer; after an abort, beats without strobes."""
        beat_index = Signal(range(self.bus.burst_beats))
        advance = Signal()
        load = Signal()
        last = Signal()
        beat = self.port.beat
        m.d.comb += [
            advance.eq(lengths.r_rdy & (~self.wvalid | self.wready)),
            load.eq(advance & (self.abort | beat.valid)),
            last.eq(beat_index == lengths.r_data),
            beat.ready.eq(advance & ~self.abort),
            lengths.r_en.eq(load & last),
        ]
        with m.If(load):
            m.d.sync += [
                self.wvalid.eq(1),
                self.wdata.eq(beat.payload.data),
                self.wstrb.eq(Mux(self.abort, 0, beat.payload.strb)),
                self.wlast.eq(last),
                beat_index.eq(Mux(last, 0, beat_index + 1)),
            ]
        with m.Elif(self.wready):
            m.d.sync += self.wvalid.eq(0)

    def _respond(self, m, responses):
        """B: in the order of the bursts, because all have the same ID."""
        failed = Signal()
        m.d.comb += [
            self.bready.eq(1),
            responses.r_en.eq(self.bvalid),
            self.idle.eq(~responses.r_rdy),
            failed.eq(self.bvalid & self.bresp[1]),
            self.port.done.eq(
                self.bvalid & ~failed & responses.r_data[0] & (self.error.code == ErrorCode.NONE)
            ),
        ]
        with m.If(failed & (self.error.code == ErrorCode.NONE)):
            m.d.sync += [
                self.error.code.eq(error_of(self.bresp)),
                self.error.source.eq(Source.STORE),
                self.error.addr.eq(responses.r_data[1:]),
            ]
