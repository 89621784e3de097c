"""Issues the instructions of the compute module in order, and retires them in order.

An instruction starts when its tokens are there and no other unit is at work: a unit runs its own
instructions in order and without a gap, but does not see what another has not written yet. It
retires, and pushes its tokens, when it and all before it are done.
"""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

from vta.hw.interfaces import ErrorLayout, TokenSignature, layout_of
from vta.isa import Isa, Opcode
from vta.memmap import ErrorCode, ModuleState, Source

__all__ = ["Issue", "Unit"]


class Unit(enum.Enum, shape=2):
    """Who executes an instruction."""

    LOAD = 0
    GEMM = 1
    ALU = 2
    NONE = 3
    """Nobody: it only carries tokens (a NOP), or ends the run (FINISH)."""


class Issue(wiring.Component):
    """From the instruction queue to the units, and from their completions to the tokens.

    Parameters
    ----------
    isa : Isa
        Formats of the instructions.

    Attributes
    ----------
    insn, tokens, state, retired, error
        As every module has them. ``error`` is AFTER_FINISH for an instruction after FINISH.
    load, gemm, alu : stream of the instruction's layout, out
        Instructions to execute.
    load_done, gemm_done, alu_done : In(1)
        The oldest instruction of the unit is done: reads from the next cycle on see its effects.
    finished : Out(1)
        FINISH has retired; held until reset.
    """

    DEPTH = 8
    """Instructions that may be under way."""

    def __init__(self, isa: Isa) -> None:
        self.isa = isa
        super().__init__({
            "insn": In(stream.Signature(isa.memory.bits)),
            "tokens": Out(TokenSignature()),
            "state": Out(ModuleState),
            "retired": Out(1),
            "error": Out(ErrorLayout()),
            "load": Out(stream.Signature(layout_of(isa.memory))),
            "gemm": Out(stream.Signature(layout_of(isa.gemm))),
            "alu": Out(stream.Signature(layout_of(isa.alu))),
            "load_done": In(1), "gemm_done": In(1), "alu_done": In(1),
            "finished": Out(1),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        tokens = self.tokens
        entry = data.StructLayout({"unit": Unit, "finish": 1, "push_prev": 1, "push_next": 1})
        m.submodules.under_way = under_way = SyncFIFO(width=entry.size, depth=self.DEPTH)
        newest, oldest = Signal(entry), data.View(entry, under_way.r_data)
        m.d.comb += under_way.w_data.eq(newest)

        # The instruction at the head of the queue: what it needs, and whether it is there.
        head = data.View(layout_of(self.isa.memory), self.insn.payload)
        unit, has_tokens, may_start, starts = Signal(Unit), Signal(), Signal(), Signal()
        with m.Switch(head.opcode):
            with m.Case(Opcode.GEMM):
                m.d.comb += unit.eq(Unit.GEMM)
            with m.Case(Opcode.ALU):
                m.d.comb += unit.eq(Unit.ALU)
            with m.Case(Opcode.LOAD):
                m.d.comb += unit.eq(Mux(head.x_size == 0, Unit.NONE, Unit.LOAD))
            with m.Default():
                m.d.comb += unit.eq(Unit.NONE)
        finishing = Signal()
        others_rest, retires = self._account(m, unit, starts, oldest.unit, under_way.r_rdy)
        m.d.comb += [
            has_tokens.eq(
                (~head.pop_prev | tokens.prev_avail) & (~head.pop_next | tokens.next_avail)
            ),
            may_start.eq(self.insn.valid & has_tokens & others_rest & under_way.w_rdy & ~finishing),
            self.insn.ready.eq(starts),
            tokens.pop_prev.eq(starts & head.pop_prev),
            tokens.pop_next.eq(starts & head.pop_next),
        ]

        # It starts when its unit takes it.
        streams = {Unit.LOAD: self.load, Unit.GEMM: self.gemm, Unit.ALU: self.alu}
        with m.Switch(unit):
            for which, port in streams.items():
                m.d.comb += port.payload.eq(self.insn.payload)
                with m.Case(which):
                    m.d.comb += [port.valid.eq(may_start), starts.eq(may_start & port.ready)]
            with m.Default():
                m.d.comb += starts.eq(may_start)
        m.d.comb += [
            under_way.w_en.eq(starts),
            newest.unit.eq(unit),
            newest.finish.eq(head.opcode == Opcode.FINISH),
            newest.push_prev.eq(head.push_prev),
            newest.push_next.eq(head.push_next),
        ]
        with m.If(starts & newest.finish):
            m.d.sync += finishing.eq(1)

        # The oldest one under way retires when it is done.
        m.d.comb += [
            under_way.r_en.eq(retires),
            self.retired.eq(retires),
            tokens.push_prev.eq(retires & oldest.push_prev),
            tokens.push_next.eq(retires & oldest.push_next),
        ]
        with m.If(retires & oldest.finish):
            m.d.sync += self.finished.eq(1)
        after_finish = {"code": ErrorCode.AFTER_FINISH, "source": Source.COMPUTE, "addr": 0}
        m.d.comb += self.error.eq(
            Mux(self.finished & self.insn.valid, ErrorLayout().const(after_finish), 0)
        )

        with m.If(under_way.r_rdy | (self.insn.valid & has_tokens)):
            m.d.comb += self.state.eq(ModuleState.RUNNING)
        with m.Elif(self.insn.valid):
            m.d.comb += self.state.eq(ModuleState.WAITING)
        with m.Else():
            m.d.comb += self.state.eq(ModuleState.IDLE)
        return m

    def _account(self, m: Module, unit, starts, oldest, any_under_way):
        """Counts each unit's instructions at work, and done but not retired.

        Gives whether all units but ``unit`` are at rest from the next cycle on, and whether the
        oldest instruction under way, of unit ``oldest``, retires.
        """
        others_rest, retires = Signal(), Signal()
        dones = {Unit.LOAD: self.load_done, Unit.GEMM: self.gemm_done, Unit.ALU: self.alu_done}
        works, is_done = [], []
        for which, done in dones.items():
            name = which.name.lower()
            working = Signal(range(self.DEPTH + 1), name=f"{name}_working")
            unretired = Signal(range(self.DEPTH + 1), name=f"{name}_unretired")
            m.d.sync += [
                working.eq(working + (starts & (unit == which)) - done),
                unretired.eq(unretired + done - (retires & (oldest == which))),
            ]
            works.append((unit != which) & (working != done))
            is_done.append((oldest == which) & ((unretired != 0) | done))
        m.d.comb += [
            others_rest.eq((unit == Unit.NONE) | ~Cat(works).any()),
            retires.eq(any_under_way & ((oldest == Unit.NONE) | Cat(is_done).any())),
        ]
        return others_rest, retires
