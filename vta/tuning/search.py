"""The search for schedules: many workloads at once, on an engine, with a log."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vta.config_file import shown
from vta.errors import TuningError
from vta.tuning.engine import Engine, Task
from vta.tuning.evaluate import Job, measure, model_cycles
from vta.tuning.identity import identity
from vta.tuning.schedule_log import Entry, ScheduleLog
from vta.tuning.study import BATCH, Study
from vta.tuning.workload import inputs_of

if TYPE_CHECKING:
    import numpy.typing as npt

    from vta.compiler.ops.cost import Tiling
    from vta.config import VTAConfig
    from vta.tuning.engine import Done
    from vta.tuning.workload import Workload

__all__ = ["FINALISTS", "Layer", "Search", "together", "total"]

FINALISTS = 12
"""Schedules of a workload that are measured beside the tiler's."""
GROUPS = 2
"""Groups of trials in flight for each worker, if there are enough trials."""
_TRIALS = (["cycles"], ["cycles", "estimate"], ["pruned"])
"""Keys of a result of the timing model."""


@dataclass
class Layer:
    """The state of the search of a workload.

    Attributes
    ----------
    workload : Workload
    count : int
        How often the network has it.
    study : Study
    entry : Entry or None
        What was stored, when the search has ended.
    """

    workload: Workload
    count: int
    study: Study
    entry: Entry | None = None
    expected: npt.NDArray[Any] | None = None
    waiting: dict[Tiling, int] = field(default_factory=dict)
    results: dict[Tiling, dict[str, Any]] = field(default_factory=dict)
    measuring: bool = False

    @property
    def default_cycles(self) -> int | None:
        """Cycles of the tiler's schedule: measured, or by the timing model."""
        if self.entry is not None:
            return self.entry.default_cycles
        return next((t.cycles for t in self.study.trials if t.tiling == self.study.default), None)

    @property
    def best_cycles(self) -> int | None:
        """Cycles of the best schedule so far: measured, or by the timing model."""
        if self.entry is not None:
            return self.entry.cycles
        best = self.study.best
        return best.cycles if best is not None else None


def together(layers: int, workers: int) -> int:
    """Trials that a worker gets at once: as many as leave :data:`GROUPS` groups for each worker.

    Parameters
    ----------
    layers : int
        With a batch in flight.
    workers : int
    """
    return max(1, min(BATCH, layers * BATCH // (GROUPS * workers)))


class Search:
    """Schedules for workloads.

    Parameters
    ----------
    log : ScheduleLog
    cfg : VTAConfig
    workloads : mapping of Workload to int
        Each with how often the network has it.
    engine : Engine
    memory : str
        The memory preset.
    trials : int
        Schedules of each workload.
    seed : int
        The same seed gives the same trials and the same log.
    seconds : float or None
        After so long no more trials are begun; finalists are measured still.
    target : str
        What finalists are measured on: ``tsim``, or a board of a worker.
    report : callable
        ``report(layer)`` is called when a layer has news.
    warn : callable
        ``warn(text)`` is told of results that are wrong.
    wrong : Path
        The folder that wrong results are written to.

    Raises
    ------
    TuningError
        If the log cannot be used.
    OperatorError
        If a workload does not fit the machine.
    """

    def __init__(
        self,
        log: ScheduleLog,
        cfg: VTAConfig,
        workloads: dict[Workload, int],
        engine: Engine,
        *,
        memory: str = "ideal",
        trials: int = 64,
        seed: int = 0,
        seconds: float | None = None,
        target: str = "tsim",
        report: Callable[[Layer], None] = lambda layer: None,
        warn: Callable[[str], None] = lambda text: None,
        wrong: Path = Path("wrong-results"),
    ) -> None:
        self.log, self.cfg, self.engine, self.memory = log, cfg, engine, memory
        self.seed, self.target, self.wrong = seed, target, wrong
        self._report, self._warn = report, warn
        self._end = None if seconds is None else time.monotonic() + seconds
        self._in_flight = 0
        self.layers = [
            Layer(workload, count, Study(log.path, workload, cfg, memory, seed, trials))
            for workload, count in workloads.items()
        ]

    def run(self) -> list[Layer]:
        """Search until all trials are made, or the time is over; then measure and store.

        Raises
        ------
        TuningError
            If the tiler's own schedule gives a wrong result, the log cannot be written, or no
            worker is left.
        """
        for layer in self.layers:
            self._go_on(layer)
        while self._in_flight:
            done = self.engine.next()
            self._in_flight -= 1
            self._take(done)
        return self.layers

    def _job(self, layer: Layer, tiling: Tiling) -> Job:
        return {
            "workload": layer.workload.to_dict(),
            "tiling": tiling.to_dict(),
            "machine": self.cfg.to_dict(),
            "memory": self.memory,
        }

    def _submit(self, tasks: list[Task], together: int = 1) -> None:
        """Submit tasks in groups."""
        for first in range(0, len(tasks), together):
            self.engine.submit(*tasks[first : first + together])
        self._in_flight += len(tasks)

    def _go_on(self, layer: Layer) -> None:
        """Submit the next batch of a layer, or its finalists."""
        layer.results = {}
        late = self._end is not None and time.monotonic() > self._end and layer.study.trials
        while not layer.study.done and not late:
            proposals = layer.study.ask()
            layer.waiting = {proposal.tiling: 1 for proposal in proposals}
            if proposals:
                self._submit(
                    [
                        Task(model_cycles, (self._job(layer, p.tiling), p.limit), (layer, p.tiling))
                        for p in proposals
                    ],
                    together(sum(not each.measuring for each in self.layers), self.engine.workers),
                )
                return
            layer.study.tell({})
        layer.measuring = True
        finalists = layer.study.finalists(FINALISTS)
        op = layer.workload.operator(self.cfg, layer.study.default)
        layer.expected = op.reference(*inputs_of(op, self.seed))
        layer.waiting = dict.fromkeys(finalists, 1)
        self._submit([
            Task(
                measure, (self._job(layer, tiling), self.target, self.seed), (layer, tiling),
                on_board=self.target != "tsim",
            )
            for tiling in finalists
        ])  # fmt: skip

    def _take(self, done: Done) -> None:
        layer, tiling = done.task.tag
        unusable = self._unusable(layer, tiling, done)
        fault = unusable
        if fault is None and layer.measuring and "refused" not in done.value:
            fault = self._wrong(layer, tiling, done)
        if fault is not None and self.engine.elsewhere(done, fault):
            self._in_flight += 1
            return
        if unusable is not None:
            raise TuningError(unusable)
        if fault is not None:
            self._warn(fault)
        elif not layer.measuring or "refused" not in done.value:
            layer.results[tiling] = done.value
        layer.waiting.pop(tiling)
        if layer.waiting:
            return
        if layer.measuring:
            self._store(layer)
        else:
            layer.study.tell(layer.results)
            self._report(layer)
            self._go_on(layer)

    def _unusable(self, layer: Layer, tiling: Tiling, done: Done) -> str | None:
        """Why a worker's answer is no result of a task; None if it is one."""
        if done.error is not None:
            title = layer.workload.title(self.cfg)
            return f"{title}, schedule {tiling.to_dict()} on {done.worker}: {done.error}"
        if (_is_measured if layer.measuring else _is_trial)(done.value):
            return None
        return f"worker {done.worker} returned no result of a trial: {shown(done.value)}"

    def _wrong(self, layer: Layer, tiling: Tiling, done: Done) -> str | None:
        """What is wrong with a measured result, which is written down; None if it equals the
        integer reference."""
        op = layer.workload.operator(self.cfg, tiling)
        tiles = done.value["tiles"]
        assert layer.expected is not None
        shape = tuple(op.args[-1].shape)
        found = op.unpack(tiles) if tiles.shape == shape else tiles
        if found.shape == layer.expected.shape and np.array_equal(found, layer.expected):
            return None
        words = json.dumps([layer.workload.key, tiling.to_dict(), done.worker])
        path = self.wrong / f"{hashlib.sha256(words.encode()).hexdigest()[:12]}.npz"
        inputs = {
            f"input_{operand.name}": values
            for operand, values in zip(op.operands, inputs_of(op, self.seed))
        }
        job = json.dumps({**self._job(layer, tiling), "worker": done.worker})
        try:
            self.wrong.mkdir(parents=True, exist_ok=True)
            np.savez_compressed(
                path, allow_pickle=False, job=np.array(job), expected=layer.expected, found=tiles,
                **inputs,
            )  # fmt: skip
            where = f"inputs and results are in {path}"
        except OSError as error:
            where = f"inputs and results cannot be written to {path}: {error.strerror}"
        return (
            f"{layer.workload.title(self.cfg)}: a wrong result of worker {done.worker}, schedule "
            f"{tiling.to_dict()}; it is not stored; {where}"
        )

    def _store(self, layer: Layer) -> None:
        study, results = layer.study, layer.results
        if study.default not in results:
            raise TuningError(
                f"{layer.workload.title(self.cfg)}: the tiler's own schedule has no right result "
                f"on {self.target}; nothing is stored of it"
            )
        order = study.finalists(FINALISTS)
        best = min(
            (tiling for tiling in order if tiling in results),
            key=lambda tiling: (results[tiling]["cycles"], order.index(tiling)),
        )
        layer.entry = Entry(
            machine=self.cfg, memory=self.memory, workload=layer.workload, tiling=best,
            cycles=results[best]["cycles"], default_cycles=results[study.default]["cycles"],
            device=self.target, version=identity(), seed=self.seed, trials=len(study.trials),
        )  # fmt: skip
        self.log.add([layer.entry])
        self._report(layer)


def _is_refusal(value: Any) -> bool:
    return isinstance(value, dict) and [*value] == ["refused"] and isinstance(value["refused"], str)


def _is_trial(value: Any) -> bool:
    """Whether a value is one that :func:`vta.tuning.evaluate.model_cycles` can return."""
    if _is_refusal(value):
        return True
    if not isinstance(value, dict) or [*value] not in _TRIALS:
        return False
    return all(_is_positive(number) for number in value.values())


def _is_measured(value: Any) -> bool:
    """Whether a value is one that :func:`vta.tuning.evaluate.measure` can return."""
    if _is_refusal(value):
        return True
    if not isinstance(value, dict) or [*value] != ["cycles", "tiles"]:
        return False
    tiles = value["tiles"]
    is_array = isinstance(tiles, np.ndarray) and np.issubdtype(tiles.dtype, np.integer)
    return is_array and _is_positive(value["cycles"])


def _is_positive(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and math.isfinite(value) and value > 0


def total(layers: Iterable[Layer]) -> tuple[int, int]:
    """Cycles of all layers: by the tiler's schedules, by the best ones."""
    known = [
        (layer.count * layer.default_cycles, layer.count * layer.best_cycles)
        for layer in layers
        if layer.default_cycles is not None and layer.best_cycles is not None
    ]
    return sum(a for a, _ in known), sum(b for _, b in known)
