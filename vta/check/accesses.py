"""Who touched which entry of a memory last, and which entries an instruction touches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vta.isa import Alu, Gemm, Load, PipelineModule, Store

if TYPE_CHECKING:
    from vta.check.order import Clock

__all__ = ["Conflict", "Entries", "Pieces", "Places", "Rows", "operand_reach", "reach", "rows_of"]

Places = slice | npt.NDArray[np.int64]
"""Entries of a memory: a range, or indices in any order."""
Rows = tuple[npt.NDArray[np.int64], int]
"""Where the rows of a transfer start in DRAM, in bytes, and the bytes of one row."""


@dataclass(frozen=True)
class Conflict:
    """An access that nothing orders against one by another module.

    Attributes
    ----------
    module : PipelineModule
        The other module.
    count : int
        Which of its instructions, from 1.
    writes : bool
        Whether that one writes.
    places : ndarray of int64
        The entries that both touch.
    """

    module: PipelineModule
    count: int
    writes: bool
    places: npt.NDArray[np.int64]


class Entries:
    """For each entry of one memory the last read and write by each module, and whether anything has
    written it.

    Instructions are numbered from 1 in each module, as in a :data:`~vta.check.order.Clock`.
    """

    def __init__(self, name: str, size: int, *, written: bool = False) -> None:
        self.name, self.size = name, size
        self.written = np.full(size, written)
        self._reads: dict[PipelineModule, npt.NDArray[np.int64]] = {}
        self._writes: dict[PipelineModule, npt.NDArray[np.int64]] = {}

    def describe(self, places: npt.NDArray[np.int64]) -> str:
        """Some entries, in words."""
        first, last = int(places.min()), int(places.max())
        if first == last:
            return f"{self.name} entry {first}"
        gaps = "" if last - first + 1 == len(places) else " (not all)"
        return f"{self.name} entries {first}..{last}{gaps}"

    def conflicts(
        self, module: PipelineModule, clock: Clock, places: Places, *, write: bool
    ) -> Iterator[Conflict]:
        """Accesses of others that ``module``, having seen ``clock``, is not ordered after."""
        for theirs, writes in ((self._writes, True), (self._reads, False)):
            if not write and not writes:
                continue
            for other, last in theirs.items():
                if other is module:
                    continue
                counts = last[places]
                late = counts > clock[other]
                if late.any():
                    count = int(counts[late].min())
                    yield Conflict(other, count, writes, self._numbers(places)[counts == count])

    def unwritten(self, places: Places) -> npt.NDArray[np.int64]:
        """Which of the entries nothing has written."""
        missing = ~self.written[places]
        return self._numbers(places)[missing] if missing.any() else np.empty(0, np.int64)

    def note(self, module: PipelineModule, clock: Clock, places: Places, *, write: bool) -> None:
        """The module's instruction with this clock touches the entries."""
        table = self._writes if write else self._reads
        if module not in table:
            table[module] = np.zeros(self.size, np.int64)
        table[module][places] = clock[module]
        if write:
            self.written[places] = True

    def _numbers(self, places: Places) -> npt.NDArray[np.int64]:
        return np.arange(self.size)[places] if isinstance(places, slice) else places


class Pieces(Entries):
    """A buffer in DRAM, cut at every byte where some access begins or ends.

    The pieces are numbered in order and every access covers whole ones, so the memory needed does
    not depend on the size of the buffer. Everything counts as written.
    """

    def __init__(self, name: str, accesses: Iterable[Rows]) -> None:
        edges = [edge for starts, size in accesses for edge in (starts, starts + size)]
        self._edges = np.unique(np.concatenate(edges))
        super().__init__(name, len(self._edges) - 1, written=True)

    def covered(self, rows: Rows) -> Places:
        """The pieces that the rows of an access cover."""
        starts, size = rows
        first = np.searchsorted(self._edges, starts)
        last = np.searchsorted(self._edges, starts + size)
        if len(starts) == 1:
            return slice(int(first[0]), int(last[0]))
        return np.concatenate([np.arange(a, b) for a, b in zip(first, last)])

    def describe(self, places: npt.NDArray[np.int64]) -> str:
        first, end = int(self._edges[places.min()]), int(self._edges[places.max() + 1])
        return f"{self.name} bytes 0x{first:x}..0x{end:x}"


def rows_of(insn: Load | Store, elem_bytes: int) -> Rows:
    """The rows of a transfer; those that follow each other without a gap count as one."""
    start, size = insn.dram_base * elem_bytes, insn.x_size * elem_bytes
    if insn.y_size <= 1 or insn.x_stride == insn.x_size:
        return np.full(min(insn.y_size, 1), start, np.int64), size * max(insn.y_size, 1)
    return start + np.arange(insn.y_size) * (insn.x_stride * elem_bytes), size


def reach(points: npt.NDArray[np.int64], loops: Iterable[tuple[int, int]]) -> npt.NDArray[np.int64]:
    """All indices ``point + iteration * factor + ...``, ascending, each once; read-only.

    Parameters
    ----------
    points : ndarray of int64
        At least one.
    loops : iterable of (int, int)
        Iterations (at least one) and factor of each loop.
    """
    return _reach(points.tobytes(), tuple(loops))


def operand_reach(
    insn: Gemm | Alu, operand: str, points: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """:func:`reach` of the index ``operand`` (``dst``, ``src`` or ``wgt``) in both loops of an
    instruction; ``points`` are the indices of its micro-ops.
    """
    loops = [
        (iterations, getattr(insn, f"{operand}_factor_{loop}"))
        for iterations, loop in ((insn.iter_out, "out"), (insn.iter_in, "in"))
    ]
    return reach(points, loops)


@lru_cache(maxsize=4096)
def _reach(points: bytes, loops: tuple[tuple[int, int], ...]) -> npt.NDArray[np.int64]:
    """A compiled program runs the same few nests again and again."""
    out = np.unique(np.frombuffer(points, np.int64))
    for iterations, factor in loops:
        if iterations > 1 and factor:
            out = np.unique(out[:, None] + np.arange(iterations) * factor)
    out.flags.writeable = False
    return out
