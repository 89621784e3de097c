"""The ALU: a sequencer of micro-ops, and the pipeline that executes them.

=============================================  =================================================
cycles                                         stages
=============================================  =================================================
``Sequencer.LATENCY``                          loop counters, micro-op fetch, index sums and checks
``AluPipeline.ISSUE_LATENCY``                  HAZARD
``AluPipeline.LATENCY``                        READ, OP, EX1, EX2; the write is in WB
=============================================  =================================================

With ``LOG_ALU_BEATS`` above 0 a micro-op takes several cycles, each for a part of the lanes
(:mod:`vta.hw.compute.alu_beats`); the latencies are the same.

Loops: :mod:`vta.hw.compute.sequencer`. Stages, stalls and forwarding:
:mod:`vta.hw.compute.alu_pipeline`.
"""

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from vta.hw.compute.accumulators import log_banks
from vta.hw.compute.alu_beats import BeatPorts, Beats
from vta.hw.compute.alu_pipeline import AluPipeline
from vta.hw.compute.lookahead import LookaheadSignature
from vta.hw.compute.sequencer import Index, IndexedUopLayout, Sequencer
from vta.hw.compute.uop_memory import connect_uops, uop_ports
from vta.hw.interfaces import (
    ErrorLayout,
    SramReadSignature,
    SramWriteSignature,
    error_addr_bits,
    layout_of,
)
from vta.isa import Capability, Isa

__all__ = ["Alu"]


class Alu(wiring.Component):
    """Executes ALU instructions in order, back to back.

    Parameters
    ----------
    isa : Isa
        Formats of the instruction and the micro-op; the shape is that of ``isa.cfg``.
    dsp48, wide_luts : bool
        As of :class:`~vta.hw.core.Core`.

    Attributes
    ----------
    insn : stream of the ALU layout, in
        Legal instructions; the next one is accepted while an older one is executing.
    done : Out(1)
        An instruction writes its last tile in this cycle: a read in the next cycle sees all its
        results.
    tile : Out(1)
        A micro-op, which is one tile, is issued in this cycle, or the last of its beats.
    uop_read, uop_written, uop_written_addr
        The micro-op SRAM, as of :class:`~vta.hw.compute.sequencer.Sequencer`.
    dst_read, src_read, dst_reserved, src_reserved, acc_write, acc_write_lookahead
        The accumulators, as of :class:`AluPipeline`; ``acc_write`` has a bit of its mask for each
        part of a tile.
    error : ErrorLayout, out
        SRAM_RANGE, see :class:`~vta.hw.compute.sequencer.Sequencer`. Micro-ops that were issued
        before the error still write their results.
    """

    LATENCY = Sequencer.LATENCY + AluPipeline.ISSUE_LATENCY + AluPipeline.LATENCY
    """Cycles from ``insn`` to the write of the first tile."""

    def __init__(self, isa: Isa, *, dsp48: bool = False, wide_luts: bool = False) -> None:
        self.isa, self.dsp48, self.wide_luts, cfg = isa, dsp48, wide_luts, isa.cfg
        bits = cfg.acc_elem_bits
        read = SramReadSignature(log_depth=cfg.log_acc_depth, bits=bits)
        banks = 1 << log_banks(cfg.log_acc_depth, cfg.log_acc_banks)
        write = SramWriteSignature(
            log_depth=cfg.log_acc_depth, bits=bits, granule=bits >> cfg.log_alu_beats
        )
        super().__init__({
            "insn": In(stream.Signature(layout_of(isa.alu))),
            "done": Out(1), "tile": Out(1),
            **uop_ports(log_depth=cfg.log_uop_depth, bits=isa.uop.bits),
            "dst_read": Out(read), "src_read": Out(read), "acc_write": Out(write),
            "dst_reserved": In(banks), "src_reserved": In(banks),
            "acc_write_lookahead": Out(LookaheadSignature(log_depth=cfg.log_acc_depth)),
            "error": Out(ErrorLayout(error_addr_bits(isa.cfg))),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        cfg = self.isa.cfg
        starts_runs = Capability.ALU_START in self.isa.capabilities
        beats = cfg.log_alu_beats
        carried = ("alu_opcode", "use_imm", "imm", *(("start",) if starts_runs else ()))

        def indices(log_depth: int) -> tuple[Index, Index]:
            return Index("dst", log_depth), Index("src", log_depth, unused_if="use_imm")

        m.submodules.sequencer = sequencer = Sequencer(
            self.isa.alu, self.isa.uop, indices(cfg.log_acc_depth), carried,
            log_depth=cfg.log_uop_depth, error_addr_bits=error_addr_bits(cfg),
        )  # fmt: skip
        m.submodules.pipeline = pipeline = AluPipeline(
            IndexedUopLayout(self.isa.alu, indices(cfg.log_acc_depth + beats), carried),
            log_depth=cfg.log_acc_depth + beats,
            lanes=cfg.alu_lanes,
            requantises=Capability.REQUANTISE in self.isa.capabilities,
            starts_runs=starts_runs,
            most_banks=cfg.log_acc_banks,
            log_beats=beats,
            dsp48=self.dsp48,
            wide_luts=self.wide_luts,
            multiplies=bool(cfg.alu_multiplier),
        )
        wiring.connect(m, wiring.flipped(self.insn), sequencer.insn)
        connect_uops(m, sequencer, wiring.flipped(self))
        if beats:
            self._connect_beats(m, sequencer, pipeline)
        else:
            wiring.connect(m, sequencer.op, pipeline.uop)
            m.d.comb += pipeline.ahead.eq(sequencer.ahead)
            wiring.connect(m, pipeline.dst_read, wiring.flipped(self.dst_read))
            wiring.connect(m, pipeline.src_read, wiring.flipped(self.src_read))
            wiring.connect(m, pipeline.write, wiring.flipped(self.acc_write))
            wiring.connect(m, pipeline.write_lookahead, wiring.flipped(self.acc_write_lookahead))
        m.d.comb += [
            pipeline.dst_reserved.eq(self.dst_reserved),
            pipeline.src_reserved.eq(self.src_reserved),
            self.done.eq(pipeline.done),
            self.tile.eq(pipeline.tile & pipeline.dst_read.addr[:beats].all()),
            self.error.eq(sequencer.error),
        ]
        return m

    def _connect_beats(self, m: Module, sequencer: Sequencer, pipeline: AluPipeline) -> None:
        """The pipeline executes beats, on parts of the tiles."""
        cfg = self.isa.cfg
        m.submodules.beats = beats = Beats(
            sequencer.op.payload.shape(),
            pipeline.uop.payload.shape(),
            log_beats=cfg.log_alu_beats,
        )
        m.submodules.ports = ports = BeatPorts(
            log_depth=cfg.log_acc_depth,
            bits=cfg.acc_elem_bits,
            log_beats=cfg.log_alu_beats,
            one_bank=log_banks(cfg.log_acc_depth, cfg.log_acc_banks) == 0,
        )
        wiring.connect(m, sequencer.op, beats.i)
        wiring.connect(m, beats.o, pipeline.uop)
        m.d.comb += [beats.i_ahead.eq(sequencer.ahead), pipeline.ahead.eq(beats.ahead)]
        wiring.connect(m, pipeline.dst_read, ports.dst_part)
        wiring.connect(m, pipeline.src_read, ports.src_part)
        wiring.connect(m, pipeline.write, ports.write_part)
        wiring.connect(m, pipeline.write_lookahead, ports.part_lookahead)
        wiring.connect(m, ports.dst_read, wiring.flipped(self.dst_read))
        wiring.connect(m, ports.src_read, wiring.flipped(self.src_read))
        wiring.connect(m, ports.write, wiring.flipped(self.acc_write))
        wiring.connect(m, ports.write_lookahead, wiring.flipped(self.acc_write_lookahead))
