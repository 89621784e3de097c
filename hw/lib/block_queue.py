"""A queue in block RAM, behind the interface of ``amaranth.lib.fifo``.

``amaranth.lib.fifo.SyncFIFOBuffered`` holds as much and has the same latency. This queue takes less
logic: one count of items with one adder, and pointers that wrap by themselves.
"""

from amaranth.hdl import Cat, Elaboratable, Module, Signal
from amaranth.lib.fifo import FIFOInterface
from amaranth.lib.memory import Memory

__all__ = ["BlockQueue"]


class BlockQueue(Elaboratable, FIFOInterface):
    """Holds ``depth`` items of ``width`` bits. An item is readable two cycles after its write.

    The oldest item is in the output register of the memory. No word is read in the cycle in which
    it is written, since the two pointers are equal only while the memory is empty or full. The
    memory says so (``no_rw_check``): block RAM of the ECP5 has no defined data for such a read, and
    Yosys would emulate it with a register and a multiplexer for each bit.
    """

    def __init__(self, *, width: int, depth: int) -> None:
        if depth < 1:
            raise ValueError(f"depth must be at least 1; got {depth}")
        super().__init__(width=width, depth=depth)

    def elaborate(self, platform):
        m = Module()
        pointer_bits = max((self.depth - 1).bit_length(), 1)
        m.submodules.storage = storage = Memory(
            shape=self.width, depth=1 << pointer_bits, init=[], attrs={"no_rw_check": 1}
        )
        write, read = storage.write_port(), storage.read_port()
        level = Signal(range(self.depth + 1))
        produce = Signal(pointer_bits)
        consume = Signal(pointer_bits)
        enters = self.w_en & self.w_rdy
        leaves = self.r_en & self.r_rdy
        m.d.comb += [
            self.w_level.eq(level),
            self.r_level.eq(level),
            self.w_rdy.eq(level != self.depth),
            write.addr.eq(produce),
            write.data.eq(self.w_data),
            write.en.eq(enters),
            read.addr.eq(consume),
            read.en.eq((level > self.r_rdy) & (~self.r_rdy | self.r_en)),
            self.r_data.eq(read.data),
        ]
        with m.If(enters):
            m.d.sync += produce.eq(produce + 1)
        with m.If(read.en):
            m.d.sync += [consume.eq(consume + 1), self.r_rdy.eq(1)]
        with m.Elif(self.r_en):
            m.d.sync += self.r_rdy.eq(0)
        with m.If(enters ^ leaves):  # one adder: of 1, or of -1
            m.d.sync += level.eq(level + Cat(1, leaves.replicate(len(level) - 1)))
        return m
