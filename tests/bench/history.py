"""The history of the quality of results: a line of JSON for each run of `make bench`, and what got
worse since the one before.

A line is an object: ``date`` (ISO), ``commit``, and ``figures``: by kind, by name, a number. Kinds
are those of :data:`KINDS`. A run need not have all figures.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["HISTORY", "KINDS", "Change", "HistoryError", "Kind", "Run", "append", "changes", "read"]

HISTORY = Path(__file__).parents[2] / "docs" / "history.jsonl"


@dataclass(frozen=True)
class Kind:
    """A kind of figure: its unit, and how much worse it may get, as a share; None: any amount."""

    unit: str
    allowed: float | None
    more_is_better: bool = False


KINDS = {
    "cycles": Kind("cycles", 0.01),
    "area": Kind("cells", 0.05),
    "path": Kind("ns", 0.05),
    "clock": Kind("MHz", None, more_is_better=True),
    "share": Kind("%", None, more_is_better=True),
    "speed": Kind("of the reference's cycles/s", None, more_is_better=True),
}
"""Cycles, areas and paths are exact for a version of the tools and have limits; a clock is that of
one placement, and speeds depend on the computer and on what else runs on it."""


class HistoryError(ValueError):
    """A line is not what it must be."""


@dataclass(frozen=True)
class Run:
    """One run.

    Attributes
    ----------
    date : str
        ISO, UTC.
    commit : str
        Of the checkout; ``+`` at the end if it had changes.
    figures : mapping of str to mapping of str to float
        By kind, by name.
    """

    date: str
    commit: str
    figures: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Change:
    """A figure that differs from the last run that has it."""

    kind: str
    name: str
    before: float
    now: float

    @property
    def share(self) -> float:
        """How much more it is, as a share of what it was."""
        return self.now / self.before - 1

    @property
    def regression(self) -> bool:
        """Whether it got worse by more than its kind allows."""
        kind = KINDS[self.kind]
        worse = -self.share if kind.more_is_better else self.share
        return kind.allowed is not None and worse > kind.allowed + 1e-9


def read(path: Path = HISTORY) -> list[Run]:
    """Every run, the oldest first; none if there is no file.

    Raises
    ------
    HistoryError
        If a line is no run: it names the line and what is wrong.
    """
    if not path.exists():
        return []
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            found.append(_run(json.loads(line)))
        except (ValueError, TypeError, KeyError) as error:
            raise HistoryError(f"{path.name}, line {number}: {error}") from None
    return found


def _run(content: Any) -> Run:
    if not isinstance(content, dict) or set(content) != {"date", "commit", "figures"}:
        raise ValueError("must be an object with date, commit and figures")
    for kind, figures in content["figures"].items():
        if kind not in KINDS:
            raise ValueError(f"no kind {kind!r}; must be one of {', '.join(KINDS)}")
        for name, value in figures.items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
                raise ValueError(f"{kind} of {name} is {value!r}; must be a positive number")
    return Run(content["date"], content["commit"], content["figures"])


def append(run: Run, path: Path = HISTORY) -> None:
    """Add a line."""
    line = json.dumps({"date": run.date, "commit": run.commit, "figures": run.figures})
    with path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")


def changes(before: Iterable[Run], now: Run) -> list[Change]:
    """Every figure of a run that differs from the last one of earlier runs."""
    known: dict[tuple[str, str], float] = {}
    for run in before:
        for kind, figures in run.figures.items():
            known.update({(kind, name): value for name, value in figures.items()})
    return [
        Change(kind, name, known[kind, name], value)
        for kind, figures in now.figures.items()
        for name, value in figures.items()
        if known.get((kind, name), value) != value
    ]
