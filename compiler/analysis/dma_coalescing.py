"""DMA coalescing: a loop around a transfer becomes one transfer, with longer or more rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from vta.compiler.analysis.loop_bounds import LoopBounds, Ranges, bound_loops, constraints
from vta.compiler.analysis.loop_nest import Loop, uses, wrap_in_loops
from vta.compiler.te.expr import Const, Expr
from vta.compiler.tir.affine import linear
from vta.compiler.tir.ir import LoadBuffer2D, Stmt, StoreBuffer2D
from vta.compiler.tir.simplify import simplify
from vta.errors import LoweringError
from vta.isa import MAX_TRANSFER_SIZE

__all__ = ["coalesce", "coalesce_guarded"]


def coalesce(stmt: Stmt, loop: Loop) -> Stmt | None:
    """``for loop: stmt`` as one transfer; None if the loop is not regular enough for that."""
    if not isinstance(stmt, LoadBuffer2D | StoreBuffer2D):
        return None
    offset_name = "src_offset" if isinstance(stmt, LoadBuffer2D) else "dst_offset"
    sram, dram = linear(stmt.sram_index), linear(getattr(stmt, offset_name))
    sram_step, dram_step = sram.coefficient(loop.var), dram.coefficient(loop.var)
    sizes = (stmt.x_size, stmt.y_size, stmt.x_stride)
    rest = (sram.without(loop.var).expr(), dram.without(loop.var).expr(), *sizes)
    if any(uses(expr, [loop.var]) for expr in rest) or dram_step < 0:
        return None
    if isinstance(stmt, LoadBuffer2D):
        pads = (stmt.x_pad_before, stmt.x_pad_after, stmt.y_pad_before, stmt.y_pad_after)
        if any(pad != Const(0) for pad in pads):
            return None
    elif dram_step == 0:
        return None
    if not all(isinstance(size, Const) for size in sizes):
        return None
    x, y, stride = (size.value for size in sizes if isinstance(size, Const))
    if y == 1 and sram_step == dram_step == x and x * loop.extent <= MAX_TRANSFER_SIZE:
        x = stride = x * loop.extent
    elif y == 1 and sram_step == x and dram_step <= MAX_TRANSFER_SIZE:
        y, stride = loop.extent, dram_step
    elif sram_step == x * y and dram_step == y * stride and y * loop.extent <= MAX_TRANSFER_SIZE:
        y *= loop.extent
    else:
        return None
    if y > MAX_TRANSFER_SIZE:
        return None
    changed: dict[str, Any] = {
        "sram_index": rest[0],
        offset_name: rest[1],
        "x_size": Const(x),
        "y_size": Const(y),
        "x_stride": Const(stride),
    }
    return replace(stmt, **changed)


def coalesce_guarded(stmt: Stmt, loop: Loop, guards: Sequence[Expr], ranges: Ranges) -> Stmt | None:
    """``for loop: if guards: stmt`` as one transfer of the iterations that the guards let through;
    None if that is not one range of iterations, or not regular enough.
    """
    coalesced = coalesce(stmt, loop)
    if coalesced is None or not guards:
        return coalesced
    assert isinstance(stmt, LoadBuffer2D | StoreBuffer2D)
    try:
        cuts = constraints(guards, "transfer")
        bounds, free = bound_loops([loop], cuts, ranges, "transfer")
    except LoweringError:
        return None  # not one range of iterations
    bound = bounds.get(loop.var)
    if bound is not None:
        coalesced = _cut(stmt, coalesced, loop, bound, ranges)
    return wrap_in_loops((), free, coalesced)


def _cut(
    single: LoadBuffer2D | StoreBuffer2D,
    coalesced: Stmt,
    loop: Loop,
    bound: LoopBounds,
    ranges: Ranges,
) -> Stmt:
    """``coalesced``, ``single`` in all iterations, for the iterations in ``bound`` only."""
    assert isinstance(coalesced, LoadBuffer2D | StoreBuffer2D)
    name = "src_offset" if isinstance(coalesced, LoadBuffer2D) else "dst_offset"
    steps = {
        key: linear(getattr(single, key)).coefficient(loop.var) for key in ("sram_index", name)
    }
    moved: dict[str, Any] = {
        key: simplify(getattr(coalesced, key) + bound.before * step, ranges)
        for key, step in steps.items()
    }
    along = "x_size" if coalesced.y_size == single.y_size else "y_size"
    moved[along] = simplify(bound.size * getattr(single, along), ranges)
    return replace(coalesced, **moved)
