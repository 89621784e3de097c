"""The first products of a program begin before all data that is loaded in front of them is there.

A program begins with loads: constants, activations, weights, micro-ops. Nothing overlaps with them,
so they cost a layer their whole time. Changes that shorten it, each a part of
:class:`~vta.compiler.tir.ir.EarlyStart`:

- Each of the first GEMM instructions is cut into parts, each with tiles of the result of its own,
  and its load of weights into the same parts. A part waits for its own weights only.
- The first part is cut again, by rows of the result, and the load of activations with it.
- Loads of constants, which the ALU reads first, follow the first part instead of preceding it.

They change the order of instructions, not what these compute; the stream inserts tokens from the
hazards as usual.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from vta.compiler.codegen.cut_instructions import (
    GemmPart,
    cut_by_rows,
    cut_by_weights,
    cut_load,
)
from vta.isa import Alu, Gemm, Instruction, Isa, Load, MemId
from vta.program import UOP_BUFFER

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from vta.compiler.tir.ir import EarlyStart
    from vta.program_sources import InstructionSource

__all__ = ["Emission", "Place", "early_start", "is_products", "loaded_uops"]

Place = Callable[[bytes], tuple[int, "Load | None"]]
"""The first entry of micro-ops in the micro-op memory, and the LOAD that brings them there, unless
they are there."""
_ACC = (MemId.ACC, MemId.ACC_8BIT)


@dataclass(frozen=True)
class Emission:
    """An instruction as it was given to a stream: with the tensor of its DRAM address, whether it
    takes the pending pops of its module, and what emitted it."""

    insn: Instruction
    argument: int | None = None
    takes_pops: bool = True
    source: InstructionSource | None = None


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
            first, last = 4 * insn.dram_base, 4 * (insn.dram_base + insn.x_size)
            words = np.frombuffer(table[first:last], np.uint32)  # of a copy: the table grows
            memory[insn.sram_base : insn.sram_base + insn.x_size] = words
    return memory


def early_start(
    step: Sequence[Emission],
    start: EarlyStart,
    isa: Isa,
    memory: npt.NDArray[np.uint32],
    place: Place,
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
    memory : ndarray of uint32
        The contents of the micro-op memory.
    place : callable
        Finds a place for micro-ops of parts.
    first : bool
        Whether there are no older products.

    Returns
    -------
    list of Emission
        Instructions with the same result; ``step`` as it is where nothing can change.
    """
    *loads, products = step
    assert isinstance(products.insn, Gemm)
    whole = GemmPart.whole(products.insn, isa, memory)
    parts = cut_by_weights(whole, start.parts, loops=first)
    weights = [part.span("wgt")[1] for part in parts]
    activations: list[int] = []
    if first and start.rows > 1:
        begin = cut_by_rows(parts[0], start.rows)
        activations = [begin[0].span("src")[1]] if len(begin) > 1 else []
        parts[:1] = begin
    late: list[Emission] = []
    if first and start.late_constants and not any(isinstance(e.insn, Alu | Gemm) for e in loads):
        late = [each for each in loads if _is_constant(each.insn, whole)]
    ordered = _in_order([each for each in loads if each not in late], weights, activations)
    return [*ordered, *_placed(products, parts, isa, place, late)]


def _in_order(
    loads: Sequence[Emission], weights: Sequence[int], activations: Sequence[int]
) -> list[Emission]:
    """The loads in parts that end at entries of the memory of weights, and of activations: first
    what the first part needs, then the other activations, then the other weights."""
    ranks: tuple[list[Emission], ...] = ([], [], [])
    for each in loads:
        insn = each.insn
        if isinstance(insn, Load) and insn.memory is MemId.WGT:
            for piece in cut_load(insn, weights[:-1]):
                rank = 0 if piece.sram_base < weights[0] else 2
                ranks[rank].append(replace(each, insn=piece))
        elif isinstance(insn, Load) and insn.memory is MemId.INP and activations:
            for piece in cut_load(insn, activations):
                rank = 0 if piece.sram_base < activations[0] else 1
                ranks[rank].append(replace(each, insn=piece))
        else:
            ranks[0].append(each)
    return [each for rank in ranks for each in rank]


def _placed(
    products: Emission, parts: Sequence[GemmPart], isa: Isa, place: Place, late: Sequence[Emission]
) -> list[Emission]:
    """The parts of the products, each behind the load of its micro-ops; ``late`` follows the first.

    Micro-ops of a part may take the place of older ones; behind them no part uses the latter.
    """
    result: list[Emission] = []
    moved = False
    for number, part in enumerate(parts):
        insn = part.insn
        moved |= not part.is_loaded
        if moved:
            words = part.words(isa)
            begin, load = place(words)
            if load is not None:
                result.append(Emission(load, UOP_BUFFER, takes_pops=False, source=products.source))
            insn = replace(insn, uop_bgn=begin, uop_end=begin + len(words) // 4)
        result.append(replace(products, insn=insn))
        if number == 0:
            result += late
    return result


def _is_constant(insn: Instruction, products: GemmPart) -> bool:
    """Whether an instruction loads accumulators that the first products do not touch."""
    if not isinstance(insn, Load) or insn.memory not in _ACC:
        return False
    low, high = products.span("dst")
    rows = insn.y_pad_0 + insn.y_size + insn.y_pad_1
    end = insn.sram_base + rows * (insn.x_pad_0 + insn.x_size + insn.x_pad_1)
    return end <= low or high <= insn.sram_base
