"""GEMM instructions that start sums, where a tile has several runs of consecutive products.

``acc[d][b][c] = sum_k inp[s][b][k] * wgt[w][c][k]`` for the first product of a run, ``+=`` for the
others; wrapping at 32 bits.

Here the order of the products matters: of several runs into a tile only the last one counts.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from vta.sim.reference.loops import Indices, MicroOpNest, product_indices

if TYPE_CHECKING:
    import numpy.typing as npt

    Sram = npt.NDArray[Any]

__all__ = ["start_sums"]

MAX_OPERAND = 1 << 20
"""Values of the weights of the products that are done at a time."""


def start_sums(acc: Sram, inp: Sram, wgt: Sram, nest: MicroOpNest) -> None:
    """Do all products of a nest in order; the indices must lie inside the memories.

    Parameters
    ----------
    acc : ndarray of int32, shape (depth, BATCH, BLOCK_OUT)
        Changed in place.
    inp : ndarray of int8 or int16, shape (depth, BATCH, BLOCK_IN)
    wgt : ndarray of int8 or int16, shape (depth, BLOCK_OUT, BLOCK_IN)
    nest : MicroOpNest
        Which entries.
    """
    before = -1  # the tile of the product before
    for dst, src, weight in product_indices(nest):
        for part in _runs(dst, max(1, MAX_OPERAND // wgt[0].size)):
            left, right = inp[src[part]].astype(np.int64), wgt[weight[part]].astype(np.int64)
            total = np.einsum("nbk,nck->bc", left, right)
            tile = int(dst[part.start])
            if tile == before:
                total += acc[tile]
            acc[tile] = total.astype(acc.dtype)
            before = tile


def _runs(dst: Indices, longest: int) -> list[slice]:
    """Where consecutive indices are equal; a run that is longer is cut."""
    borders = [0, *(np.flatnonzero(np.diff(dst)) + 1).tolist(), len(dst)]
    return [
        slice(first, min(first + longest, end))
        for start, end in pairwise(borders)
        for first in range(start, end, longest)
    ]
