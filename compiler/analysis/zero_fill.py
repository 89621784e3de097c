"""Padding that a copy writes: its value, the conditions for it, and a LOAD of padding alone.

The value is 0, or with the instruction set extension any int8 in the memories that take one.
"""

from __future__ import annotations

from vta.compiler.analysis.conditional_values import without_padding
from vta.compiler.analysis.loop_bounds import Ranges
from vta.compiler.analysis.loop_nest import (
    LoopNest,
    flat_index,
    join_loops,
    remove_tile_loops,
    require_affine,
    require_inside,
)
from vta.compiler.target import Memory, Target
from vta.compiler.te.conditions import Select
from vta.compiler.te.expr import Cast, Const, Expr, Var
from vta.compiler.tir.ir import BufferLoad, BufferStore, For, LoadBuffer2D, Stmt
from vta.compiler.tir.simplify import simplify
from vta.errors import LoweringError
from vta.isa import MAX_TRANSFER_SIZE, PAD_VALUE_MEMORIES

__all__ = ["copied_value", "zero_fill"]


def copied_value(
    value: Expr, memory: Memory | None, target: Target, where: str
) -> tuple[list[Expr], BufferLoad | None, int]:
    """The conditions under which ``value`` is an element of a tensor, that element, and the padding
    where a condition does not hold.

    The element is None if the value is always the padding. ``memory`` is that of the copy, None for
    DRAM.

    Raises
    ------
    LoweringError
        If the value is computed, or the padding is a number that no LOAD of the memory writes.
    """
    number = _padding(value)
    if number and not _can_pad(number, memory, target):
        number = 0
    conditions, rest = without_padding(value, number)
    if isinstance(rest, Cast):
        rest = rest.value
    match rest:
        case BufferLoad():
            return conditions, rest, number
        case Const(value=constant) if constant == number:
            return conditions, None, number
        case Const():
            raise LoweringError(f"{where}: fills in `{rest}`; {_ONLY_ZEROS}")
        case Select(cond=cond, then=Const(value=0)):
            raise LoweringError(
                f"{where}: fills in zeros where `{cond}` holds; the opposite must be a conjunction "
                f"of comparisons, so write the condition for the values instead"
            )
        case Select(other=other):
            raise LoweringError(f"{where}: pads with `{other}`; {_ONLY_ZEROS}")
    raise LoweringError(f"{where}: copies a tensor element by element; `{value}` computes")


def _padding(value: Expr) -> int:
    """The first constant of nested ``if_then_else``, or the constant that all elements are; 0 if
    there is none."""
    while isinstance(value, Cast):
        value = value.value
    if isinstance(value, Const):
        return int(value.value)
    if isinstance(value, Select):
        for side in (value.other, value.then):
            if isinstance(side, Const):
                return int(side.value)
    return 0


def _can_pad(number: int, memory: Memory | None, target: Target) -> bool:
    return (
        target.extension
        and memory is not None
        and memory.mem_id in PAD_VALUE_MEMORIES
        and -128 <= number <= 127
    )


_ONLY_ZEROS = (
    "a transfer pads with 0 only, or with the instruction set extension with any int8, in the "
    "input and accumulator memories. Other numbers need a stage of the vector ALU (env.alu) for "
    "the padded tensor, in the accumulator memory, behind a stage that copies without padding"
)


def zero_fill(
    nest: LoopNest, memory: Memory, ranges: Ranges, where: str, pad_value: int = 0
) -> Stmt:
    """Padding, zeros or another number, in all elements of the loops, regardless of conditions and
    values.

    Raises
    ------
    LoweringError
        If the loops run beyond the buffer, or not over whole elements.
    """
    store = nest.leaf
    assert isinstance(store, BufferStore)
    tile = memory.shape[0] * memory.shape[1]
    forms = [flat_index(store.buffer, store.indices)]
    loops, forms, _ = remove_tile_loops(nest.loops, forms, tile, [], where)
    loops, (form,) = join_loops(loops, forms)
    require_affine([form], loops, where)
    require_inside(form, loops, ranges, store.buffer, tile, where)
    inside = {**ranges, **{loop.var: (0, loop.extent - 1) for loop in loops}}
    dims = sorted(loops, key=lambda loop: form.coefficient(loop.var))
    width = rows = 1
    covered: list[Var] = []
    if dims and form.coefficient(dims[0].var) == 1 and dims[0].extent <= MAX_TRANSFER_SIZE:
        width = dims[0].extent
        covered.append(dims.pop(0).var)
    if dims and form.coefficient(dims[0].var) == width:
        rows = dims[0].extent
        covered.append(dims.pop(0).var)
    zero = Const(0)
    index = simplify(form.without(*covered).expr(), inside)
    stmt: Stmt = LoadBuffer2D(
        None, zero, Const(width), zero, Const(width), zero, Const(rows), zero, zero,
        store.buffer, index, memory.mem_id, pad_value,
    )  # fmt: skip
    for loop in dims:
        stmt = For(loop.var, loop.extent, "serial", stmt)
    return stmt
