"""The space of schedules of a workload, as parameters of an Optuna trial.

Each parameter is a number between 0 and 1: which of the values, in order, that are left by the
parameters before it. So every point of the space is a tiling that fits the memories.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from vta.compiler.ops.tiling import ORDERS, Tiling, estimate, table

if TYPE_CHECKING:
    from vta.config import VTAConfig
    from vta.memory_timing import MemoryTiming
    from vta.tuning.workload import Workload

__all__ = ["Space"]

_COLUMNS = (
    "outputs", "rows", "columns", "inputs", "order", "inp_slots", "wgt_slots", "acc_slots",
    "groups",
)  # fmt: skip
_CHOSEN = ("order", "acc_slots", "groups", "outputs", "inputs", "columns", "rows")
"""In this order; what is left then has one row."""
_PASSES = (None, False, True)
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
        left = self._table
        for name in _CHOSEN:
            column = left[:, _COLUMNS.index(name)]
            values = np.unique(column)
            left = left[column == values[_index(choose(name), len(values))]]
        found: dict[str, Any] = dict(zip(_COLUMNS, map(int, left[0])))
        inp = 1 + _index(choose("inp_slots"), found["inp_slots"])
        wgt = 1 + _index(choose("wgt_slots"), found["wgt_slots"])
        passes = _PASSES[_index(choose("columns_first"), len(_PASSES))]
        order = ORDERS[found.pop("order")]
        slots = {"inp_slots": inp, "wgt_slots": wgt}
        return Tiling(**{**found, **slots}, order=order, columns_first=passes)

    def point(self, tiling: Tiling) -> dict[str, float]:
        """The parameters that give a tiling of this space.

        Raises
        ------
        KeyError
            If the tiling is not in the space.
        """
        left, point = self._table, {}
        for name in _CHOSEN:
            value = ORDERS.index(tiling.order) if name == "order" else getattr(tiling, name)
            column = left[:, _COLUMNS.index(name)]
            values = np.unique(column)
            where = np.flatnonzero(values == value)
            if not len(where):
                raise KeyError(name)
            point[name] = _number(int(where[0]), len(values))
            left = left[column == value]
        for name in ("inp_slots", "wgt_slots"):
            most = int(left[0, _COLUMNS.index(name)])
            point[name] = _number(getattr(tiling, name) - 1, most)
        point["columns_first"] = _number(_PASSES.index(tiling.columns_first), len(_PASSES))
        return point

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
