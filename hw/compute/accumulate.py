"""Accumulate: ``acc[dst] = reset ? 0 : (start ? 0 : acc[dst]) + addend``, wrap, one tile a cycle.

Tiles come in any order.

=====  ======  =======================================================================
cycle  stage   of a tile
=====  ======  =======================================================================
0      hazard  ``dst`` is compared with the tiles in READ, FETCH, ADD, HOLD
1      READ    the accumulator is read, unless an older result or 0 replaces it
2      FETCH   the accumulator, a forwarded result, or 0 goes into a register
3      ADD     the addend arrives; result = (register or forwarded result) + addend
4      HOLD    the result is in its register
5      WRITE   the result is written, unless the write is deferred
=====  ======  =======================================================================

HOLD delays the write: GEMM and the ALU write a tile the same number of cycles after its read. The
reason is in :mod:`vta.hw.compute.accumulators`.

An accumulator that is read in READ has the results of all tiles that were written before, so a RAW
hazard exists with the four older tiles only. No hazard stalls:

=======================  ============================================  =====
RAW hazard at distance   the old value comes from                      stall
=======================  ============================================  =====
1                        the result register, into the adder           0
2                        the result register, into the FETCH register  0
3                        the write register, into the FETCH register   0
4                        the register behind WRITE, into FETCH         0
5 and more               the accumulator memory                        0
=======================  ============================================  =====

Deferred write: if the tile in the next cycle is the same one, the result is accumulated in place
and the write is left out (``defer_write``). Banks of the memory are free in these cycles for the
ALU and for LOADs. The block does not decide that; see :mod:`vta.hw.compute.gemm`. It does not
arbitrate for the memory either: its reads and writes never stall.
"""

from itertools import pairwise

from amaranth.hdl import Array, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from vta.hw.compute.lookahead import LookaheadSignature
from vta.hw.interfaces import SramReadSignature, SramWriteSignature

__all__ = ["Accumulate"]


class Accumulate(wiring.Component):
    """Adds to accumulator tiles, with forwarding.

    Parameters
    ----------
    log_depth : int
        log2 of the number of tiles.
    lanes, lane_bits, addend_bits : int
        Values in a tile, their width, and the width of an addend.

    Attributes
    ----------
    valid, dst, reset, start, defer_write : In
        A tile to add to. With ``start`` the sum starts with the addend, and the tile is not read.
        With ``defer_write`` the next cycle has the same tile, and this result is not written.
    addend : In
        One value for each lane, :attr:`ADDEND` cycles after ``valid``.
    read, write : Out
        The accumulator memory, one and :attr:`LATENCY` cycles after ``valid``.
    read_lookahead : Out(LookaheadSignature)
        The tile that ``read`` reads in the next cycle.
    """

    ADDEND = 3
    LATENCY = 5

    def __init__(self, *, log_depth: int, lanes: int, lane_bits: int, addend_bits: int) -> None:
        bits = lanes * lane_bits
        self.tile = data.ArrayLayout(signed(lane_bits), lanes)
        super().__init__({
            "valid": In(1), "dst": In(log_depth), "reset": In(1), "start": In(1),
            "defer_write": In(1),
            "addend": In(data.ArrayLayout(signed(addend_bits), lanes)),
            "read": Out(SramReadSignature(log_depth=log_depth, bits=bits)),
            "write": Out(SramWriteSignature(log_depth=log_depth, bits=bits, granule=bits)),
            "read_lookahead": Out(LookaheadSignature(log_depth=log_depth)),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        # ``forward_n``: the old value is the result of the tile that entered n cycles earlier.
        stage = data.StructLayout({
            "valid": 1, "reset": 1, "start": 1, "defer_write": 1, "dst": len(self.dst),
            "reads_memory": 1,
            "forward_1": 1, "forward_2": 1, "forward_3": 1, "forward_4": 1,
        })  # fmt: skip
        names = ("hazard", "read", "fetch", "add", "hold", "write")
        stages = [Signal(stage, name=f"{name}_stage") for name in names]
        for stage_before, stage_after in pairwise(stages):
            m.d.sync += stage_after.eq(stage_before)
        new, read, fetch, add, hold, write = stages

        def same_tile(older):
            return older.valid & (older.dst == self.dst)

        m.d.comb += [
            new.valid.eq(self.valid),
            new.reset.eq(self.reset),
            new.start.eq(self.start),
            new.defer_write.eq(self.defer_write),
            new.dst.eq(self.dst),
            new.forward_1.eq(same_tile(read) & ~self.start),
            new.forward_2.eq(same_tile(fetch)),
            new.forward_3.eq(same_tile(add)),
            new.forward_4.eq(same_tile(hold)),
            new.reads_memory.eq(
                new.valid
                & ~(new.reset | new.start)
                & ~(new.forward_1 | new.forward_2 | new.forward_3 | new.forward_4)
            ),
            self.read_lookahead.valid.eq(new.reads_memory),
            self.read_lookahead.addr.eq(new.dst),
            self.read.en.eq(read.reads_memory),
            self.read.addr.eq(read.dst),
        ]
        memory = data.View(self.tile, self.read.data)
        old, result, to_write, written = (
            Signal(self.tile, name=name, reset_less=True)
            for name in ("old", "result", "to_write", "written")
        )
        # The source of the old value, as a number: four values and its two bits fit in one LUT.
        sources = (memory, result, to_write, written)
        source = Signal(range(len(sources)))
        with m.If(read.forward_2):
            m.d.sync += source.eq(1)
        with m.Elif(read.forward_3):
            m.d.sync += source.eq(2)
        with m.Elif(read.forward_4):
            m.d.sync += source.eq(3)
        with m.Else():
            m.d.sync += source.eq(0)
        with m.If(fetch.valid):
            m.d.sync += old.eq(Array(sources)[source])
            with m.If(fetch.start):
                m.d.sync += old.as_value().eq(0)
        with m.If(add.valid):
            for lane in range(self.tile.length):
                term = Mux(add.forward_1, result[lane], old[lane])
                m.d.sync += result[lane].eq(Mux(add.reset, 0, term + self.addend[lane]))
        with m.If(hold.valid):
            m.d.sync += to_write.eq(result)
        with m.If(write.valid):
            m.d.sync += written.eq(to_write)
        m.d.comb += [
            self.write.mask.eq(write.valid & ~write.defer_write),
            self.write.addr.eq(write.dst),
            self.write.data.eq(to_write),
        ]
        return m
