"""A queue in block RAM, for synthesis tools that else add logic for a read in the cycle of a write.

``amaranth.lib.fifo.SyncFIFOBuffered`` never reads a word in the cycle in which it is written: the
two pointers are equal only while the memory is empty or full. Block RAM of the ECP5 has no defined
data for such a read, and Yosys emulates it with a register and a multiplexer for each bit.
"""

from amaranth.lib.fifo import SyncFIFOBuffered

__all__ = ["BlockQueue"]


class BlockQueue(SyncFIFOBuffered):
    """``SyncFIFOBuffered``, with a memory that says so (``no_rw_check``)."""

    def elaborate(self, platform):
        m = super().elaborate(platform)
        if self.depth > 1:  # a queue of one item has no memory
            m.submodules.storage.attrs["no_rw_check"] = 1
        return m
