"""On-chip memory: ``data = mem[addr]`` a cycle after a read, ``mem[addr][lane] = data[lane]`` for
every lane in the mask of a write.

The memory consists of lanes of ``granule`` bits that share the address. Each lane is a memory of
its own: synthesis infers block RAM without byte enables, and a simulator copies words instead of
masked bits. The contents are zero after power-up; a reset does not change them.
"""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In

from vta.hw.interfaces import SramReadSignature, SramWriteSignature

__all__ = ["Sram"]

BLOCK_RAM_BITS = 512
"""Bits of a lane from which on it is in block RAM, even where LUTs could hold it."""

LOG_LUT_RAM_DEPTH = 4
"""log2 of the words of one memory cell made of LUTs. A lane that is not deeper stays in LUTs: a
block RAM takes more than half of a cycle from its clock to its data (5.6 ns on ECP5)."""


class Sram(wiring.Component):
    """``2**log_depth`` words of ``bits`` bits with one write port and ``read_ports`` read ports.

    Each read port beyond the first costs another copy in block RAM.

    No block uses the data of a lane that is read in the cycle of a write to it: hazards between
    instructions are resolved before, a program whose tokens order a write after a read has no such
    cycle, and the buffers of micro-ops discard such a word. The memory says so (``no_rw_check``):
    the simulated one returns the old word, a block RAM any.

    Parameters
    ----------
    log_depth : int
        log2 of the number of words.
    bits : int
        Width of a word.
    granule : int or None
        Bits of data for each bit of the write mask; None for whole words.
    read_ports : int
        Number of read ports.

    Attributes
    ----------
    write : In(SramWriteSignature)
        A read in the next cycle returns the new word.
    read : list of In(SramReadSignature)
        ``data`` is valid :attr:`READ_LATENCY` cycles after ``en`` and held until the next ``en``.
    """

    READ_LATENCY = 1

    def __init__(
        self, *, log_depth: int, bits: int, granule: int | None = None, read_ports: int = 1
    ):
        granule = bits if granule is None else granule
        if granule < 1 or bits % granule:
            raise ValueError(f"granule must divide the {bits} bits of a word; got {granule}")
        if read_ports < 1:
            raise ValueError(f"read_ports must be at least 1; got {read_ports}")
        self.log_depth, self.bits, self.granule = log_depth, bits, granule
        super().__init__({
            "write": In(SramWriteSignature(log_depth=log_depth, bits=bits, granule=granule)),
            "read": In(SramReadSignature(log_depth=log_depth, bits=bits)).array(read_ports),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        attributes: dict[str, int | str] = {"no_rw_check": 1}
        is_deep = self.log_depth > LOG_LUT_RAM_DEPTH
        if is_deep and self.granule << self.log_depth >= BLOCK_RAM_BITS:
            attributes["ram_style"] = "block"
        for lane in range(self.bits // self.granule):
            part = slice(lane * self.granule, (lane + 1) * self.granule)
            memory = Memory(
                shape=self.granule, depth=1 << self.log_depth, init=[], attrs=attributes
            )
            m.submodules[f"lane{lane}"] = memory
            write = memory.write_port()
            m.d.comb += [
                write.addr.eq(self.write.addr),
                write.data.eq(self.write.data[part]),
                write.en.eq(self.write.mask[lane]),
            ]
            for port in self.read:
                read = memory.read_port()
                m.d.comb += [
                    read.addr.eq(port.addr),
                    read.en.eq(port.en),
                    port.data[part].eq(read.data),
                ]
        return m
