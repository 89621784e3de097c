"""The space of schedules of a workload, as parameters of an Optuna trial.

Each parameter is a number between 0 and 1: which of the values, in order, that are left by the
parameters before it. So every point of the space is a tiling that fits the memories.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vta.compiler.ops.tiling import ORDERS, Tiling, estimate, table

if TYPE_CHECKING:
    from vta.config import VTAConfig
    from vta.memory_timing import MemoryTiming
    from vta.tuning.workload import Workload

__all__ = ["Space"]

_COLUMNS = (
    "outputs", "rows", "columns", "inputs", "order", "inp_slots", "wgt_slots", "acc_slots",
    "groups", "images",
)  # fmt: skip
_CHOSEN = ("order", "acc_slots", "groups", "images", "outputs", "inputs", "columns", "rows")
"""In this order; what is left then has one row."""
_OTHERS: Mapping[str, Sequence[Any]] = {
    "columns_first": (None, False, True),
    "start_parts": (1, 2, 4, 16),
    "start_steps": (1, 4, 16, 64, 4096),
    "start_rows": (1, 2, 4, 8),
    "late_constants": (False, True),
    "skips_columns": (False, True),
}
"""Choices that do not depend on the sizes, and their values in order."""
_SLOTS = ("inp_slots", "wgt_slots")
_START: Mapping[str, Any] = {
    "start_parts": 16,
    "start_steps": 16,
    "start_rows": 4,
    "late_constants": True,
}
POOL = 128
"""Tilings that the tiler's model plays in search of good first trials."""

Choose = Callable[[str], float]


class Space:
    """The tilings of a workload on a machine.

    Parameters
    ----------
    workload : Workload
    cfg : VTAConfig
    """

    def __init__(self, workload: Workload, cfg: VTAConfig) -> None:
        self.workload, self.cfg = workload, cfg
        self._table = table(workload.shape, cfg)
        self._narrowed: dict[tuple[int, ...], tuple[npt.NDArray[np.int64], list[int]]] = {}
        fixed = {"images"} if workload.shape.images == 1 else set()
        self._chosen = [name for name in _CHOSEN if name not in fixed]
        self._named = [name for name in _COLUMNS if name not in fixed]
        self._values: dict[str, list[int]] = {
            name: np.unique(self._table[:, _COLUMNS.index(name)]).tolist() for name in self._named
        }
        self._others = dict(_OTHERS)
        if not workload.shape.can_skip_columns:
            del self._others["skips_columns"]

    def __len__(self) -> int:
        """Block sizes and orders, without the choices of slots."""
        return len(self._table)

    def tiling(self, choose: Choose) -> Tiling:
        """The tiling of a point.

        Parameters
        ----------
        choose : callable
            ``choose(name)``: the number of a parameter, 0 <= number <= 1.
        """
        chosen: tuple[int, ...] = ()
        for name in self._chosen:
            values = self._left(chosen)[1]
            chosen = *chosen, values[_index(choose(name), len(values))]
        found: dict[str, Any] = dict(zip(_COLUMNS, map(int, self._left(chosen)[0][0])))
        for name in _SLOTS:
            found[name] = 1 + _index(choose(name), found[name])
        for name, choices in self._others.items():
            found[name] = choices[_index(choose(name), len(choices))]
        return self._made(found)

    def _made(self, found: dict[str, Any]) -> Tiling:
        """The tiling of a value for each name; the same schedule is the same tiling."""
        if found["start_parts"] == 1:
            found["start_steps"] = 1
        return Tiling(**{**found, "order": ORDERS[found["order"]]})

    def point(self, tiling: Tiling) -> dict[str, float]:
        """The parameters that give a tiling of this space.

        Raises
        ------
        KeyError
            If the tiling is not in the space.
        """
        chosen: tuple[int, ...] = ()
        point = {}
        for name in self._chosen:
            value = ORDERS.index(tiling.order) if name == "order" else getattr(tiling, name)
            values = self._left(chosen)[1]
            if value not in values:
                raise KeyError(name)
            point[name] = _number(values.index(value), len(values))
            chosen = *chosen, value
        for name in _SLOTS:
            most = int(self._left(chosen)[0][0, _COLUMNS.index(name)])
            point[name] = _number(getattr(tiling, name) - 1, most)
        for name, choices in self._others.items():
            value = getattr(tiling, name)
            if value not in choices:
                raise KeyError(name)
            point[name] = _number(choices.index(value), len(choices))
        return point

    def starts(self, tiling: Tiling) -> list[Tiling]:
        """The tiling with other starts, and without columns that no window reads."""
        early = replace(tiling, **_START)
        found = [
            early,
            replace(early, start_steps=4096),
            replace(early, start_rows=1),
            replace(tiling, late_constants=True),
        ]
        if "skips_columns" in self._others:
            found.insert(0, replace(early, skips_columns=True))
        return found

    def neighbour(self, tiling: Tiling, rng: np.random.Generator) -> Tiling:
        """A tiling that differs in one choice or two, and in those that do not fit any more.

        A choice moves to one of the two next values on either side. Rings that had as many slots as
        fit have as many afterwards.
        """
        values = {name: getattr(tiling, name) for name in (*self._named, *self._others)}
        values["order"] = ORDERS.index(tiling.order)
        for name in rng.choice([*values], size=int(rng.integers(1, 3)), replace=False):
            if name in _SLOTS:
                values[name] = max(1, values[name] + int(rng.integers(-2, 3)))
                continue
            choices = self._others.get(name)
            if choices is None:
                choices = self._values[name]
            place = choices.index(values[name]) + int(rng.choice([-2, -1, 1, 2]))
            values[name] = choices[min(max(place, 0), len(choices) - 1)]
        return self._nearest(values, self._full(tiling))

    def _full(self, tiling: Tiling) -> set[str]:
        """The rings of a tiling that have as many slots as fit."""
        values = {name: getattr(tiling, name) for name in self._chosen}
        values["order"] = ORDERS.index(tiling.order)
        left, _ = self._left(tuple(values[name] for name in self._chosen))
        most = dict(zip(_COLUMNS, map(int, left[0]))) if len(left) else {}
        return {name for name in _SLOTS if getattr(tiling, name) == most.get(name)}

    def _left(self, chosen: tuple[int, ...]) -> tuple[npt.NDArray[np.int64], list[int]]:
        """The rows of the table with these values of the first parameters, and the values of the
        next parameter in these rows, ascending; none if there is no next one."""
        found = self._narrowed.get(chosen)
        if found is None:
            rows, names = self._table, self._chosen
            if chosen:
                rows, _ = self._left(chosen[:-1])
                rows = rows[rows[:, _COLUMNS.index(names[len(chosen) - 1])] == chosen[-1]]
            values: list[int] = []
            if len(chosen) < len(names):
                values = np.unique(rows[:, _COLUMNS.index(names[len(chosen)])]).tolist()
            found = self._narrowed[chosen] = rows, values
        return found

    def _nearest(self, values: dict[str, Any], full: set[str]) -> Tiling:
        """The tiling with these values, each the nearest one that the older ones leave."""
        chosen: tuple[int, ...] = ()
        found = dict(values)
        for name in self._chosen:
            _, found[name] = min((abs(each - values[name]), each) for each in self._left(chosen)[1])
            chosen = *chosen, found[name]
        for name in _SLOTS:
            most = int(self._left(chosen)[0][0, _COLUMNS.index(name)])
            found[name] = most if name in full else min(found[name], most)
        return self._made(found)

    def promising(self, count: int, memory: MemoryTiming) -> Sequence[Mapping[str, Any]]:
        """Points that the tiler's model finds best for a memory, the best first."""
        costs: list[tuple[int, Tiling]] = []
        for row in self._table[:POOL]:
            found: dict[str, Any] = dict(zip(_COLUMNS, map(int, row)))
            tiling = Tiling(**{**found, "order": ORDERS[found["order"]]})
            bound = sorted(costs, key=_cycles)[count - 1][0] if len(costs) >= count else None
            cost = estimate(self.workload.shape, tiling, self.cfg, bound, memory)
            if cost is not None:
                costs.append((cost.cycles, tiling))
        best = [tiling for _, tiling in sorted(costs, key=_cycles)[:count]]
        return [self.point(tiling) for tiling in best]

    def plain(self, tiling: Tiling) -> Tiling:
        """A tiling without its estimate, which is equal for equal schedules."""
        return replace(tiling, cost=None)


def _cycles(item: tuple[int, Tiling]) -> int:
    return item[0]


def _index(number: float, count: int) -> int:
    return min(int(number * count), count - 1)


def _number(index: int, count: int) -> float:
    """The middle of the numbers with an index."""
    return (index + 0.5) / count
