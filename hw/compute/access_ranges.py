"""Access ranges: the accumulators and micro-ops that an instruction reads and writes.

GEMM and ALU, over the micro-ops ``u`` of the instruction:
``low = min u.dst``, ``high = max u.dst + (iter_out - 1) * factor_out + (iter_in - 1) * factor_in``

LOAD: ``low = sram_base``, ``high = low + (rows with padding) * (columns with padding) - 1``

Both ends are clipped to the last entry of the memory. No legal access is beyond that entry.

=========  ====================================================================================
stage      of an instruction
=========  ====================================================================================
accept     ``insn`` is accepted: the word and its unit go into registers
decode     kind of access, rows and columns go into registers
measure    extents (:mod:`~vta.hw.compute.range_extent`) and micro-op bounds
           (:mod:`~vta.hw.compute.uop_bounds`) are computed side by side
sum        the instruction advances, once ``request`` is empty: exact ranges
           (:mod:`~vta.hw.compute.range_sum`) go into registers
clip       clipped ranges go into ``request``; the reads of a unit that only writes are its writes
request    ``request`` is offered
=========  ====================================================================================

=========================================  ========================
instruction                                cycles, ``insn`` to
                                           ``request``
=========================================  ========================
no access; LOAD of one row                 5
LOAD of several rows                       8
GEMM, ALU: micro-op bounds are cached      9; 11 with two operands
GEMM, ALU: one word of micro-ops is read   13
=========================================  ========================

The next instruction is accepted one cycle after the older instruction advances.

A machine with one instruction in flight needs no ranges: there is no older instruction to have a
hazard with (:class:`InOrderRequests`).

Stalls: the measure stage waits for a LOAD in flight that will write the micro-ops of the
instruction (``uop_hazard``); the sum stage waits until the scoreboard has accepted the older
request.
"""

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from vta.hw.compute.issue_request import ExecutionUnit, IssueRequest, UopRangeLayout
from vta.hw.compute.range_extent import DecodedAccessLayout, RangeExtent
from vta.hw.compute.range_sum import RangeSum
from vta.hw.compute.uop_bounds import UopBounds
from vta.hw.compute.uop_memory import UopReadSignature
from vta.hw.interfaces import layout_of
from vta.isa import Isa, MemId, Opcode

__all__ = ["AccessDecoder", "AccessRanges", "InOrderRequests"]


def unit_of(m: Module, insn):
    """The unit that executes an instruction. A LOAD of no columns is a NOP."""
    unit = Signal(ExecutionUnit, name="accepted_unit")
    with m.Switch(insn.opcode):
        with m.Case(Opcode.GEMM):
            m.d.comb += unit.eq(ExecutionUnit.GEMM)
        with m.Case(Opcode.ALU):
            m.d.comb += unit.eq(ExecutionUnit.ALU)
        with m.Case(Opcode.LOAD):
            m.d.comb += unit.eq(Mux(insn.x_size == 0, ExecutionUnit.NONE, ExecutionUnit.LOAD))
        with m.Default():
            m.d.comb += unit.eq(ExecutionUnit.NONE)
    return unit


class AccessDecoder(wiring.Component):
    """The accept and decode stages: an instruction word, its unit, and its kind of access.

    Attributes
    ----------
    accept, insn : In
        A legal instruction, as a word.
    word, unit : Out
        The instruction accepted last.
    access : Out(DecodedAccessLayout)
        Of ``word``, a cycle later.
    """

    PAD_BITS = 5

    def __init__(self, isa: Isa) -> None:
        self.isa = isa
        super().__init__({
            "accept": In(1), "insn": In(isa.memory.bits),
            "word": Out(isa.memory.bits), "unit": Out(ExecutionUnit),
            "access": Out(DecodedAccessLayout()),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        x_pads = Signal(self.PAD_BITS, reset_less=True)
        y_pads = Signal(self.PAD_BITS, reset_less=True)
        accepted = data.View(layout_of(self.isa.memory), self.insn)
        with m.If(self.accept):
            m.d.sync += [
                self.word.eq(self.insn),
                self.unit.eq(unit_of(m, accepted)),
                x_pads.eq(accepted.x_pad_0 + accepted.x_pad_1),
                y_pads.eq(accepted.y_pad_0 + accepted.y_pad_1),
            ]

        load = data.View(layout_of(self.isa.memory), self.word)
        loop = data.View(layout_of(self.isa.alu), self.word)  # GEMM has the same fields
        is_load = self.unit == ExecutionUnit.LOAD
        is_gemm_or_alu = (self.unit == ExecutionUnit.GEMM) | (self.unit == ExecutionUnit.ALU)
        no_uops = (loop.uop_bgn == loop.uop_end) | (loop.iter_out == 0) | (loop.iter_in == 0)
        m.d.sync += [
            self.access.is_transfer.eq(is_load & ((load.y_size != 0) | (y_pads != 0))),
            self.access.single_row.eq(is_load & (load.y_size < 2) & (load.y_size[0] + y_pads == 1)),
            self.access.rows.eq(load.y_size + y_pads),
            self.access.columns.eq(load.x_size + x_pads),
            self.access.is_loop.eq(is_gemm_or_alu & ~no_uops),
            self.access.two_operands.eq((self.unit == ExecutionUnit.ALU) & ~loop.use_imm),
        ]
        return m


def _ports(isa: Isa) -> dict[str, Any]:
    """The members of :class:`AccessRanges` and of :class:`InOrderRequests`."""
    log_uop_depth = isa.cfg.log_uop_depth
    return {
        "insn": In(stream.Signature(isa.memory.bits)),
        "request": Out(stream.Signature(IssueRequest(isa))),
        "uops": Out(UopRangeLayout(log_uop_depth)), "uop_hazard": In(1),
        "busy": Out(1),
        "uop_read": Out(UopReadSignature(log_depth=log_uop_depth, bits=isa.uop.bits)),
    }  # fmt: skip


class AccessRanges(wiring.Component):
    """Computes the access ranges of an instruction while older instructions wait or execute.

    Attributes
    ----------
    insn : stream of words, in
        Legal instructions.
    request : stream of IssueRequest, out
        The same instructions, in order, with unit and ranges.
    uops : Out(UopRangeLayout)
        The micro-ops of the instruction in the measure stage; any range if it has none.
    uop_hazard : In(1)
        A RAW hazard: in the cycle before, an older LOAD had yet to write some of ``uops``.
    busy : Out(1)
        An instruction has been accepted and is not offered yet.
    uop_read : Out(UopReadSignature)
        The micro-op SRAM.
    """

    def __init__(self, isa: Isa) -> None:
        self.isa = isa
        super().__init__(_ports(isa))

    def elaborate(self, platform):
        m = Module()
        cfg = self.isa.cfg
        m.submodules.decoder = decoder = AccessDecoder(self.isa)
        m.submodules.extent = extent = RangeExtent(
            self.isa, max(cfg.log_acc_depth, cfg.log_uop_depth) + 1
        )
        m.submodules.uop_bounds = uop_bounds = UopBounds(self.isa)
        wiring.connect(m, uop_bounds.read, wiring.flipped(self.uop_read))
        unit, access = decoder.unit, decoder.access
        load = data.View(layout_of(self.isa.memory), decoder.word)
        loop = data.View(layout_of(self.isa.alu), decoder.word)
        loads_uops = load.memory == MemId.UOP

        # Pipeline control: one instruction from accept to measure, one in the clip stage.
        accepted = Signal()
        decoded = Signal()
        measured = Signal()
        advance = Signal()
        summed = Signal()
        bounds_ready = access.is_transfer | uop_bounds.done
        accesses_nothing = ~(access.is_transfer | access.is_loop)
        m.d.comb += [
            self.insn.ready.eq(~accepted),
            decoder.accept.eq(self.insn.valid & self.insn.ready),
            decoder.insn.eq(self.insn.payload),
            advance.eq(measured & ~self.request.valid & ~summed),
            self.busy.eq(accepted | summed),
        ]
        m.d.sync += [
            decoded.eq(accepted & ~advance),
            measured.eq(decoded & ~advance & (accesses_nothing | (extent.done & bounds_ready))),
            summed.eq(advance),
        ]
        with m.If(decoder.accept):
            m.d.sync += accepted.eq(1)
        with m.Elif(advance):
            m.d.sync += accepted.eq(0)

        # Measure.
        measured_bounds = Signal.like(uop_bounds.bounds)
        m.d.sync += measured_bounds.eq(uop_bounds.bounds)
        m.d.comb += [
            extent.clear.eq(decoder.accept),
            extent.valid.eq(decoded),
            extent.access.eq(access),
            extent.word.eq(decoder.word),
            self.uops.begin.eq(loop.uop_bgn),
            self.uops.end.eq(loop.uop_end),
            uop_bounds.valid.eq(decoded & access.is_loop),
            uop_bounds.begin.eq(loop.uop_bgn),
            uop_bounds.end.eq(loop.uop_end),
            uop_bounds.stall_read.eq(self.uop_hazard),
            uop_bounds.invalidate.eq(advance & (unit == ExecutionUnit.LOAD) & loads_uops),
        ]

        # Sum and clip.
        m.submodules.range_sum = range_sum = RangeSum(self.isa, len(extent.dst))
        m.d.comb += [
            range_sum.load.eq(advance),
            range_sum.access.eq(access),
            range_sum.word.eq(decoder.word),
            range_sum.bounds.eq(measured_bounds),
            range_sum.transfer.eq(extent.transfer),
            range_sum.dst.eq(extent.dst),
            range_sum.src.eq(extent.src),
        ]
        request = self.request.payload
        with m.If(advance):
            m.d.sync += [request.insn.eq(decoder.word), request.unit.eq(unit)]
        with m.If(self.request.ready):
            m.d.sync += self.request.valid.eq(0)
        with m.If(summed):
            ranges = range_sum.ranges
            reads = Mux(request.unit == ExecutionUnit.ALU, ranges.reads, ranges.writes)
            m.d.sync += [
                self.request.valid.eq(1),
                request.ranges.writes.eq(ranges.writes),
                request.ranges.reads.eq(reads),
                request.ranges.uops.eq(ranges.uops),
            ]
        return m


class InOrderRequests(wiring.Component):
    """In place of :class:`AccessRanges`, with its ports, on a machine that has one instruction in
    flight: requests without ranges, a cycle after the instructions."""

    def __init__(self, isa: Isa) -> None:
        self.isa = isa
        super().__init__(_ports(isa))

    def elaborate(self, platform):
        m = Module()
        request = self.request.payload
        unit = unit_of(m, data.View(layout_of(self.isa.memory), self.insn.payload))
        m.d.comb += self.insn.ready.eq(~self.request.valid | self.request.ready)
        with m.If(self.insn.ready):
            m.d.sync += [
                self.request.valid.eq(self.insn.valid),
                request.insn.eq(self.insn.payload),
                request.unit.eq(unit),
            ]
        return m
