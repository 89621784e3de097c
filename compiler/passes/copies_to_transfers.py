"""``dma_copy`` nests to transfers: LoadBuffer2D and StoreBuffer2D statements.

A nest that copies whole elements between DRAM and an SRAM becomes columns (x) and rows (y) of a 2D
transfer, inside the remaining loops. Zeros that the copy inserts become padding of the transfer;
with the instruction set extension, other numbers too.
Where zeros lie between values (a dilated tensor), one transfer fills the buffer with zeros, and
another one loads the values. Loops around the pragma become part of the transfer where the result
is regular (DMA coalescing).

Input: the loop nest of the schedule. Output: no ``dma_copy`` or ``skip_dma_copy`` pragma; each
transfer is in a CoprocScope of its module.
"""

from __future__ import annotations

from dataclasses import replace

from vta.compiler.analysis.conditional_values import conjuncts
from vta.compiler.analysis.dma_coalescing import coalesce_guarded
from vta.compiler.analysis.dma_transfer import Copy, loading_module
from vta.compiler.analysis.loop_bounds import Ranges
from vta.compiler.analysis.loop_nest import (
    Loop,
    LoopNest,
    collect_loops,
    require_no_attached_stages,
    uses,
)
from vta.compiler.analysis.strided_loops import stride_condition, strided_loops
from vta.compiler.analysis.zero_fill import copied_value, zero_fill
from vta.compiler.target import Target
from vta.compiler.te.expr import Expr
from vta.compiler.tir.ir import (
    BufferStore,
    CoprocScope,
    For,
    Pragma,
    PrimFunc,
    Seq,
    Stmt,
    seq,
)
from vta.compiler.tir.visitor import rebuild_statements, with_body, with_call
from vta.errors import LoweringError

__all__ = ["copies_to_transfers"]


def copies_to_transfers(func: PrimFunc, target: Target) -> PrimFunc:
    """Replace every ``dma_copy`` nest.

    Raises
    ------
    LoweringError
        For a nest that is not a copy between DRAM and an SRAM, or that transfers cannot do.
    """
    return with_body(func, _rewrite(func.body, target, {}))


def _rewrite(stmt: Stmt, target: Target, ranges: Ranges) -> Stmt:
    match stmt:
        case Pragma(key="skip_dma_copy"):
            return Seq()
        case Pragma(key="dma_copy"):
            return with_call(_transfers(stmt, target, ranges), stmt.call)
        case For(var=var, extent=extent, body=body, kind=kind):
            body = _rewrite(body, target, {**ranges, var: (0, extent - 1)})
            if kind != "cthread":
                nest = collect_loops(body)
                if isinstance(nest.leaf, CoprocScope) and not nest.loops:
                    coalesced = coalesce_guarded(
                        nest.leaf.body, Loop(var, extent), nest.guards, ranges
                    )
                    if coalesced is not None:
                        return CoprocScope(nest.leaf.module, coalesced)
            return For(var, extent, kind, body) if body != Seq() else body
        case _:
            return rebuild_statements(stmt, lambda inner: _rewrite(inner, target, ranges))


def _transfers(pragma: Pragma, target: Target, ranges: Ranges) -> Stmt:
    """The transfers of a ``dma_copy`` nest, in a scope of their module."""
    where = f"stage {pragma.stage}, dma_copy at axis {pragma.axis}"
    require_no_attached_stages(pragma.body, where, "one copy")
    nest = collect_loops(pragma.body)
    store = nest.leaf
    if not isinstance(store, BufferStore):
        raise LoweringError(
            f"{where}: must contain one copy and nothing else; a reduction is not a copy (env.alu "
            f"and tensorize are for computations)"
        )
    memory = target.memory(store.buffer.scope)
    conditions, source, pad_value = copied_value(store.value, memory, target, where)
    if memory is None:
        if conditions or source is None:
            raise LoweringError(
                f"{where}: a store to DRAM cannot insert zeros; the tensor with zeros must be a "
                f"stage of the vector ALU (env.alu) in {target.acc.scope}, which is then stored"
            )
        return Copy(where, nest, [], source, target, ranges).transfer()
    module = loading_module(memory, target)
    if source is None:
        return CoprocScope(module, zero_fill(nest, memory, ranges, where, pad_value))
    if not any(_strides(cond, nest) for cond in conditions):
        copy = Copy(where, nest, conditions, source, target, ranges, pad_value=pad_value)
        return copy.transfer()
    filled = zero_fill(nest, memory, ranges, where, pad_value)
    strided = strided_loops(nest.loops, [*conditions, *nest.guards], ranges, where)
    if strided is None:
        return CoprocScope(module, filled)
    leaf = replace(store, indices=tuple(map(strided.at, store.indices)))
    source = replace(source, indices=tuple(map(strided.at, source.indices)))
    values = LoopNest(strided.loops, strided.conditions, leaf)
    copy = Copy(where, values, [], source, target, ranges, filled=True, pad_value=pad_value)
    return CoprocScope(module, seq(filled, copy.statement()))


def _strides(cond: Expr, nest: LoopNest) -> bool:
    """Whether ``cond`` selects every n-th iteration of a loop of the nest."""
    strides = [stride for part in conjuncts(cond) if (stride := stride_condition(part))]
    return any(uses(stride[0], [loop.var for loop in nest.loops]) for stride in strides)
