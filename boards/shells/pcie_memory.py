"""The PC's memory as the core's: an AXI4 slave in front of the requester side of the PCIe hard
block.

    AR -> PcieReads  -+-> arbiter, packet by packet -> skid buffer -> RQ
    AW, W -> PcieWrites
    RC -> PcieReads -> R;  sent -> PcieWrites -> B
"""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from vta.boards.shells.pcie_reads import BURST_BEATS, READ_NUMBER, SLOTS, PcieReads
from vta.boards.shells.pcie_streams import DATA_BITS, RC, RQ
from vta.boards.shells.pcie_writes import WRITE_NUMBER, WRITES_IN_FLIGHT, PcieWrites
from vta.hw.interfaces import AXISignature
from vta.hw.lib.skid_buffer import SkidBuffer

__all__ = [
    "BURST_BEATS", "READ_NUMBER", "SLOTS", "WRITES_IN_FLIGHT", "WRITE_NUMBER", "PacketArbiter",
    "PcieMemory",
]  # fmt: skip


class PacketArbiter(wiring.Component):
    """Two streams of packets into one, packet by packet, in turns while both have one.

    ``o`` is driven by registers, as is what the streams see of its ``ready``. A stream must not
    take back a packet that it offers, nor have a gap within one.

    Attributes
    ----------
    i : list of two streams of RQ, in
        Packets.
    o : stream of RQ, out
        Valid from the first to the last beat of a packet. A beat comes a cycle after its transfer.
    """

    def __init__(self) -> None:
        super().__init__({
            "i": In(stream.Signature(RQ)).array(2),
            "o": Out(stream.Signature(RQ)),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        m.submodules.skid = skid = SkidBuffer(RQ)
        connect(m, skid.o, flipped(self.o))
        grant = Signal()
        last_grant = Signal()
        within = Signal()
        """The packet of the last grant has begun and not ended."""
        turn = self.i[1].valid & ~(self.i[0].valid & last_grant)
        m.d.comb += grant.eq(Mux(within, last_grant, turn))
        for number, packets in enumerate(self.i):
            with m.If(grant == number):
                m.d.comb += [
                    skid.i.payload.eq(packets.payload),
                    skid.i.valid.eq(packets.valid),
                    packets.ready.eq(skid.i.ready),
                ]
        with m.If(skid.i.valid & skid.i.ready):
            m.d.sync += [last_grant.eq(grant), within.eq(~skid.i.payload.last)]
        return m


class PcieMemory(wiring.Component):
    """The memory of the core is that of the PC.

    Bursts have at most :data:`BURST_BEATS` beats and lie in an aligned block of so many: the core
    is made with :class:`~vta.hw.bus.axi.BusTraits` that say so. Bursts, errors and responses are as
    of :class:`~vta.boards.shells.pcie_reads.PcieReads` and
    :class:`~vta.boards.shells.pcie_writes.PcieWrites`.

    Parameters
    ----------
    addr_bits : int
        Of the bus, 32 to 64.

    Attributes
    ----------
    axi : AXISignature, in
        The core's memory port, 128 bits wide.
    rq : stream of RQ, out
        Reads carry the sequence number :data:`READ_NUMBER`, writes :data:`WRITE_NUMBER`. Valid from
        the first to the last beat of a packet.
    rc : stream of RC, in
        Always ready.
    sent : in
        Strobe, once for each write, in their order: the hard block gave :data:`WRITE_NUMBER` back.
    """

    def __init__(self, *, addr_bits: int) -> None:
        assert 32 <= addr_bits <= 64
        self.addr_bits = addr_bits
        super().__init__({
            "axi": In(AXISignature(addr_bits=addr_bits, data_bits=DATA_BITS)),
            "rq": Out(stream.Signature(RQ)),
            "rc": In(stream.Signature(RC)),
            "sent": In(1),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        m.submodules.reads = reads = PcieReads(addr_bits=self.addr_bits)
        m.submodules.writes = writes = PcieWrites(addr_bits=self.addr_bits)
        m.submodules.arbiter = arbiter = PacketArbiter()
        for name, member in self.axi.signature.members.items():
            inner = getattr(reads if name.startswith(("ar", "r")) else writes, name)
            outer = getattr(self.axi, name)
            m.d.comb += inner.eq(outer) if member.flow is In else outer.eq(inner)
        connect(m, reads.request, arbiter.i[0])
        connect(m, writes.request, arbiter.i[1])
        connect(m, arbiter.o, flipped(self.rq))
        connect(m, flipped(self.rc), reads.rc)
        m.d.comb += writes.sent.eq(self.sent)
        return m
