"""A skid buffer: a stream with registers in both directions, at full throughput."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["SkidBuffer"]


class SkidBuffer(wiring.Component):
    """Passes items on in order, one a cycle; ``o`` and ``i.ready`` are driven by registers.

    The buffer holds two items: the output register, and the skid register for the item that arrives
    in the cycle in which the output stalls. No combinational path leads through it.

    Parameters
    ----------
    shape : ShapeLike
        Shape of an item.

    Attributes
    ----------
    i : stream, in
        Ready while the skid register is empty.
    o : stream, out
        An item is valid :attr:`LATENCY` cycles after its transfer on ``i``.
    ahead : Out(shape)
        The item that ``o`` offers in the next cycle, if this cycle transfers one on ``o`` or none
        is valid there.
    """

    LATENCY = 1

    def __init__(self, shape) -> None:
        super().__init__({
            "i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape)),
            "ahead": Out(shape),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        skid = Signal.like(self.o.payload, reset_less=True)
        skid_valid = Signal()
        m.d.comb += [
            self.i.ready.eq(~skid_valid),
            self.ahead.eq(Mux(skid_valid, skid, self.i.payload)),
        ]
        with m.If(~self.o.valid | self.o.ready):
            m.d.sync += [self.o.valid.eq(self.i.valid | skid_valid), skid_valid.eq(0)]
            m.d.sync += self.o.payload.eq(self.ahead)
        with m.Elif(self.i.valid & self.i.ready):
            m.d.sync += skid_valid.eq(1)
        # Enabled by a register: the skid register follows the input, whether or not it is needed.
        with m.If(~skid_valid):
            m.d.sync += skid.eq(self.i.payload)
        return m
