"""From the host's reads and writes on PCIe to the control registers.

The host reads and writes whole registers: one dword a request. Every request that needs an answer
gets one; what the registers cannot do is refused, never left waiting.
"""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from vta.boards.shells.pcie_streams import (
    CC,
    CQ,
    CompletionDescriptor,
    RegisterDescriptor,
    RequestType,
    Status,
)
from vta.hw.interfaces import AXI4LiteSignature
from vta.memmap import ADDR_BITS

__all__ = ["PcieRegisters"]

_BYTES = [max(enable.bit_length() - (enable & -enable).bit_length() + 1, 1) for enable in range(16)]
"""From byte enables to the byte count of a completion: from the first byte that is enabled to the
last; 1 if none is."""
_FIRST = [max((enable & -enable).bit_length() - 1, 0) for enable in range(16)]
"""From byte enables to the first byte that is enabled."""


class PcieRegisters(wiring.Component):
    """Answers the requests on CQ, one at a time.

    - A read of one dword reads its register; an error response of the register becomes
      ``COMPLETER_ABORT``.
    - A write of one dword writes the bytes that are enabled. The standard has no answer to a write
      of memory: an error response is lost.
    - Reads of another size get ``COMPLETER_ABORT``. Writes of another size, messages, and damaged
      packets are dropped. Locked reads, I/O, atomic operations and configuration requests get
      ``UNSUPPORTED_REQUEST``.

    An answer without success is followed by the request, for the host's error log (PG213,
    "Completions with Error Status").

    Attributes
    ----------
    cq : stream of CQ, in
    cc : stream of CC, out
    lite : AXI4LiteSignature, out
        The registers.
    """

    def __init__(self) -> None:
        super().__init__({
            "cq": In(stream.Signature(CQ)),
            "cc": Out(stream.Signature(CC)),
            "lite": Out(AXI4LiteSignature(addr_bits=ADDR_BITS)),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        lite, cq = self.lite, self.cq
        request = Signal(RegisterDescriptor)
        enable = Signal(data.StructLayout({"first": 4, "last": 4}))
        word = Signal(32)
        status = Signal(Status)
        asked, given = Signal(), Signal()  # of the register: its address, its data
        logs = Signal()
        """The answer's second beat, which is the request."""
        kind, success = request.type, status == Status.SUCCESS
        m.d.comb += [
            lite.awaddr.eq(Cat(Const(0, 2), request.address)),
            lite.araddr.eq(Cat(Const(0, 2), request.address)),
            lite.wdata.eq(word),
            lite.wstrb.eq(enable.first),
        ]
        self._answer(m, request, enable, word, status, logs)

        with m.FSM(name="registers"):
            with m.State("REQUEST"):
                m.d.comb += cq.ready.eq(1)
                with m.If(cq.valid):
                    m.d.sync += [
                        request.eq(cq.payload.data),
                        enable.first.eq(cq.payload.user.first_be),
                        enable.last.eq(cq.payload.user.last_be),
                        status.eq(Status.SUCCESS),
                    ]
                    m.next = "DATA"
                    with m.If(cq.payload.last):
                        m.next = "DECIDE"
                        with m.If(cq.payload.user.discontinue):
                            m.next = "REQUEST"
            with m.State("DATA"):
                m.d.comb += cq.ready.eq(1)
                with m.If(cq.valid):
                    m.d.sync += word.eq(cq.payload.data[:32])
                    with m.If(cq.payload.last):
                        m.next = "DECIDE"
                        with m.If(cq.payload.user.discontinue):
                            m.next = "REQUEST"
            with m.State("DECIDE"):
                with m.If(kind == RequestType.MEM_READ):
                    m.next = "READ"
                    with m.If(request.dwords != 1):
                        m.d.sync += status.eq(Status.COMPLETER_ABORT)
                        m.next = "ANSWER"
                with m.Elif(kind == RequestType.MEM_WRITE):
                    m.next = "REQUEST"
                    with m.If(request.dwords == 1):
                        m.next = "WRITE"
                with m.Elif(kind <= RequestType.CONFIGURATION_LAST):
                    m.d.sync += status.eq(Status.UNSUPPORTED_REQUEST)
                    m.next = "ANSWER"
                with m.Else():
                    m.next = "REQUEST"
            with m.State("WRITE"):
                m.d.comb += [lite.awvalid.eq(~asked), lite.wvalid.eq(~given)]
                m.d.sync += [asked.eq(asked | lite.awready), given.eq(given | lite.wready)]
                with m.If((asked | lite.awready) & (given | lite.wready)):
                    m.d.sync += [asked.eq(0), given.eq(0)]
                    m.next = "WRITTEN"
            with m.State("WRITTEN"):
                m.d.comb += lite.bready.eq(1)
                with m.If(lite.bvalid):
                    m.next = "REQUEST"
            with m.State("READ"):
                m.d.comb += lite.arvalid.eq(1)
                with m.If(lite.arready):
                    m.next = "GET"
            with m.State("GET"):
                m.d.comb += lite.rready.eq(1)
                with m.If(lite.rvalid):
                    m.d.sync += word.eq(lite.rdata)
                    with m.If(lite.rresp[1]):
                        m.d.sync += status.eq(Status.COMPLETER_ABORT)
                    m.next = "ANSWER"
            with m.State("ANSWER"):
                m.d.comb += self.cc.valid.eq(1)
                with m.If(self.cc.ready):
                    m.d.sync += logs.eq(~success)
                    m.next = "LOG"
                    with m.If(success):
                        m.next = "REQUEST"
            with m.State("LOG"):
                m.d.comb += self.cc.valid.eq(1)
                with m.If(self.cc.ready):
                    m.d.sync += logs.eq(0)
                    m.next = "REQUEST"
        return m

    def _answer(self, m, request, enable, word, status, logs):
        """The beats on CC. The last dword of the first one is the register, or the byte enables for
        the log."""
        cc = self.cc.payload
        answer = Signal(CompletionDescriptor)
        reads = (request.type == RequestType.MEM_READ) & (request.dwords == 1)
        success = status == Status.SUCCESS
        lowest = Cat(Array(_FIRST)[enable.first], request.address[:5])
        m.d.comb += [
            answer.lower_address.eq(Mux(reads, lowest, 0)),
            answer.address_type.eq(request.address_type),
            answer.bytes.eq(Mux(reads, Array(_BYTES)[enable.first], 4)),
            answer.dwords.eq(success),
            answer.locked.eq(request.type == RequestType.MEM_READ_LOCKED),
            answer.status.eq(status),
            answer.requester.eq(request.requester),
            answer.tag.eq(request.tag),
            answer.completer.eq(request.function),
            answer.traffic_class.eq(request.traffic_class),
            answer.attributes.eq(request.attributes),
            cc.data.eq(Mux(logs, request, Cat(answer, Mux(success, word, enable)))),
            cc.last.eq(logs | success),
            cc.keep.eq(~0),
        ]
