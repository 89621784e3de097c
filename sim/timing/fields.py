"""Fields of many instructions at once, as columns."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from vta.isa import Isa, MemId, Opcode, PipelineModule
from vta.isa.tokens import TOKEN_QUEUES
from vta.sim.timing.constants import Pipeline

if TYPE_CHECKING:
    import numpy.typing as npt

    from vta.config import VTAConfig

    Ints = npt.NDArray[np.int64]

__all__ = ["columns", "heads"]


def columns(
    cfg: VTAConfig, words: npt.NDArray[np.uint64], layout: str, names: tuple[str, ...]
) -> Ints:
    """Fields of instructions, without their signs.

    Parameters
    ----------
    words : ndarray of uint64, shape (n, 2)
        The instructions, low half first.
    layout : str
        The attribute of :class:`~vta.isa.Isa` that is their format.
    names : tuple of str
        The fields.

    Returns
    -------
    ndarray of int64, shape (names, n)
    """
    halves, shifts, masks = _places(cfg, layout, names)
    found: Ints = (words.T[halves] >> shifts & masks).view(np.int64)
    return found


@cache
def _places(
    cfg: VTAConfig, layout: str, names: tuple[str, ...]
) -> tuple[Ints, npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """Half of the word, shift and mask of each field."""
    fields = [getattr(Isa.of(cfg), layout)[name] for name in names]
    halves, shifts = np.divmod([field.offset for field in fields], 64)
    masks = np.array([[(1 << field.width) - 1] for field in fields], np.uint64)
    return halves, shifts[:, None].astype(np.uint64), masks


def heads(cfg: VTAConfig, words: npt.NDArray[np.uint64]) -> Ints:
    """What opcode, token flags and memory say, for each instruction.

    Returns
    -------
    ndarray of int64, shape (7, n)
        Opcode; 1 for a LOAD or STORE; its memory, 0 for other instructions; the pipeline module
        that executes the instruction; token queues popped and pushed, a bit each; and cycles from
        accept to advance if the instruction has no access ranges.
    """
    table = _heads(cfg)
    found: Ints = table[:, words[:, 0] & np.uint64(table.shape[1] - 1)]
    return found


@cache
def _heads(cfg: VTAConfig) -> Ints:
    """:func:`heads` for each value of the lowest bits of an instruction, which have these
    fields."""
    layout = Isa.of(cfg).memory
    flags = [flag for queue in TOKEN_QUEUES for flag in (queue.pop_flag, queue.push_flag)]
    used = [layout[name] for name in ("opcode", "memory", *flags)]
    count = 1 << max(field.offset + field.width for field in used)
    words = np.stack([np.arange(count, dtype=np.uint64)] * 2, axis=1)
    opcode, memory = columns(cfg, words, "memory", ("opcode", "memory"))
    is_transfer = (opcode == Opcode.LOAD) | (opcode == Opcode.STORE)
    memory = np.where(is_transfer, memory, 0)
    is_load = (opcode == Opcode.LOAD) & np.isin(memory, (MemId.INP, MemId.WGT))
    module = np.full(count, int(PipelineModule.COMPUTE))
    module[is_load] = PipelineModule.LOAD
    module[opcode == Opcode.STORE] = PipelineModule.STORE
    pops, pushes = np.zeros((2, count), np.int64)
    for number, queue in enumerate(TOKEN_QUEUES):
        for moved, flag, end in (
            (pops, queue.pop_flag, queue.target),
            (pushes, queue.push_flag, queue.source),
        ):
            (values,) = columns(cfg, words, "memory", (flag,))
            moved |= ((values == 1) & (module == end)).astype(np.int64) << number
    decode = np.where(module == PipelineModule.COMPUTE, Pipeline.RANGES_NO_ACCESS, 0)
    return np.stack([opcode, is_transfer, memory, module, pops, pushes, decode])
