"""Reads whole accumulators for the store module, in cycles in which GEMM does not read.

``data = acc[addr]``

=====  ====================================================================================
cycle  of a tile
=====  ====================================================================================
0      the tile is asked for
1      the read of the next cycle is announced, unless GEMM announces one: then the tile waits
2      the bank is read, by the port of GEMM; the ALU does not read the bank
3      the data is at the port; ``ready``
4      the data is in its register, if the tile was taken, until the next tile is taken
=====  ====================================================================================

GEMM with ``start`` reads no accumulators, and otherwise reads none while it accumulates in place.
"""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vta.hw.compute.lookahead import LookaheadSignature
from vta.hw.interfaces import SramReadSignature, TileReadSignature

__all__ = ["TileReader"]


class TileReader(wiring.Component):
    """One read after the other.

    Parameters
    ----------
    log_depth, bits : int
        log2 of the number of tiles, and the width of a tile.

    Attributes
    ----------
    tile : In(TileReadSignature)
        The reader.
    gemm_reads : In(1)
        GEMM reads in the next cycle.
    lookahead : Out(LookaheadSignature)
        The tile that is read in the next cycle, if ``valid`` and not ``gemm_reads``.
    port : Out(SramReadSignature)
        The port of GEMM, in cycles in which GEMM does not read.
    """

    LATENCY = TileReadSignature.LATENCY + 1
    """Cycles from ``tile.en`` to valid ``tile.data``, without a wait."""

    def __init__(self, *, log_depth: int, bits: int) -> None:
        super().__init__({
            "tile": In(TileReadSignature(log_depth=log_depth, bits=bits)),
            "gemm_reads": In(1),
            "lookahead": Out(LookaheadSignature(log_depth=log_depth)),
            "port": Out(SramReadSignature(log_depth=log_depth, bits=bits)),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        asked = Signal()
        addr = Signal.like(self.tile.addr, reset_less=True)
        data = Signal.like(self.tile.data, reset_less=True)
        reads = asked & ~self.gemm_reads
        m.d.comb += [
            self.lookahead.valid.eq(asked),
            self.lookahead.addr.eq(addr),
            self.port.addr.eq(addr),
            self.tile.data.eq(data),
        ]
        m.d.sync += [self.port.en.eq(reads), self.tile.ready.eq(self.port.en)]
        with m.If(asked):
            m.d.sync += asked.eq(self.gemm_reads)
        with m.Elif(~self.port.en & ~self.tile.ready):
            m.d.sync += [asked.eq(self.tile.en), addr.eq(self.tile.addr)]
        with m.If(self.tile.ready & self.tile.take):
            m.d.sync += data.eq(self.port.data)
        return m
