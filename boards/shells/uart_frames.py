"""Frames on a serial line (:mod:`vta.uartlink`): bytes to requests, and answers to bytes."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.crc.catalog import CRC32_ISO_HDLC
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from vta.uartlink import CRC_BYTES, ESCAPE, FLAG, FLIP, MAX_DATA, REQUEST, Status

__all__ = ["FrameReceiver", "FrameTransmitter", "RequestLayout"]


class RequestLayout(data.StructLayout):
    """The first bytes of a request, as ``uartlink.REQUEST`` packs them."""

    def __init__(self) -> None:
        super().__init__({"tag": 8, "op": 8, "length": 16, "address": 32})
        assert self.size == 8 * REQUEST.size


class FrameReceiver(wiring.Component):
    """Collects a request and checks it; holds it while it is worked on.

    Attributes
    ----------
    data, valid, broken : in
        From the :class:`~.uart_phy.UartReceiver`.
    hold : in
        The request is still needed: a frame of which a byte comes meanwhile is lost, and ends with
        OVERRUN.
    done : out
        One pulse at the end of a frame.
    status : Status, out
        With ``done``: OK, BAD_FRAME, TOO_LONG or OVERRUN. If OK there is a request, which stays as
        it is while ``hold`` is high; it must be from the cycle after ``done`` on.
    request : RequestLayout, out
        The header.
    data_bytes : out
        Bytes of data after the header.
    index, byte : in, out
        The data: ``byte`` is number ``index`` of the cycle before.
    """

    def __init__(self) -> None:
        super().__init__({
            "data": In(8), "valid": In(1), "broken": In(1), "hold": In(1),
            "done": Out(1), "status": Out(Status), "request": Out(RequestLayout()),
            "data_bytes": Out(range(MAX_DATA + 1)),
            "index": In(range(MAX_DATA)), "byte": Out(8),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        m.submodules.crc = crc = CRC32_ISO_HDLC().create()
        m.submodules.memory = memory = Memory(shape=8, depth=MAX_DATA, init=[])
        overhead = REQUEST.size + CRC_BYTES
        number = Signal(range(MAX_DATA + overhead + 1))  # bytes of this frame, CRC and all
        some, escaped = Signal(), Signal()
        faulty, long, lost = Signal(), Signal(), Signal()

        flag, escape, take = Signal(), Signal(), Signal()
        byte = Signal(8)
        m.d.comb += [
            flag.eq(self.valid & (self.data == FLAG)),
            escape.eq(self.valid & (self.data == ESCAPE)),
            take.eq(self.valid & ~flag & ~escape & ~self.hold),
            byte.eq(Mux(escaped, self.data ^ FLIP, self.data)),
            crc.data.eq(byte),
            crc.valid.eq(take),
            crc.start.eq(flag),
        ]
        with m.If(self.broken):
            m.d.sync += faulty.eq(1)
        with m.If((self.valid & ~flag) | self.broken):
            m.d.sync += [some.eq(1), lost.eq(lost | self.hold)]
        with m.If(escape):
            m.d.sync += escaped.eq(1)
        with m.If(take):
            m.d.sync += escaped.eq(0)
            with m.If(number == MAX_DATA + overhead):
                m.d.sync += long.eq(1)
            with m.Else():
                m.d.sync += number.eq(number + 1)
            with m.If(number < REQUEST.size):
                m.d.sync += self.request.as_value().word_select(number[:3], 8).eq(byte)

        with m.If(flag):
            m.d.sync += [
                some.eq(0), escaped.eq(0), faulty.eq(0), long.eq(0), lost.eq(0), number.eq(0),
                self.done.eq(some),
            ]  # fmt: skip
            bad = faulty | escaped | ~crc.match_detected | (number < overhead)
            m.d.sync += self.status.eq(
                Mux(
                    lost,
                    Status.OVERRUN,
                    Mux(long, Status.TOO_LONG, Mux(bad, Status.BAD_FRAME, Status.OK)),
                )
            )
            with m.If(~self.hold):
                m.d.sync += self.data_bytes.eq(number - overhead)
        with m.Else():
            m.d.sync += self.done.eq(0)
        self._memory(m, memory, number - REQUEST.size, take & (number >= REQUEST.size), byte)
        return m

    def _memory(self, m, memory, at, enable, byte):
        """The data, and up to four bytes of CRC behind it, which are not kept beyond the end."""
        write, read = memory.write_port(), memory.read_port()
        m.d.comb += [
            write.addr.eq(at),
            write.data.eq(byte),
            write.en.eq(enable & (at < MAX_DATA)),
            read.addr.eq(self.index),
            self.byte.eq(read.data),
        ]


class FrameTransmitter(wiring.Component):
    """Puts CRC, escapes and flags to the bytes of an answer.

    Attributes
    ----------
    payload : stream of data (8 bits) and last, in
        An answer; ``last`` marks its last byte.
    bytes : stream of 8 bits, out
        To the :class:`~.uart_phy.UartTransmitter`.
    """

    def __init__(self) -> None:
        item = data.StructLayout({"data": 8, "last": 1})
        super().__init__({
            "payload": In(stream.Signature(item)), "bytes": Out(stream.Signature(8)),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        m.submodules.crc = crc = CRC32_ISO_HDLC().create()
        out = self.bytes
        byte = Signal(8)  # what is to be sent, before it is escaped
        escaping, sent = Signal(), Signal()
        number = Signal(range(CRC_BYTES))
        m.d.comb += crc.data.eq(self.payload.payload.data)

        def escaped():
            """Send ``byte``, in two pieces if need be; ``sent`` with the last."""
            special = (byte == FLAG) | (byte == ESCAPE)
            m.d.comb += [
                out.payload.eq(Mux(special, Mux(escaping, byte ^ FLIP, ESCAPE), byte)),
                sent.eq(out.valid & out.ready & (escaping | ~special)),
            ]
            with m.If(out.valid & out.ready):
                m.d.sync += escaping.eq(special & ~escaping)

        with m.FSM():
            with m.State("open"):
                m.d.comb += [
                    out.valid.eq(self.payload.valid),
                    out.payload.eq(FLAG),
                    crc.start.eq(1),
                ]
                with m.If(out.valid & out.ready):
                    m.next = "payload"
            with m.State("payload"):
                m.d.comb += [
                    byte.eq(self.payload.payload.data),
                    out.valid.eq(self.payload.valid),
                    self.payload.ready.eq(sent),
                    crc.valid.eq(sent),
                ]
                escaped()
                with m.If(sent & self.payload.payload.last):
                    m.next = "crc"
            with m.State("crc"):
                m.d.comb += [byte.eq(crc.crc.word_select(number, 8)), out.valid.eq(1)]
                escaped()
                with m.If(sent):
                    m.d.sync += number.eq(number + 1)
                    with m.If(number == CRC_BYTES - 1):
                        m.next = "close"
            with m.State("close"):
                m.d.comb += [out.valid.eq(1), out.payload.eq(FLAG)]
                with m.If(out.ready):
                    m.next = "open"
        return m
