"""Names that are unique among others."""

from __future__ import annotations

from collections.abc import Collection

__all__ = ["unique_name"]


def unique_name(name: str, taken: Collection[str]) -> str:
    """``name`` if it is not in ``taken``; else the first of ``name_1``, ``name_2``, ... that is
    not.
    """
    unique, number = name, 0
    while unique in taken:
        number += 1
        unique = f"{name}_{number}"
    return unique
