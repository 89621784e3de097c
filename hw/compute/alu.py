"""The ALU: a sequencer of micro-ops, and the pipeline that executes them.

=============================================  =================================================
cycles                                         stages
=============================================  =================================================
``Sequencer.LATENCY``                          loop counters, micro-op fetch, index sums and checks
``AluPipeline.ISSUE_LATENCY``                  HAZARD
``AluPipeline.LATENCY``                        READ, OP, EX1, EX2; the write is in WB
=============================================  =================================================

Loops: :mod:`vta.hw.compute.sequencer`. Stages, stalls and forwarding:
:mod:`vta.hw.compute.alu_pipeline`.
"""

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from vta.hw.compute.accumulators import log_banks
from vta.hw.compute.alu_pipeline import AluPipeline
from vta.hw.compute.lookahead import LookaheadSignature
from vta.hw.compute.sequencer import Index, Sequencer
from vta.hw.compute.uop_memory import connect_uops, uop_ports
from vta.hw.interfaces import ErrorLayout, SramReadSignature, SramWriteSignature, layout_of
from vta.isa import Capability, Isa

__all__ = ["Alu"]


class Alu(wiring.Component):
    """Executes ALU instructions in order, back to back.

    Parameters
    ----------
    isa : Isa
        Formats of the instruction and the micro-op; the shape is that of ``isa.cfg``.

    Attributes
    ----------
    insn : stream of the ALU layout, in
        Legal instructions; the next one is accepted while an older one is executing.
    done : Out(1)
        An instruction writes its last tile in this cycle: a read in the next cycle sees all its
        results.
    tile : Out(1)
        A micro-op, which is one tile, is issued in this cycle.
    uop_read, uop_written, uop_written_addr
        The micro-op SRAM, as of :class:`~vta.hw.compute.sequencer.Sequencer`.
    dst_read, src_read, dst_reserved, src_reserved, acc_write, acc_write_lookahead
        The accumulators, as of :class:`AluPipeline`.
    error : ErrorLayout, out
        SRAM_RANGE, see :class:`~vta.hw.compute.sequencer.Sequencer`. Micro-ops that were issued
        before the error still write their results.
    """

    LATENCY = Sequencer.LATENCY + AluPipeline.ISSUE_LATENCY + AluPipeline.LATENCY
    """Cycles from ``insn`` to the write of the first tile."""

    def __init__(self, isa: Isa) -> None:
        self.isa, cfg = isa, isa.cfg
        bits = cfg.acc_elem_bits
        read = SramReadSignature(log_depth=cfg.log_acc_depth, bits=bits)
        banks = 1 << log_banks(cfg.log_acc_depth, cfg.log_acc_banks)
        write = SramWriteSignature(log_depth=cfg.log_acc_depth, bits=bits, granule=bits)
        super().__init__({
            "insn": In(stream.Signature(layout_of(isa.alu))),
            "done": Out(1), "tile": Out(1),
            **uop_ports(log_depth=cfg.log_uop_depth, bits=isa.uop.bits),
            "dst_read": Out(read), "src_read": Out(read), "acc_write": Out(write),
            "dst_reserved": In(banks), "src_reserved": In(banks),
            "acc_write_lookahead": Out(LookaheadSignature(log_depth=cfg.log_acc_depth)),
            "error": Out(ErrorLayout()),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        cfg = self.isa.cfg
        starts_runs = Capability.ALU_START in self.isa.capabilities
        m.submodules.sequencer = sequencer = Sequencer(
            self.isa.alu,
            self.isa.uop,
            (Index("dst", cfg.log_acc_depth), Index("src", cfg.log_acc_depth, unused_if="use_imm")),
            ("alu_opcode", "use_imm", "imm", *(("start",) if starts_runs else ())),
            log_depth=cfg.log_uop_depth,
        )
        m.submodules.pipeline = pipeline = AluPipeline(
            sequencer.op.payload.shape(),
            log_depth=cfg.log_acc_depth,
            lanes=cfg.batch * cfg.block_out,
            requantises=Capability.REQUANTISE in self.isa.capabilities,
            starts_runs=starts_runs,
            most_banks=cfg.log_acc_banks,
        )
        wiring.connect(m, wiring.flipped(self.insn), sequencer.insn)
        wiring.connect(m, sequencer.op, pipeline.uop)
        connect_uops(m, sequencer, wiring.flipped(self))
        wiring.connect(m, pipeline.dst_read, wiring.flipped(self.dst_read))
        wiring.connect(m, pipeline.src_read, wiring.flipped(self.src_read))
        wiring.connect(m, pipeline.write, wiring.flipped(self.acc_write))
        wiring.connect(m, pipeline.write_lookahead, wiring.flipped(self.acc_write_lookahead))
        m.d.comb += [
            pipeline.dst_reserved.eq(self.dst_reserved),
            pipeline.src_reserved.eq(self.src_reserved),
            self.done.eq(pipeline.done),
            self.tile.eq(pipeline.tile),
            self.error.eq(sequencer.error),
        ]
        return m
