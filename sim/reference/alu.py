"""ALU: ``acc[d] = op(acc[d], y)`` with ``y`` an immediate or ``acc[s]``, on every lane of a tile.
An operation of three operands takes ``acc[s]`` and the immediate.

Here the order matters: an operation sees what the ones before it wrote. The list of operations is
cut where one reads an entry that an earlier one of the same piece wrote; inside a piece no read
depends on a write, so all reads can come first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vta.isa import LIMITS, SCALE, AluOpcode
from vta.sim.reference.loops import Indices, MicroOpNest, flat_indices

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

    from vta.isa import Format

    Values = npt.NDArray[np.int32]

__all__ = ["OPERATIONS", "alu", "unpack_lanes"]


def alu(
    acc: Values, nest: MicroOpNest, opcode: AluOpcode, imm: int, *, use_imm: bool = True
) -> None:
    """Do all operations of a nest in order; the indices must lie inside the memory.

    Parameters
    ----------
    acc : ndarray of int32, shape (depth, BATCH, BLOCK_OUT)
        Changed in place.
    nest : MicroOpNest
        Which entries.
    opcode : AluOpcode
    imm, use_imm : int, bool
        As in the instruction.
    """
    for dst, src in flat_indices(nest):
        reads = (dst,) if use_imm else (dst, src)
        for part in _independent(dst, reads):
            operands = [acc[dst[part]]]
            if not opcode.is_unary:
                operands.append(np.full((1, 1, 1), imm, np.int32) if use_imm else acc[src[part]])
            if opcode.is_ternary:
                operands.append(np.full((1, 1, 1), imm, np.int32))
            acc[dst[part]] = OPERATIONS[opcode](*operands)


def _shift(x: Values, y: Values) -> Values:
    amount = y.astype(np.int64)  # the magnitude of -2**31 needs 33 bits
    right = x >> np.clip(amount, 0, 31)
    left = x.astype(np.int64) << np.clip(-amount, 0, 32)
    return np.where(amount >= 0, right, left).astype(np.int32)


def _requantise(x: Values, y: Values, imm: Values) -> Values:
    multiplier, shift, zero_point = unpack_lanes(SCALE, y)
    low, high = unpack_lanes(LIMITS, imm)
    product = x.astype(np.int64) * multiplier  # 47 bits
    half = np.where(shift > 0, np.int64(1) << np.maximum(shift - 1, 0), 0)
    scaled = ((product + half) >> shift) + zero_point
    clipped: Values = np.minimum(np.maximum(scaled, low), high).astype(np.int32)
    return clipped


def unpack_lanes(layout: Format, words: npt.NDArray[Any]) -> list[npt.NDArray[np.int64]]:
    """The fields of each of an array of words, in the order of the layout, each of the array's
    shape, int64."""
    wide = words.astype(np.int64)
    values = []
    for field in layout.fields:
        value = wide >> field.offset & ((1 << field.width) - 1)
        sign = 1 << (field.width - 1) if field.signed else 0
        values.append((value ^ sign) - sign)
    return values


OPERATIONS: dict[AluOpcode, Callable[..., Values]] = {
    AluOpcode.MIN: np.minimum,
    AluOpcode.MAX: np.maximum,
    AluOpcode.ADD: np.add,
    AluOpcode.SHR: _shift,
    AluOpcode.MUL: np.multiply,
    AluOpcode.REQUANTISE: _requantise,
}
"""``{operation: function}``: what each operation computes of arrays of int32, wrapping. An
operation of one operand takes ``x``, one of two ``x`` and ``y``, one of three ``x``, ``y`` and
``imm``."""

assert OPERATIONS.keys() == set(AluOpcode)


def _independent(dst: Indices, reads: tuple[Indices, ...]) -> Iterator[slice]:
    """Cut the operations into runs in which none reads an entry that an earlier one wrote."""
    count = len(dst)
    order = np.argsort(dst, kind="stable")
    writes = dst[order] * count + order  # (entry, time) as one number, ascending
    latest = np.full(count, -1)
    for entries in reads:
        place = np.searchsorted(writes, entries * count + np.arange(count)) - 1
        found = (place >= 0) & (dst[order[place]] == entries)
        latest = np.maximum(latest, np.where(found, order[place], -1))
    start = 0
    if latest.max() >= 0:
        for number, write in enumerate(latest.tolist()):
            if write >= start:
                yield slice(start, number)
                start = number
    yield slice(start, count)
