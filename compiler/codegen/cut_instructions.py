"""One GEMM or LOAD as several that do the same together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from vta.check.accesses import operand_reach
from vta.isa import Gemm, Isa, Load

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

__all__ = ["GemmPart", "cut_by_rows", "cut_by_weights", "cut_load"]

Indices = dict[str, "npt.NDArray[np.int64]"]
"""``dst``, ``src`` and ``wgt`` of each micro-op."""


@dataclass(frozen=True)
class GemmPart:
    """A GEMM instruction and its micro-ops.

    Attributes
    ----------
    insn : Gemm
    indices : dict of str to ndarray
        Of its micro-ops.
    is_loaded : bool
        Whether the micro-op memory holds them where ``insn`` says; they must be loaded otherwise.
    """

    insn: Gemm
    indices: Indices
    is_loaded: bool = True

    @classmethod
    def whole(cls, insn: Gemm, isa: Isa, memory: npt.NDArray[np.uint32]) -> GemmPart:
        """An instruction whose micro-ops are in ``memory``, the contents of the micro-op memory."""
        return cls(insn, isa.uop_indices(memory[insn.uop_bgn : insn.uop_end]))

    def span(self, operand: str) -> tuple[int, int]:
        """The first entry of ``dst``, ``src`` or ``wgt``, and the one behind the last."""
        places = operand_reach(self.insn, operand, self.indices[operand])
        return int(places.min()), int(places.max()) + 1

    def words(self, isa: Isa) -> bytes:
        """The micro-ops as the words of a LOAD."""
        return isa.encode_indices(**self.indices).tobytes()

    def of_micro_ops(self, first: int, last: int) -> GemmPart:
        """The part of the micro-ops ``first`` to ``last - 1``."""
        begin = self.insn.uop_bgn
        insn = replace(self.insn, uop_bgn=begin + first, uop_end=begin + last)
        return GemmPart(insn, {name: i[first:last] for name, i in self.indices.items()})

    def of_iterations(self, loop: str, first: int, last: int) -> GemmPart:
        """The part of the iterations ``first`` to ``last - 1`` of the loop ``out`` or ``in``."""
        size: dict[str, Any] = {f"iter_{loop}": last - first}
        insn = replace(self.insn, **size)
        moved = {
            name: index + first * getattr(insn, f"{name}_factor_{loop}")
            for name, index in self.indices.items()
        }
        return GemmPart(insn, moved, is_loaded=not first)


def cut_by_weights(whole: GemmPart, count: int, *, loops: bool) -> list[GemmPart]:
    """At most ``count`` parts, each with weights behind those of the older parts: by micro-ops,
    where those of one tile stay together, or else by a loop if ``loops``, which needs micro-ops for
    each part. The whole, if there are no such parts."""
    begins = np.flatnonzero(np.diff(whole.indices["dst"], prepend=-1)).tolist()
    ends = [*begins[1:], len(whole.indices["dst"])]
    cuts = [[whole.of_micro_ops(begins[i], ends[j - 1]) for i, j in _shares(len(begins), count)]]
    if loops:
        for loop in _loops_over_tiles(whole.insn):
            shares = _shares(getattr(whole.insn, f"iter_{loop}"), count)
            cuts.append([whole.of_iterations(loop, i, j) for i, j in shares])
    for parts in cuts:
        spans = [part.span("wgt") for part in parts]
        if len(parts) > 1 and all(a[1] <= b[0] for a, b in pairwise(spans)):
            return parts
    return [whole]


def cut_by_rows(whole: GemmPart, shares: int) -> list[GemmPart]:
    """The first of ``shares`` equal shares of a loop over pixels, and the rest; the whole, if there
    is no such loop."""
    insn = whole.insn
    for loop in _loops_over_tiles(insn):
        extent = getattr(insn, f"iter_{loop}")
        pixels = getattr(insn, f"src_factor_{loop}") and not getattr(insn, f"wgt_factor_{loop}")
        first = -(-extent // shares)
        if pixels and first < extent:
            return [
                whole.of_iterations(loop, 0, first),
                whole.of_iterations(loop, first, extent),
            ]
    return [whole]


def _loops_over_tiles(insn: Gemm) -> list[str]:
    """The loops whose iterations write tiles of their own. In the others, which are over the sum,
    the products of a tile stay in one instruction: the first of them overwrites the tile."""
    return [loop for loop in ("out", "in") if getattr(insn, f"dst_factor_{loop}")]


def _shares(extent: int, count: int) -> list[tuple[int, int]]:
    """At most ``count`` ranges that are about equal."""
    count = min(count, extent)
    ends = [extent * n // count for n in range(count + 1)]
    return [*pairwise(ends)]


def cut_load(insn: Load, ends: Sequence[int]) -> list[Load]:
    """Loads of the same data: each ends with the first row, or element of a load of one row, that
    reaches an entry of ``ends``."""
    padded = insn.x_pad_0 or insn.x_pad_1 or insn.y_pad_0 or insn.y_pad_1
    if insn.y_size == 1 and not padded:
        width, count, name, step = 1, insn.x_size, "x_size", 1
    else:
        width, count = insn.x_pad_0 + insn.x_size + insn.x_pad_1, insn.y_size
        name, step = "y_size", insn.x_stride
    rows = {-(-(end - insn.sram_base) // width) - insn.y_pad_0 for end in ends}
    cuts = [0, *sorted(row for row in rows if 0 < row < count), count]
    pieces = []
    for first, last in pairwise(cuts):
        above = insn.y_pad_0 if first == 0 else 0
        below = insn.y_pad_1 if last == count else 0
        before = first + insn.y_pad_0 - above
        size: dict[str, Any] = {name: last - first}
        place: dict[str, Any] = {
            "sram_base": insn.sram_base + before * width,
            "dram_base": insn.dram_base + first * step,
        }
        pieces.append(replace(insn, **place, **size, y_pad_0=above, y_pad_1=below))
    return pieces if count else [insn]
