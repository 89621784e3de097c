"""The accumulators: the register file of GEMM, ALU and loads, and its narrow mirror for stores.

``out[i][lane] = low bits of acc[i][lane]``, always.
"""

from amaranth.hdl import Cat, Module, Mux
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from vta.hw.interfaces import SramReadSignature, SramWriteSignature
from vta.hw.sram import Sram

__all__ = ["Accumulators"]


class Accumulators(wiring.Component):
    """Accumulator tiles with the ports of their users.

    Behind the ports is one memory with two read ports (``gemm_read`` and ``alu_dst_read`` share
    the first) and one write port. So in any cycle at most one of GEMM, ALU and load may be
    active; who issues instructions sees to it.

    Parameters
    ----------
    log_depth : int
        log2 of the number of tiles.
    lanes, lane_bits : int
        Values in a tile, and their width.
    out_bits : int
        Width of a value in the mirror.
    granule : int
        Bits of a tile that a bit of the load's write mask covers, a multiple of ``lane_bits``.

    Attributes
    ----------
    gemm_read, alu_dst_read, alu_src_read : In(SramReadSignature)
        Tiles. A read in the cycle of a write to the same tile gives the tile before that write.
    gemm_write, alu_write : In(SramWriteSignature)
        Whole tiles.
    load_write : In(SramWriteSignature)
        Parts of tiles.
    out_read : In(SramReadSignature)
        Mirror tiles.
    """

    def __init__(
        self, *, log_depth: int, lanes: int, lane_bits: int, out_bits: int, granule: int
    ) -> None:
        bits = lanes * lane_bits
        assert bits % granule == 0 and granule % lane_bits == 0
        self.log_depth, self.lanes, self.lane_bits = log_depth, lanes, lane_bits
        self.out_bits, self.granule = out_bits, granule
        read = SramReadSignature(log_depth=log_depth, bits=bits)
        whole = SramWriteSignature(log_depth=log_depth, bits=bits, granule=bits)
        parts = SramWriteSignature(log_depth=log_depth, bits=bits, granule=granule)
        super().__init__({
            "gemm_read": In(read), "alu_dst_read": In(read), "alu_src_read": In(read),
            "gemm_write": In(whole), "alu_write": In(whole), "load_write": In(parts),
            "out_read": In(SramReadSignature(log_depth=log_depth, bits=lanes * out_bits)),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        m.submodules.tiles = tiles = Sram(
            log_depth=self.log_depth,
            bits=self.lanes * self.lane_bits,
            granule=self.granule,
            read_ports=2,
        )
        m.submodules.mirror = mirror = Sram(
            log_depth=self.log_depth,
            bits=self.lanes * self.out_bits,
            granule=self.granule // self.lane_bits * self.out_bits,
        )
        gemm, dst = self.gemm_read, self.alu_dst_read
        m.d.comb += [
            tiles.read[0].en.eq(gemm.en | dst.en),
            tiles.read[0].addr.eq(Mux(gemm.en, gemm.addr, dst.addr)),
            gemm.data.eq(tiles.read[0].data),
            dst.data.eq(tiles.read[0].data),
        ]
        wiring.connect(m, wiring.flipped(self.alu_src_read), tiles.read[1])
        wiring.connect(m, wiring.flipped(self.out_read), mirror.read[0])

        write = tiles.write
        for port in (self.load_write, self.alu_write, self.gemm_write):
            whole = len(port.mask) == 1 and len(write.mask) > 1
            with m.If(port.mask.any()):
                m.d.comb += [
                    write.addr.eq(port.addr),
                    write.data.eq(port.data),
                    write.mask.eq(port.mask.replicate(len(write.mask)) if whole else port.mask),
                ]
        lanes = (write.data.word_select(lane, self.lane_bits) for lane in range(self.lanes))
        m.d.comb += [
            mirror.write.addr.eq(write.addr),
            mirror.write.mask.eq(write.mask),
            mirror.write.data.eq(Cat(lane[: self.out_bits] for lane in lanes)),
        ]
        return m
