"""GEMM tiles to kernels: tile products and the loops around them become GEMM micro-ops.

Input: GemmTile statements. Output: for each a UopScope in a CoprocScope of the compute module. The
UopScope contains all loops around the tile that contain nothing else.
"""

from __future__ import annotations

from vta.compiler.analysis.loop_nest import flat_index
from vta.compiler.target import Memory, Target
from vta.compiler.te.expr import Expr
from vta.compiler.tir.affine import Affine
from vta.compiler.tir.ir import (
    NEVER,
    BufferLoad,
    CoprocScope,
    For,
    GemmTile,
    GemmUop,
    IfThenElse,
    PrimFunc,
    Stmt,
    UopScope,
)
from vta.compiler.tir.visitor import rebuild_statements, with_body
from vta.errors import LoweringError
from vta.isa import Capability, PipelineModule
from vta.isa.capabilities import describe

__all__ = ["gemm_tiles_to_kernels"]


def gemm_tiles_to_kernels(func: PrimFunc, target: Target) -> PrimFunc:
    """Replace every GemmTile.

    Raises
    ------
    LoweringError
        If an operand is not in its memory or does not begin at a tile, or the machine lacks the
        extension that ``start`` needs.
    """

    def change(node: Stmt) -> Stmt:
        match node:
            case GemmTile():
                return CoprocScope(PipelineModule.COMPUTE, UopScope("gemm", _uop(node, target)))
            case For(kind="serial" | "unroll", body=body):
                inner = change(body)
                kernel = _kernel(inner)
                if kernel is not None:
                    loop = For(node.var, node.extent, "serial", kernel)
                    return CoprocScope(PipelineModule.COMPUTE, UopScope("gemm", loop))
                return node if inner is body else For(node.var, node.extent, node.kind, inner)
            case IfThenElse(cond=cond, then=then):
                inner = change(then)
                kernel = _kernel(inner)
                if kernel is not None:
                    guarded = IfThenElse(cond, kernel)
                    return CoprocScope(PipelineModule.COMPUTE, UopScope("gemm", guarded))
                return node if inner is then else IfThenElse(cond, inner)
            case _:
                return rebuild_statements(node, change)

    return with_body(func, change(func.body))


def _kernel(stmt: Stmt) -> Stmt | None:
    """The body of the GEMM kernel, if ``stmt`` is nothing but one; else None."""
    match stmt:
        case CoprocScope(body=UopScope(kind="gemm", body=body)):
            return body
        case _:
            return None


def _uop(tile: GemmTile, target: Target) -> GemmUop:
    where = f"stage {tile.stage}, tensorize"
    dst = _index(tile.acc, target.acc, where)
    if tile.reset:
        return GemmUop(dst=dst, reset=True, dst_buffer=tile.acc.buffer, call=tile.call)
    assert tile.inp is not None and tile.wgt is not None
    if tile.start != NEVER and not target.extension:
        raise LoweringError(
            f"{where}: start=True needs {describe(Capability.GEMM_START)} of the instruction set "
            f"extension; EXTENSION is 0 (start=False resets the tile)"
        )
    src = _index(tile.inp, target.inp, where)
    wgt = _index(tile.wgt, target.wgt, where)
    return GemmUop(
        dst=dst, src=src, wgt=wgt, start=tile.start,
        dst_buffer=tile.acc.buffer, src_buffer=tile.inp.buffer, wgt_buffer=tile.wgt.buffer,
        call=tile.call,
    )  # fmt: skip


def _index(access: BufferLoad, memory: Memory, where: str) -> Expr:
    """The index of an operand, in elements from the start of its buffer."""
    buffer = access.buffer
    if buffer.scope != memory.scope:
        raise LoweringError(
            f"{where}: {buffer.name} must be in {memory.scope}; it is in {buffer.scope}"
        )
    if buffer.shape[-2:] != memory.shape or buffer.dtype != memory.dtype:
        raise LoweringError(
            f"{where}: the last two dimensions of {buffer.name} must be a tile of "
            f"{memory.shape[0]} x {memory.shape[1]} {memory.dtype}; {buffer.name} is "
            f"{list(buffer.shape)} {buffer.dtype}"
        )
    size = memory.shape[0] * memory.shape[1]
    form = flat_index(buffer, access.indices)
    if any(value % size for value in (form.const, *(factor for _, factor in form.terms))):
        raise LoweringError(
            f"{where}: {buffer.name}[{form.expr()}] must begin at a whole tile of "
            f"{memory.shape[0]} x {memory.shape[1]}"
        )
    return Affine(tuple((a, f // size) for a, f in form.terms), form.const // size).expr()
