"""Cycles by the statement that emitted the instructions, by the line of the user's script that
asked for the statement, and by node of a joined program."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from vta.call_site import CallSite
    from vta.isa import PipelineModule
    from vta.program import Program
    from vta.program_sources import InstructionSource
    from vta.sim.timing import Cause, InstructionTiming, Timing

__all__ = ["Node", "ScheduleLine", "Statement", "nodes", "schedule_lines", "statements"]


@dataclass
class Statement:
    """The instructions of one statement on one unit.

    Attributes
    ----------
    source : InstructionSource
    unit : str
        As of :class:`~vta.sim.timing.InstructionTiming`.
    instructions : int
    busy : int
        Cycles that the unit worked for them.
    waits : dict of Cause to int
        Cycles that they waited, as the oldest of their module before issue, and of their unit
        afterwards: an instruction behind another one waits for that one alone. Waits of different
        modules and units overlap in time.
    """

    source: InstructionSource
    unit: str
    instructions: int = 0
    busy: int = 0
    waits: dict[Cause, int] = field(default_factory=lambda: defaultdict(int))

    @property
    def waited(self) -> int:
        """Cycles of all causes."""
        return sum(self.waits.values())

    @property
    def largest(self) -> str:
        """The cause with the most cycles; empty without waits."""
        return str(max(self.waits, key=lambda cause: self.waits[cause])) if self.waits else ""


def statements(program: Program, timing: Timing) -> list[Statement]:
    """The statements of a program, those with the most busy cycles first; none if the program has
    no sources."""
    found: dict[tuple[InstructionSource, str], Statement] = {}
    for time, waits in _own_waits(timing):
        source = program.sources.of(time.index)
        if source is None:
            continue
        key = source, time.unit
        if key not in found:
            found[key] = Statement(source, time.unit)
        row = found[key]
        row.instructions += 1
        row.busy += time.busy
        for cause, cycles in waits:
            row.waits[cause] += cycles
    return sorted(found.values(), key=lambda row: -row.busy)


def _own_waits(
    timing: Timing,
) -> Iterator[tuple[InstructionTiming, list[tuple[Cause, int]]]]:
    """Each instruction with its waits, without the cycles in which an older instruction of its
    module is not issued, or an older one of its unit has not ended."""
    issued: dict[PipelineModule, int] = {}
    ended: dict[str, int] = {}
    for time in timing.instructions:
        waits = []
        for wait in time.waits:
            before_issue = wait.end <= time.issue
            free = issued.get(time.module, 0) if before_issue else ended.get(time.unit, 0)
            cycles = wait.end - max(wait.begin, free)
            if cycles > 0:
                waits.append((wait.cause, cycles))
        issued[time.module] = time.issue + 1
        ended[time.unit] = max(ended.get(time.unit, 0), time.end + 1)
        yield time, waits


@dataclass
class ScheduleLine:
    """The instructions of one line of a user's script on one unit; attributes as of
    :class:`Statement`."""

    call: CallSite
    unit: str
    instructions: int = 0
    busy: int = 0
    waited: int = 0


def schedule_lines(rows: Iterable[Statement]) -> list[ScheduleLine]:
    """The sums of statements by line and unit, those with the most busy cycles first; none if no
    statement has a line."""
    found: dict[tuple[CallSite, str], ScheduleLine] = {}
    for row in rows:
        call = row.source.call
        if call is not None:
            line = found.setdefault((call, row.unit), ScheduleLine(call, row.unit))
            line.instructions += row.instructions
            line.busy += row.busy
            line.waited += row.waited
    return sorted(found.values(), key=lambda line: -line.busy)


@dataclass(frozen=True)
class Node:
    """A node of the network in the run of a joined program: the cycles ``begin <= cycle < end``."""

    name: str
    begin: int
    end: int

    @property
    def cycles(self) -> int:
        return self.end - self.begin


def nodes(program: Program, timing: Timing) -> list[Node]:
    """The nodes of a joined program in order, without gap or overlap; none for another program.

    A node ends with its last instruction of the compute module. Its loads can begin, and its stores
    end, in the cycles of another node.
    """
    ends: dict[str, int] = {}
    for time in timing.instructions:
        source = program.sources.of(time.index)
        if source is not None and source.layer:
            end = time.end + 1 if time.unit in ("gemm", "alu") else 0
            ends[source.layer] = max(ends.get(source.layer, 0), end)
    found: list[Node] = []
    begin = 0
    for number, (name, end) in enumerate(ends.items()):
        end = timing.cycles if number == len(ends) - 1 else max(end, begin)
        found.append(Node(name, begin, end))
        begin = end
    return found
