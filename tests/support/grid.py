"""Machines at the corners: every pair of parameter values meets in at least one of them."""

from __future__ import annotations

from itertools import combinations, product
from typing import Any

from tests.support.configurations import machine
from vta.config import VTAConfig
from vta.errors import ConfigError

__all__ = ["VALUES", "every_machine", "pairwise"]

VALUES: dict[str, tuple[Any, ...]] = {
    "batch": (0, 1, 2),
    "block": (1, 2, 3, 4, 5, 6),
    "inp": (2, 3, 4),
    "wgt": (2, 3, 4),
    "log_bus_width": (6, 7, 8, 9),
    "depths": ((6, 6, 6, 6), (1, 1, 1, 1), (5, 9, 3, 4), (9, 2, 5, 7)),
    "addr_bits": (32, 40, 64),
    "queues": (
        (1, 1, 0, 1, 0, 16, 1, 2, 2, 2, 0),
        (8, 4, 2, 0, 1, 64, 2, 32, 32, 32, 1),
        (3, 2, 1, 2, 0, 24, 2, 5, 3, 4, 0),
    ),
}
"""Parameters of :func:`tests.support.configurations.machine` and what they may be."""

Choice = tuple[Any, ...]
"""A value for each parameter, in the order of :data:`VALUES`."""


def every_machine() -> tuple[dict[Choice, VTAConfig], int]:
    """All combinations that the configuration takes, and the number of those that it refuses."""
    taken, refused = {}, 0
    for choice in product(*VALUES.values()):
        try:
            taken[choice] = machine(**dict(zip(VALUES, choice)))
        except ConfigError:
            refused += 1
    return taken, refused


def _pairs(choice: Choice) -> set[tuple[tuple[int, Any], tuple[int, Any]]]:
    return set(combinations(enumerate(choice), 2))


def pairwise() -> dict[str, VTAConfig]:
    """Few machines, by name, in which every pair of values meets that meets in any machine.

    Greedy: each takes in as many new pairs as there can be, the smallest array first.
    """
    taken, _ = every_machine()
    order = sorted(taken, key=lambda choice: (choice[0] + 2 * choice[1], repr(choice)))
    pairs = {choice: _pairs(choice) for choice in order}
    missing = set().union(*pairs.values())
    out = {}
    while missing:
        best = max(order, key=lambda choice: len(pairs[choice] & missing))
        missing -= pairs[best]
        name = " ".join(f"{key}={value}" for key, value in zip(VALUES, best))
        out[name.replace(", ", ",")] = taken[best]
    return out
