"""A stream through a register in both directions: ends a path without costing throughput."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["SkidBuffer"]


class SkidBuffer(wiring.Component):
    """Passes items on, one a cycle, in order; ``o`` and ``i.ready`` come straight from registers.

    Holds two items: the one that is offered and one that came while that was refused.

    Parameters
    ----------
    shape : ShapeLike
        Of an item.

    Attributes
    ----------
    i, o : stream, in and out
        An item is offered :attr:`LATENCY` cycles after it came.
    """

    LATENCY = 1

    def __init__(self, shape) -> None:
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform):
        m = Module()
        spare = Signal.like(self.o.payload, reset_less=True)
        full = Signal()
        m.d.comb += self.i.ready.eq(~full)
        with m.If(~self.o.valid | self.o.ready):
            m.d.sync += [self.o.valid.eq(self.i.valid | full), full.eq(0)]
            with m.If(full):
                m.d.sync += self.o.payload.eq(spare)
            with m.Else():
                m.d.sync += self.o.payload.eq(self.i.payload)
        with m.Elif(self.i.valid & self.i.ready):
            m.d.sync += [full.eq(1), spare.eq(self.i.payload)]
        return m
