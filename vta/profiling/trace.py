"""A profile as events for ui.perfetto.dev, in the Chrome trace format: JSON that needs no package.

A microsecond of the viewer is a clock cycle.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from vta.isa import TOKEN_QUEUES, PipelineModule, TokenCounts, disassemble
from vta.profiling.causes import CycleCause
from vta.profiling.hazards import HazardEntries
from vta.profiling.layers import Layer, ProfileData
from vta.profiling.tokens import token_edges
from vta.sim.timing import Cause

if TYPE_CHECKING:
    from vta.sim.timing import InstructionTiming

__all__ = ["trace_bytes"]

TRACKS = {
    "layers": 1, "nodes": 2, "causes": 3, "load": 4, "load waits": 5, "loader": 6, "gemm": 7,
    "alu": 8, "compute waits": 9, "store": 10, "store waits": 11, "none": 12, "read bus": 13,
    "write bus": 14,
}  # fmt: skip
"""The tracks by name, with their numbers: the order in the viewer."""
TITLES = {
    "nodes": "nodes of a joined program", "causes": "cause of each cycle",
    "loader": "compute: loader", "gemm": "compute: GEMM", "alu": "compute: ALU",
    "none": "compute: no unit",
}  # fmt: skip
BINS = 500
"""Points of a counter track in a layer at most."""


def trace_bytes(profile: ProfileData, *, compressed: bool) -> bytes:
    """The trace file; the same profile gives the same bytes."""
    document = {
        "displayTimeUnit": "ns",
        "otherData": {
            "name": profile.name, "target": profile.target, "timed by": profile.timed_by,
            "memory": profile.memory,
            "config": profile.cfg.fingerprint, "unit": "1 us = 1 clock cycle",
            "failure": "" if profile.failure is None else str(profile.failure),
        },
        "traceEvents": list(_events(profile)),
    }  # fmt: skip
    text = json.dumps(document, separators=(",", ":")).encode()
    return gzip.compress(text, mtime=0) if compressed else text


def _events(profile: ProfileData) -> Iterator[dict[str, Any]]:
    yield _metadata("process_name", {"name": profile.heading})
    unused = set() if any(layer.nodes for layer in profile.layers) else {"nodes"}
    if not any(layer.bursts for layer in profile.layers):
        unused |= {"read bus", "write bus"}
    for name, number in TRACKS.items():
        if name in unused:
            continue
        yield _metadata("thread_name", {"name": TITLES.get(name, name)}, number)
        yield _metadata("thread_sort_index", {"sort_index": number}, number)
    begin = 0
    for number, layer in enumerate(profile.layers):
        yield from _layer(layer, begin, number)
        begin += layer.cycles
    if profile.failure is not None:
        yield {
            "ph": "i", "s": "g", "pid": 1, "tid": 1, "ts": begin,
            "name": "the run failed", "args": {"error": str(profile.failure)},
        }  # fmt: skip
        yield from _failed(profile, begin)


def _failed(profile: ProfileData, end: int) -> Iterator[dict[str, Any]]:
    """A mark on the track of the instruction that failed."""
    index = None if profile.failure is None else profile.failure.index
    instructions = profile.layers[-1].program.instructions
    if index is None or not 0 <= index < len(instructions):
        return
    insn = instructions[index]
    track = {PipelineModule.LOAD: "load", PipelineModule.STORE: "store"}.get(insn.module, "none")
    yield {
        "ph": "i", "s": "t", "pid": 1, "tid": TRACKS[track], "ts": end,
        "name": f"FAILED: {disassemble(insn)}", "args": {"index": index},
    }  # fmt: skip


def _metadata(name: str, args: dict[str, Any], tid: int = 0) -> dict[str, Any]:
    return {"ph": "M", "pid": 1, "tid": tid, "name": name, "args": args}


def _slice(
    track: str, begin: int, cycles: int, name: str, args: dict[str, Any] | None = None
) -> dict[str, Any]:
    event = {
        "ph": "X", "pid": 1, "tid": TRACKS[track], "ts": begin, "dur": cycles, "name": name,
    }  # fmt: skip
    return event if args is None else {**event, "args": args}


def _layer(layer: Layer, begin: int, number: int) -> Iterator[dict[str, Any]]:
    args = {"operator": layer.operator, "products": layer.products, "bound": layer.bound}
    yield _slice("layers", begin, layer.cycles, layer.name, args)
    for node in layer.nodes:
        if node.cycles:
            yield _slice("nodes", begin + node.begin, node.cycles, node.name)
    for first, last, cause in runs(layer):
        yield _slice("causes", begin + first, last - first, CycleCause(cause).label)
    hazards = HazardEntries(layer.program, layer.timing)
    by_index = {timing.index: timing for timing in layer.timing.instructions}
    begins: dict[int, int] = {}
    newest: dict[str, int] = {}
    for timing in layer.timing.instructions:
        # Slices of a track do not overlap: the pipeline latency of one instruction is hidden behind
        # the next.
        start = max(timing.start, newest.get(timing.unit, 0))
        begins[timing.index] = start
        newest[timing.unit] = max(start, timing.end) + 1
        yield _instruction(layer, timing, begin, start)
        yield from _waits(layer, timing, begin, newest, hazards)
    for edge, (queue, producer, consumer) in enumerate(token_edges(layer.program.instructions)):
        if producer in by_index and consumer in by_index:
            yield from _flow(
                f"{number}.{edge}", queue, begin,
                (by_index[producer], begins[producer]), (by_index[consumer], begins[consumer]),
            )  # fmt: skip
    yield from _bursts(layer, begin)
    yield from _counters(layer, begin)
    yield from _occupancy(layer, begin)


def runs(layer: Layer) -> Iterator[tuple[int, int, int]]:
    """(first cycle, cycle behind the last, cause) of each run of equal causes."""
    borders = [0, *(np.flatnonzero(np.diff(layer.causes)) + 1).tolist(), len(layer.causes)]
    for first, last in pairwise(borders):
        if first < last:
            yield first, last, int(layer.causes[first])


def _instruction(layer: Layer, timing: InstructionTiming, begin: int, start: int) -> dict[str, Any]:
    text = disassemble(layer.program.instructions[timing.index])
    args = {
        "index": timing.index, "instruction": text, "layer": layer.name,
        "dispatched": timing.dispatched, "head": timing.head, "issue": timing.issue,
        "end": timing.end, "retire": timing.retire, "busy cycles": timing.busy,
    }  # fmt: skip
    source = layer.program.sources.of(timing.index)
    if source is not None:
        args |= {"stage": source.stage, "line": source.line, "statement": source.text}
        args["layer"] = source.layer or layer.name
        if source.loops:
            args["loops"] = ", ".join(source.loops)
        if source.call is not None:
            args |= {"schedule line": str(source.call), "schedule": source.call.text}
    name = " ".join(text.split()[:2])
    return _slice(timing.unit, begin + start, max(timing.end + 1 - start, 1), name, args)


def _waits(
    layer: Layer, timing: InstructionTiming, begin: int, newest: dict[str, int],
    hazards: HazardEntries,
) -> Iterator[dict[str, Any]]:  # fmt: skip
    """The waits of an instruction from the head of its queue to its issue. An instruction of the
    compute module can be at the head while an older one waits for its issue: the wait of the older
    one is shown."""
    track = f"{timing.module.name.lower()} waits"
    for wait in timing.waits:
        first = max(wait.begin, newest.get(track, 0))
        if wait.end > timing.issue or first >= wait.end:
            continue
        newest[track] = wait.end
        args: dict[str, Any] = {"index": timing.index}
        name = str(wait.cause)
        index = wait.source
        if wait.cause is Cause.HAZARD:
            index = hazards.source(wait, timing.index)
        if index is not None:
            source = layer.program.instructions[index]
            name = f"{name} of {source.module.name.lower()}"
            args |= {"for index": index, "for": disassemble(source)}
            if wait.cause is Cause.HAZARD and (entries := hazards.between(index, timing.index)):
                args["entries"] = ", ".join(entries)
        yield _slice(track, begin + first, wait.end - first, name, args)


def _flow(
    identity: str, queue: str, begin: int,
    producer: tuple[InstructionTiming, int], consumer: tuple[InstructionTiming, int],
) -> Iterator[dict[str, Any]]:  # fmt: skip
    """An arrow from the end of the producer to the start of the consumer."""
    (source, _), (target, start) = producer, consumer
    common = {"pid": 1, "cat": "token", "name": queue, "id": identity}
    yield {**common, "ph": "s", "tid": TRACKS[source.unit], "ts": begin + source.end}
    yield {**common, "ph": "f", "bp": "e", "tid": TRACKS[target.unit], "ts": begin + start}


def _bursts(layer: Layer, begin: int) -> Iterator[dict[str, Any]]:
    """A slice for each burst, from the first to the last beat. Bursts of several readers can share
    a time; a slice begins behind the older one."""
    newest = dict.fromkeys(("read bus", "write bus"), 0)
    for burst in sorted(layer.bursts, key=lambda burst: (burst.first, burst.last)):
        track = "write bus" if burst.is_write else "read bus"
        start = max(burst.first, newest[track])
        if start > burst.last:
            continue
        newest[track] = burst.last + 1
        args = {
            "by": burst.reader, "offset": burst.offset, "beats": burst.beats,
            "address": burst.requested, "response": burst.response,
        }  # fmt: skip
        yield _slice(track, begin + start, burst.last + 1 - start, burst.tensor, args)


def _occupancy(layer: Layer, begin: int) -> Iterator[dict[str, Any]]:
    """Counter tracks of the on-chip memories: entries in use, by buffer."""
    width, curves = layer.occupancy(BINS)
    for (memory, buffer), values in curves.items():
        name = f"{memory.name} in use: {buffer}"
        changed = np.flatnonzero(np.diff(values, prepend=-1)).tolist()
        for point in changed:
            yield _count(name, begin + point * width, int(values[point]))
        if values[-1:].any():
            yield _count(name, begin + layer.cycles, 0)


def _count(name: str, cycle: int, value: int) -> dict[str, Any]:
    return {"ph": "C", "pid": 1, "ts": cycle, "name": name, "args": {"count": value}}


def _counters(layer: Layer, begin: int) -> Iterator[dict[str, Any]]:
    """Tokens in the queues, and instructions that wait in those of the modules."""
    changes: dict[str, list[tuple[int, int]]] = {q.name: [] for q in TOKEN_QUEUES}
    waiting: dict[str, list[tuple[int, int]]] = {m.name.lower(): [] for m in PipelineModule}
    for timing in layer.timing.instructions:
        insn = layer.program.instructions[timing.index]
        for queue in TokenCounts.pushed_by(insn):
            changes[queue].append((timing.retire, 1))
        for queue in TokenCounts.popped_by(insn):
            changes[queue].append((timing.issue, -1))
        waiting[timing.module.name.lower()] += [(timing.dispatched, 1), (timing.issue, -1)]
    named = {f"tokens {name}": events for name, events in changes.items()}
    named |= {f"{name}: instructions in queue": events for name, events in waiting.items()}
    for name, events in named.items():
        yield from _counter(name, sorted(events), begin, layer.cycles)


def _counter(
    name: str, events: list[tuple[int, int]], begin: int, cycles: int
) -> Iterator[dict[str, Any]]:
    """A counter track: its value after the last event of each of :data:`BINS` times."""
    value, bin_cycles = 0, max(1, cycles // BINS)
    points: dict[int, tuple[int, int]] = {}
    for cycle, change in events:
        value += change
        points[cycle // bin_cycles] = cycle, value
    for cycle, value in points.values():
        yield _count(name, begin + cycle, value)
