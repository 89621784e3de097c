"""Machines compared: cycles of networks by the timing model, resources of a part by Yosys."""

from __future__ import annotations

import hashlib
import json
import math
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vta.cache import cache_folder
from vta.config import VTAConfig
from vta.config_file import shown
from vta.errors import TuningError, VTAError
from vta.tuning.engine import Engine, Task, checked_results
from vta.tuning.identity import identity
from vta.tuning.machine_space import MachineSpace, Refused

if TYPE_CHECKING:
    from vta.tuning.engine import Done

__all__ = ["Exploration", "Point", "explore", "network_cycles", "part_resources"]

SYNTHESIS_PATIENCE = 8.0
"""A first synthesis of a large machine takes minutes, on a busy computer more than half an hour."""


@dataclass
class Point:
    """A machine with a memory preset.

    Attributes
    ----------
    number : int
        Of the machine, among those that fit.
    machine : VTAConfig
    memory : str
    cycles : dict of str to int
        Of each model.
    bytes_moved : int
        By all models.
    used : dict of str to float
        Of each resource of the part.
    """

    number: int
    machine: VTAConfig
    memory: str
    cycles: dict[str, int] = field(default_factory=dict)
    bytes_moved: int = 0
    used: dict[str, float] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """Cycles of all models."""
        return sum(self.cycles.values())

    @property
    def bandwidth(self) -> float:
        """Bytes of DRAM a cycle, on average."""
        return self.bytes_moved / self.total


@dataclass(frozen=True)
class Exploration:
    """What was found.

    Attributes
    ----------
    space : MachineSpace
    capacity : mapping of str to int
        Of the part.
    points : list of Point
        The machines that fit, each with each memory.
    refused : list of Refused
        The others, and why.
    """

    space: MachineSpace
    capacity: Mapping[str, int]
    points: list[Point]
    refused: list[Refused]

    @property
    def pareto(self) -> list[Point]:
        """The points that no machine with the same memory dominates: none is better in cycles or
        a resource and as good in the rest."""
        front: list[Point] = []
        for memory in self.space.memories:
            points = self.of_memory(memory)
            costs = [(point.total, *point.used.values()) for point in points]
            front += [
                point
                for point, own in zip(points, costs)
                if not any(
                    other != own and all(a <= b for a, b in zip(other, own)) for other in costs
                )
            ]
        return front

    def of_memory(self, memory: str) -> list[Point]:
        """The points with a memory preset, in order of their machines."""
        return [point for point in self.points if point.memory == memory]


def network_cycles(
    name: str, content: bytes, machine: Mapping[str, Any], memories: Sequence[str]
) -> dict[str, Any]:
    """On a worker: cycles of a model on a machine.

    Returns
    -------
    dict
        ``{"cycles": {memory: number}, "bytes": number}``, or ``{"refused": text}`` if the model
        does not fit the machine.
    """
    from vta.networks import compile_model
    from vta.sim.timing import estimate

    cfg = VTAConfig.from_dict(dict(machine))
    with tempfile.TemporaryDirectory(prefix="vta-explore-") as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(content)
        try:
            network = compile_model(path, cfg=cfg, name=name)
        except VTAError as error:
            return {"refused": f"{name}: {error}"}
    programs = [step.program for step in network.steps if step.program is not None]
    return {
        "cycles": {m: sum(estimate(p, m).cycles for p in programs) for m in memories},
        "bytes": sum(program.dram_bytes for program in programs),
    }


def part_resources(machine: Mapping[str, Any], part: str) -> dict[str, float]:
    """On a worker: what a machine takes of a part.

    The result is kept in the cache folder for this version of the package and of Yosys; of other
    machines, modules that were synthesised before are read from there.

    Raises
    ------
    SynthesisError
        If Yosys is missing or fails.
    """
    from vta.boards.board import find_part
    from vta.boards.synth import synthesise
    from vta.boards.synthesis.yosys import Yosys

    cfg = VTAConfig.from_dict(dict(machine))
    folder = cache_folder("synthesis")
    words = json.dumps(
        [identity(), Yosys(folder / "cache").version, cfg.to_dict(), part], sort_keys=True
    )
    kept = folder / "machines" / f"{hashlib.sha256(words.encode()).hexdigest()[:32]}.json"
    if kept.is_file():
        found: dict[str, float] = json.loads(kept.read_text(encoding="utf-8"))
        return found
    report = synthesise(cfg, find_part(part), folder)
    used = {name: round(float(amount), 2) for name, amount in report.used.items()}
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=kept.parent, delete=False) as file:
        json.dump(used, file)
    os.replace(file.name, kept)  # another worker may write the same
    return used


def explore(
    models: Mapping[str, bytes],
    space: MachineSpace,
    engine: Engine,
    report: Callable[[int, int, str], None] = lambda done, count, what: None,
) -> Exploration:
    """Compare the machines of a space.

    Parameters
    ----------
    models : mapping of str to bytes
        Quantised ONNX files by their names.
    space : MachineSpace
    engine : Engine
    report : callable
        ``report(done, count, what)`` after each task.

    Raises
    ------
    ConfigError
        If there is no such part.
    TuningError
        If no machine of the space fits, or a task fails.
    """
    from vta.boards.board import find_part

    part = find_part(space.part)
    refused: list[Refused] = []
    machines: list[VTAConfig] = []
    for found in space.machines():
        if isinstance(found, Refused):
            refused.append(found)
        else:
            machines.append(found)
    if not machines:
        raise _empty(refused)
    count = len(machines) * (1 + len(models))
    for number, machine in enumerate(machines):
        for name, content in models.items():
            arguments = (name, content, machine.to_dict(), space.memories)
            engine.submit(Task(network_cycles, arguments, (number, name)))
        engine.submit(
            Task(
                part_resources,
                (machine.to_dict(), part.name),
                (number, None),
                patience=SYNTHESIS_PATIENCE,
            )
        )
    cycles: dict[int, dict[str, Any]] = {number: {} for number in range(len(machines))}
    used: dict[int, dict[str, float]] = {}
    checked = checked_results(engine, count, lambda done: _fault(done, machines))
    for done_count, (done, fault) in enumerate(checked, 1):
        number, model = done.task.tag
        if fault is not None:
            raise TuningError(fault)
        value = done.value
        if model is None:
            used[number] = value
        else:
            cycles[number][model] = value
        what = model or f"{part.name}, {machines[number].fingerprint}"
        report(done_count, count, what)
    points: list[Point] = []
    fitting = 0
    for number, machine in enumerate(machines):
        why = [r["refused"] for r in cycles[number].values() if "refused" in r]
        why += [
            f"does not fit {part.name}: {amount:,.0f} {name}, the part has {part.capacity[name]:,}"
            for name, amount in used[number].items()
            if amount > part.capacity[name]
        ]
        if why:
            refused.append(Refused(space.varied(machine), "; ".join(why)))
            continue
        results = {name: cycles[number][name] for name in models}
        moved = sum(result["bytes"] for result in results.values())
        points += [
            Point(
                fitting, machine, memory,
                {name: r["cycles"][memory] for name, r in results.items()}, moved, used[number],
            )
            for memory in space.memories
        ]  # fmt: skip
        fitting += 1
    if not points:
        raise _empty(refused)
    return Exploration(space, part.capacity, points, refused)


def _fault(done: Done, machines: Sequence[VTAConfig]) -> str | None:
    """Why a worker's answer is no result of a task; None if it is one."""
    number, model = done.task.tag
    if done.error is not None:
        return f"machine {machines[number].fingerprint} on {done.worker}: {done.error}"
    value = done.value
    if isinstance(value, dict):
        if model is not None and [*value] == ["refused"] and isinstance(value["refused"], str):
            return None
        numbers = [*value.values()]
        if model is not None and [*value] == ["cycles", "bytes"]:
            each = value["cycles"]
            numbers = [*each.values(), value["bytes"]] if isinstance(each, dict) else [None]
        elif model is not None:
            numbers = [None]
        if numbers and all(isinstance(n, int | float) and 0 <= n < math.inf for n in numbers):
            return None
    return f"worker {done.worker} returned no result of a machine: {shown(value)}"


def _empty(refused: Sequence[Refused]) -> TuningError:
    listed = "\n".join(f"  {_keys(each.keys)}: {each.why}" for each in refused)
    return TuningError(f"the space has no machine that fits:\n{listed}")


def _keys(keys: Mapping[str, int]) -> str:
    return ", ".join(f"{key} {value}" for key, value in keys.items())
