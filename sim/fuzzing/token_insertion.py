"""Token insertion: a stream whose result does not depend on timing.

The program writer emits instructions in the order of the stream, as if each ran after the last one.
:class:`TokenInserter` keeps a vector clock for each module: how far it has certainly seen the
others progress; a token carries the clock of its source. :class:`AccessHistory` records which
instruction read or wrote which entry, so that an instruction that depends on one of another module
is ordered after that one first.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from vta.isa import TOKEN_QUEUES, Instruction, Load, MemId, PipelineModule, Store, token_queue

if TYPE_CHECKING:
    import random

__all__ = ["AccessHistory", "TokenInserter"]

NEIGHBOURS = [(queue.source, queue.target) for queue in TOKEN_QUEUES]
"""Pairs of modules that have a token queue from the first to the second."""

Clock = dict[PipelineModule, int]
"""For each module, how many of its instructions are known to be done."""


class TokenInserter:
    """A stream, and how far each module has certainly seen the others progress."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.insns: list[Instruction] = []
        self.clock: dict[PipelineModule, Clock] = {
            m: dict.fromkeys(PipelineModule, 0) for m in PipelineModule
        }
        """What the next instruction of a module will have seen."""
        self.last: dict[PipelineModule, tuple[int, Clock]] = {}
        """A module's last instruction: its place in the stream, what was seen when it is done."""
        self.tokens: dict[tuple[PipelineModule, PipelineModule], deque[Clock]] = {
            pair: deque() for pair in NEIGHBOURS
        }
        """Tokens in flight, each with the clock of its source."""
        self.pops: dict[PipelineModule, set[str]] = {m: set() for m in PipelineModule}
        """Flags that the next instruction of a module carries."""

    def count(self, module: PipelineModule) -> int:
        """The number of instructions that the module has been given."""
        return self.clock[module][module]

    def emit(self, insn: Instruction) -> None:
        module = insn.module
        self.clock[module][module] += 1
        self.last[module] = len(self.insns), dict(self.clock[module])
        self.insns.append(replace(insn, **dict.fromkeys(self.pops[module], True)))
        self.pops[module].clear()

    def push(self, source: PipelineModule, target: PipelineModule) -> None:
        """A token from the last instruction of ``source``, or from a NOP after it."""
        flag = token_queue(source, target).push_flag
        place, _ = self.last.get(source, (None, None))
        if place is None or getattr(self.insns[place], flag) or self.rng.random() < 0.2:
            self.emit(self.nop(source))
        place, clock = self.last[source]
        self.insns[place] = replace(self.insns[place], **{flag: True})
        self.tokens[source, target].append(clock)

    def pop(self, source: PipelineModule, target: PipelineModule) -> None:
        """The next instruction of ``target`` pops a token in flight from ``source``."""
        flag = token_queue(source, target).pop_flag
        if flag in self.pops[target]:
            self.emit(self.nop(target))
        clock = self.clock[target]
        for module, done in self.tokens[source, target].popleft().items():
            clock[module] = max(clock[module], done)
        self.pops[target].add(flag)

    def order(self, source: PipelineModule, count: int, target: PipelineModule) -> None:
        """Make the next instruction of ``target`` see the first ``count`` of ``source`` done."""
        if self.clock[target][source] >= count:
            return
        if (source, target) in NEIGHBOURS:
            while self.clock[target][source] < count:
                if not self.tokens[source, target]:
                    self.push(source, target)
                self.pop(source, target)
        else:  # load and store have no tokens for each other: through compute
            self.order(source, count, PipelineModule.COMPUTE)
            if self.pops[PipelineModule.COMPUTE]:
                self.emit(self.nop(PipelineModule.COMPUTE))
            self.order(PipelineModule.COMPUTE, self.count(PipelineModule.COMPUTE), target)

    def nop(self, module: PipelineModule) -> Instruction:
        """A transfer without columns; its other fields have any values."""
        rng = self.rng
        memories = {
            PipelineModule.LOAD: (MemId.INP, MemId.WGT),
            PipelineModule.COMPUTE: (MemId.UOP, MemId.ACC, MemId.ACC_8BIT),
            PipelineModule.STORE: tuple(MemId),
        }[module]
        junk: dict[str, Any] = {}
        if rng.random() < 0.3:
            junk = {
                name: rng.randrange(16) for name in ("y_pad_0", "y_pad_1", "x_pad_0", "x_pad_1")
            }
            junk |= {name: rng.randrange(1 << 16) for name in ("sram_base", "y_size", "x_stride")}
            junk["dram_base"] = rng.randrange(1 << 32)
        kind = Store if module is PipelineModule.STORE else Load
        return kind(memory=rng.choice(memories), x_size=0, **junk)

    def add_spare_tokens(self) -> None:
        """Sometimes push a token that no dependence needs, or pop one that is in flight."""
        for source, target in NEIGHBOURS:
            waiting = len(self.tokens[source, target])
            if waiting < 5 and self.rng.random() < 0.08:
                for _ in range(self.rng.randint(1, 3)):
                    self.push(source, target)
            elif waiting and self.rng.random() < 0.15:
                self.pop(source, target)


class AccessHistory:
    """For each entry of one memory, the last read and write by each module.

    Instructions are numbered from 1 in each module, as ``TokenInserter.count`` gives them.
    ``entries`` are whatever indexes a NumPy array of ``size`` elements.
    """

    def __init__(self, size: int) -> None:
        self.reads = {module: np.zeros(size, np.int64) for module in PipelineModule}
        self.writes = {module: np.zeros(size, np.int64) for module in PipelineModule}

    def needed(
        self, module: PipelineModule, entries: Any, *, write: bool
    ) -> dict[PipelineModule, int]:
        """How many instructions of the others must be done before ``module`` may touch entries."""
        needed = {}
        for other in PipelineModule:
            if other is not module:
                times = [self.writes[other][entries]]
                if write:
                    times.append(self.reads[other][entries])
                needed[other] = max(int(time.max(initial=0)) for time in times)
        return needed

    def note(self, module: PipelineModule, count: int, entries: Any, *, write: bool) -> None:
        """Instruction ``count`` of ``module`` touches the entries."""
        (self.writes if write else self.reads)[module][entries] = count
