"""GEMM: ``acc[d][b][c] += sum_k inp[s][b][k] * wgt[w][c][k]``, wrap 32; with reset ``acc[d] = 0``.

One product of a BATCH x BLOCK input tile and a BLOCK x BLOCK weight tile a cycle:

=======  ================================================================================
cycle    of a micro-op (D: the latency of the dot product)
=======  ================================================================================
0        the sequencer offers the indices; input and weight SRAM are read
1        tiles come out of the SRAMs
2        operand registers hold them
D - 1    is its accumulator, or will it be, on its way to the memory?
D        the accumulator is read
D + 1    it comes out of its bank, or the result on its way is there, into a register
D + 2    sums are there; accumulator, or the result right before, plus sum
D + 3    the result is written
=======  ================================================================================
"""

from itertools import pairwise

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from vta.hw.compute.dot import DotProduct, DotProductPair
from vta.hw.compute.lookahead import GEMM_WRITE_LOOKAHEAD, LookaheadSignature
from vta.hw.compute.sequencer import Index, Sequencer
from vta.hw.compute.uop_memory import connect_uops, uop_ports
from vta.hw.interfaces import ErrorLayout, SramReadSignature, SramWriteSignature, layout_of
from vta.isa import Isa

__all__ = ["Accumulate", "Gemm"]


class Accumulate(wiring.Component):
    """``acc[dst] = (reset ? 0 : acc[dst] + addend)``, one a cycle in any order of ``dst``.

    =====  ================================================================================
    cycle  of a tile
    =====  ================================================================================
    0      is it one of the three before, which are not in the memory yet when it is read?
    1      if not, it is read
    2      into a register: the tile, or the result of the second or third before it
    3      the addend is added to that, or to the result of the one right before it
    4      the result is written
    =====  ================================================================================

    A tile that comes again in the next cycle need not be written.

    Parameters
    ----------
    log_depth : int
        log2 of the number of tiles.
    lanes, lane_bits, addend_bits : int
        Values in a tile, their width, and the width of what is added.

    Attributes
    ----------
    valid, dst, reset, again : In
        A tile to add to; with ``again`` the next cycle's is the same one, and this result is not
        written.
    addend : In
        What to add, :attr:`ADDEND` cycles after ``valid``.
    read, write : Out
        The accumulator memory, one and :attr:`LATENCY` cycles after ``valid``.
    read_lookahead : Out(LookaheadSignature)
        What ``read`` reads in the next cycle.
    """

    ADDEND = 3
    LATENCY = 4

    def __init__(self, *, log_depth: int, lanes: int, lane_bits: int, addend_bits: int) -> None:
        bits = lanes * lane_bits
        self.tile = data.ArrayLayout(signed(lane_bits), lanes)
        super().__init__({
            "valid": In(1), "dst": In(log_depth), "reset": In(1), "again": In(1),
            "addend": In(data.ArrayLayout(signed(addend_bits), lanes)),
            "read": Out(SramReadSignature(log_depth=log_depth, bits=bits)),
            "write": Out(SramWriteSignature(log_depth=log_depth, bits=bits, granule=bits)),
            "read_lookahead": Out(LookaheadSignature(log_depth=log_depth)),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        stage = data.StructLayout({
            "live": 1, "reset": 1, "again": 1, "dst": len(self.dst), "is_read": 1,
            "from_before": 1, "from_second": 1, "from_third": 1,
        })  # fmt: skip
        stages = [Signal(stage, name=f"cycle{n}") for n in range(self.LATENCY + 1)]
        for before, after in pairwise(stages):
            m.d.sync += after.eq(before)
        came, reads, fetches, adds, writes = stages

        def same(older):
            return older.live & (older.dst == self.dst)

        m.d.comb += [
            came.live.eq(self.valid),
            came.reset.eq(self.reset),
            came.again.eq(self.again),
            came.dst.eq(self.dst),
            came.from_before.eq(same(reads)),
            came.from_second.eq(same(fetches)),
            came.from_third.eq(same(adds)),
            came.is_read.eq(
                came.live & ~(came.reset | came.from_before | came.from_second | came.from_third)
            ),
            self.read_lookahead.valid.eq(came.is_read),
            self.read_lookahead.addr.eq(came.dst),
            self.read.en.eq(reads.is_read),
            self.read.addr.eq(reads.dst),
        ]
        memory = data.View(self.tile, self.read.data)
        tile, result, kept = (Signal(self.tile, name=name, reset_less=True)
                              for name in ("tile", "result", "kept"))  # fmt: skip
        with m.If(fetches.live):
            m.d.sync += tile.eq(
                Mux(fetches.from_second, result, Mux(fetches.from_third, kept, memory))
            )
        with m.If(adds.live):
            for lane in range(self.tile.length):
                old = Mux(adds.from_before, result[lane], tile[lane])
                m.d.sync += result[lane].eq(Mux(adds.reset, 0, old + self.addend[lane]))
        with m.If(writes.live):
            m.d.sync += kept.eq(result)
        m.d.comb += [
            self.write.mask.eq(writes.live & ~writes.again),
            self.write.addr.eq(writes.dst),
            self.write.data.eq(result),
        ]
        return m


class Gemm(wiring.Component):
    """Executes GEMM instructions, one after the other without a gap.

    Parameters
    ----------
    isa : Isa
        Formats of the instruction and the micro-op; the shape is that of ``isa.cfg``.
    paired : bool
        Compute two products in one multiplier where the values are narrow enough, for parts with
        multipliers of 25 x 18 bits.

    Attributes
    ----------
    start : stream of the GEMM layout, in
        Legal instructions; the next is taken while the one before is under way.
    done : Out(1)
        An instruction writes its last tile in this cycle: a read in the next cycle sees it.
    product : Out(1)
        A product (not of a reset) is issued in this cycle.
    uop_read, uop_written, uop_written_addr, inp_read, wgt_read, acc_read, acc_write
        The memories.
    acc_read_lookahead, acc_write_lookahead : Out(LookaheadSignature)
        The tile that ``acc_read`` reads in the next cycle, and that ``acc_write`` writes
        :data:`~vta.hw.compute.lookahead.GEMM_WRITE_LOOKAHEAD` cycles later, if they will.
    error : ErrorLayout, out
        SRAM_RANGE, see :class:`~vta.hw.compute.sequencer.Sequencer`. What was issued before is
        still written.
    """

    def __init__(self, isa: Isa, *, paired: bool = False) -> None:
        self.isa, self.cfg = isa, (cfg := isa.cfg)
        self.paired = paired and DotProductPair.fits(cfg.inp_width, cfg.wgt_width)
        self.multiplied_after = 2 + max(DotProduct.latency(cfg.block_in), 3)
        """Cycles from the indices to the sums; not so few that it is known late who will write."""
        self.latency = (
            Sequencer.LATENCY + self.multiplied_after - Accumulate.ADDEND + Accumulate.LATENCY
        )
        """Cycles from ``start`` to the write of the first tile."""
        bits = cfg.acc_elem_bits
        super().__init__({
            "start": In(stream.Signature(layout_of(isa.gemm))),
            "done": Out(1),
            "product": Out(1),
            **uop_ports(log_depth=cfg.log_uop_depth, bits=isa.uop.bits),
            "inp_read": Out(SramReadSignature(log_depth=cfg.log_inp_depth, bits=cfg.inp_elem_bits)),
            "wgt_read": Out(SramReadSignature(log_depth=cfg.log_wgt_depth, bits=cfg.wgt_elem_bits)),
            "acc_read": Out(SramReadSignature(log_depth=cfg.log_acc_depth, bits=bits)),
            "acc_write": Out(
                SramWriteSignature(log_depth=cfg.log_acc_depth, bits=bits, granule=bits)
            ),
            "acc_read_lookahead": Out(LookaheadSignature(log_depth=cfg.log_acc_depth)),
            "acc_write_lookahead": Out(LookaheadSignature(log_depth=cfg.log_acc_depth)),
            "error": Out(ErrorLayout()),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        cfg = self.cfg
        m.submodules.sequencer = sequencer = Sequencer(
            self.isa.gemm,
            self.isa.uop,
            (
                Index("dst", cfg.log_acc_depth),
                Index("src", cfg.log_inp_depth, unused_if="reset"),
                Index("wgt", cfg.log_wgt_depth, unused_if="reset"),
            ),
            ("reset",),
            log_depth=cfg.log_uop_depth,
        )
        wiring.connect(m, wiring.flipped(self.start), sequencer.start)
        connect_uops(m, sequencer, wiring.flipped(self))
        op = sequencer.op.payload
        m.d.comb += [
            sequencer.op.ready.eq(1),
            self.error.eq(sequencer.error),
            self.product.eq(sequencer.op.valid & ~op.empty & ~op.insn.reset),
            self.inp_read.en.eq(self.product),
            self.inp_read.addr.eq(op.src),
            self.wgt_read.en.eq(self.product),
            self.wgt_read.addr.eq(op.wgt),
        ]

        # What goes with a product: a shift register from the indices to the write.
        stage = data.StructLayout({"live": 1, "last": 1, "reset": 1, "dst": cfg.log_acc_depth})
        depth = self.multiplied_after - Accumulate.ADDEND
        stages = [Signal(stage, name=f"stage{n}") for n in range(depth + 1)]
        m.d.comb += [
            stages[0].live.eq(sequencer.op.valid & ~op.empty),
            stages[0].last.eq(sequencer.op.valid & op.last),
            stages[0].reset.eq(op.insn.reset),
            stages[0].dst.eq(op.dst),
        ]
        for before, after in pairwise(stages):
            m.d.sync += after.eq(before)

        # A write that the next micro-op would undo is left out. It is known early who will write.
        assert GEMM_WRITE_LOOKAHEAD == Accumulate.LATENCY + 1
        behind, before = stages[-3:-1]
        again = Signal()
        was_again = Signal()
        m.d.comb += [
            again.eq(before.live & behind.live & ~before.last & (before.dst == behind.dst)),
            self.acc_write_lookahead.valid.eq(before.live & ~again),
            self.acc_write_lookahead.addr.eq(before.dst),
        ]
        m.d.sync += was_again.eq(again)

        sums = self._multiply(m)
        m.submodules.accumulate = accumulate = Accumulate(
            log_depth=cfg.log_acc_depth,
            lanes=len(sums),
            lane_bits=cfg.acc_width,
            addend_bits=len(sums[0]),
        )
        m.d.comb += [
            accumulate.valid.eq(stages[-1].live),
            accumulate.reset.eq(stages[-1].reset),
            accumulate.dst.eq(stages[-1].dst),
            accumulate.again.eq(was_again),
            accumulate.addend.eq(Cat(sums)),
        ]
        wiring.connect(m, accumulate.read, wiring.flipped(self.acc_read))
        wiring.connect(m, accumulate.read_lookahead, wiring.flipped(self.acc_read_lookahead))
        wiring.connect(m, accumulate.write, wiring.flipped(self.acc_write))
        done = stages[-1].last
        for n in range(Accumulate.LATENCY):
            before, done = done, Signal(name=f"done{n}")
            m.d.sync += done.eq(before)
        m.d.comb += self.done.eq(done)
        return m

    def _multiply(self, m: Module):
        """Operand registers and dot products; gives the sums, in lanes ``b * BLOCK_OUT + c``."""
        cfg = self.cfg
        rows = data.ArrayLayout(cfg.block_in * cfg.inp_width, cfg.batch)
        columns = data.ArrayLayout(cfg.block_in * cfg.wgt_width, cfg.block_out)
        inp = Signal(rows, reset_less=True)
        wgt = Signal(columns, reset_less=True)
        arrived = Signal()
        valid = Signal()
        m.d.sync += [arrived.eq(self.product), valid.eq(arrived)]
        with m.If(arrived):
            m.d.sync += [inp.eq(self.inp_read.data), wgt.eq(self.wgt_read.data)]
        widths = {
            "length": cfg.block_in,
            "a_bits": cfg.inp_width,
            "b_bits": cfg.wgt_width,
            "max_bits": cfg.acc_width,
        }
        sums = []
        for b in range(cfg.batch):
            for c in range(0, cfg.block_out, 2 if self.paired else 1):
                dot = DotProductPair(**widths) if self.paired else DotProduct(**widths)
                m.submodules[f"dot{b}_{c}"] = dot
                m.d.comb += [dot.valid.eq(valid), dot.a.eq(inp[b])]
                if self.paired:
                    m.d.comb += [dot.b0.eq(wgt[c]), dot.b1.eq(wgt[c + 1])]
                    sums += [dot.sum0, dot.sum1]
                else:
                    m.d.comb += dot.b.eq(wgt[c])
                    sums.append(dot.sum)
        for cycle in range(self.multiplied_after - 2 - DotProduct.latency(cfg.block_in)):
            early = sums
            sums = [
                Signal.like(one, reset_less=True, name=f"sum{n}_late{cycle}")
                for n, one in enumerate(early)
            ]
            m.d.sync += [one.eq(other) for one, other in zip(sums, early)]
        return sums
