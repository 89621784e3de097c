"""ALU instructions that start runs: ``acc[d] = y`` for the first micro-op of a run of one ``d``,
``acc[d] = op(acc[d], y)`` for the others, with ``y`` an immediate or ``acc[s]``.

Of several runs into one tile only the last one counts. If no operation reads a tile that the
instruction writes, all operands are read first, and a run is one reduction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vta.isa import AluOpcode
from vta.sim.reference.loops import Indices, MicroOpNest, flat_indices

if TYPE_CHECKING:
    import numpy.typing as npt

    Values = npt.NDArray[np.int32]

__all__ = ["start_runs"]

REDUCTIONS: dict[AluOpcode, np.ufunc] = {
    AluOpcode.MIN: np.minimum, AluOpcode.MAX: np.maximum, AluOpcode.ADD: np.add,
}  # fmt: skip


def start_runs(acc: Values, nest: MicroOpNest, opcode: AluOpcode, imm: int | None) -> None:
    """Do all operations of a nest in order; the indices must lie inside the memory.

    Parameters
    ----------
    acc : ndarray of int32, shape (depth, BATCH, BLOCK_OUT)
        Changed in place.
    nest : MicroOpNest
        Which entries.
    opcode : AluOpcode
        One of :data:`~vta.isa.alu_operations.RUN_OPERATIONS`.
    imm : int or None
        The immediate; None if the operand is ``acc[src]``.
    """
    operation, before = REDUCTIONS[opcode], -1
    for dst, src in flat_indices(nest):
        if imm is None and np.isin(src, nest.destinations).any():
            before = _one_by_one(acc, dst, src, operation, before)
            continue
        values = np.full((len(dst), *acc.shape[1:]), imm, np.int32) if imm is not None else acc[src]
        firsts = np.flatnonzero(np.diff(dst, prepend=-1))
        results = operation.reduceat(values, firsts, axis=0, dtype=np.int32)
        if dst[0] == before:  # the run goes on
            results[0] = operation(acc[before], results[0])
        acc[dst[firsts]] = results
        before = int(dst[-1])


def _one_by_one(acc: Values, dst: Indices, src: Indices, operation: np.ufunc, before: int) -> int:
    """Each operation after the other. Returns the last tile."""
    for d, s in zip(dst.tolist(), src.tolist(), strict=True):
        acc[d] = operation(acc[d], acc[s]) if d == before else acc[s]
        before = d
    return before
