"""A queue whose oldest item is in a register, behind the interface of ``amaranth.lib.fifo``.

It does in each cycle what ``amaranth.lib.fifo.SyncFIFO`` does, which reads its oldest item through
a pointer and the memory, and counts its items behind the handshake of its reader. Here a late
``r_en`` enables registers, and passes two gates to a flag.
"""

from amaranth.hdl import Elaboratable, Module, Mux, Signal
from amaranth.lib.fifo import FIFOInterface
from amaranth.lib.memory import Memory

__all__ = ["OutputQueue"]


class OutputQueue(Elaboratable, FIFOInterface):
    """Holds ``depth`` items of ``width`` bits, at least two; an item is readable in the cycle after
    its write.

    The oldest item is in the output register, the others are in a memory. An item goes past an
    empty memory into the output register if that is empty or left in this cycle, so the memory
    has an item only while the output register has one. ``r_data``, ``r_rdy`` and ``w_rdy`` are
    registers.

    Raises
    ------
    ValueError
        If ``depth`` is below 2.
    """

    def __init__(self, *, width: int, depth: int) -> None:
        if depth < 2:
            raise ValueError(f"depth must be at least 2; got {depth}")
        super().__init__(width=width, depth=depth)

    def elaborate(self, platform):
        m = Module()
        capacity = self.depth - 1
        pointer_bits = capacity.bit_length()
        m.submodules.storage = storage = Memory(shape=self.width, depth=1 << pointer_bits, init=[])
        write, read = storage.write_port(), storage.read_port(domain="comb")
        # The memory has more words than it holds items: the pointers are equal if it is empty.
        produce = Signal(pointer_bits)
        consume = Signal(pointer_bits)
        in_memory = Signal(pointer_bits)
        held = Signal()  # by the memory
        is_full = Signal()
        is_left = Signal()  # the output register is free, or becomes free
        enters = Signal()
        moves_on = Signal()  # from the memory to the output register
        m.d.comb += [
            in_memory.eq(produce - consume),
            held.eq(produce != consume),
            is_left.eq(~self.r_rdy | self.r_en),
            self.w_rdy.eq(~is_full),
            self.w_level.eq(in_memory + self.r_rdy),
            self.r_level.eq(in_memory + self.r_rdy),
            enters.eq(self.w_en & ~is_full & (held | ~is_left)),
            moves_on.eq(self.r_en & held),
            write.addr.eq(produce),
            write.data.eq(self.w_data),
            write.en.eq(enters),
            read.addr.eq(consume),
        ]
        becomes_full = self.w_en & (in_memory == capacity - 1) & (held | ~is_left)
        m.d.sync += is_full.eq(~moves_on & (is_full | becomes_full))
        with m.If(enters):
            m.d.sync += produce.eq(produce + 1)
        with m.If(moves_on):
            m.d.sync += consume.eq(consume + 1)
        with m.If(is_left):
            m.d.sync += [
                self.r_rdy.eq(held | self.w_en),
                self.r_data.eq(Mux(held, read.data, self.w_data)),
            ]
        return m
