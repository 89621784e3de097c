"""The trials of a workload: an Optuna study, kept in the log.

Trials come in batches. Each batch is drawn from what the batches before it found, with a seed of
its own, and is stored when all of it is evaluated. So the trials depend on the seed only, not on
the number of workers, their order, or interruptions.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vta.compiler.ops.cost import Tiling
from vta.errors import TuningError
from vta.extras import importing
from vta.memory_timing import MemoryTiming
from vta.tuning.identity import identity
from vta.tuning.schedule_log import machine_key
from vta.tuning.space import Space

with importing("`vta tune`", "tune"):
    import optuna
    from optuna.trial import TrialState
    from sqlalchemy.exc import SQLAlchemyError

if TYPE_CHECKING:
    from vta.config import VTAConfig
    from vta.tuning.workload import Workload

__all__ = ["BATCH", "Proposal", "Study", "Trial"]

BATCH = 8
"""Trials that are drawn at once."""
FIRST_SHARE = 3
"""One of so many trials is a schedule that the tiler's model finds good; the sampler draws the
others."""
NEIGHBOURS = 4
"""So many trials of a batch, behind the first ones, are neighbours of the best schedules."""
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


@dataclass(frozen=True)
class Trial:
    """A schedule that was evaluated: ``cycles`` by the timing model, None if it was given up;
    ``estimate`` by the tiler's model, if the schedule was compiled."""

    number: int
    tiling: Tiling
    cycles: int | None
    estimate: int | None = None


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
        self._log = log
        self._asked: list[tuple[optuna.trial.Trial, Tiling]] = []
        try:
            storage = optuna.storages.RDBStorage(
                f"sqlite:///{log}", engine_kwargs={"connect_args": {"timeout": 60}}
            )
            self._stored = optuna.create_study(
                storage=storage, study_name=self.name, load_if_exists=True
            )
            if not self._stored.user_attrs:
                self._stored.set_user_attr("workload", workload.to_dict())
                self._stored.set_user_attr("machine", cfg.to_dict())
                self._stored.set_user_attr("memory", memory)
                self._stored.set_user_attr("seed", seed)
                self._stored.set_user_attr("wanted", trials)
                self._stored.set_user_attr("version", identity())
            found = self._stored.get_trials(deepcopy=False)
        except (optuna.exceptions.OptunaError, SQLAlchemyError) as error:
            raise _unusable(log, error) from None
        self._study = optuna.create_study()
        # A batch that was stored in part is made again: the same trials.
        whole = [t for t in found if t.user_attrs["batch_end"] <= len(found)]
        self._study.add_trials(whole)
        self._known: dict[Tiling, Trial] = {}
        self._note(whole)
        self._count, self._written = len(whole), len(found)
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

    def _note(self, trials: Iterable[optuna.trial.FrozenTrial]) -> None:
        """Add stored trials to those that are known."""
        for trial in trials:
            values = trial.user_attrs
            tiling = Tiling.from_dict(values["tiling"])
            found = Trial(trial.number, tiling, values["cycles"], values["estimate"])
            self._known.setdefault(tiling, found)

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
            If the log cannot be written; what is in it of the batch is made again later.
        """
        end = self._count + len(self._asked)
        for trial, tiling in self._asked:
            known = self._known.get(tiling)
            result = results.get(tiling, {})
            cycles = result.get("cycles") if known is None else known.cycles
            trial.set_user_attr("tiling", tiling.to_dict())
            trial.set_user_attr("cycles", cycles)
            trial.set_user_attr("estimate", result.get("estimate"))
            trial.set_user_attr("batch_end", end)
            if "refused" in result:
                trial.set_user_attr("refused", result["refused"])
            if cycles is None:
                self._study.tell(trial, state=TrialState.PRUNED)
            else:
                self._study.tell(trial, float(cycles))
        trials = self._study.get_trials(deepcopy=False)
        self._note(trials[self._count :])
        self._count, self._asked = end, []
        try:
            self._stored.add_trials(trials[self._written :])
        except (optuna.exceptions.OptunaError, SQLAlchemyError) as error:
            raise _unusable(self._log, error) from None
        self._written = max(self._written, end)


def _suggest(trial: optuna.trial.Trial, name: str) -> float:
    return trial.suggest_float(name, 0.0, 1.0)


def _unusable(log: Path, error: Exception) -> TuningError:
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    return TuningError(f"log of schedules {log}: {cause}")
