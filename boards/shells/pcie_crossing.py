"""Packets from one clock to another."""

from amaranth.hdl import DomainRenamer, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import AsyncFIFO, SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

__all__ = ["PacketCrossing", "PacketStore"]

CROSSING_BEATS = 16
"""Beats in the crossing itself: enough for a beat a cycle of the slower clock."""


class PacketStore(wiring.Component):
    """Holds each packet back until all of it is there, so that it leaves without a gap.

    Parameters
    ----------
    packet : Packet
        The layout of a beat; it has ``last``.
    depth : int
        Beats; a packet has at most ``depth - 1``, or it would never leave.

    Attributes
    ----------
    i, o : streams of ``packet``
        ``o.valid`` stays asserted from the first beat of a packet to its last.
    """

    def __init__(self, packet, *, depth: int) -> None:
        self.packet, self.depth = packet, depth
        super().__init__({
            "i": In(stream.Signature(packet)),
            "o": Out(stream.Signature(packet)),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        m.submodules.fifo = fifo = SyncFIFOBuffered(width=self.packet.size, depth=self.depth)
        packets = Signal(range(self.depth + 1))
        """Packets whose last beat has come and not gone."""
        came, went = Signal(), Signal()
        m.d.comb += [
            fifo.w_data.eq(self.i.payload),
            fifo.w_en.eq(self.i.valid),
            self.i.ready.eq(fifo.w_rdy),
            self.o.payload.eq(fifo.r_data),
            self.o.valid.eq(fifo.r_rdy & (packets != 0)),
            fifo.r_en.eq(self.o.ready & self.o.valid),
            came.eq(self.i.valid & self.i.ready & self.i.payload.last),
            went.eq(self.o.valid & self.o.ready & self.o.payload.last),
        ]
        m.d.sync += packets.eq(packets + came - went)
        return m


class PacketCrossing(wiring.Component):
    """Takes packets in the domain ``i_domain``, gives them in ``o_domain``.

    Parameters
    ----------
    packet : Packet
        The layout of a beat.
    i_domain, o_domain : str
        Clock domains, reset together.
    store : int or None
        Depth of a :class:`PacketStore` at the output; None: packets may have gaps.

    Attributes
    ----------
    i, o : streams of ``packet``
    """

    def __init__(self, packet, *, i_domain: str, o_domain: str, store: int | None = None) -> None:
        self.packet, self.store = packet, store
        self.i_domain, self.o_domain = i_domain, o_domain
        super().__init__({
            "i": In(stream.Signature(packet)),
            "o": Out(stream.Signature(packet)),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        m.submodules.fifo = fifo = AsyncFIFO(
            width=self.packet.size, depth=CROSSING_BEATS,
            w_domain=self.i_domain, r_domain=self.o_domain,
        )  # fmt: skip
        m.d.comb += [
            fifo.w_data.eq(self.i.payload),
            fifo.w_en.eq(self.i.valid),
            self.i.ready.eq(fifo.w_rdy),
        ]
        crossed = self.o
        if self.store is not None:
            store = PacketStore(self.packet, depth=self.store)
            m.submodules.store = DomainRenamer(self.o_domain)(store)
            wiring.connect(m, store.o, wiring.flipped(self.o))
            crossed = store.i
        m.d.comb += [
            crossed.payload.eq(fifo.r_data),
            crossed.valid.eq(fifo.r_rdy),
            fifo.r_en.eq(crossed.ready),
        ]
        return m
