"""Coverage inside the RTL: which stalls the programs have met on an observed machine, which not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["stall_holes", "stall_table"]


def _groups(stalls: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """Cycles by group and name, from cycles by "group: name"."""
    groups: dict[str, dict[str, int]] = {}
    for path, cycles in stalls.items():
        group, _, name = path.partition(": ")
        groups.setdefault(group, {})[name] = cycles
    return groups


def stall_holes(stalls: Mapping[str, int]) -> dict[str, list[str]]:
    """What never happened, by group.

    Parameters
    ----------
    stalls : mapping of str to int
        :attr:`vta.sim.rtl.machine.VerilatedMachine.stalls`.
    """
    missing = {
        group: [name for name, cycles in names.items() if not cycles]
        for group, names in _groups(stalls).items()
    }
    return {group: names for group, names in missing.items() if names}


def stall_table(stalls: Mapping[str, int]) -> Table:
    """A summary for a terminal."""
    table = Table("stalls", "reached", "holes", box=box.SIMPLE_HEAD)
    holes = stall_holes(stalls)
    for group, names in _groups(stalls).items():
        missing = holes.get(group, [])
        table.add_row(group, f"{len(names) - len(missing)}/{len(names)}", ", ".join(missing))
    return table
