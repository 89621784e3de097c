"""Loop nests without time: the accumulators, banks and producers of their micro-ops.

Nests of one shape differ in their micro-ops only; they are the rows of one matrix here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from vta.config import UOP_BYTES
from vta.isa import AluOpcode
from vta.sim.timing.state import BANK_BITS, DISTANCE_AT, DISTANCE_BITS, MARK, MOST_DISTANT

if TYPE_CHECKING:
    import numpy.typing as npt

    from vta.isa import Isa
    from vta.sim.timing.constants import Constants

    Ints = npt.NDArray[np.int64]

__all__ = ["NO_HIGH", "NO_LOW", "Nests", "Shape"]

NO_LOW, NO_HIGH = 1 << 40, -1
"""A range that overlaps none."""


class Shape(NamedTuple):
    """What nests of different micro-ops can share.

    Attributes
    ----------
    out, inner : int
        Iterations of the two loops.
    dst_out, dst_in, src_out, src_in : int
        Steps of the accumulators in each iteration.
    alu_opcode : int
        -1 for GEMM.
    two_sources, start, overwrites : bool
        An ALU instruction that reads two accumulators; that begins a run; GEMM that does not read.
    """

    out: int
    inner: int
    dst_out: int
    dst_in: int
    src_out: int
    src_in: int
    alu_opcode: int
    two_sources: bool
    start: bool
    overwrites: bool


class Nests:
    """The different loop nests of a stream, each with at least one micro-op."""

    def __init__(self, isa: Isa, constants: Constants) -> None:
        assert 1 << constants.banks.max() <= BANK_BITS, "the bits of banks are a part of a byte"
        self.isa, self.constants = isa, constants
        self.bits = (1 << constants.banks).astype(np.uint8)
        self._groups: dict[tuple[int, bytes], dict[bytes, int]] = {}
        self._count = 0

    def number(self, uops: bytes, shape: bytes) -> int:
        """The number of a nest; equal ones have one.

        Parameters
        ----------
        uops : bytes
            Its micro-ops.
        shape : bytes
            The fields of :class:`Shape`, 8 bytes each.
        """
        group = self._groups.setdefault((len(uops), shape), {})
        found = group.get(uops)
        if found is None:
            found = group[uops] = self._count
            self._count += 1
        return found

    def computed(self) -> tuple[Ints, tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]]:
        """All nests.

        Returns
        -------
        table : ndarray of int64, shape (8, nests)
            ALU: cycles by which results come too late, and whether the nest may stall beside no
            GEMM; place and number of the banks, first and last accumulator that is written, first
            and last that is only read.
        banks : two ndarrays of uint8
            As of :func:`vta.sim.timing.work.works_of`.
        """
        table = np.empty((8, self._count), np.int64)
        table[:] = [[0], [0], [0], [0], [0], [0], [NO_LOW], [NO_HIGH]]
        order: list[int] = []
        first, second = [np.zeros(1, np.uint8)], [np.zeros(1, np.uint8)]
        at, end = 1, 0
        words = b"".join(uops for group in self._groups.values() for uops in group)
        indices = self.isa.uop_indices(np.frombuffer(words, "<u4"))
        all_dst, all_src = (indices[name].astype(np.int32) for name in ("dst", "src"))
        for (size, fields), group in self._groups.items():
            shape = Shape._make(np.frombuffer(fields, np.int64).tolist())
            begin, end = end, end + size // UOP_BYTES * len(group)
            dst = _tiles(all_dst[begin:end], len(group), shape, shape.dst_out, shape.dst_in)
            src = None
            if shape.two_sources:
                src = _tiles(all_src[begin:end], len(group), shape, shape.src_out, shape.src_in)
            rows = table[:, len(order) : len(order) + len(group)]
            order += group.values()
            rows[4], rows[5] = dst.min(1), dst.max(1)
            if src is not None:
                rows[6], rows[7] = src.min(1), src.max(1)
            beats = self.constants.alu_beats if shape.alu_opcode >= 0 else 1
            bits = np.repeat(self.bits[dst], beats, axis=1)
            src_bits = None if src is None else np.repeat(self.bits[src], beats, axis=1)
            dst, src = _beats(dst, beats), None if src is None else _beats(src, beats)
            operations = dst.shape[1]
            rows[2] = range(at, at + dst.size, operations)
            # Nothing stalls a product that takes many cycles.
            rows[3] = 0 if shape.alu_opcode in self.constants.alu_periods else operations
            if shape.alu_opcode < 0:
                one, other = _gemm_banks(
                    dst, bits, bool(shape.overwrites), self.constants.forwarded
                )
            else:
                one, other = _alu_operands(shape, dst, src, bits, src_bits)
                rows[0] = self.constants.alu_late.get(AluOpcode.of(shape.alu_opcode), 0)
                rows[1] = _may_stall(int(rows[0, 0]), one, other)
            first.append(one.ravel())
            second.append(other.ravel())
            at += dst.size
        by_number = np.empty_like(table)
        by_number[:, order] = table
        return by_number, (np.concatenate(first), np.concatenate(second))


def _tiles(
    indices: npt.NDArray[np.int32], nests: int, shape: Shape, out: int, inner: int
) -> npt.NDArray[np.int32]:
    """The accumulator of each micro-op in time, a row a nest."""
    each = indices.reshape(nests, 1, -1)
    if shape.out == shape.inner == 1:
        return each[:, 0]
    steps = np.arange(shape.out, dtype=np.int32)[:, None] * out + (
        np.arange(shape.inner, dtype=np.int32) * inner
    )
    return (steps.reshape(1, -1, 1) + each).reshape(nests, -1)


def _beats(tiles: npt.NDArray[np.int32], beats: int) -> npt.NDArray[np.int32]:
    """The part of a tile that each beat of the ALU accesses (``vta.hw.compute.alu_beats``)."""
    if beats == 1:
        return tiles
    indices = np.repeat(tiles, beats, axis=1) * np.int32(beats)
    indices += np.tile(np.arange(beats, dtype=np.int32), tiles.shape[1])
    return indices


def _gemm_banks(
    dst: npt.NDArray[np.int32], bits: npt.NDArray[np.uint8], overwrites: bool, forwarded: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """For each micro-op: the bank that it reads and the bank that it writes, as a bit."""
    reads, writes = np.zeros_like(bits) if overwrites else bits.copy(), bits
    for distance in range(1, forwarded + 1):
        reads[:, distance:] *= dst[:, distance:] != dst[:, :-distance]
    writes[:, :-1] *= dst[:, 1:] != dst[:, :-1]  # deferred
    return reads, writes


def _distances(tiles: npt.NDArray[np.int32], dst: npt.NDArray[np.int32]) -> npt.NDArray[np.uint8]:
    """For each micro-op, how many before is the nearest that writes the tile; 0 without one that
    can matter."""
    found = np.zeros(tiles.shape, np.uint8)
    for distance in range(min(MOST_DISTANT, tiles.shape[1] - 1), 0, -1):
        found[:, distance:][tiles[:, distance:] == dst[:, :-distance]] = distance
    return found


def _alu_operands(
    shape: Shape,
    dst: npt.NDArray[np.int32],
    src: npt.NDArray[np.int32] | None,
    bits: npt.NDArray[np.uint8],
    src_bits: npt.NDArray[np.uint8] | None,
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """For each micro-op the bytes of its destination and its source; ``src`` is None for an
    immediate."""
    distances = _distances(dst, dst)
    marks = np.zeros(dst.shape, np.uint8)
    if shape.start:
        # The first micro-op of a run does not read its destination.
        marks[:] = MARK
        marks[:, 1:] *= dst[:, 1:] != dst[:, :-1]
        distances[marks > 0] = 0
    one = (bits | distances << DISTANCE_AT | marks).astype(np.uint8)
    if src is None or src_bits is None:
        return one, np.zeros_like(one)
    other = src_bits | _distances(src, dst) << DISTANCE_AT | (src == dst) * np.uint8(MARK)
    return one, other.astype(np.uint8)


def _may_stall(
    late: int, one: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8]
) -> npt.NDArray[np.bool_]:
    """Whether nests of the ALU have a late result that is read soon, or two tiles in one bank."""
    conflicts = (one & other & BANK_BITS > 0) & (other & MARK == 0)
    distances = (one | other) >> DISTANCE_AT & DISTANCE_BITS
    stalls: npt.NDArray[np.bool_] = (conflicts | (late > 0) & (distances > 0)).any(1)
    return stalls
