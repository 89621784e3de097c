"""Issue: instructions issue in order, as soon as no dependency is left and not before; they retire
in order, and each pushes its tokens once."""

import pytest
from amaranth.hdl import Array, Assert, Assume, Cat, Cover, Mux, Signal
from amaranth.lib.data import StructLayout, View

from tests.formal.any_access_ranges import (
    CFG,
    ISA,
    RANGES,
    UNITS,
    AnyAccessRanges,
    reads_are_legal,
    unit_of,
)
from tests.formal.issue_registers import NONE, IssueRegisters
from tests.formal.mutant import mutant, shrunk
from tests.formal.runner import Properties, prove, reach, refute
from vta.config import VTAConfig
from vta.hw.compute import issue, issue_request, scoreboard
from vta.hw.compute.issue_request import (
    AccessRangesLayout,
    ExecutionUnit,
    IssueRequest,
    RangeLayout,
)
from vta.hw.debug.signal_paths import SignalPaths
from vta.hw.interfaces import layout_of
from vta.isa import Isa, Opcode

DEPTH = VTAConfig.issue_depth
FEW = 3
"""Entries of the scoreboard where runs are followed from power-up."""
FEW_FULL = {"full-too-long": 2}
"""The same for faults that only a full scoreboard shows, and only after a retirement."""
CYCLES = 19

LOG_ENTRY = StructLayout({
    "unit": 2, "done": 1, "done_before": 1, "finish": 1, "push_prev": 1, "push_next": 1,
    "ranges": AccessRangesLayout(ISA),
})  # fmt: skip
"""An instruction in flight. ``done_before``: ``done`` for a cycle already."""


def share_an_entry(a, b):
    """Whether two ranges have an entry in common: the greater low end is in both."""
    low = Mux(a.low > b.low, a.low, b.low)
    high = Mux(a.high < b.high, a.high, b.high)
    return a.used & b.used & (low <= high)


def depends(younger, older, one_is_load):
    """Whether one of two instructions writes what the other accesses. A LOAD writes ``uops``."""
    return (
        share_an_entry(younger.reads, older.writes)
        | share_an_entry(younger.writes, older.reads)
        | share_an_entry(younger.writes, older.writes)
        | (one_is_load & share_an_entry(younger.uops, older.uops))
    )


class InOrder(IssueRegisters, Properties):
    """A log of the instructions in flight, a ring, and the next instruction.

    The next instruction issues exactly when it was accepted two cycles before or earlier, its
    tokens were available in the cycle before, its unit accepts it, there is room, FINISH has not
    been issued, and each instruction of another unit with which it has a hazard was done two cycles
    before. Instructions retire in order, each in the cycle after it is done, or after the older one
    retires.

    The units are free to be done with the oldest instruction that they were given in any cycle
    after its issue. With ``invariants`` the registers of the block are compared with the log, for
    the induction.
    """

    def __init__(self, block, depth, *, invariants=False):
        super().__init__(block, AnyAccessRanges.free())
        self.depth, self.invariants = depth, invariants
        self.log = [Signal(LOG_ENTRY, name=f"log{n}") for n in range(depth)]
        self.updated = [Signal(LOG_ENTRY, name=f"updated_log{n}") for n in range(depth)]
        self.oldest, self.level = Signal(range(depth)), Signal(range(depth + 1))
        self.log_oldest, self.in_flight = Signal(LOG_ENTRY), Signal(depth)
        self.is_older = [Signal(depth, name=f"is_older_than{n}") for n in range(depth)]
        self.next_valid, self.next = Signal(), Signal(IssueRequest(ISA))
        self.issues, self.unit = Signal(), Signal(2)

    def elaborate(self, platform):
        registers = SignalPaths(self.block)
        m = super().elaborate(platform, registers.fragment)
        m.d.comb += [
            self.issues.eq(registers["issued"]),
            self.unit.eq(unit_of(self.next.insn)),
        ]
        insn = View(layout_of(ISA.memory), self.next.insn)
        self._order(m)
        self._accept(m)
        self._execute(m)
        self._update_log(m, insn)
        self._check_retirement(m)
        finish_issued, finished = self._check_finish(m, insn)

        # The condition of issue.
        accepted_before = Signal()
        hazards, executing = Signal(self.depth), Signal(self.depth)
        m.d.sync += accepted_before.eq(self.next_valid & ~self.issues)
        for n, entry in enumerate(self.log):
            waited_for = self.in_flight[n] & ~entry.done_before & (entry.unit != NONE)
            other_unit = (self.unit != NONE) & (entry.unit != self.unit)
            one_is_load = (self.unit == 0) | (entry.unit == 0)
            hazard = depends(self.next.ranges, entry.ranges, one_is_load)
            m.d.comb += [
                hazards[n].eq(waited_for & other_unit & hazard),
                executing[n].eq(~entry.done),
            ]
        m.d.comb += Assert(
            self.issues
            == (
                accepted_before
                & (self.level < self.depth)
                & ~hazards.any()
                & self._unit_ready(m)
                & ~finish_issued
                & self._tokens_available(m, insn)
            )
        )
        self._check_uop_hazard(m)
        self._cover(m, hazards, finished)
        if self.invariants:
            self.compare_log(m, registers)
            self.compare_next(m, registers, accepted_before, hazards, executing)
            m.d.comb += Assert(registers["finish_issued"] == finish_issued)
        return m

    def _order(self, m):
        """``level`` entries of the log from ``oldest`` on, around the ring, are in flight, the
        oldest first. ``is_older[n]``: the entries in flight that are older than entry ``n``."""
        for n in range(self.depth):
            ages = [(n - start) % self.depth for start in range(self.depth)]
            m.d.comb += self.in_flight[n].eq(
                Cat((self.oldest == start) & (self.level > age)
                    for start, age in enumerate(ages)).any()
            )  # fmt: skip
            for other in range(self.depth):
                starts = [start for start, age in enumerate(ages)
                          if (other - start) % self.depth < age]  # fmt: skip
                older = Cat(self.oldest == start for start in starts).any()
                m.d.comb += self.is_older[n][other].eq(self.in_flight[other] & older)

    def _of_oldest(self, entries):
        return Array(entry.as_value() for entry in entries)[self.oldest]

    def _accept(self, m):
        """An instruction is accepted while there is no next one. Its ranges are not empty, an
        instruction without a unit has none, and only the ALU has ``reads`` of its own."""
        insn, ranges = self.block.insn, AnyAccessRanges.any_ranges
        uops = AnyAccessRanges.any_uops
        for name in RANGES:
            no_unit = unit_of(insn.payload) == NONE
            m.d.comb += Assume(ranges[name].low <= ranges[name].high)
            m.d.comb += Assume(~ranges[name].used | ~no_unit)
        m.d.comb += [
            Assume(reads_are_legal(unit_of(insn.payload), ranges)),
            Assume((uops.begin < uops.end) & (uops.end <= 1 << CFG.log_uop_depth)),
            Assert(insn.ready == ~self.next_valid),
        ]
        with m.If(insn.valid & insn.ready):
            m.d.sync += [
                self.next_valid.eq(1),
                self.next.insn.eq(insn.payload),
                self.next.unit.eq(unit_of(insn.payload)),
                self.next.ranges.eq(ranges),
            ]
        with m.Elif(self.issues):
            m.d.sync += self.next_valid.eq(0)

    def _execute(self, m):
        """A unit is done with the oldest instruction that it has not done; ``updated`` is the log
        with that. A unit is given the next instruction when that issues."""
        for unit, name in UNITS.items():
            port, done = getattr(self.block, name), getattr(self.block, f"{name}_done")
            mine = Signal(self.depth, name=f"executing_on_{name}")
            for n, entry in enumerate(self.log):
                m.d.comb += mine[n].eq(self.in_flight[n] & (entry.unit == unit.value) & ~entry.done)
                with m.If(done & mine[n] & ((mine & self.is_older[n]) == 0)):
                    m.d.comb += self.updated[n].done.eq(1)
            m.d.comb += [
                Assume(~done | mine.any()),
                Assert((port.valid & port.ready) == (self.issues & (self.unit == unit.value))),
                Assert(~port.valid | (self.unit == unit.value)),
                Assert(~port.valid | (port.payload.as_value() == self.next.insn)),
            ]
        for n in range(self.depth):
            for field in ("unit", "finish", "push_prev", "push_next", "ranges"):
                m.d.comb += self.updated[n][field].eq(self.log[n][field])
            m.d.comb += self.updated[n].done_before.eq(self.log[n].done)
            with m.If(self.log[n].done):
                m.d.comb += self.updated[n].done.eq(1)

    def _update_log(self, m, insn):
        """The issued instruction goes behind the youngest one; the oldest one leaves with its
        retirement."""
        retired = self.block.retired
        youngest = Signal(range(2 * self.depth))
        m.d.comb += youngest.eq(self.oldest + self.level)
        m.d.sync += self.level.eq(self.level - retired + self.issues)
        with m.If(retired):
            m.d.sync += self.oldest.eq(Mux(self.oldest == self.depth - 1, 0, self.oldest + 1))
        for n in range(self.depth):
            m.d.sync += self.log[n].eq(self.updated[n])
            with m.If(self.issues & ((youngest == n) | (youngest == n + self.depth))):
                m.d.sync += [
                    self.log[n].unit.eq(self.unit),
                    self.log[n].done.eq(self.unit == NONE),
                    self.log[n].done_before.eq(0),
                    self.log[n].finish.eq(insn.opcode == Opcode.FINISH),
                    self.log[n].push_prev.eq(insn.push_prev),
                    self.log[n].push_next.eq(insn.push_next),
                    self.log[n].ranges.eq(self.next.ranges),
                ]

    def _check_retirement(self, m):
        tokens, retired, oldest = self.block.tokens, self.block.retired, self.log_oldest
        m.d.comb += [
            oldest.eq(self._of_oldest(self.log)),
            Assert(retired == ((self.level != 0) & oldest.done)),
            Assert(tokens.push_prev == (retired & oldest.push_prev)),
            Assert(tokens.push_next == (retired & oldest.push_next)),
        ]

    def _check_finish(self, m, insn):
        """Whether FINISH has been issued, and whether it has retired; an instruction behind it is
        an error."""
        finish_issued, finished = Signal(), Signal()
        with m.If(self.issues & (insn.opcode == Opcode.FINISH)):
            m.d.sync += finish_issued.eq(1)
        with m.If(self.block.retired & self.log_oldest.finish):
            m.d.sync += finished.eq(1)
        m.d.comb += [
            Assert(self.block.finished == finished),
            Assert((self.block.error.code != 0) == (finished & self.next_valid)),
        ]
        return finish_issued, finished

    def _unit_ready(self, m):
        ready = Signal(init=1)
        m.d.comb += ready.eq(1)
        for unit, name in UNITS.items():
            with m.If(self.unit == unit.value):
                m.d.comb += ready.eq(getattr(self.block, name).ready)
        return ready

    def _tokens_available(self, m, insn):
        """In the cycle before."""
        tokens = self.block.tokens
        prev_before, next_before = Signal(), Signal()
        m.d.sync += [prev_before.eq(tokens.prev_avail), next_before.eq(tokens.next_avail)]
        return (~insn.pop_prev | prev_before) & (~insn.pop_next | next_before)

    def _check_uop_hazard(self, m):
        """Reported are the micro-ops that a LOAD at ``insn``, the next one, or one that executes
        had yet to write in the cycle before."""
        insn, uops = self.block.insn, AnyAccessRanges.any_uops
        asked = Signal(RangeLayout(CFG.log_uop_depth))
        m.d.comb += [asked.used.eq(1), asked.low.eq(uops.begin), asked.high.eq(uops.end - 1)]
        expected = Signal()
        loads = [
            (insn.valid, unit_of(insn.payload), AnyAccessRanges.any_ranges),
            (self.next_valid, self.unit, self.next.ranges),
            *(
                (self.in_flight[n] & ~entry.done, entry.unit, entry.ranges)
                for n, entry in enumerate(self.log)
            ),
        ]
        m.d.sync += expected.eq(
            Cat(
                valid & (unit == ExecutionUnit.LOAD.value) & share_an_entry(ranges.uops, asked)
                for valid, unit, ranges in loads
            ).any()
        )
        m.d.comb += Assert(AnyAccessRanges.uop_hazard_seen == expected)

    def _cover(self, m, hazards, finished):
        """Full, emptied, all units at once, done out of order, a hazard that is resolved."""
        retired, tokens, log = self.block.retired, self.block.tokens, self.log
        retirements, stalled = Signal(3), Signal()
        with m.If(retired):
            m.d.sync += retirements.eq(retirements + (retirements != 7))
        with m.If(self.next_valid & hazards.any()):
            m.d.sync += stalled.eq(1)
        # The log from its first entry on is in order while it starts there.
        in_order = self.oldest == 0
        all_units = in_order & (log[0].unit == 1) & (log[1].unit == 2) & (log[-1].unit == 0)
        younger_done = in_order & ~self.updated[0].done & self.updated[1].done & (log[1].unit == 2)
        m.d.comb += [
            Cover((self.level == self.depth) & all_units),
            Cover((self.level == self.depth) & ~in_order),
            Cover((retirements == 5) & finished),
            Cover((self.level >= 2) & younger_done),
            Cover(stalled & self.issues & (self.level != 0)),
            Cover(retired & tokens.push_prev & tokens.push_next & (retirements == 2)),
        ]


def block_with(depth, *, issue_module=issue, scoreboard_module=scoreboard, **names):
    """The issue stage with any access ranges and ``depth`` entries in its scoreboard; ``names`` of
    the scoreboard's module are replaced."""
    scoreboard_module = shrunk(scoreboard_module, **names)
    module = shrunk(
        issue_module, AccessRanges=AnyAccessRanges, Scoreboard=scoreboard_module.Scoreboard
    )
    return module.Issue(Isa.of(ISA.cfg.replace(issue_depth=depth)))


@pytest.mark.formal
def test_instructions_issue_and_retire_as_they_must():
    prove(InOrder(block_with(DEPTH), DEPTH, invariants=True), depth=1)


@pytest.mark.formal
def test_streams_of_all_kinds_happen():
    reach(InOrder(block_with(FEW), FEW), depth=CYCLES)


BROKEN = {
    # hazards
    "units-not-compared": (scoreboard, "(entry.unit != request.unit)", "(0)"),
    "own-unit-compared": (scoreboard, "(entry.unit != request.unit)", "(1)"),
    "waw-missed": (issue_request, "Cat(waw, war_or_raw,", "Cat(war_or_raw,"),
    "war-and-raw-missed": (issue_request, "Cat(waw, war_or_raw,", "Cat(waw,"),
    "war-missed": (
        issue_request, "overlap(younger.reads, older.reads)",
        "overlap(younger.reads, older.writes)",
    ),
    "raw-missed": (
        issue_request, "overlap(younger.reads, older.reads)",
        "overlap(younger.writes, older.reads)",
    ),
    "uop-hazard-missed": (issue_request, "war_or_raw, uop_hazard)", "war_or_raw)"),
    "uop-reads-compared": (issue_request, "one_is_load & overlap", "1 & overlap"),
    "last-entry-missed": (issue_request, "(a.low <= b.high)", "(a.low < b.high)"),
    "first-entry-missed": (issue_request, "(b.low <= a.high)", "(b.low < a.high)"),
    # dependencies
    "done-is-a-dependency": (scoreboard, "hazards) & executing)", "hazards))"),
    "issued-without-dependencies": (
        scoreboard, "self.dependencies_valid & ~full & independent",
        "self.next_valid & ~full & independent",
    ),
    "dependencies-forgotten": (
        scoreboard, "dependencies.eq(still_executing)", "dependencies.eq(0)",
    ),
    "hazards-used-again": (
        scoreboard, "Mux(self.dependencies_valid, dependencies", "Mux(0, dependencies",
    ),
    "too-many": (scoreboard, "& ~full & independent", "& independent"),
    "one-too-few": (scoreboard, "full.eq(valid.all()", "full.eq(valid[:-1].all()"),
    "full-too-long": (scoreboard, "valid.all() & ~self.retire", "valid.all()"),
    "some-dependencies-only": (scoreboard, "~still_executing.any()", "~still_executing[0]"),
    # entries
    "filled-while-valid": (scoreboard, "with m.If(entry.valid):", "with m.If(0):"),
    "filled-when-executing-only": (
        scoreboard, "with m.If(entry.valid):", "with m.If(entry.executing):",
    ),
    "filled-twice": (scoreboard, "m.d.sync += free.eq(free.rotate_left(1))", "pass"),
    "filled-in-any-order": (scoreboard, "free.rotate_left(1)", "free.rotate_right(1)"),
    "never-freed": (scoreboard, "& ~(self.retire & self.oldest[n])", ""),
    "all-freed": (scoreboard, "& ~(self.retire & self.oldest[n])", "& ~self.retire"),
    "retired-in-any-order": (
        scoreboard, "self.oldest.rotate_left(1)", "self.oldest.rotate_right(1)",
    ),
    "done-at-issue": (
        scoreboard, "self.issue & (self.next.unit != ExecutionUnit.NONE)", "0",
    ),
    "nop-never-done": (
        scoreboard, "self.issue & (self.next.unit != ExecutionUnit.NONE)", "self.issue",
    ),
    "wrong-side": (scoreboard, "push_next.eq(insn.push_next)", "push_next.eq(insn.push_prev)"),
    "retired-too-early": (
        scoreboard, "entry.valid & ~entry.executing for",
        "entry.valid & ~(entry.executing & ~self._done(entry.unit)) for",
    ),
    "done-twice": (scoreboard, "unit_done & (entry.older_on_unit == 0)", "unit_done"),
    "done-forgotten": (
        scoreboard, "entry.executing & ~entry_done)", "entry.executing)",
    ),
    "older-never-done": (
        scoreboard, "entry.older_on_unit.eq(entry.older_on_unit - unit_done)",
        "entry.older_on_unit.eq(entry.older_on_unit)",
    ),
    "older-done-at-issue": (
        scoreboard, "self._older_on_next_unit(m) - self._done(self.next.unit)",
        "self._older_on_next_unit(m)",
    ),
    "older-done-before-issue": (
        scoreboard, "older.eq(current - self._done(self.next.unit))", "older.eq(current)",
    ),
    "units-counted-as-one": (scoreboard, "self.issue & (self.next.unit == unit)", "self.issue"),
    "done-not-counted": (scoreboard, "count + issued - unit_done", "count + issued"),
    # micro-ops of loads
    "executing-load-missed": (scoreboard, "*((entry.executing, entry)", "*((0, entry)"),
    "next-load-missed": (scoreboard, "(self.next_valid, self.next),", ""),
    "requested-load-missed": (
        scoreboard, "(self.request.valid, self.request.payload),", "",
    ),
    # FINISH
    "after-finish": (issue, "& tokens_available & ~finish_issued", "& tokens_available"),
}  # fmt: skip
"""Name: (module, source text, what it becomes)."""


@pytest.mark.formal
@pytest.mark.parametrize("name", BROKEN)
def test_faults_are_found(name):
    few = FEW_FULL.get(name, FEW)
    module, old, new = BROKEN[name]
    if module is issue:
        block = block_with(few, issue_module=mutant(issue, old, new))
    elif module is scoreboard:
        block = block_with(few, scoreboard_module=mutant(scoreboard, old, new))
    else:
        broken = mutant(issue_request, old, new, ExecutionUnit=ExecutionUnit)
        block = block_with(few, hazards_between=broken.hazards_between)
    refute(InOrder(block, few), depth=14)
