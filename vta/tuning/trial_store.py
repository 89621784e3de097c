"""The trials of searches in the log: a row for each, a transaction for each batch."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vta.compiler.ops.cost import Tiling
from vta.config_file import shown
from vta.errors import OperatorError, TuningError
from vta.tuning.log_file import transaction

__all__ = ["TRIAL_TABLES", "Trial", "TrialStore"]

TRIAL_TABLES = (
    "CREATE TABLE vta_studies (study TEXT PRIMARY KEY, attributes TEXT NOT NULL)",
    """CREATE TABLE vta_trials (
        study TEXT NOT NULL, number INTEGER NOT NULL, point TEXT NOT NULL, tiling TEXT NOT NULL,
        cycles INTEGER, estimate INTEGER, refused TEXT, PRIMARY KEY (study, number)
    )""",
)


@dataclass(frozen=True)
class Trial:
    """A schedule that was drawn and evaluated.

    Attributes
    ----------
    number : int
        From 0, in the order of the draws.
    point : mapping of str to float
        The parameters that were drawn (:mod:`vta.tuning.space`).
    tiling : Tiling
    cycles : int or None
        By the timing model; None if the schedule was given up.
    estimate : int or None
        Cycles by the tiler's model, if the schedule was compiled.
    refused : str or None
        Why the compiler refused the schedule.
    """

    number: int
    point: Mapping[str, float]
    tiling: Tiling
    cycles: int | None
    estimate: int | None = None
    refused: str | None = None


class TrialStore:
    """The trials of a study.

    Parameters
    ----------
    path : Path
        The file of the log, which exists.
    study : str
        The name of the study.
    attributes : mapping
        What the study is, for readers of the file.

    Raises
    ------
    TuningError
        If the file cannot be used.
    """

    def __init__(self, path: Path, study: str, attributes: Mapping[str, Any]) -> None:
        self.path, self.study = path, study
        with transaction(path, write=True) as database:
            database.execute(
                "INSERT INTO vta_studies VALUES (?, ?) ON CONFLICT DO NOTHING",
                (study, json.dumps(attributes, sort_keys=True)),
            )

    def trials(self) -> list[Trial]:
        """The stored trials, in order.

        Raises
        ------
        TuningError
            If the file is damaged.
        """
        with transaction(self.path, write=False) as database:
            rows = database.execute(
                "SELECT number, point, tiling, cycles, estimate, refused FROM vta_trials "
                "WHERE study = ? ORDER BY number",
                (self.study,),
            ).fetchall()
        try:
            found = [_trial(*row) for row in rows]
        except (ValueError, TypeError, KeyError, RecursionError, OperatorError) as error:
            raise TuningError(f"log of schedules {self.path}: no trial: {error!r}") from None
        if [trial.number for trial in found] != [*range(len(found))]:
            raise TuningError(f"log of schedules {self.path}: trials of {self.study} are missing")
        return found

    def add(self, batch: Iterable[Trial]) -> None:
        """Store a batch: all of it, or nothing. A trial that is there stays: another process
        searches the same.

        Raises
        ------
        TuningError
            If the file cannot be written.
        """
        rows = [
            (
                self.study, trial.number, json.dumps(dict(trial.point)),
                json.dumps(trial.tiling.to_dict()), trial.cycles, trial.estimate, trial.refused,
            )
            for trial in batch
        ]  # fmt: skip
        with transaction(self.path, write=True) as database:
            database.executemany(
                "INSERT INTO vta_trials VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", rows
            )


def _trial(
    number: int, point: str, tiling: str, cycles: Any, estimate: Any, refused: str | None
) -> Trial:
    """The trial of a row.

    Raises
    ------
    ValueError, TypeError, OperatorError
        If the row is no trial.
    """
    for value in (cycles, estimate):
        if value is not None and (not isinstance(value, int | float) or value <= 0):
            raise ValueError(f"cycles are {value!r}")
    values = json.loads(point)
    if not isinstance(values, dict) or not all(
        isinstance(each, int | float) and 0 <= each <= 1 for each in values.values()
    ):
        raise ValueError(f"a point is {shown(point)}; must map names to numbers from 0 to 1")
    return Trial(number, values, Tiling.from_dict(json.loads(tiling)), cycles, estimate, refused)
