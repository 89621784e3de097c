"""The trials of a workload: an Optuna study in memory, whose trials are kept in the log.

Trials come in batches. Each batch is drawn from what the batches before it found, with a seed of
its own, and is stored when all of it is evaluated. So the trials depend on the seed only, not on
the number of workers, their order, or interruptions.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vta.extras import importing
from vta.memory_timing import MemoryTiming
from vta.tuning.identity import identity
from vta.tuning.schedule_log import machine_key
from vta.tuning.space import Space
from vta.tuning.trial_store import Trial, TrialStore

with importing("`vta tune`", "tune"):
    import optuna
    from optuna.distributions import FloatDistribution
    from optuna.trial import TrialState

if TYPE_CHECKING:
    from vta.compiler.ops.cost import Tiling
    from vta.config import VTAConfig
    from vta.tuning.workload import Workload

__all__ = ["BATCH", "Proposal", "Study"]

BATCH = 8
"""Trials that are drawn at once."""
FIRST_SHARE = 3
"""One of so many trials is a schedule that the tiler's model finds good; the sampler draws the
others."""
NEIGHBOURS = 6
"""So many trials of a batch, behind the first ones, are neighbours of the best schedules. Six find
schedules as good as four do, and a draw of the sampler costs more."""
PARENTS = 4
"""The schedules whose neighbours are tried: the best ones, the best one most often."""
MARGIN = 0.99
"""The two models may differ by so much more than they did before in this study."""


@dataclass(frozen=True)
class Proposal:
    """A schedule to evaluate.

    Attributes
    ----------
    tiling : Tiling
    limit : float or None
        Cycles by the tiler's model above which it need not be compiled.
    """

    tiling: Tiling
    limit: float | None


class Study:
    """The search of one workload.

    Parameters
    ----------
    log : Path
        The file of the log, which exists.
    workload : Workload
    cfg : VTAConfig
    memory : str
    seed : int
    trials : int
        Draws of a schedule; those in the log count.

    Raises
    ------
    TuningError
        If the log cannot be read.
    OperatorError
        If no schedule fits the machine.
    """

    def __init__(
        self, log: Path, workload: Workload, cfg: VTAConfig, memory: str, seed: int, trials: int
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.workload, self.cfg, self.memory, self.seed = workload, cfg, memory, seed
        self.wanted = trials
        self.space = Space(workload, cfg)
        tiling = workload.operator(cfg).tiling
        assert tiling is not None
        self.default = replace(tiling, cost=None)
        words = json.dumps([machine_key(cfg), memory, workload.key, seed, trials, identity()])
        self.name = hashlib.sha256(words.encode()).hexdigest()[:24]
        attributes = {
            "workload": workload.to_dict(), "machine": cfg.to_dict(), "memory": memory,
            "seed": seed, "wanted": trials, "version": identity(),
        }  # fmt: skip
        self._store = TrialStore(log, self.name, attributes)
        self._asked: list[tuple[optuna.trial.Trial, Tiling]] = []
        self._study = optuna.create_study()
        self._known: dict[Tiling, Trial] = {}
        self._count = 0
        for trial in self._store.trials():
            self._study.add_trial(_frozen(trial))
            self._note(trial)
        self._first = self._first_points()

    def _first_points(self) -> list[dict[str, float]]:
        """The tiler's schedule, also with other starts, then those that its model finds best for
        the memory, with an early start."""
        starts = self.space.starts(self.default)
        count = max(self.wanted // FIRST_SHARE - len(starts), 1)
        promising = self.space.promising(count, MemoryTiming.of(self.memory))
        found = [self.default, *starts]
        for point in promising:
            tiling = self.space.tiling(point.__getitem__)
            if tiling != self.default:
                found.append(self.space.starts(tiling)[0])
        return [self.space.point(tiling) for tiling in found]

    def _neighbours(self, rng: np.random.Generator) -> list[dict[str, float]]:
        """Points beside the best schedules that were not tried yet."""
        best = [trial.tiling for trial in self._ranked()[:PARENTS]]
        found: dict[Tiling, None] = {}
        for _ in range(16 * NEIGHBOURS if best else 0):
            parent = best[min(int(rng.geometric(0.5)) - 1, len(best) - 1)]
            tiling = self.space.neighbour(parent, rng)
            if tiling not in self._known:
                found[tiling] = None
            if len(found) == NEIGHBOURS:
                break
        return [self.space.point(tiling) for tiling in found]

    def _ranked(self) -> list[Trial]:
        """Schedules that were not given up, the fastest one first."""
        known = [trial for trial in self.trials if trial.cycles is not None]
        return sorted(known, key=lambda trial: (trial.cycles, trial.number))

    @property
    def trials(self) -> list[Trial]:
        """Evaluated schedules in order, each once."""
        return list(self._known.values())

    def _note(self, trial: Trial) -> None:
        """Count a trial; of two for a schedule the first one is known."""
        self._known.setdefault(trial.tiling, trial)
        self._count = trial.number + 1

    @property
    def best(self) -> Trial | None:
        """The schedule with the fewest cycles, the first of equals."""
        return next(iter(self._ranked()), None)

    @property
    def done(self) -> bool:
        """Whether all trials were made."""
        return self._count >= self.wanted

    def finalists(self, count: int) -> list[Tiling]:
        """The tiler's schedule, then the ones with the fewest cycles."""
        others = [t.tiling for t in self._ranked() if t.tiling != self.default]
        return [self.default, *others[:count]]

    def ask(self) -> list[Proposal]:
        """The next batch: the schedules in it that are new, perhaps none; :meth:`tell` takes their
        results. A schedule that is drawn again is not evaluated again."""
        known, number = self._known, self._count
        words = f"{self.seed} {self.workload.key} {number}"
        seed = int.from_bytes(hashlib.sha256(words.encode()).digest()[:4], "little")
        self._study.sampler = optuna.samplers.TPESampler(seed=seed)
        self._asked = []
        new: dict[Tiling, None] = {}
        count = min(BATCH, self.wanted - number)
        points = self._first[number : number + count]
        points += self._neighbours(np.random.default_rng(seed))
        for point in points[:count]:
            self._study.enqueue_trial(point)
        for _ in range(count):
            trial = self._study.ask()
            tiling = self.space.tiling(partial(_suggest, trial))
            self._asked.append((trial, tiling))
            if tiling not in known:
                new[tiling] = None
        limit = self._limit()
        return [Proposal(tiling, limit if tiling != self.default else None) for tiling in new]

    def _limit(self) -> float | None:
        """Cycles by the tiler's model with which a schedule cannot be the best one, even if that
        model exceeds the timing model as much as it ever did here."""
        ratios = [t.cycles / t.estimate for t in self.trials if t.cycles and t.estimate]
        best = self.best
        if best is None or best.cycles is None or not ratios:
            return None
        return best.cycles / (MARGIN * min(ratios))

    def tell(self, results: Mapping[Tiling, Mapping[str, Any]]) -> None:
        """Store a batch.

        Parameters
        ----------
        results : mapping of Tiling to mapping
            What :func:`vta.tuning.evaluate.model_cycles` gave for each proposal.

        Raises
        ------
        TuningError
            If the log cannot be written; the batch is then made again later.
        """
        batch = []
        for number, (asked, tiling) in enumerate(self._asked, self._count):
            known = self._known.get(tiling)
            result = results.get(tiling, {})
            cycles = result.get("cycles") if known is None else known.cycles
            trial = Trial(
                number, asked.params, tiling, cycles, result.get("estimate"), result.get("refused")
            )
            self._study.tell(asked, _value(trial), _state(trial))
            batch.append(trial)
        self._asked = []
        self._store.add(batch)
        for trial in batch:
            self._note(trial)


def _suggest(trial: optuna.trial.Trial, name: str) -> float:
    return trial.suggest_float(name, 0.0, 1.0)


def _value(trial: Trial) -> float | None:
    return None if trial.cycles is None else float(trial.cycles)


def _state(trial: Trial) -> TrialState:
    return TrialState.PRUNED if trial.cycles is None else TrialState.COMPLETE


def _frozen(trial: Trial) -> optuna.trial.FrozenTrial:
    """A stored trial as Optuna has it."""
    return optuna.trial.create_trial(
        state=_state(trial), value=_value(trial), params=dict(trial.point),
        distributions=dict.fromkeys(trial.point, FloatDistribution(0.0, 1.0)),
    )  # fmt: skip
