"""Issue: no instruction takes a token that is not there or starts beside one that it must wait for;
all retire in order, and each pushes its tokens once."""

import pytest
from amaranth.hdl import Assert, Assume, Cat, Cover, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.data import StructLayout, View
from amaranth.lib.wiring import In, Out

from tests.formal.mutant import mutant, shrunk
from tests.formal.runner import Properties, prove, reach, refute
from vta.config import VTAConfig
from vta.hw.compute import access_ranges as footprint
from vta.hw.compute import issue
from vta.hw.compute.access_ranges import (
    AccessRanges,
    AccessRangesLayout,
    ExecutionUnit,
    IssueRequest,
    RangeLayout,
    UopRangeLayout,
)
from vta.hw.compute.uop_memory import UopReadSignature
from vta.hw.debug.signal_paths import SignalPaths
from vta.hw.dma import load, store
from vta.hw.dma.rows import MemoryKind
from vta.hw.interfaces import layout_of
from vta.isa import Isa, MemId, Opcode

CFG = VTAConfig.preset("tiny").replace(log_acc_buff_size=7, log_uop_buff_size=5)
"""With 8 accumulators and 8 micro-ops."""
ISA = Isa.of(CFG)
UNITS = ("load", "gemm", "alu")
ROOM = issue.Scoreboard.DEPTH
FEW = 3
"""Instructions that may be under way where runs are followed from power-up."""
DEPTH = 19


def _unit(word):
    """Who executes an instruction of the compute module: its place in UNITS, or 3 for nobody."""
    head = View(layout_of(ISA.memory), word)
    loads = (head.opcode == Opcode.LOAD) & (head.x_size != 0)
    return Mux(
        head.opcode == Opcode.GEMM, 1, Mux(head.opcode == Opcode.ALU, 2, Mux(loads, 0, 3))
    )  # fmt: skip


def _share(one, other):
    """Whether two ranges have an entry in common: the later beginning is not after the earlier
    end."""
    begin = Mux(one.low > other.low, one.low, other.low)
    end = Mux(one.high < other.high, one.high, other.high)
    return one.used & other.used & (begin <= end)


def _hazard(new, old, loads):
    """Whether of two instructions one writes what the other touches; ``loads``: one is a LOAD, so
    that its micro-ops are written."""
    return (
        _share(new.reads, old.writes)
        | _share(new.writes, old.reads)
        | _share(new.writes, old.writes)
        | (loads & _share(new.uops, old.uops))
    )


class AnyFootprints(wiring.Component):
    """In place of :class:`~vta.hw.compute.access_ranges.AccessRanges`: an instruction may touch
    anything, and it may be known at any time what."""

    any_footprint = Signal(AccessRangesLayout(ISA))
    any_uops = Signal(UopRangeLayout(CFG.log_uop_depth))
    any_busy = Signal()
    answer = Signal()
    """What the block says of ``any_uops``."""

    def __init__(self, isa):
        log_depth = isa.cfg.log_uop_depth
        super().__init__({
            "insn": In(stream.Signature(isa.memory.bits)),
            "work": Out(stream.Signature(IssueRequest(isa))),
            "uops": Out(UopRangeLayout(log_depth)), "uops_pending": In(1), "busy": Out(1),
            "uop_read": Out(UopReadSignature(log_depth=log_depth, bits=isa.uop.bits)),
        })  # fmt: skip

    @classmethod
    def free(cls):
        """The signals that may have any value."""
        return [cls.any_footprint.as_value(), cls.any_uops.as_value(), cls.any_busy]

    def elaborate(self, platform):
        m = Module()
        work = self.work
        m.d.comb += [
            work.valid.eq(self.insn.valid),
            self.insn.ready.eq(work.ready),
            work.payload.insn.eq(self.insn.payload),
            work.payload.unit.eq(_unit(self.insn.payload)),
            work.payload.footprint.eq(self.any_footprint),
            self.uops.eq(self.any_uops),
            self.busy.eq(self.any_busy),
            self.answer.eq(self.uops_pending),
        ]
        return m


class Tokens(Properties):
    """A token is taken only if it is there, and only by an instruction that starts and wants it;
    one is given only by an instruction that retires. One that is there stays until it is taken."""

    def elaborate(self, platform):
        block, tokens = self.block, self.block.tokens
        inside = SignalPaths(block)
        m = super().elaborate(platform, inside.fragment)
        head = View(layout_of(ISA.memory), View(IssueRequest(ISA), inside["scoreboard.next"]).insn)
        starts = inside["starts"]
        m.d.comb += Assert(~starts | inside["scoreboard.next_valid"])
        for side in ("prev", "next"):
            pop, push = getattr(tokens, f"pop_{side}"), getattr(tokens, f"push_{side}")
            available, stays = getattr(tokens, f"{side}_avail"), Signal(name=f"{side}_stays")
            m.d.sync += stays.eq(available & ~pop)
            m.d.comb += [
                Assume(~stays | available),
                Assert(~pop | available),
                Assert(~(inside["scoreboard.next_valid"] & inside[f"{side}_there"]) | stays),
                Assert(pop == (starts & getattr(head, f"pop_{side}"))),
                Assert(~push | block.retired),
                Cover(pop & push),
            ]
        return m


ENTRY = StructLayout({
    "unit": 2, "done": 1, "seen": 1, "finish": 1, "prev": 1, "next": 1,
    "footprint": AccessRangesLayout(ISA),
})  # fmt: skip


class InOrder(Properties):
    """A ledger of the instructions under way, the oldest first, and of the one that waits to start.
    That starts exactly when its tokens were there a cycle before, its unit takes it, and those of
    other units with which it has a hazard were done two cycles before. They retire in order, each
    in the cycle after its unit has done it, or after the one before.

    The units of the world do what they were given, in order, each in a cycle after its start. With
    ``invariants`` the registers of the block are compared to the ledger, for the induction.
    """

    def __init__(self, block, room, *, invariants=False):
        super().__init__(block, AnyFootprints.free())
        self.room, self.invariants = room, invariants

    def elaborate(self, platform):
        block, tokens = self.block, self.block.tokens
        inside = SignalPaths(block)
        m = super().elaborate(platform, inside.fragment)
        waits, waiting = self._wait(m, inside["starts"])
        head, touches = View(layout_of(ISA.memory), waiting.insn), waiting.footprint
        starts, unit = Signal(), Signal(2)
        m.d.comb += [starts.eq(inside["starts"]), unit.eq(_unit(waiting.insn))]

        ledger = [Signal(ENTRY, name=f"entry{n}") for n in range(self.room + 1)]
        level = Signal(range(self.room + 1))
        now = [Signal(ENTRY, name=f"now{n}") for n in range(self.room + 1)]
        self._work(m, waiting, starts, ledger, level, now)

        # Retirement: of the oldest, when it was done, with its tokens, and never later.
        oldest = ledger[0]
        m.d.comb += [
            Assert(block.retired == ((level != 0) & oldest.done)),
            Assert(tokens.push_prev == (block.retired & oldest.prev)),
            Assert(tokens.push_next == (block.retired & oldest.next)),
        ]
        m.d.sync += level.eq(level - block.retired + starts)
        for n in range(self.room):
            m.d.sync += ledger[n].eq(Mux(block.retired, now[n + 1], now[n]))
            with m.If(starts & (level - block.retired == n)):
                m.d.sync += [
                    ledger[n].unit.eq(unit),
                    ledger[n].done.eq(unit == 3),
                    ledger[n].seen.eq(0),
                    ledger[n].finish.eq(head.opcode == Opcode.FINISH),
                    ledger[n].prev.eq(head.push_prev),
                    ledger[n].next.eq(head.push_next),
                    ledger[n].footprint.eq(touches),
                ]

        # FINISH is the end.
        ended, finished = Signal(), Signal()
        with m.If(starts & (head.opcode == Opcode.FINISH)):
            m.d.sync += ended.eq(1)
        with m.If(block.retired & oldest.finish):
            m.d.sync += finished.eq(1)
        m.d.comb += [
            Assert(block.finished == finished),
            Assert((block.error.code != 0) == (finished & waits)),
        ]

        # Start: as soon as there is nothing to wait for, and not before.
        hazards, running, taken = Signal(self.room), Signal(self.room), Signal(init=1)
        there = {side: Signal(name=f"{side}_was_there") for side in ("prev", "next")}
        compared = Signal()
        m.d.sync += [
            *(was.eq(getattr(tokens, f"{side}_avail")) for side, was in there.items()),
            compared.eq(waits & ~starts),
        ]
        for n in range(self.room):
            at_work = (level > n) & ~ledger[n].seen & (ledger[n].unit != 3)
            loads = (unit == 0) | (ledger[n].unit == 0)
            others = at_work & (unit != 3) & (ledger[n].unit != unit)
            m.d.comb += [
                hazards[n].eq(others & _hazard(touches, ledger[n].footprint, loads)),
                running[n].eq(~ledger[n].done),
            ]
        m.d.comb += taken.eq(1)
        for number, name in enumerate(UNITS):
            with m.If(unit == number):
                m.d.comb += taken.eq(getattr(block, name).ready)
        m.d.comb += [
            Assert(starts == (
                compared & (level < self.room) & ~hazards.any() & taken & ~ended
                & (~head.pop_prev | there["prev"]) & (~head.pop_next | there["next"])
            )),
        ]  # fmt: skip
        self._loads(m, waits, waiting, ledger, level)

        self._cover(m, starts, ledger, level, now, waits & hazards.any(), finished)
        if self.invariants:
            self._compare(m, inside, ledger, level)
            for number in range(len(UNITS)):
                m.d.comb += Assert(~compared | (unit != number) | (
                    inside["scoreboard.ahead"] == inside[f"scoreboard.at_work{number}"]
                ))  # fmt: skip
            m.d.comb += [
                Assert(inside["finishing"] == ended),
                Assert(inside["scoreboard.next_valid"] == waits),
                Assert(~waits | (inside["scoreboard.next"] == waiting.as_value())),
                Assert(~waits | (waiting.unit.as_value() == unit)),
                *(
                    Assert(~waits | (one.low <= one.high) & (~one.used | (unit != 3)))
                    for one in (waiting.footprint[name] for name in ("writes", "reads", "uops"))
                ),
                Assert(inside["scoreboard.compared"] == compared),
                Assert(~compared | waits),
                Assert(~compared | (inside["scoreboard.waits"] == hazards)),
                Assert(~(waits & ~compared) | (inside["scoreboard.watched"] == hazards & running)),
            ]
        return m

    def _wait(self, m, starts):
        """The instruction that came last and has not started, and whether there is one; another is
        taken when there is none."""
        insn, touches = self.block.insn, AnyFootprints.any_footprint
        for one in (touches.writes, touches.reads, touches.uops):
            nobody = _unit(insn.payload) == 3
            m.d.comb += Assume((one.low <= one.high) & (~one.used | ~nobody))
        uops = AnyFootprints.any_uops
        m.d.comb += Assume((uops.low < uops.end) & (uops.end <= 1 << CFG.log_uop_depth))
        waits, waiting = Signal(), Signal(IssueRequest(ISA))
        m.d.comb += Assert(insn.ready == ~waits)
        with m.If(insn.valid & insn.ready):
            m.d.sync += [
                waits.eq(1),
                waiting.insn.eq(insn.payload),
                waiting.unit.eq(_unit(insn.payload)),
                waiting.footprint.eq(touches),
            ]
        with m.Elif(starts):
            m.d.sync += waits.eq(0)
        return waits, waiting

    def _loads(self, m, waits, waiting, ledger, level):
        """Micro-ops that a LOAD is yet to write (at work, waiting, or coming) are not read in the
        next cycle."""
        insn, pending = self.block.insn, Signal()
        uops = AnyFootprints.any_uops
        asked = Signal(RangeLayout(CFG.log_uop_depth))
        m.d.comb += [asked.used.eq(1), asked.low.eq(uops.low), asked.high.eq(uops.end - 1)]
        m.d.sync += pending.eq(
            Cat(
                there & (unit == 0) & _share(footprint.uops, asked)
                for there, unit, footprint in (
                    (insn.valid, _unit(insn.payload), AnyFootprints.any_footprint),
                    (waits, _unit(waiting.insn), waiting.footprint),
                    *(
                        ((level > n) & ~one.done, one.unit, one.footprint)
                        for n, one in enumerate(ledger[: self.room])
                    ),
                )
            ).any()
        )
        m.d.comb += Assert(AnyFootprints.answer == pending)

    def _work(self, m, waiting, starts, ledger, level, now):
        """The world: a unit does the oldest instruction that it was given and has not done. ``now``
        is the ledger with what is done in this cycle."""
        block = self.block
        unit = _unit(waiting.insn)
        for number, name in enumerate(UNITS):
            port, does = getattr(block, name), getattr(block, f"{name}_done")
            left = does
            for n in range(self.room):
                mine = (level > n) & (ledger[n].unit == number) & ~ledger[n].done
                with m.If(mine & left):
                    m.d.comb += now[n].done.eq(1)
                left = left & ~mine
            m.d.comb += [
                Assume(~left),
                Assert((port.valid & port.ready) == (starts & (unit == number))),
                Assert(~port.valid | (unit == number)),
                Assert(~port.valid | (port.payload.as_value() == waiting.insn)),
            ]
        for n in range(self.room):
            for field in ("unit", "finish", "prev", "next", "footprint"):
                m.d.comb += now[n][field].eq(ledger[n][field])
            m.d.comb += now[n].seen.eq(ledger[n].done)
            with m.If(ledger[n].done):
                m.d.comb += now[n].done.eq(1)

    def _cover(self, m, starts, ledger, level, now, hazard, finished):
        """Full, emptied, all units beside each other, done out of order, a hazard that passes."""
        block, tokens = self.block, self.block.tokens
        retirements, waited = Signal(3), Signal()
        with m.If(block.retired):
            m.d.sync += retirements.eq(retirements + (retirements != 7))
        with m.If(hazard):
            m.d.sync += waited.eq(1)
        m.d.comb += [
            Cover(
                (level == 3) & (ledger[0].unit == 1) & (ledger[1].unit == 2)
                & (ledger[2].unit == 0)
            ),
            Cover(level == self.room),
            Cover((retirements == 5) & finished),
            Cover((level >= 2) & ~now[0].done & now[1].done & (ledger[1].unit == 2)),
            Cover(waited & starts & (level != 0)),
            Cover(block.retired & tokens.push_prev & tokens.push_next & (retirements == 2)),
        ]  # fmt: skip

    def _compare(self, m, inside, ledger, level):
        """The registers of the scoreboard are the ledger."""
        layout = StructLayout({
            "live": 1, "works": 1, "unit": ExecutionUnit, "ahead": range(self.room),
            "finish": 1, "push_prev": 1, "push_next": 1, "footprint": AccessRangesLayout(ISA),
        })  # fmt: skip
        works = [
            Cat((level > n) & ~one.done & (one.unit == unit) for n, one in enumerate(ledger))
            for unit in range(len(UNITS))
        ]
        m.d.comb += [
            Assert(level <= self.room),
            *(
                Assert(inside[f"scoreboard.at_work{unit}"] == sum(mine))
                for unit, mine in enumerate(works)
            ),
        ]
        for n in range(self.room):
            real, said = View(layout, inside[f"scoreboard.entry{n}"]), ledger[n]
            m.d.comb += [
                Assert(real.live == (level > n)),
                Assert(real.live | ~real.works),
            ]
            with m.If(level > n):
                m.d.comb += [
                    Assert(real.works == ~said.done),
                    *(Assert(~mine[n] | (real.ahead == sum(mine[:n]))) for mine in works),
                    Assert(~said.seen | said.done),
                    Assert(said.done | (said.unit != 3)),
                    Assert(real.unit.as_value() == said.unit),
                    Assert(real.finish == said.finish),
                    Assert(real.push_prev == said.prev),
                    Assert(real.push_next == said.next),
                    Assert(real.footprint.as_value() == said.footprint.as_value()),
                    *(
                        Assert(said.footprint[name].low <= said.footprint[name].high)
                        for name in ("writes", "reads", "uops")
                    ),
                ]


class NothingLost(Properties):
    """Each instruction comes out of the search for footprints once, in order, unchanged, with the
    unit that executes it, and stays until it is taken. The registers are compared to a ledger."""

    def elaborate(self, platform):
        block, inside = self.block, SignalPaths(self.block)
        m = super().elaborate(platform, inside.fragment)
        work, out = block.work, block.work.payload
        enters, leaves = block.insn.valid & block.insn.ready, work.valid & work.ready
        ledger = [Signal(ISA.memory.bits, name=f"entry{n}") for n in range(3)]
        level = Signal(range(3))
        ranged = inside["ranged"]
        m.d.sync += level.eq(level + enters - leaves)
        for n in range(2):
            with m.If(leaves):
                m.d.sync += ledger[n].eq(ledger[n + 1])
            with m.If(enters & (level - leaves == n)):
                m.d.sync += ledger[n].eq(block.insn.payload)
        held, was = Signal(), Signal.like(out.as_value())
        m.d.sync += [held.eq(work.valid & ~work.ready), was.eq(out.as_value())]
        m.d.comb += [
            Assert(~work.valid | (level != 0)),
            Assert(~work.valid | (out.insn == ledger[0])),
            Assert(~work.valid | (out.unit.as_value() == _unit(ledger[0]))),
            Assert(~held | (work.valid & (out.as_value() == was))),
            *(
                Assert(~work.valid | ~out.footprint[name].used | (out.unit != ExecutionUnit.NONE))
                for name in ("writes", "reads", "uops")
            ),
            Assert(block.busy == (level > work.valid)),
            Assert(level == block.busy + work.valid),
            Assert(~block.busy | (inside["word"] == Mux(work.valid, ledger[1], ledger[0]))),
            Assert(~block.busy | (inside["unit"] == _unit(inside["word"]))),
            Assert(~(ranged & (inside["at_hand"] | work.valid))),
            Assert(block.busy == (inside["at_hand"] | ranged)),
            Assert(~ranged | ((out.insn == ledger[0]) & (out.unit.as_value() == inside["unit"]))),
            *(
                Assert(~(ranged & inside[f"{name}_used"]) | (out.unit != ExecutionUnit.NONE))
                for name in ("writes", "reads", "uops")
            ),
            Assert(~inside["known"] | inside["at_hand"]),
            Assert(
                ~(inside["known"] & (inside["is_load"] | inside["is_nest"]))
                | (inside["unit"] != ExecutionUnit.NONE.value)
            ),
            Assert(~inside["settled"] | inside["known"]),
            Cover(
                (level == 2) & leaves & (out.unit == ExecutionUnit.ALU) & out.footprint.reads.used
            ),
            Cover(leaves & (out.unit == ExecutionUnit.GEMM) & ~out.footprint.writes.used),
            Cover(leaves & (out.unit == ExecutionUnit.LOAD) & out.footprint.uops.used & block.busy),
        ]
        return m


class LoadTokens(Properties):
    """The load and the store module take a token only if it is there."""

    def elaborate(self, platform):
        m = super().elaborate(platform)
        tokens = self.block.tokens
        m.d.comb += [
            Assert(~tokens.pop_prev | tokens.prev_avail),
            Assert(~tokens.pop_next | tokens.next_avail),
            Cover(tokens.pop_prev | tokens.pop_next),
        ]
        return m


def _load(module=load):
    kinds = [MemoryKind.of(CFG, memory) for memory in (MemId.INP, MemId.WGT)]
    return module.LoadModule(ISA, kinds, addr_bits=32, data_bits=64)


def _store(module=store):
    return module.StoreModule(ISA, MemoryKind.of(CFG, MemId.OUT), addr_bits=32, data_bits=64)


def _issue(module=None, room=ROOM):
    """The block, with any footprints."""
    module = module or shrunk(issue, AccessRanges=AnyFootprints)
    module.Scoreboard.DEPTH = room
    return module.Issue(ISA)


@pytest.mark.formal
@pytest.mark.parametrize(
    ("properties", "block"), [(Tokens, _issue), (LoadTokens, _load), (LoadTokens, _store)]
)
def test_no_token_is_taken_that_is_not_there(properties, block):
    free = AnyFootprints.free() if block is _issue else ()
    prove(properties(block(), free), depth=1)
    reach(properties(block(), free), depth=7)


@pytest.mark.formal
def test_instructions_start_and_retire_as_they_must():
    prove(InOrder(_issue(), ROOM, invariants=True), depth=1)


@pytest.mark.formal
def test_streams_of_all_kinds_happen():
    reach(InOrder(_issue(room=FEW), FEW), depth=DEPTH)


@pytest.mark.formal
def test_no_instruction_is_lost_while_its_footprint_is_found():
    prove(NothingLost(AccessRanges(ISA)), depth=1)
    reach(NothingLost(AccessRanges(ISA)), depth=DEPTH)


BROKEN = {
    "no-wait": (issue, Tokens, "(~head.pop_next | next_there)", "1"),
    "popped-before-start": (
        issue, Tokens, "tokens.pop_prev.eq(starts & head", "tokens.pop_prev.eq(may_start & head",
    ),
    "pushed-too-often": (
        issue, Tokens, "tokens.push_prev.eq(board.retires & board", "tokens.push_prev.eq(board",
    ),
    "wrong-side": (issue, InOrder, "push_next.eq(head.push_next)", "push_next.eq(head.push_prev)"),
    "token-there-for-ever": (
        issue, Tokens, "next_there.eq(tokens", "next_there.eq(next_there | tokens",
    ),
    "units-not-compared": (issue, InOrder, "(one.unit != work.unit) &", "0 &"),
    "own-unit-waits": (issue, InOrder, "(one.unit != work.unit) &", ""),
    "waits-for-what-has-ended": (issue, InOrder, "bare)) & at_work)", "bare)))"),
    "starts-before-it-is-compared": (
        issue, InOrder, "compared & ~entries", "self.next_valid & ~entries",
    ),
    "waits-do-not-move-up": (issue, InOrder, "Mux(self.retires, watched >> 1, watched)", "watched"),
    "bare-ones-do-not-move-up": (issue, InOrder, "Mux(moved, bare >> 1, bare)", "bare"),
    "compared-again": (issue, InOrder, "Mux(compared, waits, Mux", "Mux(0, waits, Mux"),
    "read-too-early": (footprint, InOrder, "| meet(new.reads, old.writes)", ""),
    "written-too-early": (footprint, InOrder, "| meet(new.writes, old.reads)", ""),
    "written-out-of-order": (footprint, InOrder, "meet(new.writes, old.writes)\n", "0\n"),
    "micro-ops-ignored": (footprint, InOrder, "| (touches_uops & meet(new.uops, old.uops))", ""),
    "micro-ops-read-by-two": (footprint, InOrder, "(touches_uops & meet", "(1 & meet"),
    "last-entry-missed": (footprint, InOrder, "(one.low <= other.high)", "(one.low < other.high)"),
    "first-entry-missed": (footprint, InOrder, "(other.low <= one.high)", "(other.low < one.high)"),
    "done-too-early": (issue, InOrder, "new.works.eq(self.next.unit != ExecutionUnit.NONE)",
                       "new.works.eq(0)"),
    "retired-too-early": (issue, InOrder, "oldest.live & ~oldest.works", "oldest.live & ~works[0]"),
    "done-twice": (issue, InOrder, "done(one.unit) & (one.ahead == 0)", "done(one.unit)"),
    "done-forgotten": (issue, InOrder, "after[n].works.eq(at_work),", ""),
    "turn-never-comes": (issue, InOrder, "after[n].ahead.eq(one.ahead - done(one.unit)),", ""),
    "done-while-one-starts": (issue, InOrder, "new.ahead.eq(ahead - done(self.next.unit))",
                              "new.ahead.eq(ahead)"),
    "done-while-it-is-compared": (issue, InOrder, "before - done(self.next.unit)", "before"),
    "units-counted-as-one": (
        issue, InOrder, "self.start & (self.next.unit.as_value() == unit)", "self.start",
    ),
    "ends-not-counted": (issue, InOrder, "count + starts - done", "count + starts"),
    "nop-stays": (issue, InOrder, "new.works.eq(self.next.unit != ExecutionUnit.NONE)",
                  "new.works.eq(1)"),
    "after-finish": (issue, InOrder, "& has_tokens & ~finishing", "& has_tokens"),
    "too-many": (issue, InOrder, "& ~entries[-1].live & ~waits", "& ~waits"),
    "loads-ignored": (issue, InOrder, "(one.works, one.unit, one", "(0, one.unit, one"),
    "next-load-ignored": (issue, InOrder, "(self.next_valid, self.next.unit", "(0, self.next.unit"),
    "coming-load-ignored": (issue, InOrder, "(self.work.valid, self.work.payload.unit",
                            "(0, self.work.payload.unit"),
    "load-no-wait": (load, LoadTokens, "insn.pop_next & ~self.tokens.next_avail", "0"),
    "store-popped-early": (
        store, LoadTokens, "self.tokens.pop_prev.eq(starts &", "self.tokens.pop_prev.eq(",
    ),
    "word-overwritten": (footprint, NothingLost, "taken.eq(self.insn.valid & ~at_hand)",
                         "taken.eq(self.insn.valid)"),
    "work-overwritten": (footprint, NothingLost, "settled & ~self.work.valid & ~ranged",
                         "settled & ~ranged"),
    "wrong-unit": (footprint, NothingLost, "insn.x_size == 0", "insn.y_size == 0"),
}  # fmt: skip
"""What is broken in which block, and the property that finds it."""


@pytest.mark.formal
@pytest.mark.parametrize("name", BROKEN)
def test_broken_blocks_are_found(name):
    module, properties, old, new = BROKEN[name]
    names = {
        issue: {"AccessRanges": AnyFootprints},
        footprint: {"ExecutionUnit": ExecutionUnit},
    }.get(module, {})
    broken = mutant(module, old, new, **names)
    if properties is NothingLost:
        refute(NothingLost(broken.AccessRanges(ISA)), depth=12)
    elif properties is LoadTokens:
        refute(LoadTokens({load: _load, store: _store}[module](broken)), depth=8)
    else:
        if module is footprint:
            broken = shrunk(issue, AccessRanges=AnyFootprints, conflict=broken.conflict)
        block = _issue(broken, FEW)
        if properties is Tokens:
            refute(Tokens(block, AnyFootprints.free()), depth=7)
        else:
            refute(InOrder(block, FEW), depth=14)
