"""Whether a GEMM instruction may start sums, or an ALU instruction reductions, by their order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from vta.isa import Alu, Gemm

__all__ = ["starts_each_sum"]


def starts_each_sum(insn: Gemm | Alu, tiles: npt.NDArray[np.int64], starts: Sequence[bool]) -> bool:
    """Whether the instruction, with ``start``, overwrites a tile exactly where a sum begins.

    The products of each tile must be consecutive, and the first product of a tile must be the first
    of its sum.

    Parameters
    ----------
    insn : Gemm or Alu
        The instruction; only its loops are read.
    tiles : ndarray of int64, shape (micro-ops,)
        The accumulator tile of each micro-op.
    starts : sequence of bool
        Whether the product of each micro-op is the first of its sum.
    """
    outer = np.arange(insn.iter_out)[:, None, None] * insn.dst_factor_out
    inner = np.arange(insn.iter_in)[:, None] * insn.dst_factor_in
    order = (outer + inner + tiles).ravel()
    begins = np.ones(len(order), bool)
    begins[1:] = order[1:] != order[:-1]
    first = np.broadcast_to(np.asarray(starts), (insn.iter_out, insn.iter_in, len(tiles))).ravel()
    return len(np.unique(order)) == begins.sum() and bool(first[begins].all())
