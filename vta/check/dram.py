"""The DRAM side of a check: bounds, micro-ops, and the order of loads and stores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from vta.check.accesses import Pieces, Places, Rows, rows_of
from vta.isa import Instruction, Isa, Load, Store

if TYPE_CHECKING:
    from vta.config import VTAConfig
    from vta.program import Program

__all__ = ["Buffers", "Contents", "ImageContents", "ProgramContents", "Words", "transfers"]

Words = tuple[npt.NDArray[np.uint32], npt.NDArray[np.bool_]]
"""Micro-op words, shape (rows, columns), and which of them are known."""


def transfers(insns: Sequence[Instruction]) -> Iterator[tuple[int, Load | Store]]:
    """The instructions that touch DRAM, with their numbers."""
    for index, insn in enumerate(insns):
        if isinstance(insn, Load | Store) and insn.x_size and insn.y_size:
            yield index, insn


def _elements(insn: Load) -> npt.NDArray[np.int64]:
    """The indices in DRAM of the elements of a transfer, shape (rows, columns)."""
    return (
        insn.dram_base
        + np.arange(insn.y_size)[:, None] * insn.x_stride
        + np.arange(insn.x_size, dtype=np.int64)
    )


class Buffers:
    """The order of accesses to DRAM. The stream's transfers belong to buffers that do not overlap.

    A buffer that only LOADs or only STOREs touch needs no order; the others are cut into the pieces
    of their accesses.

    Parameters
    ----------
    cfg : VTAConfig
    insns : sequence of Instruction
    owner : dict of int to int
        The buffer of each instruction that moves data.
    names : dict of int to str
        Of the buffers.
    """

    def __init__(
        self,
        cfg: VTAConfig,
        insns: Sequence[Instruction],
        owner: dict[int, int],
        names: dict[int, str],
    ) -> None:
        self._isa, self._owner = Isa.of(cfg), owner
        rows: dict[int, list[Rows]] = {}
        kinds: dict[int, set[type[Instruction]]] = {}
        for index, insn in transfers(insns):
            if index not in owner:
                continue  # a load of zeros
            rows.setdefault(owner[index], []).append(self._rows(insn))
            kinds.setdefault(owner[index], set()).add(type(insn))
        self._pieces = {
            buffer: Pieces(names[buffer], rows[buffer])
            for buffer, found in kinds.items()
            if len(found) > 1
        }

    def touched(self, index: int, insn: Load | Store) -> tuple[Pieces, Places] | None:
        """What an instruction touches of its buffer; None if that needs no order."""
        if not insn.y_size or index not in self._owner:
            return None
        pieces = self._pieces.get(self._owner[index])
        if pieces is None:
            return None
        return pieces, pieces.covered(self._rows(insn))

    def _rows(self, insn: Load | Store) -> Rows:
        return rows_of(insn, self._isa.elem_bytes(insn.memory))


class Contents(Protocol):
    """What is known of DRAM before the run."""

    def words(self, insn: Load) -> Words:
        """The micro-ops that a LOAD reads."""

    def why_outside(self, insn: Load | Store) -> str | None:
        """Why a transfer is out of bounds; None if it is not, or nothing is known."""


class ProgramContents:
    """Of a program that :meth:`vta.program.Program.check` has accepted: its bounds are proved."""

    def __init__(self, program: Program) -> None:
        self._words = program.uop_words

    def words(self, insn: Load) -> Words:
        found = self._words[_elements(insn)]
        return found, np.ones(found.shape, bool)

    def why_outside(self, insn: Load | Store) -> str | None:
        return None


class ImageContents:
    """Of a raw stream: an image of the DRAM, of which the first byte is at ``base``; or None.

    Bytes that a STORE of the stream writes are not known.
    """

    def __init__(
        self,
        cfg: VTAConfig,
        insns: Sequence[Instruction],
        image: npt.NDArray[np.uint8] | None,
        base: int,
    ) -> None:
        self._isa, self._image = Isa.of(cfg), image
        self._first, self._end = 0, 1 << cfg.addr_bits
        if image is not None:
            self._first, self._end = base, base + image.size
            self._known = np.ones(image.size, bool)
            for _, insn in transfers(insns):
                if isinstance(insn, Store):
                    starts, length = rows_of(insn, self._isa.elem_bytes(insn.memory))
                    for start in (starts - base).tolist():
                        self._known[max(start, 0) : max(start + length, 0)] = False

    def words(self, insn: Load) -> Words:
        elements = _elements(insn)
        if self._image is None or not elements.size or self.why_outside(insn):
            return np.zeros(elements.shape, np.uint32), np.zeros(elements.shape, bool)
        size = self._isa.elem_bytes(insn.memory)
        places = (elements * size - self._first)[..., None] + np.arange(size)
        words = np.ascontiguousarray(self._image[places]).view("<u4")[..., 0]
        return words, self._known[places].all(axis=-1)

    def why_outside(self, insn: Load | Store) -> str | None:
        starts, size = rows_of(insn, self._isa.elem_bytes(insn.memory))
        if not len(starts):
            return None
        low, high = int(starts.min()), int(starts.max()) + size
        if self._first <= low and high <= self._end:
            return None
        return (
            f"touches DRAM bytes 0x{low:x}..0x{high:x}; "
            f"may touch 0x{self._first:x}..0x{self._end:x}"
        )
