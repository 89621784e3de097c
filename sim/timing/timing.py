"""What the timing model reports: cycles of a run, times and waits of each instruction."""

from __future__ import annotations

import enum
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vta.isa import PipelineModule

__all__ = ["Cause", "InstructionTiming", "Timing", "Wait"]


class Cause(enum.StrEnum):
    """What an instruction at the head of its queue waits for, or what delays one that executes."""

    DECODE = "decode"
    """Access ranges, hazard detection, or a transfer descriptor: cycles of the issue stage."""
    TOKEN = "token"
    """A token of another module; ``source`` is the instruction that pushes it."""
    HAZARD = "hazard"
    """An older instruction on another unit; ``source`` is that instruction."""
    UNIT = "unit"
    """The execution unit is busy with older instructions."""
    QUEUE = "queue"
    """The queue of the unit, the scoreboard, or the limit of instructions in flight is full."""
    MEMORY = "memory"
    """Data of the memory: latency, bus, other readers."""
    BANK = "bank"
    """Bank conflicts in the accumulators."""


@dataclass(frozen=True, slots=True)
class Wait:
    """An instruction waits in the cycles ``begin <= cycle < end``.

    ``source`` is the index of the instruction that it waits for, None where there is none.
    """

    cause: Cause
    begin: int
    end: int
    source: int | None = None

    @property
    def cycles(self) -> int:
        return self.end - self.begin


@dataclass(frozen=True, slots=True)
class InstructionTiming:
    """One instruction in the run. Cycles count from the start of the run.

    Attributes
    ----------
    index : int
        Its number in the stream.
    module : PipelineModule
        The module that executes it.
    unit : str
        ``load``, ``store``, ``gemm``, ``alu``, ``loader`` (the load engine of the compute module)
        or ``none`` (FINISH, NOPs).
    dispatched : int
        It enters the queue of its module.
    head : int
        It is at the head of its queue, and the module accepts it.
    issue : int
        Its tokens are popped.
    start, end : int
        First and last cycle of execution. GEMM, ALU: the first micro-op, the last write. Loads: the
        first beat or padding written, the last write. Stores: the first beat on the bus, the last
        response.
    retire : int
        Its tokens are pushed.
    busy : int
        Cycles that its unit works for it: micro-ops, elements or beats written, beats stored.
    waits : tuple of Wait
        Between ``head`` and ``issue``: without gap or overlap. Between ``issue`` and ``end``: what
        delays it.
    """

    index: int
    module: PipelineModule
    unit: str
    dispatched: int
    head: int
    issue: int
    start: int
    end: int
    retire: int
    busy: int
    waits: tuple[Wait, ...] = ()


@dataclass(frozen=True)
class Timing:
    """One run of a program, as the timing model sees it.

    Attributes
    ----------
    cycles : int
        Clock cycles from launch to done, as ``RunResult.cycle_count``.
    instructions : sequence of InstructionTiming
        In the order of the stream. The timing model makes them when they are first read.
    read_beats, write_beats : int
        Beats on the bus.
    """

    cycles: int
    instructions: Sequence[InstructionTiming]
    read_beats: int
    write_beats: int

    def busy(self) -> dict[str, int]:
        """Cycles that each unit works, by its name."""
        found: dict[str, int] = defaultdict(int)
        for insn in self.instructions:
            if insn.unit != "none":
                found[insn.unit] += insn.busy
        return dict(found)

    def waits(self) -> dict[tuple[str, Cause], int]:
        """Cycles that instructions wait, by unit and cause. Waits of different instructions overlap
        in time."""
        found: dict[tuple[str, Cause], int] = defaultdict(int)
        for insn in self.instructions:
            for wait in insn.waits:
                found[insn.unit, wait.cause] += wait.cycles
        return dict(found)

    def __str__(self) -> str:
        """A table for people: each unit, its instructions, its work, and what they waited for."""
        busy, waits = self.busy(), self.waits()
        count: dict[str, int] = defaultdict(int)
        for insn in self.instructions:
            count[insn.unit] += 1
        causes = list(Cause)
        head = f"{'unit':8}{'insns':>8}{'busy':>11}{'share':>8}"
        lines = [f"{self.cycles:,} cycles", head + "".join(f"{cause:>11}" for cause in causes)]
        for unit in ("load", "loader", "gemm", "alu", "store", "none"):
            if unit in count:
                share = busy.get(unit, 0) / max(self.cycles, 1)
                row = f"{unit:8}{count[unit]:>8,}{busy.get(unit, 0):>11,}{share:>8.1%}"
                row += "".join(f"{waits.get((unit, cause), 0):>11,}" for cause in causes)
                lines.append(row)
        return "\n".join(lines)
