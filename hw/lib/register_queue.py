"""A queue of one item, in a register: the interface of ``amaranth.lib.fifo`` without its memory."""

from amaranth.hdl import Elaboratable, Module
from amaranth.lib.fifo import FIFOInterface

__all__ = ["RegisterQueue"]


class RegisterQueue(Elaboratable, FIFOInterface):
    """Holds one item of ``width`` bits; an item every other cycle at most.

    The signals are those of ``FIFOInterface``: an item is readable in the cycle after its write,
    and the queue is writable in the cycle after its read.
    """

    def __init__(self, *, width: int) -> None:
        super().__init__(width=width, depth=1)

    def elaborate(self, platform):
        m = Module()
        m.d.comb += [
            self.w_rdy.eq(~self.r_rdy),
            self.w_level.eq(self.r_rdy),
            self.r_level.eq(self.r_rdy),
        ]
        with m.If(self.w_rdy):
            m.d.sync += [self.r_rdy.eq(self.w_en), self.r_data.eq(self.w_data)]
        with m.Elif(self.r_en):
            m.d.sync += self.r_rdy.eq(0)
        return m
