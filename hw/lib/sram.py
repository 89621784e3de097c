"""On-chip memory: ``data = mem[addr]`` a cycle after a read, ``mem[addr][lane] = data[lane]`` for
every lane in the mask of a write.

The memory is a row of lanes of ``granule`` bits that share the address, each a memory of its own:
synthesis makes block RAM of them without byte enables, and the simulator moves words instead of
masked bits. Contents are zero after power-up and are kept by a reset.
"""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In

from vta.hw.interfaces import SramReadSignature, SramWriteSignature

__all__ = ["Sram"]


class Sram(wiring.Component):
    """``2**log_depth`` words of ``bits`` bits with one write port and ``read_ports`` read ports.

    Every read port beyond the first costs another copy in block RAM. A read in the cycle of a
    write to the same word gives the word as it was before that write.

    Parameters
    ----------
    log_depth : int
        log2 of the number of words.
    bits : int
        Width of a word.
    granule : int or None
        Bits that one bit of the write mask covers; None for whole words.
    read_ports : int
        Number of read ports.

    Attributes
    ----------
    write : In(SramWriteSignature)
        Written at the end of the cycle, readable from the next cycle on.
    read : list of In(SramReadSignature)
        ``data`` comes :attr:`READ_LATENCY` cycles after ``en`` and stays until the next ``en``.
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
        for lane in range(self.bits // self.granule):
            part = slice(lane * self.granule, (lane + 1) * self.granule)
            memory = Memory(shape=self.granule, depth=1 << self.log_depth, init=[])
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
