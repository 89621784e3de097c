"""Access ranges with any value, in place of the block that computes them: for proofs of issue."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.data import View
from amaranth.lib.wiring import In, Out

from vta.config import VTAConfig
from vta.hw.compute.issue_request import (
    AccessRangesLayout,
    ExecutionUnit,
    IssueRequest,
    UopRangeLayout,
)
from vta.hw.compute.uop_memory import UopReadSignature
from vta.hw.interfaces import layout_of
from vta.isa import Isa, Opcode

__all__ = ["CFG", "ISA", "RANGES", "UNITS", "AnyAccessRanges", "reads_are_legal", "unit_of"]

CFG = VTAConfig.preset("tiny").replace(log_acc_buff_size=7, log_uop_buff_size=5)
"""With 8 accumulators and 8 micro-ops."""
ISA = Isa.of(CFG)
UNITS = {
    ExecutionUnit.LOAD: "load", ExecutionUnit.GEMM: "gemm", ExecutionUnit.ALU: "alu",
}  # fmt: skip
RANGES = ("writes", "reads", "uops")


def unit_of(word):
    """The number of the unit that executes an instruction of the compute module."""
    insn = View(layout_of(ISA.memory), word)
    is_load = (insn.opcode == Opcode.LOAD) & (insn.x_size != 0)
    load_or_none = Mux(is_load, ExecutionUnit.LOAD.value, ExecutionUnit.NONE.value)
    alu = Mux(insn.opcode == Opcode.ALU, ExecutionUnit.ALU.value, load_or_none)
    return Mux(insn.opcode == Opcode.GEMM, ExecutionUnit.GEMM.value, alu)


def reads_are_legal(unit, ranges):
    """Only the ALU has ``reads`` of its own; those of the other units are their ``writes``."""
    same = ranges.reads.as_value() == ranges.writes.as_value()
    return (unit == ExecutionUnit.ALU.value) | same


class AnyAccessRanges(wiring.Component):
    """The ports of :class:`~vta.hw.compute.access_ranges.AccessRanges`. An instruction has any
    access ranges, and its request is offered in the cycle in which ``insn`` is."""

    any_ranges = Signal(AccessRangesLayout(ISA))
    any_uops = Signal(UopRangeLayout(CFG.log_uop_depth))
    any_busy = Signal()
    uop_hazard_seen = Signal()
    """The answer of the scoreboard to ``any_uops``."""

    def __init__(self, isa):
        log_depth = isa.cfg.log_uop_depth
        super().__init__({
            "insn": In(stream.Signature(isa.memory.bits)),
            "request": Out(stream.Signature(IssueRequest(isa))),
            "uops": Out(UopRangeLayout(log_depth)), "uop_hazard": In(1), "busy": Out(1),
            "uop_read": Out(UopReadSignature(log_depth=log_depth, bits=isa.uop.bits)),
        })  # fmt: skip

    @classmethod
    def free(cls):
        """The signals that may have any value in any cycle."""
        return [cls.any_ranges.as_value(), cls.any_uops.as_value(), cls.any_busy]

    def elaborate(self, platform):
        m = Module()
        request = self.request
        m.d.comb += [
            request.valid.eq(self.insn.valid),
            self.insn.ready.eq(request.ready),
            request.payload.insn.eq(self.insn.payload),
            request.payload.unit.eq(unit_of(self.insn.payload)),
            request.payload.ranges.eq(self.any_ranges),
            self.uops.eq(self.any_uops),
            self.busy.eq(self.any_busy),
            self.uop_hazard_seen.eq(self.uop_hazard),
        ]
        return m
