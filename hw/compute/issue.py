"""Issues the instructions of the compute module in order, and retires them in order.

An instruction starts when its tokens are there and it touches nothing that an instruction before
it, under way on another unit, is yet to write, nor writes what that is yet to read. A unit runs its
own instructions in order and without a gap, each seeing what the ones before it wrote. An
instruction retires, and pushes its tokens, when it and all before it are done.
"""

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from vta.hw.compute.access_ranges import (
    AccessRanges,
    AccessRangesLayout,
    ExecutionUnit,
    IssueRequest,
    UopRangeLayout,
    conflict,
)
from vta.hw.compute.uop_memory import UopReadSignature
from vta.hw.interfaces import ErrorLayout, TokenSignature, layout_of
from vta.isa import Isa, Opcode
from vta.memmap import ErrorCode, ModuleState, Source

__all__ = ["EntryLayout", "Issue", "Scoreboard"]


class EntryLayout(data.StructLayout):
    """An instruction under way, at work until ``works`` goes low; ``ahead``: instructions before it
    at work on its unit."""

    def __init__(self, isa: Isa) -> None:
        super().__init__({
            "live": 1, "works": 1, "unit": ExecutionUnit, "ahead": range(Scoreboard.DEPTH),
            "finish": 1, "push_prev": 1, "push_next": 1, "footprint": AccessRangesLayout(isa),
        })  # fmt: skip


class Scoreboard(wiring.Component):
    """The next instruction, and those under way, the oldest first.

    What the next one conflicts with is found out in the cycle in which it comes, and looked at in
    the one after it; from then on it only watches these come to their ends.

    Parameters
    ----------
    isa : Isa
        Formats of the instructions.

    Attributes
    ----------
    work : stream of IssueRequest, in
        Instructions, with what they touch.
    next_valid, next : Out
        The one that starts next.
    clear : Out(1)
        It waits for none of those under way, and there is a place for it.
    start : In(1)
        It starts (only with ``clear``).
    uops, uops_pending : In, Out
        Whether a LOAD here is yet to write some of these micro-ops; a cycle later.
    load_done, gemm_done, alu_done : In(1)
        The oldest instruction of the unit is done: reads from the next cycle on see its effects.
    any, retires : Out(1)
        Something is under way; the oldest retires in this cycle.
    finishes, pushes_prev, pushes_next : Out(1)
        What it was, and what it pushes.
    """

    DEPTH = 8
    """Instructions that may be under way."""

    def __init__(self, isa: Isa) -> None:
        self.isa = isa
        super().__init__({
            "work": In(stream.Signature(IssueRequest(isa))),
            "next_valid": Out(1), "next": Out(IssueRequest(isa)), "clear": Out(1), "start": In(1),
            "uops": In(UopRangeLayout(isa.cfg.log_uop_depth)), "uops_pending": Out(1),
            "load_done": In(1), "gemm_done": In(1), "alu_done": In(1),
            "any": Out(1), "retires": Out(1),
            "finishes": Out(1), "pushes_prev": Out(1), "pushes_next": Out(1),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        entry = EntryLayout(self.isa)
        entries = [Signal(entry, name=f"entry{n}") for n in range(self.DEPTH)]
        dones = Cat(self.load_done, self.gemm_done, self.alu_done)  # by ExecutionUnit

        def done(unit):
            """Whether the oldest instruction of a unit is done."""
            return dones.bit_select(unit.as_value(), 1)

        works = [Signal(name=f"works{n}") for n in range(self.DEPTH)]
        for one, at_work in zip(entries, works):
            ends = done(one.unit) & (one.ahead == 0)
            m.d.comb += at_work.eq(one.works & ~ends)
        oldest = entries[0]
        m.d.comb += [
            self.any.eq(oldest.live),
            self.retires.eq(oldest.live & ~oldest.works),
            self.finishes.eq(oldest.finish),
            self.pushes_prev.eq(oldest.push_prev),
            self.pushes_next.eq(oldest.push_next),
        ]
        compared = self._admit(m, entries)
        self._find_loads(m, entries)
        ahead = Signal(range(self.DEPTH + 1))
        before = Mux(compared, ahead, self._count(m, dones))
        m.d.sync += ahead.eq(before - done(self.next.unit))

        # The one that starts goes behind the last, and all move up when the oldest retires.
        new = Signal(entry)
        head = data.View(layout_of(self.isa.memory), self.next.insn)
        m.d.comb += [
            new.live.eq(1),
            new.works.eq(self.next.unit != ExecutionUnit.NONE),
            new.unit.eq(self.next.unit),
            new.ahead.eq(ahead - done(self.next.unit)),
            new.footprint.eq(self.next.footprint),
            new.finish.eq(head.opcode == Opcode.FINISH),
            new.push_prev.eq(head.push_prev),
            new.push_next.eq(head.push_next),
        ]
        after = [Signal(entry, name=f"after{n}") for n in range(self.DEPTH + 1)]
        for n, (one, at_work) in enumerate(zip(entries, works)):
            m.d.comb += [
                after[n].eq(one),
                after[n].works.eq(at_work),
                after[n].ahead.eq(one.ahead - done(one.unit)),
            ]
            with m.If(self.start & ~one.live & (entries[n - 1].live if n else 1)):
                m.d.comb += after[n].eq(new)
            m.d.sync += one.eq(Mux(self.retires, after[n + 1], after[n]))
        return m

    def _admit(self, m: Module, entries) -> Signal:
        """Takes the next instruction in, and knows what it waits for: a bit for each entry. None
        starts before that is known, so that nothing is missed. An end is seen a cycle late. Gives
        whether it is known."""
        work = self.work.payload
        conflicts = (
            (one.unit != work.unit) & conflict(work.footprint, work.unit, one.footprint, one.unit)
            for one in entries
        )
        bare = Signal(self.DEPTH)  # in the cycle in which the next one comes, whoever is at work
        moved = Signal()  # since then
        compared = Signal()
        waits = Signal(self.DEPTH)
        watched = Signal(self.DEPTH)
        at_work = Cat(one.works for one in entries)
        m.d.comb += [
            self.work.ready.eq(~self.next_valid),
            watched.eq(Mux(compared, waits, Mux(moved, bare >> 1, bare)) & at_work),
            self.clear.eq(compared & ~entries[-1].live & ~waits.any()),
        ]
        m.d.sync += [
            bare.eq(Cat(conflicts)),
            moved.eq(self.retires),
            compared.eq(self.next_valid & ~self.start),
            waits.eq(Mux(self.retires, watched >> 1, watched)),
        ]
        with m.If(self.work.ready):
            m.d.sync += [self.next_valid.eq(self.work.valid), self.next.eq(work)]
        with m.Elif(self.start):
            m.d.sync += self.next_valid.eq(0)
        return compared

    def _find_loads(self, m: Module, entries) -> None:
        """Drives ``uops_pending``."""
        loads = [
            there
            & (unit == ExecutionUnit.LOAD)
            & footprint.uops.used
            & (footprint.uops.low < self.uops.end)
            & (self.uops.low <= footprint.uops.high)
            for there, unit, footprint in (
                (self.work.valid, self.work.payload.unit, self.work.payload.footprint),
                (self.next_valid, self.next.unit, self.next.footprint),
                *((one.works, one.unit, one.footprint) for one in entries),
            )
        ]
        m.d.sync += self.uops_pending.eq(Cat(loads).any())

    def _count(self, m: Module, dones):
        """How many are at work on the unit of the next instruction."""
        counts = Array(Signal(range(self.DEPTH + 1), name=f"at_work{n}") for n in range(len(dones)))
        for unit, (count, done) in enumerate(zip(counts, dones)):
            starts = self.start & (self.next.unit.as_value() == unit)
            m.d.sync += count.eq(count + starts - done)
        return counts[self.next.unit.as_value()]


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
    uop_read : Out(UopReadSignature)
        The micro-op SRAM, to find out what an instruction touches.
    finished : Out(1)
        FINISH has retired; held until reset.
    """

    DEPTH = Scoreboard.DEPTH
    LATENCY = 17
    """Cycles until an instruction of few micro-ops may start, unless it must wait; while ones
    before it are under way, the instruction after them is made ready."""

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
            "uop_read": Out(
                UopReadSignature(log_depth=isa.cfg.log_uop_depth, bits=isa.uop.bits)
            ),
            "finished": Out(1),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        tokens = self.tokens
        m.submodules.footprints = footprints = AccessRanges(self.isa)
        m.submodules.scoreboard = board = Scoreboard(self.isa)
        wiring.connect(m, wiring.flipped(self.insn), footprints.insn)
        wiring.connect(m, footprints.uop_read, wiring.flipped(self.uop_read))
        wiring.connect(m, footprints.work, board.work)

        # The next instruction: what it needs, and whether it is there.
        work, valid = board.next, board.next_valid
        head = data.View(layout_of(self.isa.memory), work.insn)
        has_tokens = Signal()
        may_start = Signal()
        starts = Signal()
        finishing = Signal()
        # From the cycle before: nothing starts, and takes tokens, in two cycles on end.
        prev_there = Signal()
        next_there = Signal()
        m.d.sync += [prev_there.eq(tokens.prev_avail), next_there.eq(tokens.next_avail)]
        m.d.comb += [
            board.start.eq(starts),
            board.load_done.eq(self.load_done),
            board.gemm_done.eq(self.gemm_done),
            board.alu_done.eq(self.alu_done),
            has_tokens.eq((~head.pop_prev | prev_there) & (~head.pop_next | next_there)),
            may_start.eq(board.clear & has_tokens & ~finishing),
            tokens.pop_prev.eq(starts & head.pop_prev),
            tokens.pop_next.eq(starts & head.pop_next),
            board.uops.eq(footprints.uops),
            footprints.uops_pending.eq(board.uops_pending),
        ]

        # It starts when its unit takes it.
        streams = {
            ExecutionUnit.LOAD: self.load,
            ExecutionUnit.GEMM: self.gemm,
            ExecutionUnit.ALU: self.alu,
        }
        with m.Switch(work.unit):
            for which, port in streams.items():
                m.d.comb += port.payload.eq(work.insn)
                with m.Case(which):
                    m.d.comb += [port.valid.eq(may_start), starts.eq(may_start & port.ready)]
            with m.Default():
                m.d.comb += starts.eq(may_start)
        with m.If(starts & (head.opcode == Opcode.FINISH)):
            m.d.sync += finishing.eq(1)

        # The oldest one under way retires when it is done.
        m.d.comb += [
            self.retired.eq(board.retires),
            tokens.push_prev.eq(board.retires & board.pushes_prev),
            tokens.push_next.eq(board.retires & board.pushes_next),
        ]
        with m.If(board.retires & board.finishes):
            m.d.sync += self.finished.eq(1)
        after_finish = {"code": ErrorCode.AFTER_FINISH, "source": Source.COMPUTE, "addr": 0}
        m.d.comb += self.error.eq(Mux(self.finished & valid, ErrorLayout().const(after_finish), 0))

        # An instruction that is not known yet, behind one that waits for a token, waits too.
        with m.If(board.any | (valid & has_tokens)):
            m.d.comb += self.state.eq(ModuleState.RUNNING)
        with m.Elif(valid):
            m.d.comb += self.state.eq(ModuleState.WAITING)
        with m.Elif(board.work.valid | footprints.busy | self.insn.valid):
            m.d.comb += self.state.eq(ModuleState.RUNNING)
        with m.Else():
            m.d.comb += self.state.eq(ModuleState.IDLE)
        return m
