"""Fetch, the load module and the store module in time."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from vta.config import INSN_BYTES
from vta.isa import PipelineModule
from vta.sim.timing.bus import ReadBus, bursts_of
from vta.sim.timing.constants import Constants, Pipeline
from vta.sim.timing.timing import Cause, InstructionTiming, Wait

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vta.sim.timing.dma import LoadEngine, StoreEngine
    from vta.sim.timing.work import Work

__all__ = ["Fetch", "PipelineQueue", "Tokens", "TransferModule", "waits_until"]

Bound = tuple[Cause, int, int | None]
"""A cause, the first cycle in which it no longer holds, and the instruction behind it."""


def waits_until(begin: int, bounds: Sequence[Bound]) -> tuple[int, tuple[Wait, ...]]:
    """The last of ``bounds``, and the waits from ``begin`` to there: each cycle belongs to the
    cause that ends first of those that still hold."""
    waits = []
    for cause, end, source in sorted(bounds, key=lambda bound: bound[1]):
        if end > begin:
            waits.append(Wait(cause, begin, end, source))
            begin = end
    return begin, tuple(waits)


class Tokens:
    """The four token queues: when each token was pushed, and by which instruction."""

    def __init__(self) -> None:
        self.pushed: dict[str, deque[tuple[int, int]]] = {
            name: deque() for name in ("l2g", "g2l", "g2s", "s2g")
        }
        self.wake: dict[str, Callable[[], None]] = {}

    def push(self, work: Work, cycle: int) -> None:
        for name in work.pushes:
            self.pushed[name].append((cycle, work.index))
        for name in work.pushes:
            self.wake[name]()

    def bounds(self, work: Work, delay: int) -> list[Bound] | None:
        """What the tokens of an instruction allow, or None if one is not pushed yet."""
        found: list[Bound] = []
        for name in work.pops:
            if not self.pushed[name]:
                return None
            cycle, source = self.pushed[name][0]
            found.append((Cause.TOKEN, cycle + delay, source))
        return found

    def pop(self, work: Work) -> None:
        for name in work.pops:
            self.pushed[name].popleft()


class PipelineQueue:
    """The instruction queue of a module.

    Attributes
    ----------
    left : list of int
        When each instruction left it, in order.
    """

    def __init__(self, step: Callable[[], None]) -> None:
        self.step = step
        self.waiting: deque[tuple[Work, int]] = deque()
        self.left: list[int] = []
        self.count = 0
        self.freed: Callable[[], None] = lambda: None

    def put(self, work: Work, dispatched: int) -> None:
        self.waiting.append((work, dispatched))
        self.count += 1
        self.step()

    def head(self) -> tuple[Work, int, int]:
        """The oldest instruction, when it was dispatched, and when it reaches the head."""
        work, dispatched = self.waiting[0]
        last = self.left[-1] if self.left else -1
        return work, dispatched, max(dispatched + Pipeline.DISPATCH_TO_HEAD, last + 1)

    def pop(self, cycle: int) -> None:
        self.waiting.popleft()
        self.left.append(cycle)
        self.freed()


class Fetch:
    """Reads the stream in chunks and dispatches it in order, while the queues have room."""

    def __init__(
        self,
        works: Sequence[Work],
        queues: dict[PipelineModule, PipelineQueue],
        constants: Constants,
        bus: ReadBus,
        beat_bytes: int,
    ) -> None:
        self.works, self.queues, self.constants, self.bus = works, queues, constants, bus
        self.beat_bytes = beat_bytes
        self.bursts = bursts_of(0, len(works) * INSN_BYTES, beat_bytes, constants.chunk)
        self.per_insn = max(1, INSN_BYTES // beat_bytes)
        self.per_beat = max(1, beat_bytes // INSN_BYTES)
        self.requested = 0
        self.last_request = Pipeline.LAUNCH_TO_FETCH - Pipeline.CHUNK_INTERVAL
        self.arrived: list[tuple[int, int, int]] = []  # beats before, first, last
        self.beats = 0
        self.dispatched: list[int] = []
        self.dispatching = False

    def start(self) -> None:
        self._request()

    def on_burst(self, beats: int, first: int, last: int) -> int:
        self.arrived.append((self.beats, first, last))
        self.beats += beats
        self.advance()
        return last

    def advance(self) -> None:
        """Dispatch what has arrived and fits."""
        if self.dispatching:
            return
        self.dispatching = True
        known = self.beats // self.per_insn * self.per_beat
        while len(self.dispatched) < min(known, len(self.works)):
            work = self.works[len(self.dispatched)]
            queue = self.queues[work.module]
            full = queue.count - self.constants.queue_depth
            if full >= len(queue.left):
                break
            cycle = self._arrival(len(self.dispatched)) + Pipeline.BEAT_TO_DISPATCH
            if self.dispatched:
                cycle = max(cycle, self.dispatched[-1] + self.per_insn)
            if full >= 0:
                cycle = max(cycle, queue.left[full] + Pipeline.DISPATCH_TO_HEAD)
            self.dispatched.append(cycle)
            queue.put(work, cycle)
            self._request()
        self.dispatching = False

    def _arrival(self, index: int) -> int:
        """When the last beat of an instruction arrives."""
        beat = (index // self.per_beat + 1) * self.per_insn - 1
        while len(self.arrived) > 1 and self.arrived[1][0] <= beat:
            self.arrived.pop(0)
        before, first, last = self.arrived[0]
        return min(first + beat - before, last)

    def _request(self) -> None:
        """Request chunks while the buffer has room."""
        while self.requested < len(self.bursts):
            beats = self.constants.chunk * (self.requested + 1) - self.constants.room
            at = self.last_request + Pipeline.CHUNK_INTERVAL
            if beats > 0:
                insn = (beats - 1) // self.per_insn * self.per_beat
                if insn >= len(self.dispatched):
                    return
                at = max(at, self.dispatched[insn])
            self.last_request = at
            self.bus.request(0, at + Pipeline.ROW_TO_BURST, [self.bursts[self.requested]])
            self.requested += 1


class TransferModule:
    """The load module or the store module: transfers issue in order, with their tokens.

    Parameters
    ----------
    in_flight : int
        Instructions that may be in flight.
    report : callable
        Called with each instruction that has retired.
    """

    def __init__(
        self,
        module: PipelineModule,
        tokens: Tokens,
        in_flight: int,
        report: Callable[[InstructionTiming], None],
    ) -> None:
        self.module, self.tokens, self.limit, self.report = module, tokens, in_flight, report
        self.queue = PipelineQueue(self.step)
        self.engine: LoadEngine | StoreEngine
        self.issued: deque[tuple[Work, int, int, int, tuple[Wait, ...]]] = deque()
        self.retired: list[int] = []
        self.count = 0
        self.stepping = False

    def step(self) -> None:
        """Issue what can issue."""
        if self.stepping:
            return
        self.stepping = True
        while self.queue.waiting:
            work, dispatched, head = self.queue.head()
            bounds = self.tokens.bounds(work, Pipeline.TOKEN_TO_MODULE)
            free = self.engine.free_at()
            full = self.count - self.limit
            if bounds is None or free is None or full >= len(self.retired):
                break
            bounds.append((Cause.DECODE, free, None))
            if full >= 0:
                bounds.append((Cause.QUEUE, self.retired[full] + 1, None))
            issue, waits = waits_until(head, bounds)
            self.tokens.pop(work)
            self.count += 1
            self.issued.append((work, dispatched, head, issue, waits))
            self.queue.pop(issue)
            self.engine.accept(work, issue)
        self.stepping = False

    def done(self, done: Work, first: int, last: int, busy: int) -> None:
        """A transfer is done, in order."""
        work, dispatched, head, issue, waits = self.issued.popleft()
        assert work is done
        retire = last
        if self.module is PipelineModule.STORE:
            retire = max(
                last + Pipeline.DONE_TO_RETIRE, self.retired[-1] + 1 if self.retired else 0
            )
        first = min(first, last)
        begin = issue + self.engine.constants.row_generator
        idle = last - first + 1 - busy
        if first > begin:
            waits = (*waits, Wait(Cause.MEMORY, begin, first))
        if idle > 0 and busy:
            waits = (*waits, Wait(Cause.MEMORY, last + 1 - idle, last + 1))
        self.retired.append(retire)
        self.report(
            InstructionTiming(
                work.index, work.module, work.unit, dispatched, head, issue, first, last, retire,
                busy, waits,
            )
        )  # fmt: skip
        self.tokens.push(work, retire)
        self.step()
