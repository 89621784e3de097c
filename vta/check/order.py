"""In which order the instructions of a stream can run, and which order the tokens enforce.

Every token queue has one module that pushes and one that pops, and every module executes in the
order of its queue. So the k-th pop of a queue always takes the k-th push, whatever the timing, and
one simulation by the counts alone decides about deadlock for all timings.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from vta.check.report import Finding, Kind
from vta.config import INSN_QUEUE_DEPTH
from vta.isa import Instruction, PipelineModule, TokenCounts, disassemble

__all__ = ["Clock", "Order", "find_order"]

Clock = dict[PipelineModule, int]
"""For each module, how many of its instructions are done before this one begins; of its own module,
itself counted."""


@dataclass
class Order:
    """What the tokens say.

    Attributes
    ----------
    sequence : list of int
        The numbers of all instructions that can ever run, in one order in which they can.
    clocks : dict of int to Clock
        For each of them, what is done when it is.
    members : dict of PipelineModule to list of int
        The numbers of each module's instructions, in order.
    findings : list of Finding
        Deadlocks, and tokens that no instruction pops.
    """

    sequence: list[int] = field(default_factory=list)
    clocks: dict[int, Clock] = field(default_factory=dict)
    members: dict[PipelineModule, list[int]] = field(
        default_factory=lambda: {m: [] for m in PipelineModule}
    )
    findings: list[Finding] = field(default_factory=list)


def find_order(insns: Sequence[Instruction]) -> Order:
    """The order of the instructions, all of them legal. Time is linear in their number."""
    return _Simulation(insns).run()


class _Simulation:
    def __init__(self, insns: Sequence[Instruction]) -> None:
        self.insns = insns
        self.order = Order()
        self.waiting: dict[PipelineModule, deque[int]] = {m: deque() for m in PipelineModule}
        self.fetched = 0
        self.pushes: dict[str, list[int]] = {name: [] for name in TokenCounts().as_dict()}
        self.pops = dict.fromkeys(self.pushes, 0)

    def run(self) -> Order:
        moved = True
        while moved:
            moved = self._fetch()
            for module in PipelineModule:
                while self.waiting[module] and self._step(module):
                    moved = True
        self._blocked()
        self._leftover()
        return self.order

    def _fetch(self) -> bool:
        """Fill the queues, until the one that the next instruction needs is full."""
        before = self.fetched
        while self.fetched < len(self.insns):
            module = self.insns[self.fetched].module
            if len(self.waiting[module]) == INSN_QUEUE_DEPTH:
                break
            self.waiting[module].append(self.fetched)
            self.order.members[module].append(self.fetched)
            self.fetched += 1
        return self.fetched > before

    def _step(self, module: PipelineModule) -> bool:
        """Execute the head of a queue, if its tokens are there."""
        index = self.waiting[module][0]
        insn = self.insns[index]
        popped = TokenCounts.popped_by(insn)
        if any(self.pops[queue] == len(self.pushes[queue]) for queue in popped):
            return False
        place = len(self.order.members[module]) - len(self.waiting[module])
        if place:
            clock = dict(self.order.clocks[self.order.members[module][place - 1]])
        else:
            clock = dict.fromkeys(PipelineModule, 0)
        clock[module] += 1
        for queue in popped:
            source = self.pushes[queue][self.pops[queue]]
            self.pops[queue] += 1
            for other, count in self.order.clocks[source].items():
                clock[other] = max(clock[other], count)
        for queue in TokenCounts.pushed_by(insn):
            self.pushes[queue].append(index)
        self.order.clocks[index] = clock
        self.order.sequence.append(index)
        self.waiting[module].popleft()
        return True

    def _blocked(self) -> None:
        """What waits for ever."""
        for module in PipelineModule:
            if self.waiting[module]:
                index = self.waiting[module][0]
                for queue in TokenCounts.popped_by(self.insns[index]):
                    if self.pops[queue] == len(self.pushes[queue]):
                        self._waits(index, queue)
        if self.fetched < len(self.insns):
            insn = self.insns[self.fetched]
            message = (
                f"it never finds room in the {insn.module.name.lower()} module's queue of "
                f"{INSN_QUEUE_DEPTH} instructions"
            )
            self._find(Kind.DEADLOCK, message, self.fetched)

    def _waits(self, index: int, queue: str) -> None:
        number = self.pops[queue]
        ever = [n for n, insn in enumerate(self.insns) if queue in TokenCounts.pushed_by(insn)]
        if len(ever) <= number:
            message = (
                f"pops token {number + 1} of {queue}, but the stream pushes only {len(ever)} there"
            )
            self._find(Kind.DEADLOCK, message, index)
        else:
            source = ever[number]
            message = (
                f"pops token {number + 1} of {queue}, which instruction {source} "
                f"({disassemble(self.insns[source])}) pushes, but that one cannot run before this"
            )
            self._find(Kind.DEADLOCK, message, index, source)

    def _leftover(self) -> None:
        if self.order.findings:
            return  # what is blocked would have popped
        for queue, pushes in self.pushes.items():
            for index in pushes[self.pops[queue] :]:
                message = (
                    f"pushes token {pushes.index(index) + 1} of {queue}, "
                    f"but the stream pops only {self.pops[queue]} there"
                )
                self._find(Kind.LEFTOVER, message, index)

    def _find(self, kind: Kind, message: str, index: int, other: int | None = None) -> None:
        text = disassemble(self.insns[index])
        self.order.findings.append(Finding(kind, message, index, text, other))
