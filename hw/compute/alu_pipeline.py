"""The ALU's pipeline: ``acc[d][lane] = op(acc[d][lane], use_imm ? imm : acc[s][lane])``, wrap 32,
and ``acc[d][lane] = requantise(acc[d][lane], acc[s][lane], imm)``; ``0 + y`` in place of
``op(acc[d][lane], y)`` for the first micro-op of a run that starts.

One micro-op, which is one tile, a cycle:

=====  ======  ===================================================================================
cycle  stage   of a micro-op
=====  ======  ===================================================================================
0      HAZARD  The sequencer offers the indices. They are compared with the ``dst`` of every older
               micro-op in the pipeline.
1      READ    The micro-op is issued: both tiles are read from their banks, unless they are
               forwarded. All stalls are in this stage, except that for a REQUANTISE.
2      OP      Each operand is chosen: read data, a result from EX1, EX2, WB or after WB, or the
               immediate.
3      EX1     The first cycle of the lanes. ADD, MIN and MAX have their result.
4      EX2     The second cycle of the lanes. SHR and MUL have their result.
5      WB      The result is written; REQUANTISE has its result. A read in the next cycle sees it.
               The write is left out if the next micro-op, of the same ``dst`` and instruction, is
               in WB in the next cycle.
=====  ======  ===================================================================================

A dependent chain of ADD, MIN and MAX runs at one micro-op a cycle; a micro-op that reads the result
of the SHR or MUL right before it stalls for one cycle. The result of REQUANTISE is not forwarded: a
micro-op that reads its tile stalls before HAZARD until the result is in WB, four cycles if it is
the next one. Hazards and their costs: :mod:`vta.hw.compute.alu_hazards` and
:mod:`vta.hw.compute.alu_requantise`. READ and OP: :mod:`vta.hw.compute.alu_operands`.
"""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from vta.config import VTAConfig
from vta.hw.compute.accumulators import log_banks
from vta.hw.compute.alu_hazards import FORWARDING_STAGES, AluHazards, InFlightLayout
from vta.hw.compute.alu_lane import (
    LANE_BITS,
    TWO_CYCLE_OPERATIONS,
    WB_OPERATIONS,
    AluLane,
)
from vta.hw.compute.alu_operands import OPERATION_COPIES, OperandFetch, OperandForwarding
from vta.hw.compute.alu_requantise import UnforwardedHazard
from vta.hw.compute.alu_serial import SerialGate
from vta.hw.compute.lookahead import LookaheadSignature
from vta.hw.compute.run_detector import RunDetector
from vta.hw.compute.sequencer import IndexedUopLayout
from vta.hw.interfaces import SramReadSignature, SramWriteSignature
from vta.isa import AluOpcode

__all__ = ["AluPipeline"]


class AluPipeline(wiring.Component):
    """Executes micro-ops with final indices, in order; one a cycle unless READ stalls.

    ``dst`` and ``src`` of a micro-op are read in the same cycle, or, if both are in one bank or
    ``dst`` stalls, ``src`` is read a cycle early. The ``src`` of the next micro-op is then read in
    the cycle in which this ``dst`` is read, and so on. A ``src`` in the bank of the next older
    ``dst`` costs a cycle, after which ``dst`` and ``src`` are read in the same cycle again.

    Parameters
    ----------
    uop : IndexedUopLayout
        With ``dst``, ``src`` and the instruction's ``alu_opcode``, ``use_imm``, ``imm``.
    log_depth : int
        log2 of the number of tiles, or of parts of tiles.
    lanes : int
        Values in a tile, or in a part of one.
    requantises : bool
        Whether the ALU has REQUANTISE.
    starts_runs : bool
        Whether instructions can start runs; ``insn`` of a micro-op then has ``start`` too.
    most_banks : int
        log2 of the largest number of banks.
    log_beats : int
        log2 of the parts of a tile. A micro-op is then one beat (:mod:`vta.hw.compute.alu_beats`):
        an index is that of a part, its low ``log_beats`` bits are the part of the tile.
    dsp48, wide_luts : bool
        As of :class:`~vta.hw.core.Core`.
    multiplies : bool
        Whether the lanes have multipliers; without, a micro-op with a product takes
        :func:`~vta.hw.compute.alu_serial.product_period` cycles.

    Attributes
    ----------
    uop : stream, in
        Micro-ops; not ready while READ stalls.
    ahead : In(uop)
        What ``uop`` offers in the next cycle, if this cycle transfers it or it is not valid.
    dst_read, src_read, write : Out
        The accumulators. ``dst_read`` is :attr:`ISSUE_LATENCY` cycles after ``uop`` at the
        earliest, ``write`` :attr:`LATENCY` cycles after ``dst_read``.
    dst_reserved, src_reserved : In
        A bit for each bank: a read of it by ``dst_read``, ``src_read`` has no result in this cycle
        and is repeated. A micro-op stalls while the bank of its ``dst`` is reserved even if ``dst``
        is forwarded, because GEMM may write that bank in the cycle of ``write``.
    write_lookahead : Out(LookaheadSignature)
        What ``write`` writes in the next cycle.
    tile : Out(1)
        A micro-op is issued in this cycle.
    done : Out(1)
        The last micro-op of an instruction is in WB: a read in the next cycle sees all its results.
    """

    ISSUE_LATENCY = AluHazards.LATENCY
    """Cycles from ``uop`` to READ, without a stall."""
    LATENCY = FORWARDING_STAGES
    """Cycles from READ to WB."""

    def __init__(
        self, uop: IndexedUopLayout, *, log_depth: int, lanes: int, requantises: bool = True,
        starts_runs: bool = False, most_banks: int = VTAConfig.log_acc_banks, log_beats: int = 0,
        dsp48: bool = False, wide_luts: bool = False, multiplies: bool = True,
    ) -> None:  # fmt: skip
        self.dsp48, self.wide_luts, self.multiplies = dsp48, wide_luts, multiplies
        bits = lanes * LANE_BITS
        banks = 1 << log_banks(log_depth - log_beats, most_banks)
        self.most_banks, self.log_beats = most_banks, log_beats
        self.log_depth, self.requantises = log_depth, requantises
        self.starts_runs = starts_runs
        self.tile_layout = data.ArrayLayout(signed(LANE_BITS), lanes)
        read = SramReadSignature(log_depth=log_depth, bits=bits)
        super().__init__({
            "uop": In(stream.Signature(uop)), "ahead": In(uop),
            "dst_read": Out(read), "src_read": Out(read),
            "dst_reserved": In(banks), "src_reserved": In(banks),
            "write_lookahead": Out(LookaheadSignature(log_depth=log_depth)),
            "write": Out(SramWriteSignature(log_depth=log_depth, bits=bits, granule=bits)),
            "tile": Out(1), "done": Out(1),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        layout, tile = self.uop.payload.shape(), self.tile_layout
        if not self.multiplies:
            self.gate = SerialGate(layout, (*TWO_CYCLE_OPERATIONS, *WB_OPERATIONS))
        op, ex1, ex2, wb = in_flight = [
            Signal(InFlightLayout(self.log_depth), name=name) for name in ("op", "ex1", "ex2", "wb")
        ]

        # HAZARD
        m.submodules.hazards = hazards = AluHazards(
            layout,
            log_depth=self.log_depth,
            starts_runs=self.starts_runs,
            most_banks=self.most_banks,
            log_beats=self.log_beats,
        )
        m.d.comb += [
            hazards.dst_reserved.eq(self.dst_reserved),
            hazards.src_reserved.eq(self.src_reserved),
            *(seen.eq(stage) for seen, stage in zip(hazards.in_flight, in_flight, strict=True)),
        ]

        # READ
        m.submodules.fetch = fetch = OperandFetch(
            layout, log_depth=self.log_depth, bits=len(self.write.data),
            log_beats=self.log_beats, wide_luts=self.wide_luts,
        )  # fmt: skip
        self._connect_fetch(m, fetch, hazards, op)

        # OP
        m.submodules.forwarding = forwarding = OperandForwarding(
            layout, tile=tile, log_beats=self.log_beats, wide_luts=self.wide_luts
        )
        ex1_result = Signal(tile)
        ex2_result = Signal(tile)
        wb_result = Signal(tile, reset_less=True)
        after_wb_result = Signal(tile, reset_less=True)
        m.d.comb += [
            forwarding.valid.eq(op.valid),
            forwarding.fetched.eq(fetch.fetched),
            forwarding.dst_bank.eq(self.dst_read.data),
            forwarding.src_bank.eq(self.src_read.data),
            forwarding.early_src.eq(fetch.early_src),
            forwarding.ex1.eq(ex1_result),
            forwarding.ex2.eq(ex2_result),
            forwarding.wb.eq(wb_result),
            forwarding.after_wb.eq(after_wb_result),
        ]

        # EX1, EX2
        m.d.sync += [ex1.eq(op), ex2.eq(ex1), wb.eq(ex2)]
        ex2_writes, wb_writes = Signal(), Signal()  # a write is deferred to the next micro-op
        writes = ex1.valid if self.multiplies else ex1.valid & ~self.gate.is_first
        # The next beat is in another part of a tile.
        is_other_tile = op.dst != ex1.dst if self.log_beats == 0 else 1
        m.d.sync += [
            ex2_writes.eq(writes & (ex1.last | ~op.valid | is_other_tile)),
            wb_writes.eq(ex2_writes),
        ]
        lanes = self._connect_lanes(m, ex1.valid, forwarding, ex1_result, ex2_result)
        ex2_is_unforwarded = Signal()  # a REQUANTISE: its result is not in a register
        unforwarded_result = Signal.like(self.write.data)  # of a REQUANTISE in WB, otherwise 0
        with m.If(ex2.valid):
            m.d.sync += wb_result.eq(Mux(ex2_is_unforwarded, 0, ex2_result.as_value()))

        # WB
        with m.If(wb.valid):
            m.d.sync += after_wb_result.eq(wb_result)
        m.d.comb += [
            self.write_lookahead.valid.eq(ex2_writes),
            self.write_lookahead.addr.eq(ex2.dst),
            self.write.mask.eq(wb_writes),
            self.write.addr.eq(wb.dst),
            self.write.data.eq(wb_result.as_value() | unforwarded_result),
            self.done.eq(wb.last),
        ]
        accepted = hazards.uop
        if not self.multiplies:
            accepted = self._repeat_products(m, hazards, in_flight, lanes)
        if self.starts_runs:
            accepted = self._start_runs(m, accepted)
        if self.requantises:
            m.d.comb += unforwarded_result.eq(Cat(lane.wb_result for lane in lanes))
            self._requantise(
                m, accepted, hazards, fetch, forwarding, in_flight, lanes, ex2_is_unforwarded
            )
        else:
            wiring.connect(m, wiring.flipped(self.uop), accepted)
        return m

    def _connect_fetch(self, m: Module, fetch, hazards, op) -> None:
        """READ: ``fetch`` reads the operands of the micro-ops that ``hazards`` offers; the one that
        is issued is in OP in the next cycle."""
        wiring.connect(m, fetch.dst_read, wiring.flipped(self.dst_read))
        wiring.connect(m, fetch.src_read, wiring.flipped(self.src_read))
        m.d.comb += [
            fetch.early.eq(hazards.early),
            fetch.current.eq(hazards.current),
            hazards.current_leaves.eq(fetch.current_leaves),
            hazards.current_to_early.eq(fetch.current_to_early),
            self.tile.eq(
                fetch.issue_valid if self.multiplies else fetch.issue_valid & ~self.gate.is_first
            ),
        ]
        m.d.sync += [op.valid.eq(fetch.issue_valid), op.last.eq(fetch.issue_last)]
        with m.If(fetch.issue_valid):
            m.d.sync += op.dst.eq(fetch.issue_dst)

    def _connect_lanes(self, m: Module, valid, forwarding, ex1_result, ex2_result) -> list[AluLane]:
        """EX1 and EX2: a lane for each value of a tile."""
        lanes = []
        count = self.tile_layout.length
        for number in range(count):
            m.submodules[f"lane{number}"] = lane = AluLane(
                requantises=self.requantises, multiplies=self.multiplies,
                dsp48=self.dsp48, wide_luts=self.wide_luts,
            )  # fmt: skip
            lanes.append(lane)
            m.d.comb += [
                lane.valid.eq(valid),
                lane.operation.eq(forwarding.operation[number * OPERATION_COPIES // count]),
                lane.x.eq(forwarding.x[number]),
                lane.y.eq(forwarding.y[number]),
                ex1_result[number].eq(lane.ex1_result),
                ex2_result[number].eq(lane.ex2_result),
            ]
        return lanes

    def _repeat_products(self, m: Module, hazards, in_flight, lanes):
        """In front of HAZARD: micro-ops with a product pass twice. Returns the stream of micro-ops
        that pass once."""
        m.submodules.serial = gate = self.gate
        wiring.connect(m, gate.o, hazards.uop)
        held = [slot.valid for slot in (hazards.current, hazards.early, *in_flight)]
        m.d.comb += [gate.is_empty.eq(~Cat(held).any()), gate.in_ex1.eq(in_flight[1].valid)]
        for lane in lanes:
            m.d.comb += [lane.start.eq(gate.start), lane.step.eq(gate.step)]
        return gate.i

    def _start_runs(self, m: Module, entry):
        """In front of HAZARD: ``start`` remains set for the first micro-op of a run only, which
        becomes the ADD of ``y`` to 0. All beats of a micro-op see the same older micro-op.
        ``entry`` takes the micro-ops; returns the stream of micro-ops as they come."""
        accepted = stream.Signature(self.uop.payload.shape()).create()
        uop = entry.payload
        m.submodules.runs = runs = RunDetector(log_depth=self.log_depth - self.log_beats)
        beat, tile = accepted.payload.dst[: self.log_beats], accepted.payload.dst[self.log_beats :]
        starts = accepted.payload.insn.start & runs.first
        m.d.comb += [
            runs.valid.eq(accepted.valid & accepted.ready & (accepted.payload.last | beat.all())),
            runs.last.eq(accepted.payload.last),
            runs.dst.eq(tile),
            uop.eq(accepted.payload),
            uop.insn.start.eq(starts),
            entry.valid.eq(accepted.valid),
            accepted.ready.eq(entry.ready),
        ]
        with m.If(starts):
            m.d.comb += uop.insn.alu_opcode.eq(AluOpcode.ADD)
        return wiring.flipped(accepted)

    def _requantise(
        self, m: Module, accepted, hazards, fetch, forwarding, in_flight, lanes, ex2_is_one
    ) -> None:
        """REQUANTISE: its immediate accompanies it to EX2, its result is written in WB; a micro-op
        that reads its tile does not enter HAZARD before. Drives ``ex2_is_one``."""
        op, ex1, _, _ = in_flight
        ex2_limits = Signal.like(forwarding.imm, reset_less=True)
        ex1_is_one = forwarding.operation[0].requantise
        m.d.sync += [
            ex2_is_one.eq(ex1_is_one), ex2_limits.eq(forwarding.imm),
        ]  # fmt: skip
        for lane in lanes:
            m.d.comb += [lane.limits.eq(ex2_limits), lane.is_requantise.eq(ex2_is_one)]

        m.submodules.unforwarded = gate = UnforwardedHazard(
            self.uop.payload.shape(), log_depth=self.log_depth
        )
        wiring.connect(m, wiring.flipped(self.uop), gate.uop)
        wiring.connect(m, gate.passed, accepted)

        def is_one(opcode):
            return opcode == AluOpcode.REQUANTISE

        current, early = hazards.current, hazards.early
        older = {
            "current": (current.valid & is_one(current.uop.insn.alu_opcode), current.uop.dst),
            "early": (early.valid & is_one(early.uop.insn.alu_opcode), early.uop.dst),
            "op": (op.valid & is_one(fetch.fetched.opcode), op.dst),
            "ex1": (ex1.valid & ex1_is_one, ex1.dst),
        }
        for name, (valid, dst) in older.items():
            m.d.comb += [gate.older[name].valid.eq(valid), gate.older[name].dst.eq(dst)]
        m.d.comb += [
            gate.ahead.eq(self.ahead),
            gate.is_unforwarded.eq(is_one(self.uop.payload.insn.alu_opcode)),
            gate.current_free.eq(hazards.uop.ready),
            gate.current_to_early.eq(fetch.current_to_early),
            gate.early_stays.eq(early.valid & ~early.dst.ready),
            gate.issued.eq(fetch.issue_valid),
            gate.is_early.eq(early.valid),
        ]
