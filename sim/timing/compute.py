"""The compute module in time: access ranges, issue, three execution units, retirement."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vta.sim.timing.banks import BankTraffic
from vta.sim.timing.constants import Constants, Pipeline
from vta.sim.timing.modules import Bound, PipelineQueue, Tokens, waits_until
from vta.sim.timing.timing import Cause, InstructionTiming, Wait

if TYPE_CHECKING:
    from collections.abc import Callable

    from vta.sim.timing.dma import LoadEngine
    from vta.sim.timing.events import Events
    from vta.sim.timing.work import Range, Work

__all__ = ["Compute"]

RECENT_LOADS = 16
"""LOADs of micro-ops that are remembered: more than can be in flight."""


def _overlap(a: Range, b: Range) -> bool:
    return a is not None and b is not None and a[0] <= b[1] and b[0] <= a[1]


def _hazard(younger: Work, older: Work) -> bool:
    """As ``vta.hw.compute.issue_request.has_hazard``, for two different units."""
    loads = younger.unit == "loader" or older.unit == "loader"
    return (
        _overlap(younger.writes, older.writes)
        or _overlap(younger.writes, older.reads)
        or _overlap(younger.reads, older.writes)
        or (loads and _overlap(younger.uops, older.uops))
    )


@dataclass(slots=True, eq=False)
class _Entry:
    """An instruction in flight, from its accept to its retirement."""

    work: Work
    dispatched: int
    head: int
    issue: int = 0
    accepted: int = 0  # by its unit, from the queue of the unit
    started: int | None = None  # first micro-op
    first: int = 0
    last: int = 0  # last micro-op, then last write
    done: int | None = None
    retire: int | None = None
    busy: int = 0
    waits: tuple[Wait, ...] = ()


class _Unit:
    """GEMM or the ALU: instructions back to back."""

    def __init__(self, constants: Constants, latency: int) -> None:
        self.sequencer = constants.sequencer
        self.to_loop = constants.sequencer - Pipeline.START_TO_LOOP
        self.latency = latency  # first micro-op to its write
        self.waiting: deque[_Entry] = deque()
        self.accepts: list[int] = []
        self.count = 0
        self.free = 0
        self.started = 0  # first micro-op of the newest instruction that has started

    def begin(self, entry: _Entry) -> None:
        """Start the instruction behind the instruction that ends in cycle ``free - 1``."""
        work = entry.work
        accepted = entry.issue + Pipeline.ISSUE_TO_START
        if self.accepts:
            accepted = max(accepted, self.started - self.to_loop)
        self.accepts.append(accepted)
        entry.started = self.started = max(accepted + self.sequencer, self.free)
        entry.first = entry.started
        entry.last = entry.started + work.operations - 1 + work.stalls
        entry.busy = work.operations
        usual = entry.issue + Pipeline.ISSUE_TO_START + self.sequencer
        if entry.started > usual:
            entry.waits = (*entry.waits, Wait(Cause.UNIT, usual, entry.started))


class Compute:
    """The compute module."""

    def __init__(
        self,
        events: Events,
        constants: Constants,
        tokens: Tokens,
        report: Callable[[InstructionTiming], None],
    ) -> None:
        self.events, self.constants, self.tokens, self.report = events, constants, tokens, report
        self.queue = PipelineQueue(self.step)
        self.loader: LoadEngine
        tail = constants.sequencer
        self.gemm = _Unit(constants, constants.gemm - tail)
        self.alu = _Unit(constants, constants.alu - tail)
        self.traffic = BankTraffic(constants)
        self.next: _Entry | None = None
        self.request = 0
        self.advance = -1
        self.taken = -1  # cycle in which the scoreboard accepted the newest request
        self.issued = -1
        self.in_flight: deque[_Entry] = deque(maxlen=constants.scoreboard)
        self.retiring: deque[_Entry] = deque()
        self.loading: deque[_Entry] = deque()
        self.uop_loads: list[_Entry] = []
        self.last_retire = 0
        self.stepping = False

    # ---- issue --------------------------------------------------------------------------------

    def step(self) -> None:
        """Issue what can issue."""
        if self.stepping:
            return
        self.stepping = True
        while (self.next is not None or self._accept()) and self._issue():
            pass
        self.stepping = False

    def _accept(self) -> bool:
        """Compute the access ranges of the next instruction."""
        if not self.queue.waiting:
            return False
        work, dispatched, head = self.queue.head()
        head = max(head, self.advance + 1)
        advance = head + work.decode
        if work.reads_uops:
            for load in self.uop_loads:
                if _overlap(load.work.uops, work.uops):
                    if load.done is None:
                        return False
                    further = work.decode - Pipeline.BOUNDS_READ
                    advance = max(advance, load.done + Pipeline.BOUNDS_AFTER_LOAD + further)
        self.queue.pop(head)
        self.advance = max(advance, self.taken + 1)
        self.request = max(self.advance + Pipeline.ADVANCE_TO_REQUEST, self.issued + 1)
        self.taken = self.request
        self.next = _Entry(work, dispatched, head)
        return True

    def _bounds(self, entry: _Entry) -> list[Bound] | None:
        """What the issue of an instruction depends on; None if a time is not known yet."""
        work = entry.work
        bounds = self.tokens.bounds(work, Pipeline.TOKEN_TO_ISSUE)
        if bounds is None:
            return None
        bounds.append((Cause.DECODE, self.request + Pipeline.REQUEST_TO_ISSUE, None))
        for older in self.in_flight:
            if older.work.unit != work.unit and _hazard(work, older.work):
                if older.done is None:
                    return None
                bounds.append((Cause.HAZARD, older.done + Pipeline.DONE_TO_ISSUE, older.work.index))
        if len(self.in_flight) == self.constants.scoreboard:
            oldest = self.in_flight[0]
            if oldest.retire is None:
                return None
            bounds.append((Cause.QUEUE, oldest.retire + Pipeline.RETIRE_TO_ISSUE, None))
        if work.unit == "loader":
            free = self.loader.free_at()
            if free is None:
                return None
            bounds.append((Cause.UNIT, free, None))
        elif work.unit in ("gemm", "alu"):
            unit = self.gemm if work.unit == "gemm" else self.alu
            full = unit.count - self.constants.unit_queue
            if full >= len(unit.accepts):
                return None
            if full >= 0:
                bounds.append((Cause.QUEUE, unit.accepts[full] + 1, None))
        return bounds

    def _issue(self) -> bool:
        entry = self.next
        assert entry is not None
        bounds = self._bounds(entry)
        if bounds is None:
            return False
        work = entry.work
        entry.issue, entry.waits = waits_until(entry.head, bounds)
        self.issued = entry.issue
        self.next = None
        self.tokens.pop(work)
        self.in_flight.append(entry)
        self.retiring.append(entry)
        match work.unit:
            case "gemm":
                self.gemm.count += 1
                self._start_gemm(entry)
            case "alu":
                self.alu.count += 1
                self.alu.waiting.append(entry)
                if len(self.alu.waiting) == 1:
                    self._start_alu()
            case "loader":
                self.loading.append(entry)
                if work.uops is not None:
                    self.uop_loads.append(entry)
                self.loader.accept(work, entry.issue)
            case _:
                entry.first = entry.last = entry.done = entry.issue
                self._retire()
        return True

    # ---- units --------------------------------------------------------------------------------

    def _start_gemm(self, entry: _Entry) -> None:
        unit = self.gemm
        unit.begin(entry)
        self.traffic.add(entry.work, entry.first)
        unit.free = entry.last + 1
        entry.last += unit.latency
        entry.done = entry.last
        if self.alu.waiting and entry.first <= self.alu.waiting[0].last:
            self._delay_alu(self.alu.waiting[0])
        self._retire()

    def _start_alu(self) -> None:
        entry = self.alu.waiting[0]
        self.alu.begin(entry)
        self._delay_alu(entry)

    def _delay_alu(self, entry: _Entry) -> None:
        """Add the stalls for banks that GEMM reserves; the ALU ends in a cycle that may change as
        long as GEMM issues."""
        work = entry.work
        plain = work.operations + work.stalls
        stalled = self.traffic.stalls(work, entry.first, plain)
        entry.last = entry.first + plain + stalled - 1
        self.events.at(entry.last, lambda now: self._end_alu(entry, now))

    def _end_alu(self, entry: _Entry, now: int) -> None:
        unit = self.alu
        if entry.last != now or not unit.waiting or unit.waiting[0] is not entry:
            return
        unit.waiting.popleft()
        unit.free = entry.last + 1
        stalled = entry.last - entry.first + 1 - entry.work.operations
        if stalled:
            entry.waits = (*entry.waits, Wait(Cause.BANK, now + 1 - stalled, now + 1))
        entry.last += unit.latency
        entry.done = entry.last
        if unit.waiting:
            self._start_alu()
        self._retire()
        self.step()

    def loaded(self, done: Work, first: int, last: int, busy: int) -> None:
        """A LOAD of the compute module is done, in order."""
        entry = self.loading.popleft()
        assert entry.work is done
        entry.first, entry.last, entry.busy = min(first, last), last, busy
        entry.done = last + Pipeline.LOAD_DONE
        begin = entry.issue + self.constants.row_generator
        if first > begin:
            entry.waits = (*entry.waits, Wait(Cause.MEMORY, begin, first))
        idle = last - entry.first + 1 - busy
        if idle > 0 and busy:
            entry.waits = (*entry.waits, Wait(Cause.MEMORY, last + 1 - idle, last + 1))
        self._retire()
        self.step()

    def _retire(self) -> None:
        while self.retiring and self.retiring[0].done is not None:
            entry = self.retiring.popleft()
            assert entry.done is not None
            retire = max(entry.done + Pipeline.DONE_TO_RETIRE, self.last_retire + 1)
            entry.retire = self.last_retire = retire
            if entry.work.uops is not None and entry.work.unit == "loader":
                self.uop_loads = self.uop_loads[-RECENT_LOADS:]
            work = entry.work
            self.report(
                InstructionTiming(
                    work.index, work.module, work.unit, entry.dispatched, entry.head, entry.issue,
                    entry.first, entry.last, retire, entry.busy, entry.waits,
                )
            )  # fmt: skip
            self.tokens.push(work, retire)
