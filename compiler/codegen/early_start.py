"""The first products of a program begin before all data that is loaded in front of them is there.

A program begins with loads: constants, activations, weights, micro-ops. Nothing overlaps with them,
so they cost a layer their whole time. Two changes shorten it, each a part of
:class:`~vta.compiler.tir.ir.EarlyStart`:

- Each of the first GEMM instructions is cut into parts, each with tiles of the result of its own,
  and its load of weights into the same parts. A part waits for its own weights only.
- Loads of constants, which the ALU reads first, follow the first part instead of preceding it.

Both change the order of instructions, not what they compute; the stream inserts tokens from the
hazards as usual.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from vta.check.accesses import operand_reach
from vta.isa import Alu, Gemm, Instruction, Isa, Load, MemId

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from vta.compiler.tir.ir import EarlyStart

__all__ = ["Emission", "early_start", "is_products", "loaded_uops"]

_ACC = (MemId.ACC, MemId.ACC_8BIT)


@dataclass(frozen=True)
class Emission:
    """An instruction as it was given to a stream: with the tensor of its DRAM address, and whether
    it takes the pending pops of its module."""

    insn: Instruction
    argument: int | None = None
    takes_pops: bool = True


def is_products(insn: Instruction) -> bool:
    """Whether an instruction multiplies, rather than reset."""
    return isinstance(insn, Gemm) and not insn.reset


def loaded_uops(
    memory: npt.NDArray[np.uint32], loads: Sequence[Emission], table: bytes | bytearray
) -> npt.NDArray[np.uint32]:
    """The contents of the micro-op memory behind instructions; ``table`` is the program's."""
    memory = memory.copy()
    for each in loads:
        insn = each.insn
        if isinstance(insn, Load) and insn.memory is MemId.UOP:
            words = np.frombuffer(table, np.uint32, insn.x_size, 4 * insn.dram_base)
            memory[insn.sram_base : insn.sram_base + insn.x_size] = words
    return memory


def early_start(
    step: Sequence[Emission],
    start: EarlyStart,
    isa: Isa,
    table: npt.NDArray[np.uint32],
    *,
    first: bool,
) -> list[Emission]:
    """The instructions of a step in another order.

    Parameters
    ----------
    step : sequence of Emission
        Those behind the older products, up to products; without tokens.
    start : EarlyStart
    isa : Isa
    table : ndarray of uint32
        The contents of the micro-op memory.
    first : bool
        Whether there are no older products.

    Returns
    -------
    list of Emission
        Instructions with the same result; ``step`` as it is where nothing can change.
    """
    *loads, products = step
    assert isinstance(products.insn, Gemm)
    parts = _parts(products.insn, start.parts, isa, table)
    cuts = [part.weights_end for part in parts[:-1]]
    late: list[Emission] = []
    if (
        first
        and start.late_constants
        and not any(isinstance(each.insn, Alu | Gemm) for each in loads)
    ):
        late = [each for each in loads if _is_constant(each.insn, products.insn, isa, table)]
    result: list[Emission] = []
    for each in loads:
        if each not in late:
            result += _cut_weights(each, cuts)
    for number, part in enumerate(parts):
        result.append(replace(products, insn=part.insn))
        if number == 0:
            result += late
    return result


@dataclass(frozen=True)
class _Part:
    """A part of the first products, and the entry behind its weights."""

    insn: Gemm
    weights_end: int


def _parts(insn: Gemm, count: int, isa: Isa, table: npt.NDArray[np.uint32]) -> list[_Part]:
    """The instruction in at most ``count`` parts. Micro-ops of one tile stay together, and each
    part has weights behind those of the older parts; otherwise the instruction stays whole."""
    fields = isa.uop_indices(table[insn.uop_bgn : insn.uop_end])
    begins = np.flatnonzero(np.diff(fields["dst"], prepend=-1))
    count = min(count, len(begins))
    firsts = [int(begins[len(begins) * n // count]) for n in range(count)]
    parts: list[_Part] = []
    end = 0
    for first, last in zip(firsts, [*firsts[1:], insn.uop_end - insn.uop_bgn]):
        part = replace(insn, uop_bgn=insn.uop_bgn + first, uop_end=insn.uop_bgn + last)
        low, high = _span(operand_reach(part, "wgt", fields["wgt"][first:last]))
        if low < end:
            return [_Part(insn, 0)]
        end = high
        parts.append(_Part(part, high))
    return parts


def _span(places: npt.NDArray[np.int64]) -> tuple[int, int]:
    """The first entry and the one behind the last."""
    return int(places.min()), int(places.max()) + 1


def _cut_weights(each: Emission, cuts: Sequence[int]) -> list[Emission]:
    """A load of weights in parts that end at the entries ``cuts``, or with the row around them;
    another load as it is."""
    insn = each.insn
    if not isinstance(insn, Load) or insn.memory is not MemId.WGT or not insn.y_size:
        return [each]
    if insn.x_pad_0 or insn.x_pad_1 or insn.y_pad_0 or insn.y_pad_1:
        return [each]
    width = 1 if insn.y_size == 1 else insn.x_size
    total = insn.x_size if insn.y_size == 1 else insn.y_size
    ends = sorted({min(-(-(cut - insn.sram_base) // width), total) for cut in cuts} | {total})
    pieces: list[Emission] = []
    begin = 0
    for end in ends:
        if end <= begin:
            continue
        sizes = {"x_size": end - begin} if insn.y_size == 1 else {"y_size": end - begin}
        step = 1 if insn.y_size == 1 else insn.x_stride
        piece = replace(
            insn, sram_base=insn.sram_base + begin * width,
            dram_base=insn.dram_base + begin * step, **sizes,
        )  # fmt: skip
        pieces.append(replace(each, insn=piece))
        begin = end
    return pieces


def _is_constant(
    insn: Instruction, products: Gemm, isa: Isa, table: npt.NDArray[np.uint32]
) -> bool:
    """Whether an instruction loads accumulators that the first products do not touch."""
    if not isinstance(insn, Load) or insn.memory not in _ACC:
        return False
    fields = isa.uop_indices(table[products.uop_bgn : products.uop_end])
    low, high = _span(operand_reach(products, "dst", fields["dst"]))
    rows = insn.y_pad_0 + insn.y_size + insn.y_pad_1
    end = insn.sram_base + rows * (insn.x_pad_0 + insn.x_size + insn.x_pad_1)
    return end <= low or high <= insn.sram_base
