"""The write side of the AXI4 memory master: bursts out, answers counted."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out, connect, flipped

from vta.hw.bus.axi import AXI4, INCR, BurstSplitter, BusTraits, channels, error_of
from vta.hw.interfaces import AXI4Signature, ErrorLayout, WritePortSignature
from vta.hw.lib.skid_buffer import SkidBuffer
from vta.memmap import ErrorCode, Source

BURSTS_IN_FLIGHT = 32
"""Bursts that may wait for their answer."""


class WriteMaster(wiring.Component):
    """Issues the writes of one writer on the AW, W and B channels, with ID 0.

    Parameters
    ----------
    addr_bits, data_bits : int
        Of the bus.
    bus : BusTraits
        What it asks for.

    Attributes
    ----------
    port : WritePortSignature, in
        The writer.
    aw*, w*, b* : out
        The AXI4 channels.
    abort : in
        Issue nothing more; the beats that are still owed are sent without a byte enabled. Once
        high, high until reset.
    idle : out
        Every burst has been answered.
    error : ErrorLayout, out
        The first SLVERR or DECERR, with the address of its burst. There is no ``done`` after it.
    """

    def __init__(self, *, addr_bits: int, data_bits: int, bus: BusTraits = AXI4) -> None:
        self.addr_bits, self.data_bits, self.bus = addr_bits, data_bits, bus
        axi = AXI4Signature(addr_bits=addr_bits, data_bits=data_bits)
        super().__init__({
            "port": In(WritePortSignature(addr_bits=addr_bits, data_bits=data_bits)),
            **channels(axi, "aw", "w", "b"),
            "abort": In(1),
            "idle": Out(1),
            "error": Out(ErrorLayout()),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        m.submodules.splitter = splitter = BurstSplitter(
            addr_bits=self.addr_bits,
            data_bits=self.data_bits,
            burst_beats=self.bus.burst_beats,
        )
        m.submodules.lengths = lengths = SyncFIFO(width=8, depth=4)
        m.submodules.answers = answers = SyncFIFO(width=self.addr_bits + 1, depth=BURSTS_IN_FLIGHT)
        # The writer and the bus do not meet in one cycle.
        m.submodules.skid = skid = SkidBuffer(splitter.burst.payload.shape())
        connect(m, flipped(self.port.request), splitter.request)
        connect(m, splitter.burst, skid.i)
        self._address(m, skid.o, lengths, answers)
        self._data(m, lengths)
        self._answer(m, answers)
        return m

    def _address(self, m, burst, lengths, answers):
        """AW, and what the data and the answers need to know of each burst."""
        issued = Signal()
        m.d.comb += [
            burst.ready.eq(
                (~self.awvalid | self.awready) & lengths.w_rdy & answers.w_rdy & ~self.abort
            ),
            issued.eq(burst.valid & burst.ready),
            lengths.w_data.eq(burst.payload.len),
            lengths.w_en.eq(issued),
            answers.w_data.eq(Cat(burst.payload.last, burst.payload.addr)),
            answers.w_en.eq(issued),
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
        """W: the writer's beats, or empty ones after an abort."""
        number = Signal(range(self.bus.burst_beats))
        advance = Signal()
        loads = Signal()
        ends = Signal()
        beat = self.port.beat
        m.d.comb += [
            advance.eq(lengths.r_rdy & (~self.wvalid | self.wready)),
            loads.eq(advance & (self.abort | beat.valid)),
            ends.eq(number == lengths.r_data),
            beat.ready.eq(advance & ~self.abort),
            lengths.r_en.eq(loads & ends),
        ]
        with m.If(loads):
            m.d.sync += [
                self.wvalid.eq(1),
                self.wdata.eq(beat.payload.data),
                self.wstrb.eq(Mux(self.abort, 0, beat.payload.strb)),
                self.wlast.eq(ends),
                number.eq(Mux(ends, 0, number + 1)),
            ]
        with m.Elif(self.wready):
            m.d.sync += self.wvalid.eq(0)

    def _answer(self, m, answers):
        """B, in the order of the bursts: all have the same ID."""
        failed = Signal()
        m.d.comb += [
            self.bready.eq(1),
            answers.r_en.eq(self.bvalid),
            self.idle.eq(~answers.r_rdy),
            failed.eq(self.bvalid & self.bresp[1]),
            self.port.done.eq(
                self.bvalid & ~failed & answers.r_data[0] & (self.error.code == ErrorCode.NONE)
            ),
        ]
        with m.If(failed & (self.error.code == ErrorCode.NONE)):
            m.d.sync += [
                self.error.code.eq(error_of(self.bresp)),
                self.error.source.eq(Source.STORE),
                self.error.addr.eq(answers.r_data[1:]),
            ]
