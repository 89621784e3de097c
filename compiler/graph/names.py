"""Names for what passes add to a graph."""

from __future__ import annotations

from collections.abc import Container, Iterable

__all__ = ["NewNames", "unused_name"]


class NewNames:
    """Names that nothing else has, of a graph's tensors and nodes: each is given once.

    Parameters
    ----------
    tensors, nodes : iterable of str
        Names that are not given: those of the graph, of the graphs it was made of, and of the model
        file, though what they named may be part of another node by now.
    """

    def __init__(self, tensors: Iterable[str], nodes: Iterable[str]) -> None:
        self._tensors, self._nodes = set(tensors), set(nodes)

    def tensor(self, wanted: str) -> str:
        """``wanted``, with a number after it if a tensor has, had or was given that name."""
        return _taken(wanted, self._tensors)

    def node(self, wanted: str) -> str:
        """``wanted``, with a number after it if a node has, had or was given that name."""
        return _taken(wanted, self._nodes)


def unused_name(wanted: str, *taken: Container[str]) -> str:
    """``wanted``, with a number after it if it is among ``taken``."""
    name, number = wanted, 2
    while any(name in names for names in taken):
        name, number = f"{wanted}.{number}", number + 1
    return name


def _taken(wanted: str, taken: set[str]) -> str:
    name = unused_name(wanted, taken)
    taken.add(name)
    return name
