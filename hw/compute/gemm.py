"""GEMM: ``acc[d][b][c] += sum_k inp[s][b][k] * wgt[w][c][k]``, wrap 32; with reset ``acc[d] = 0``.

With the instruction set extension and ``start``, the first product of each run of products with the
same ``dst`` overwrites: ``acc[d][b][c] = sum_k inp[s][b][k] * wgt[w][c][k]``.

One product of a BATCH x BLOCK input tile and a BLOCK x BLOCK weight tile a cycle. With
``D = max(latency of the dot product, 3)``:

===========  ===========  ===================================================================
cycle        stage        of a micro-op
===========  ===========  ===================================================================
0            issue        the sequencer offers the indices; input and weight SRAM are read
1            fetch        the tiles are at the read ports
1            run          ``dst`` is compared with the next older micro-op of the instruction
2            multiply     the tiles are in operand registers
3 .. D + 1   add tree     partial sums
D - 1        hazard       ``dst`` is compared with the four older micro-ops
D            read         the accumulator is read
D + 1        fetch        the accumulator, or a forwarded result, goes into a register
D + 2        accumulate   the sums are complete and are added
D + 3        hold         the result is in its register; ``done`` with the last one
D + 4        write        the result is written
===========  ===========  ===================================================================

RAW hazards on accumulators are resolved by forwarding (:mod:`vta.hw.compute.accumulate`) and never
stall. GEMM has priority at all memories that it uses except the micro-op SRAM, so the only stall is
a gap between micro-ops (:mod:`vta.hw.compute.sequencer`).

Consecutive micro-ops of one instruction with the same ``dst`` accumulate in place: only the last
one writes. The block does not resolve hazards with other units, and does not check that operands
are loaded; see :mod:`vta.hw.compute.issue` and the token queues.
"""

from itertools import pairwise

from amaranth.hdl import Cat, Module, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from vta.config import VTAConfig
from vta.hw.compute.accumulate import Accumulate
from vta.hw.compute.dot import DotProduct, dot_sum_bits
from vta.hw.compute.dot_pair import ChainOffsets, DotProductPair
from vta.hw.compute.lookahead import GEMM_WRITE_LOOKAHEAD, LookaheadSignature
from vta.hw.compute.run_detector import RunDetector
from vta.hw.compute.sequencer import Index, Sequencer
from vta.hw.compute.uop_memory import connect_uops, uop_ports
from vta.hw.interfaces import (
    ErrorLayout,
    SramReadSignature,
    SramWriteSignature,
    error_addr_bits,
    layout_of,
)
from vta.isa import Capability, Isa

__all__ = ["Gemm", "RunDetector", "TileProduct"]


class TileProduct(wiring.Component):
    """``sums[b * BLOCK_OUT + c] = sum_k inp[b][k] * wgt[c][k]``, signed, one tile pair a cycle.

    Parameters
    ----------
    cfg : VTAConfig
        Shape of the tiles and width of their values.
    paired : bool
        Compute two products in one multiplier (:mod:`vta.hw.compute.dot_pair`).

    Attributes
    ----------
    valid : In(1)
        SRAM reads of both tiles are requested in this cycle.
    inp_data, wgt_data : In
        The tiles, a cycle after ``valid``: ``[b][k]`` and ``[c][k]``, the first value lowest.
    sums : Out
        :meth:`latency` cycles after ``valid``.
    """

    def __init__(self, cfg: VTAConfig, *, paired: bool) -> None:
        self.cfg, self.paired = cfg, paired
        self.widths = {
            "length": cfg.block_in,
            "a_bits": cfg.inp_width,
            "b_bits": cfg.wgt_width,
            "max_bits": cfg.acc_width,
        }
        sum_shape = signed(dot_sum_bits(**self.widths))
        super().__init__({
            "valid": In(1),
            "inp_data": In(data.ArrayLayout(cfg.block_in * cfg.inp_width, cfg.batch)),
            "wgt_data": In(data.ArrayLayout(cfg.block_in * cfg.wgt_width, cfg.block_out)),
            "sums": Out(data.ArrayLayout(sum_shape, cfg.batch * cfg.block_out)),
        })  # fmt: skip

    @staticmethod
    def latency(cfg: VTAConfig) -> int:
        """Cycles from ``valid`` to ``sums``. At least 5, however short the dot product: a GEMM
        write is announced ``GEMM_WRITE_LOOKAHEAD`` cycles in advance."""
        return 2 + max(DotProduct.latency(cfg.block_in), Accumulate.ADDEND)

    def elaborate(self, platform):
        m = Module()
        cfg = self.cfg
        inp = Signal.like(self.inp_data, reset_less=True)
        wgt = Signal.like(self.wgt_data, reset_less=True)
        fetch_valid = Signal()
        multiply_valid = Signal()
        m.d.sync += [fetch_valid.eq(self.valid), multiply_valid.eq(fetch_valid)]
        with m.If(fetch_valid):
            m.d.sync += [inp.eq(self.inp_data), wgt.eq(self.wgt_data)]

        sums = []
        for b in range(cfg.batch):
            if self.paired:
                m.submodules[f"offsets{b}"] = offsets = ChainOffsets(
                    length=cfg.block_in, a_bits=cfg.inp_width, b_bits=cfg.wgt_width
                )
                m.d.comb += offsets.a.eq(inp[b])
            for c in range(0, cfg.block_out, 2 if self.paired else 1):
                dot = DotProductPair(**self.widths) if self.paired else DotProduct(**self.widths)
                m.submodules[f"dot{b}_{c}"] = dot
                m.d.comb += [dot.valid.eq(multiply_valid), dot.a.eq(inp[b])]
                if self.paired:
                    m.d.comb += [
                        dot.b0.eq(wgt[c]), dot.b1.eq(wgt[c + 1]), dot.offsets.eq(offsets.offsets),
                    ]  # fmt: skip
                    sums += [dot.sum0, dot.sum1]
                else:
                    m.d.comb += dot.b.eq(wgt[c])
                    sums.append(dot.sum)

        # A short dot product is delayed to the minimum latency.
        for cycle in range(self.latency(cfg) - 2 - DotProduct.latency(cfg.block_in)):
            delayed = [
                Signal.like(value, reset_less=True, name=f"sum{n}_delayed{cycle}")
                for n, value in enumerate(sums)
            ]
            m.d.sync += [register.eq(value) for register, value in zip(delayed, sums)]
            sums = delayed
        m.d.comb += [total.eq(value) for total, value in zip(self.sums, sums)]
        return m


class Gemm(wiring.Component):
    """Executes GEMM instructions, one after the other without a gap.

    Parameters
    ----------
    isa : Isa
        Formats of the instruction and the micro-op; the shape is that of ``isa.cfg``.
    dsp48 : bool
        As of :class:`~vta.hw.core.Core`: products are paired where the values are narrow enough.

    Attributes
    ----------
    insn : stream of the GEMM layout, in
        Legal instructions. One instruction is accepted while the older one executes.
    done : Out(1)
        An instruction writes its last tile in the next cycle: a read in the cycle after that sees
        it.
    product : Out(1)
        A product (not of a reset) is issued in this cycle.
    uop_read, uop_written, uop_written_addr, inp_read, wgt_read, acc_read, acc_write
        The memories.
    acc_read_lookahead, acc_write_lookahead : Out(LookaheadSignature)
        The tile that ``acc_read`` reads in the next cycle, and that ``acc_write`` writes
        :data:`~vta.hw.compute.lookahead.GEMM_WRITE_LOOKAHEAD` cycles later.
    error : ErrorLayout, out
        SRAM_RANGE, see :class:`~vta.hw.compute.sequencer.Sequencer`. Micro-ops that were issued
        before the error still write their results.
    """

    def __init__(self, isa: Isa, *, dsp48: bool = False) -> None:
        self.isa, self.cfg = isa, (cfg := isa.cfg)
        self.paired = dsp48 and DotProductPair.fits(cfg.inp_width, cfg.wgt_width)
        self.accumulate_after = TileProduct.latency(cfg) - Accumulate.ADDEND
        """Cycles from the indices to the hazard stage."""
        self.latency = Sequencer.LATENCY + self.accumulate_after + Accumulate.LATENCY
        """Cycles from ``insn`` to the write of the first tile."""
        bits = cfg.acc_elem_bits
        super().__init__({
            "insn": In(stream.Signature(layout_of(isa.gemm))),
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
            "error": Out(ErrorLayout(error_addr_bits(isa.cfg))),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        cfg = self.cfg
        starts_sums = Capability.GEMM_START in self.isa.capabilities
        m.submodules.sequencer = sequencer = Sequencer(
            self.isa.gemm,
            self.isa.uop,
            (
                Index("dst", cfg.log_acc_depth),
                Index("src", cfg.log_inp_depth, unused_if="reset"),
                Index("wgt", cfg.log_wgt_depth, unused_if="reset"),
            ),
            ("reset", "start") if starts_sums else ("reset",),
            log_depth=cfg.log_uop_depth,
            error_addr_bits=error_addr_bits(cfg),
        )
        wiring.connect(m, wiring.flipped(self.insn), sequencer.insn)
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

        m.submodules.products = products = TileProduct(cfg, paired=self.paired)
        m.d.comb += [
            products.valid.eq(self.product),
            products.inp_data.eq(self.inp_read.data),
            products.wgt_data.eq(self.wgt_read.data),
        ]

        stages = self._uop_stages(m, sequencer, starts_sums=starts_sums)

        # The write of a tile is deferred if the next cycle accumulates into the same tile.
        assert GEMM_WRITE_LOOKAHEAD == Accumulate.LATENCY
        younger, older = stages[-2:]
        defer_write = Signal()
        m.d.comb += [
            defer_write.eq(older.valid & younger.valid & ~older.last & (older.dst == younger.dst)),
            self.acc_write_lookahead.valid.eq(older.valid & ~defer_write),
            self.acc_write_lookahead.addr.eq(older.dst),
        ]

        m.submodules.accumulate = accumulate = Accumulate(
            log_depth=cfg.log_acc_depth,
            lanes=len(products.sums),
            lane_bits=cfg.acc_width,
            addend_bits=len(products.sums[0]),
        )
        m.d.comb += [
            accumulate.valid.eq(stages[-1].valid),
            accumulate.reset.eq(stages[-1].reset),
            accumulate.start.eq(stages[-1].start),
            accumulate.dst.eq(stages[-1].dst),
            accumulate.defer_write.eq(defer_write),
            accumulate.addend.eq(products.sums),
        ]
        wiring.connect(m, accumulate.read, wiring.flipped(self.acc_read))
        wiring.connect(m, accumulate.read_lookahead, wiring.flipped(self.acc_read_lookahead))
        wiring.connect(m, accumulate.write, wiring.flipped(self.acc_write))
        # The micro-op that ends an instruction, until the cycle before its write.
        last_stages = Signal(Accumulate.LATENCY - 1)
        m.d.sync += last_stages.eq(Cat(stages[-1].last, last_stages))
        m.d.comb += self.done.eq(last_stages[-1])
        return m

    def _uop_stages(self, m: Module, sequencer, *, starts_sums: bool) -> list:
        """The micro-ops between issue and the hazard stage, a register for each cycle."""
        op = sequencer.op.payload
        stage = data.StructLayout({
            "valid": 1, "last": 1, "reset": 1, "start": 1, "dst": self.cfg.log_acc_depth,
        })  # fmt: skip
        stages = [Signal(stage, name=f"stage{n}") for n in range(self.accumulate_after + 1)]
        for stage_before, stage_after in pairwise(stages):
            m.d.sync += stage_after.eq(stage_before)
        m.d.comb += [
            stages[0].valid.eq(sequencer.op.valid & ~op.empty),
            stages[0].last.eq(sequencer.op.valid & op.last),
            stages[0].reset.eq(op.insn.reset),
            stages[0].dst.eq(op.dst),
        ]
        if starts_sums:
            m.submodules.runs = runs = RunDetector(log_depth=self.cfg.log_acc_depth)
            m.d.comb += [
                stages[0].start.eq(op.insn.start),
                runs.valid.eq(stages[1].valid),
                runs.last.eq(stages[1].last),
                runs.dst.eq(stages[1].dst),
            ]
            m.d.sync += stages[2].start.eq(stages[1].start & runs.first)
        return stages
