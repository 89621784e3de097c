"""From a processor's AXI port to the control registers.

Bursts of whole words or less become one register access a beat: that of the word in which the beat
lies, whatever the alignment of the first. What the registers cannot do is
answered, never left waiting: DECERR outside their page, SLVERR for beats wider than a register
and for bursts that do not rise.
"""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vta.boards.shells.ports import AXIPort
from vta.hw.bus.axi import INCR, Resp
from vta.hw.interfaces import AXI4LiteSignature
from vta.memmap import ADDR_BITS

__all__ = ["RegisterBridge"]

WORD_SIZE = 2
"""AxSIZE of a register: log2 of its bytes."""


class RegisterBridge(wiring.Component):
    """An AXI3 or AXI4 slave in front of an AXI4-Lite one.

    One write and one read at a time. A write's address is taken before its data. Exclusive
    accesses are done as plain ones and answered as such, which tells the master that they failed.
    A register's word is on every lane of a wider port, and a write takes the lanes whose strobes
    are set, so that the port may be set to a narrower width without the bridge's knowing.

    Parameters
    ----------
    port : AXIPort
        The port that it answers.
    base : int
        Address of the registers; a multiple of their page.

    Attributes
    ----------
    axi : AXISignature, in
        The port.
    lite : AXI4LiteSignature, out
        The registers.
    """

    def __init__(self, port: AXIPort, *, base: int) -> None:
        assert base % (1 << ADDR_BITS) == 0 and base < 1 << port.addr_bits
        self.port, self.base = port, base
        super().__init__({
            "axi": In(port.signature),
            "lite": Out(AXI4LiteSignature(addr_bits=ADDR_BITS)),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        self._write(m)
        self._read(m)
        return m

    def _judge(self, channel: str):
        """What is wrong with the burst on ``aw`` or ``ar``, as a response."""
        field = lambda name: getattr(self.axi, channel + name)  # noqa: E731
        inside = field("addr") >> ADDR_BITS == self.base >> ADDR_BITS
        possible = (field("size") <= WORD_SIZE) & ((field("len") == 0) | (field("burst") == INCR))
        return Mux(inside, Mux(possible, Resp.OKAY, Resp.SLVERR), Resp.DECERR)

    def _write(self, m):
        axi, lite = self.axi, self.lite
        addr, size = Signal(ADDR_BITS), Signal(3)
        fault, answer = Signal(Resp), Signal(2)
        asked, given = Signal(), Signal()  # of the register: its address, its data
        lanes = range(self.port.data_bits // 32)
        strobes = [axi.wstrb.word_select(lane, 4) for lane in lanes]
        words = [axi.wdata.word_select(lane, 32) for lane in lanes]
        masks = [Cat(bit.replicate(8) for bit in strobe) for strobe in strobes]
        word, strobe = 0, 0
        for lane in lanes:
            word |= words[lane] & masks[lane]
            strobe |= strobes[lane]
        m.d.comb += [
            lite.awaddr.eq(addr & ~0b11),
            lite.wdata.eq(word),
            lite.wstrb.eq(strobe),
            axi.bresp.eq(answer),
        ]
        with m.FSM(name="write"):
            with m.State("ADDRESS"):
                m.d.comb += axi.awready.eq(1)
                with m.If(axi.awvalid):
                    m.d.sync += [
                        addr.eq(axi.awaddr),
                        size.eq(axi.awsize),
                        axi.bid.eq(axi.awid),
                        fault.eq(self._judge("aw")),
                        answer.eq(self._judge("aw")),
                    ]
                    m.next = "DATA"
            with m.State("DATA"):
                with m.If(fault != Resp.OKAY):
                    m.d.comb += axi.wready.eq(1)
                    with m.If(axi.wvalid & axi.wlast):
                        m.next = "ANSWER"
                with m.Elif(axi.wvalid):
                    m.d.comb += [lite.awvalid.eq(~asked), lite.wvalid.eq(~given)]
                    m.d.sync += [
                        asked.eq(asked | lite.awready),
                        given.eq(given | lite.wready),
                    ]
                    with m.If((asked | lite.awready) & (given | lite.wready)):
                        m.d.sync += [asked.eq(0), given.eq(0)]
                        m.next = "WRITTEN"
            with m.State("WRITTEN"):
                m.d.comb += lite.bready.eq(1)
                with m.If(lite.bvalid):
                    m.d.comb += axi.wready.eq(1)
                    m.d.sync += [
                        answer.eq(answer | lite.bresp),
                        addr.eq(addr + (1 << size)),
                    ]
                    m.next = "DATA"
                    with m.If(axi.wlast):
                        m.next = "ANSWER"
            with m.State("ANSWER"):
                m.d.comb += axi.bvalid.eq(1)
                with m.If(axi.bready):
                    m.next = "ADDRESS"

    def _read(self, m):
        axi, lite = self.axi, self.lite
        addr, size = Signal(ADDR_BITS), Signal(3)
        left = Signal.like(axi.arlen)
        fault = Signal(Resp)
        word = Signal(32)
        m.d.comb += [
            lite.araddr.eq(addr & ~0b11),
            axi.rdata.eq(word.replicate(self.port.data_bits // 32)),
            axi.rlast.eq(left == 0),
        ]
        with m.FSM(name="read"):
            with m.State("ADDRESS"):
                m.d.comb += axi.arready.eq(1)
                with m.If(axi.arvalid):
                    m.d.sync += [
                        addr.eq(axi.araddr),
                        size.eq(axi.arsize),
                        left.eq(axi.arlen),
                        axi.rid.eq(axi.arid),
                        fault.eq(self._judge("ar")),
                        axi.rresp.eq(self._judge("ar")),
                        word.eq(0),
                    ]
                    m.next = "ASK"
            with m.State("ASK"):
                m.d.comb += lite.arvalid.eq(fault == Resp.OKAY)
                with m.If(lite.arready | (fault != Resp.OKAY)):
                    m.next = "GET"
            with m.State("GET"):
                m.d.comb += lite.rready.eq(1)
                with m.If(fault != Resp.OKAY):
                    m.next = "ANSWER"
                with m.Elif(lite.rvalid):
                    m.d.sync += [word.eq(lite.rdata), axi.rresp.eq(lite.rresp)]
                    m.next = "ANSWER"
            with m.State("ANSWER"):
                m.d.comb += axi.rvalid.eq(1)
                with m.If(axi.rready):
                    m.d.sync += [left.eq(left - 1), addr.eq(addr + (1 << size))]
                    m.next = "ASK"
                    with m.If(left == 0):
                        m.next = "ADDRESS"
