"""The activity record of the simulated RTL as times and waits of instructions.

A pulse of the record belongs to the next instruction of its module or unit: modules issue and
retire in order, and so does each execution unit.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from vta.isa import TOKEN_QUEUES, Alu, Gemm, Load, PipelineModule
from vta.profiling.tokens import token_edges
from vta.sim.timing import Cause, InstructionTiming, Timing, Wait

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from vta.isa import Instruction

__all__ = ["Record", "timing_of"]


class Record:
    """An activity record, by the names of the probes.

    Parameters
    ----------
    changes : ndarray of uint64, shape (n, 2)
        As :meth:`vta.sim.rtl.machine.VerilatedMachine.activity`.
    names : sequence of str
        The names of the bits.

    Attributes
    ----------
    origin : int
        The cycle of the simulator that is cycle 0 of the run.
    """

    def __init__(self, changes: npt.NDArray[np.uint64], names: Sequence[str]) -> None:
        if not len(changes):
            changes = np.zeros((1, 2), np.uint64)
        self.names = {name: bit for bit, name in enumerate(names)}
        self.values = changes[:, 1]
        running = (self.values >> np.uint64(self.names["running"]) & np.uint64(1)).astype(bool)
        self.empty = not running.any()
        at = changes[:, 0].astype(np.int64)
        # Cycle 0 is the first one of the run.
        self.origin = int(at[np.argmax(running)]) if not self.empty else 0
        self.at = at - self.origin
        ends = np.append(self.at[1:], self.at[-1:] + 1)
        self.cycles = int((ends - self.at)[running].sum())
        self._ends = ends
        self._segments: dict[str, tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]] = {}

    def segments(self, name: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """First cycles, and cycles behind the last, of the times in which a probe is high."""
        if name not in self._segments:
            high = (self.values >> np.uint64(self.names[name]) & np.uint64(1)).astype(bool)
            self._segments[name] = self.at[high], self._ends[high]
        return self._segments[name]

    def pulses(self, name: str) -> npt.NDArray[np.int64]:
        """Each cycle in which a probe is high."""
        begins, ends = self.segments(name)
        lengths = ends - begins
        offsets = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        cycles: npt.NDArray[np.int64] = np.repeat(begins, lengths) + offsets
        return cycles

    def first_after(self, name: str, cycle: int, otherwise: int) -> int:
        """The first cycle from ``cycle`` on in which a probe is high."""
        begins, ends = self.segments(name)
        index = int(np.searchsorted(ends, cycle, "right"))
        return max(int(begins[index]), cycle) if index < len(begins) else otherwise

    def count(self, name: str, begin: int, end: int) -> int:
        """In how many of the cycles ``begin <= cycle < end`` a probe is high."""
        return sum(last - first for first, last in self.within(name, begin, end))

    def within(self, name: str, begin: int, end: int) -> list[tuple[int, int]]:
        """The times inside ``begin <= cycle < end`` in which a probe is high, adjacent ones
        joined."""
        begins, ends = self.segments(name)
        low = int(np.searchsorted(ends, begin, "right"))
        high = int(np.searchsorted(begins, end, "left"))
        found: list[tuple[int, int]] = []
        for first, last in zip(begins[low:high].tolist(), ends[low:high].tolist()):
            first, last = max(first, begin), min(last, end)
            if found and found[-1][1] == first:
                first = found.pop()[0]
            if first < last:
                found.append((first, last))
        return found


_WAITS = {
    "load": (("load token", Cause.TOKEN), ("load limit", Cause.QUEUE)),
    "store": (("store token", Cause.TOKEN), ("store limit", Cause.QUEUE)),
    "compute": (
        ("compute token", Cause.TOKEN), ("compute hazard", Cause.HAZARD),
        ("compute uop hazard", Cause.HAZARD),
        ("compute full", Cause.QUEUE), ("compute unit full", Cause.UNIT),
    ),
}  # fmt: skip
"""The states of the head of a module, by priority."""


def timing_of(record: Record, instructions: Sequence[Instruction]) -> Timing:
    """The times and waits of the instructions that retired; after a failed run these are fewer than
    the stream has."""
    sources = {
        (consumer, queue): producer for queue, producer, consumer in token_edges(instructions)
    }
    found: list[InstructionTiming] = []
    for module in PipelineModule:
        found += _Module(record, module, instructions, sources).timings()
    found.sort(key=lambda timing: timing.index)
    reads = sum(len(record.pulses(f"{name} beat")) for name in ("fetch", "load", "compute"))
    return Timing(record.cycles, tuple(found), reads, len(record.pulses("write beat")))


def _unit(insn: Instruction, name: str) -> str:
    if name != "compute":
        return name
    if isinstance(insn, Load) and not insn.is_nop:
        return "loader"
    return "gemm" if isinstance(insn, Gemm) else "alu" if isinstance(insn, Alu) else "none"


class _Module:
    """One module of a run."""

    def __init__(
        self,
        record: Record,
        module: PipelineModule,
        instructions: Sequence[Instruction],
        sources: dict[tuple[int, str], int],
    ) -> None:
        self.record, self.module, self.name = record, module, module.name.lower()
        self.instructions, self.sources = instructions, sources
        self.indices = [n for n, insn in enumerate(instructions) if insn.module is module]

    def timings(self) -> list[InstructionTiming]:
        record, name = self.record, self.name
        dispatched = record.pulses("dispatched")
        issued, retired = record.pulses(f"{name} issued"), record.pulses(f"{name} retired")
        accepted = record.pulses("compute accepted") if name == "compute" else None
        executions = self._executions()
        out: list[InstructionTiming] = []
        newest_issue = -1
        for n, index in enumerate(self.indices[: len(retired)]):
            issue, retire = int(issued[n]), int(retired[n])
            if accepted is None:
                head = record.first_after(f"{name} head", newest_issue + 1, issue)
            else:
                head = int(accepted[n])
            newest_issue = issue
            unit = _unit(self.instructions[index], name)
            if executions.get(unit):
                start, end, busy, extra = executions[unit].pop(0)
            elif unit == "none":
                start, end, busy, extra = issue, issue, 0, ()
            else:
                start, end, busy, extra = self._transfer(n, issue, retired)
            waits = (*self._waits(index, min(head, issue), issue), *extra)
            out.append(
                InstructionTiming(
                    index, self.module, unit, int(dispatched[index]), min(head, issue), issue,
                    start, end, retire, busy, waits,
                )
            )  # fmt: skip
        return out

    def _waits(self, index: int, begin: int, end: int) -> tuple[Wait, ...]:
        """Between head and issue each cycle has one cause."""
        causes = np.full(max(end - begin, 0), -1)
        order = _WAITS[self.name]
        for number, (probe, _) in reversed(list(enumerate(order))):
            for first, last in self.record.within(probe, begin, end):
                causes[first - begin : last - begin] = number
        waits: list[Wait] = []
        borders = [0, *(np.flatnonzero(np.diff(causes)) + 1).tolist(), len(causes)]
        for first, last in pairwise(borders):
            if first < last:
                cause = Cause.DECODE if causes[first] < 0 else order[causes[first]][1]
                source = self._source(index, begin + last) if cause is Cause.TOKEN else None
                waits.append(Wait(cause, begin + first, begin + last, source))
        return tuple(waits)

    def _source(self, index: int, end: int) -> int | None:
        """The producer of the token for which an instruction waits until ``end``."""
        names = (queue.name for queue in TOKEN_QUEUES)
        queues = [name for name in names if (index, name) in self.sources]
        if len(queues) > 1 and self.name == "compute":
            late = [q for q in queues if self.record.count(f"compute {q}", end - 1, end)]
            queues = late or queues
        return self.sources[index, queues[0]] if queues else None

    def _executions(self) -> dict[str, list[tuple[int, int, int, tuple[Wait, ...]]]]:
        """Start, end, cycles of work and waits of each instruction of GEMM, ALU and loader."""
        if self.name != "compute":
            return {}
        record = self.record
        found: dict[str, list[tuple[int, int, int, tuple[Wait, ...]]]] = {}
        for unit in ("gemm", "alu"):
            lasts, dones = record.pulses(f"{unit} last uop"), record.pulses(f"{unit} done")
            found[unit] = []
            begin = 0
            for last, done in zip(lasts.tolist(), dones.tolist()):
                start = record.first_after(f"{unit} uop", begin, last)
                stalls: tuple[Wait, ...] = ()
                if unit == "alu":
                    stalls = tuple(
                        Wait(cause, first, end)
                        for probe, cause in (
                            ("alu dst bank", Cause.BANK), ("alu src bank", Cause.BANK),
                            ("alu hazard", Cause.HAZARD),
                        )
                        for first, end in record.within(probe, start, done)
                    )  # fmt: skip
                busy = record.count(f"{unit} uop", start, last + 1)
                found[unit].append((start, done, busy, stalls))
                begin = last + 1
        found["loader"] = []
        issued, begin = record.pulses("loader issued").tolist(), 0
        for issue, done in zip(issued, record.pulses("loader done").tolist()):
            found["loader"].append(self._written("loader write", max(begin, issue), done))
            begin = done + 1
        return found

    def _transfer(
        self, n: int, issue: int, retired: npt.NDArray[np.int64]
    ) -> tuple[int, int, int, tuple[Wait, ...]]:
        """The same of instruction ``n`` of the load or store module."""
        begin = max(issue, int(retired[n - 1]) + 1 if n else 0)
        probe = "load write" if self.name == "load" else "write beat"
        return self._written(probe, begin, int(retired[n]))

    def _written(self, probe: str, begin: int, done: int) -> tuple[int, int, int, tuple[Wait, ...]]:
        """A transfer whose work is the cycles of ``probe`` from ``begin`` to ``done``."""
        start = min(self.record.first_after(probe, begin, done), done)
        working = self.record.within(probe, start, done + 1)
        busy = sum(last - first for first, last in working)
        waits = [Wait(Cause.MEMORY, begin, start)] if begin < start else []
        edges = [start, *(edge for times in working for edge in times), done + 1]
        waits += [
            Wait(Cause.MEMORY, first, last)
            for first, last in zip(edges[::2], edges[1::2])
            if first < last
        ]
        return start, done, busy, tuple(waits)
