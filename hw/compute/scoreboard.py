"""The scoreboard: the instructions in flight, and what the next instruction depends on.

An entry holds an instruction from its issue to its retirement. The entries are a ring: an
instruction stays in its entry, ``free`` marks the entry that the next one will take, and ``oldest``
the next one to retire. The next request to issue is in a register in front of the entries, with a
dependency bit for each entry.

======================================  =====================================================
hazard of the request with an entry     detected and resolved
======================================  =====================================================
RAW, WAR, WAW on accumulators,          overlap of access ranges
RAW, WAR, WAW on micro-ops              (:func:`~vta.hw.compute.issue_request.hazards_between`);
                                        the dependency is cleared when the entry is done
an entry on the same unit               no dependency: a unit executes in order
======================================  =====================================================

=====  ================================================================================
cycle  of a request
=====  ================================================================================
0      the request is accepted and compared with all entries
1      hazards are in a register; entries that are done meanwhile are removed from them
2      dependencies are in a register: ``ready_to_issue``, if there are none
=====  ================================================================================

An entry that is done in cycle ``n`` (``*_done``) is not executing in cycle ``n + 1``, and a request
that depends on it is ready to issue in cycle ``n + 2``. The oldest entry retires in cycle
``n + 1``. The scoreboard does not know tokens; see :mod:`vta.hw.compute.issue`.
"""

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from vta.hw.compute.issue_request import (
    HAZARDS,
    AccessRangesLayout,
    ExecutionUnit,
    IssueRequest,
    UopRangeLayout,
    hazards_between,
)
from vta.hw.interfaces import layout_of
from vta.isa import Isa, Opcode

__all__ = ["EntryLayout", "Scoreboard"]


class EntryLayout(data.StructLayout):
    """An instruction in flight.

    ``executing``: issued and not done. ``older_on_unit``: number of older instructions on the same
    unit that are not done. ``finish``, ``push_prev``, ``push_next``: what its retirement does. The
    fields of an entry that is not ``valid``, but for ``executing``, mean nothing.
    """

    def __init__(self, isa: Isa) -> None:
        super().__init__({
            "valid": 1, "executing": 1, "unit": ExecutionUnit,
            "older_on_unit": range(max(isa.cfg.issue_depth, 2)),
            "finish": 1, "push_prev": 1, "push_next": 1, "ranges": AccessRangesLayout(isa),
        })  # fmt: skip


class Scoreboard(wiring.Component):
    """Tracks the instructions in flight and the dependencies of the next request.

    Parameters
    ----------
    isa : Isa
        Formats of the instructions. ``isa.cfg.issue_depth`` instructions can be in flight.

    Attributes
    ----------
    request : stream of IssueRequest, in
        Instructions in program order.
    next_valid, next : Out
        The request to issue next.
    ready_to_issue : Out(1)
        ``next`` depends on no instruction in flight, and an entry is free.
    issue : In(1)
        ``next`` is issued in this cycle; only with ``ready_to_issue``.
    uops, uop_hazard : In, Out
        ``uop_hazard``: in the cycle before, a LOAD at ``request``, in ``next`` or executing had yet
        to write some of the micro-ops ``uops``.
    load_done, gemm_done, alu_done : In(1)
        The oldest executing instruction of the unit is done: reads two cycles later and from then
        on see its writes.
    in_flight : Out(1)
        An instruction is in flight.
    retire : Out(1)
        The oldest instruction in flight retires.
    retire_finish, retire_push_prev, retire_push_next : Out(1)
        The oldest instruction is FINISH; the tokens that it pushes.
    """

    def __init__(self, isa: Isa) -> None:
        self.isa, self.depth = isa, isa.cfg.issue_depth
        super().__init__({
            "request": In(stream.Signature(IssueRequest(isa))),
            "next_valid": Out(1), "next": Out(IssueRequest(isa)),
            "ready_to_issue": Out(1), "issue": In(1),
            "uops": In(UopRangeLayout(isa.cfg.log_uop_depth)), "uop_hazard": Out(1),
            "load_done": In(1), "gemm_done": In(1), "alu_done": In(1),
            "in_flight": Out(1), "retire": Out(1), "retire_finish": Out(1),
            "retire_push_prev": Out(1), "retire_push_next": Out(1),
        })  # fmt: skip
        self.entries = [Signal(EntryLayout(isa), name=f"entry{n}") for n in range(self.depth)]
        self.oldest = Signal(self.depth, init=1)  # one bit for each entry, one of them set
        self.dependencies_valid = Signal()

    def elaborate(self, platform):
        m = Module()
        self._accept_request(m)
        self._track_dependencies(m)
        self._update_entries(m)
        self._retire(m)
        self._find_uop_loads(m)
        return m

    def _done(self, unit):
        """Whether the oldest executing instruction of ``unit`` is done."""
        done = Cat(self.load_done, self.gemm_done, self.alu_done)  # by ExecutionUnit
        return done.bit_select(unit.as_value(), 1)

    def _accept_request(self, m: Module) -> None:
        """Drives ``next``: a request is accepted while ``next`` is not valid."""
        m.d.comb += self.request.ready.eq(~self.next_valid)
        with m.If(self.request.ready):
            m.d.sync += [
                self.next_valid.eq(self.request.valid),
                self.next.eq(self.request.payload),
            ]
        with m.Elif(self.issue):
            m.d.sync += self.next_valid.eq(0)

    def _track_dependencies(self, m: Module) -> None:
        """Drives ``ready_to_issue``, from a dependency bit for each entry.

        No request issues in the cycle after it is accepted, so entries are compared with it before
        any younger one can be added. An entry is not filled again before the request has issued.
        """
        request = self.request.payload
        hazards = Signal(self.depth)  # of the cycle in which the request is accepted
        dependencies = Signal(self.depth)
        independent = Signal(init=1)  # a register that equals ~dependencies.any()
        full = Signal()  # a cycle late when an instruction issues, as ``dependencies_valid`` is
        still_executing = Signal(self.depth)
        if self.depth > 1:  # a single entry is free when the next instruction issues
            for n, entry in enumerate(self.entries):
                between = Signal(HAZARDS, name=f"hazards_between{n}")
                other_unit = Signal(name=f"other_unit{n}")
                bits = hazards_between(request.ranges, request.unit, entry.ranges, entry.unit)
                m.d.sync += [between.eq(bits), other_unit.eq(entry.unit != request.unit)]
                m.d.comb += hazards[n].eq(other_unit & between.any())
        executing = Cat(entry.executing for entry in self.entries)
        valid = Cat(entry.valid for entry in self.entries)
        m.d.comb += [
            still_executing.eq(Mux(self.dependencies_valid, dependencies, hazards) & executing),
            self.ready_to_issue.eq(self.dependencies_valid & ~full & independent),
        ]
        m.d.sync += [
            independent.eq(~still_executing.any()),
            full.eq(valid.all() & ~self.retire),
            self.dependencies_valid.eq(self.next_valid & ~self.issue),
            dependencies.eq(still_executing),
        ]

    def _update_entries(self, m: Module) -> None:
        """An issued request goes into the entry ``free``. The issue, which is late, changes two
        bits of an entry, ``valid`` and ``executing``: the other fields of an entry that is not
        valid follow the next request, issued or not."""
        insn = data.View(layout_of(self.isa.memory), self.next.insn)
        older_on_unit = self._older_on_next_unit(m) - self._done(self.next.unit)
        free = Signal(self.depth, init=1)
        executes = self.issue & (self.next.unit != ExecutionUnit.NONE)
        with m.If(self.issue):
            m.d.sync += free.eq(free.rotate_left(1))
        for n, entry in enumerate(self.entries):
            unit_done = self._done(entry.unit)
            entry_done = unit_done & (entry.older_on_unit == 0)
            m.d.sync += [
                entry.valid.eq(
                    (entry.valid & ~(self.retire & self.oldest[n])) | (self.issue & free[n])
                ),
                entry.executing.eq((entry.executing & ~entry_done) | (executes & free[n])),
            ]
            with m.If(entry.valid):
                m.d.sync += entry.older_on_unit.eq(entry.older_on_unit - unit_done)
            with m.Else():
                m.d.sync += [
                    entry.unit.eq(self.next.unit),
                    entry.older_on_unit.eq(older_on_unit),
                    entry.ranges.eq(self.next.ranges),
                    entry.finish.eq(insn.opcode == Opcode.FINISH),
                    entry.push_prev.eq(insn.push_prev),
                    entry.push_next.eq(insn.push_next),
                ]

    def _retire(self, m: Module) -> None:
        """The oldest instruction retires when it is done."""

        def of_oldest(bits):
            return (self.oldest & Cat(bits)).any()

        m.d.comb += [
            self.in_flight.eq(Cat(entry.valid for entry in self.entries).any()),
            self.retire.eq(of_oldest(entry.valid & ~entry.executing for entry in self.entries)),
            self.retire_finish.eq(of_oldest(entry.finish for entry in self.entries)),
            self.retire_push_prev.eq(of_oldest(entry.push_prev for entry in self.entries)),
            self.retire_push_next.eq(of_oldest(entry.push_next for entry in self.entries)),
        ]
        with m.If(self.retire):
            m.d.sync += self.oldest.eq(self.oldest.rotate_left(1))

    def _older_on_next_unit(self, m: Module) -> Signal:
        """The executing instructions on the unit of ``next``, in a register that is valid with the
        dependencies."""
        done = {
            ExecutionUnit.LOAD: self.load_done,
            ExecutionUnit.GEMM: self.gemm_done,
            ExecutionUnit.ALU: self.alu_done,
        }
        counts = Array(
            Signal(range(self.depth + 1), name=f"executing_{unit.name.lower()}") for unit in done
        )
        for count, (unit, unit_done) in zip(counts, done.items()):
            issued = self.issue & (self.next.unit == unit)
            m.d.sync += count.eq(count + issued - unit_done)
        older = Signal(range(self.depth + 1), name="older_on_next_unit")
        current = Mux(self.dependencies_valid, older, counts[self.next.unit.as_value()])
        m.d.sync += older.eq(current - self._done(self.next.unit))
        return older

    def _find_uop_loads(self, m: Module) -> None:
        """Drives ``uop_hazard``."""
        if self.depth == 1:
            return
        stages = [
            (self.request.valid, self.request.payload),
            (self.next_valid, self.next),
            *((entry.executing, entry) for entry in self.entries),
        ]
        m.d.sync += self.uop_hazard.eq(
            Cat(
                valid
                & (insn.unit == ExecutionUnit.LOAD)
                & insn.ranges.uops.used
                & (insn.ranges.uops.low < self.uops.end)
                & (self.uops.begin <= insn.ranges.uops.high)
                for valid, insn in stages
            ).any()
        )
