"""The issue stage: instructions issue in order, execute on three units, and retire in order.

An instruction issues when

- the tokens that the instruction pops are available (both, if it pops two),
- it has no RAW, WAR or WAW hazard with an older instruction that executes on another unit,
- an entry of the scoreboard is free, and
- its execution unit accepts it.

A unit executes its instructions in order and without a gap; each instruction sees the results of
all older ones. An instruction retires, and pushes its tokens, when this instruction and all older
ones are done.

===========  ==================================================================================
stage        of an instruction
===========  ==================================================================================
ranges       access ranges are computed (:mod:`vta.hw.compute.access_ranges`)
dependency   hazards with the instructions in flight (:mod:`vta.hw.compute.scoreboard`)
issue        tokens are popped, the instruction goes to its unit
execute      the unit pulses ``*_done`` with the last write (GEMM: a cycle earlier)
retire       from the next cycle on, the oldest instruction first; tokens are pushed
===========  ==================================================================================

=========================================  ===========================================
stall of the issue stage                   cost
=========================================  ===========================================
a token is not available                   until the cycle after it is available
hazard                                     until two cycles after the older instruction
                                           is done
all entries of the scoreboard are valid    until the oldest instruction retires
the queue of the unit is full              until the unit accepts
=========================================  ===========================================

The stage does not check instructions: :mod:`vta.hw.frontend.decode` lets only legal ones through.
"""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from vta.hw.compute.access_ranges import AccessRanges, InOrderRequests
from vta.hw.compute.issue_request import ExecutionUnit
from vta.hw.compute.scoreboard import Scoreboard
from vta.hw.compute.uop_memory import UopReadSignature
from vta.hw.interfaces import ErrorLayout, TokenSignature, error_addr_bits, layout_of
from vta.isa import Isa, Opcode
from vta.memmap import ErrorCode, ModuleState, Source

__all__ = ["Issue"]


class Issue(wiring.Component):
    """Dispatches the instructions of the compute module, and turns completions into tokens.

    Parameters
    ----------
    isa : Isa
        Formats of the instructions.

    Attributes
    ----------
    insn, tokens, state, retired, error
        As in every module (:func:`~vta.hw.interfaces.module_status`). ``error`` is AFTER_FINISH for
        an instruction after FINISH.
    load, gemm, alu : stream of the instruction's layout, out
        Instructions to execute, at most one in a cycle.
    load_done, gemm_done, alu_done : In(1)
        The oldest executing instruction of the unit is done: reads two cycles later and from then
        on see its writes. (No instruction that depends on it issues before, and no token reaches
        another module.)
    uop_read : Out(UopReadSignature)
        The micro-op SRAM, for the bounds of the micro-ops.
    finished : Out(1)
        FINISH has retired; held until reset.
    """

    LATENCY = 17
    """Cycles until an instruction with one word of micro-ops can issue, if nothing stalls it.
    Access ranges are computed while older instructions execute."""

    def __init__(self, isa: Isa) -> None:
        self.isa, self.error_layout = isa, ErrorLayout(error_addr_bits(isa.cfg))
        super().__init__({
            "insn": In(stream.Signature(isa.memory.bits)),
            "tokens": Out(TokenSignature()),
            "state": Out(ModuleState),
            "retired": Out(1),
            "error": Out(self.error_layout),
            "load": Out(stream.Signature(layout_of(isa.memory))),
            "gemm": Out(stream.Signature(layout_of(isa.gemm))),
            "alu": Out(stream.Signature(layout_of(isa.alu))),
            "load_done": In(1), "gemm_done": In(1), "alu_done": In(1),
            "uop_read": Out(
                UopReadSignature(log_depth=isa.cfg.log_uop_depth, bits=isa.uop.bits)
            ),
            "finished": Out(1),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        tokens = self.tokens
        in_order = self.isa.cfg.issue_depth == 1
        requests = InOrderRequests if in_order else AccessRanges
        m.submodules.access_ranges = access_ranges = requests(self.isa)
        m.submodules.scoreboard = scoreboard = Scoreboard(self.isa)
        wiring.connect(m, wiring.flipped(self.insn), access_ranges.insn)
        wiring.connect(m, access_ranges.uop_read, wiring.flipped(self.uop_read))
        wiring.connect(m, access_ranges.request, scoreboard.request)
        m.d.comb += [
            scoreboard.load_done.eq(self.load_done),
            scoreboard.gemm_done.eq(self.gemm_done),
            scoreboard.alu_done.eq(self.alu_done),
            scoreboard.uops.eq(access_ranges.uops),
            access_ranges.uop_hazard.eq(scoreboard.uop_hazard),
        ]

        # Tokens. Availability is registered: no two instructions issue in consecutive cycles, so
        # a registered token cannot have been popped in the cycle before.
        insn = data.View(layout_of(self.isa.memory), scoreboard.next.insn)
        prev_available = Signal()
        next_available = Signal()
        tokens_available = Signal()
        issue_valid = Signal()
        issued = Signal()
        m.d.sync += [
            prev_available.eq(tokens.prev_avail),
            next_available.eq(tokens.next_avail),
        ]
        m.d.comb += [
            tokens_available.eq(
                (~insn.pop_prev | prev_available) & (~insn.pop_next | next_available)
            ),
            tokens.pop_prev.eq(issued & insn.pop_prev),
            tokens.pop_next.eq(issued & insn.pop_next),
        ]

        # Issue, when the unit accepts.
        finish_issued = Signal()
        m.d.comb += [
            issue_valid.eq(scoreboard.ready_to_issue & tokens_available & ~finish_issued),
            scoreboard.issue.eq(issued),
        ]
        units = {
            ExecutionUnit.LOAD: self.load,
            ExecutionUnit.GEMM: self.gemm,
            ExecutionUnit.ALU: self.alu,
        }
        with m.Switch(scoreboard.next.unit):
            for unit, port in units.items():
                m.d.comb += port.payload.eq(scoreboard.next.insn)
                with m.Case(unit):
                    m.d.comb += [port.valid.eq(issue_valid), issued.eq(issue_valid & port.ready)]
            with m.Case(ExecutionUnit.NONE):
                m.d.comb += issued.eq(issue_valid)
        with m.If(issued & (insn.opcode == Opcode.FINISH)):
            m.d.sync += finish_issued.eq(1)

        # Retire.
        m.d.comb += [
            self.retired.eq(scoreboard.retire),
            tokens.push_prev.eq(scoreboard.retire & scoreboard.retire_push_prev),
            tokens.push_next.eq(scoreboard.retire & scoreboard.retire_push_next),
        ]
        with m.If(scoreboard.retire & scoreboard.retire_finish):
            m.d.sync += self.finished.eq(1)
        after_finish = {"code": ErrorCode.AFTER_FINISH, "source": Source.COMPUTE, "addr": 0}
        with m.If(self.finished & scoreboard.next_valid):
            m.d.comb += self.error.eq(self.error_layout.const(after_finish))

        self._drive_state(m, access_ranges, scoreboard, tokens_available)
        return m

    def _drive_state(self, m: Module, access_ranges, scoreboard, tokens_available) -> None:
        """Drives ``state``. WAITING: nothing is in flight, and the next instruction lacks a token.
        Younger instructions behind it do not make the module RUNNING."""
        range_pending = scoreboard.request.valid | access_ranges.busy | self.insn.valid
        with m.If(scoreboard.in_flight | (scoreboard.next_valid & tokens_available)):
            m.d.comb += self.state.eq(ModuleState.RUNNING)
        with m.Elif(scoreboard.next_valid):
            m.d.comb += self.state.eq(ModuleState.WAITING)
        with m.Elif(range_pending):
            m.d.comb += self.state.eq(ModuleState.RUNNING)
        with m.Else():
            m.d.comb += self.state.eq(ModuleState.IDLE)
