"""``alu`` nests to kernels: one kernel of ALU micro-ops for each operation of the stage's value.

The operations come from :mod:`vta.compiler.analysis.alu_operations`. A reduction is two nests, for
the start values and for the accumulation; a value with conditions is one nest for each case
(:mod:`vta.compiler.analysis.alu_nests`). With the value ``"start"`` of the pragma a reduction is
one nest, whose instructions start (:attr:`vta.isa.Alu.start`): they need no start values.

Input: nests with ``alu`` pragmas. Output: for each nest a sequence of UopScopes in a CoprocScope of
the compute module; loops over consecutive elements are joined.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from vta.compiler.analysis.alu_nests import reduction_term, separate_nests
from vta.compiler.analysis.alu_operations import AluOperation, AluSelector
from vta.compiler.analysis.loop_bounds import Ranges, constraints
from vta.compiler.analysis.loop_nest import (
    LoopNest,
    flat_index,
    join_loops,
    remove_tile_loops,
    uses,
    wrap_in_loops,
)
from vta.compiler.target import Target
from vta.compiler.te.conditions import all_of, equal
from vta.compiler.te.expr import Add, Binary, Const, Expr, Max, Min
from vta.compiler.tir.ir import (
    ALWAYS,
    START,
    Allocate,
    AluUop,
    Buffer,
    BufferLoad,
    BufferStore,
    CoprocScope,
    For,
    GemmUop,
    Pragma,
    PrimFunc,
    Seq,
    Stmt,
    UopScope,
    seq,
)
from vta.compiler.tir.visitor import rebuild_statements, with_body, with_call
from vta.errors import LoweringError
from vta.isa import AluOpcode, Capability, PipelineModule
from vta.isa.capabilities import describe

__all__ = ["alu_nests_to_kernels"]

_STARTING: dict[type[Expr], AluOpcode] = {
    Add: AluOpcode.ADD, Max: AluOpcode.MAX, Min: AluOpcode.MIN,
}  # fmt: skip


def alu_nests_to_kernels(func: PrimFunc, target: Target) -> PrimFunc:
    """Replace every ``alu`` nest.

    Raises
    ------
    LoweringError
        For a stage that the vector ALU cannot compute, with the part of the value.
    """
    return with_body(func, _rewrite(func.body, target, {}))


def _rewrite(stmt: Stmt, target: Target, ranges: Ranges) -> Stmt:
    match stmt:
        case Pragma(key="skip_alu"):
            return Seq()
        case Pragma(key="alu", body=body):
            where = f"stage {stmt.stage}, alu at axis {stmt.axis}"
            nests = separate_nests(body, ranges, where)
            if stmt.value == START:
                kernel = _started_reduction(nests, target, where)
                return CoprocScope(PipelineModule.COMPUTE, with_call(kernel, stmt.call))
            kernels = [_accumulation(nest, target, where) for nest in nests]
            return CoprocScope(PipelineModule.COMPUTE, with_call(seq(*kernels), stmt.call))
        case For(var=var, extent=extent, kind=kind, body=body):
            inner = _rewrite(body, target, {**ranges, var: (0, extent - 1)})
            return For(var, extent, kind, inner) if inner != Seq() else inner
        case _:
            return rebuild_statements(stmt, lambda inner: _rewrite(inner, target, ranges))


def _accumulation(nest: LoopNest, target: Target, where: str) -> Stmt:
    """The kernels of a nest. The computed term of an accumulation has a buffer and kernels of its
    own, in each iteration of the reduction.
    """
    store = nest.leaf
    assert isinstance(store, BufferStore)
    term = reduction_term(store)
    if term is None:
        return _kernels(nest, target, where)
    place = replace(store.buffer, name=f"{store.buffer.name}_term")
    result = flat_index(store.buffer, store.indices)
    around = [loop for loop in nest.loops if not uses(result.expr(), [loop.var])]
    inner = tuple(loop for loop in nest.loops if loop not in around)
    total = type(store.value).of(  # type: ignore[attr-defined]
        BufferLoad(store.buffer, store.indices), BufferLoad(place, store.indices)
    )
    stores = (
        BufferStore(place, store.indices, term),
        BufferStore(store.buffer, store.indices, total),
    )
    kernels = [_kernels(replace(nest, loops=inner, leaf=leaf), target, where) for leaf in stores]
    return Allocate(place, wrap_in_loops(around, (), seq(*kernels)))


def _started_reduction(nests: Sequence[LoopNest], target: Target, where: str) -> Stmt:
    """The kernel of a reduction without start values: ``start`` holds in the first iteration of the
    reduction loops."""
    if not target.extension:
        raise LoweringError(
            f"{where}: {START!r} needs {describe(Capability.ALU_START)} of the instruction set "
            f"extension; EXTENSION is 0 (leave it out, for start values)"
        )
    *before, nest = nests
    store = nest.leaf
    assert isinstance(store, BufferStore)
    value = store.value
    opcode = _STARTING.get(type(value))
    if (
        opcode is None
        or not isinstance(value, Binary)
        or value.a != BufferLoad(store.buffer, store.indices)
        or not isinstance(value.b, BufferLoad)
        or [type(other.leaf.value) for other in before if isinstance(other.leaf, BufferStore)]
        != [Const]
    ):
        raise LoweringError(
            f"{where}: {START!r} is for a sum, maximum or minimum over elements of one tensor, "
            f"without conditions, with the pragma at or outside of the reduction loops"
        )
    selector = AluSelector(store, target, where)
    selector.require_acc(store)
    selector.require_acc(value.b)
    return _scope(AluOperation(opcode, value.b), _kernel(
        nest, store, AluOperation(opcode, value.b), target, where, starts=True
    ))  # fmt: skip


def _kernels(nest: LoopNest, target: Target, where: str) -> Stmt:
    """A UopScope for each operation of the value, inside the allocations of their buffers."""
    store = nest.leaf
    assert isinstance(store, BufferStore)
    selector = AluSelector(store, target, where)
    selector.require_acc(store)
    constants = selector.constants.values()
    stmt = seq(
        *(
            _scope(operation, _fill(operation))
            if any(operation.place is place for place in constants)
            else _scope(operation, _kernel(nest, store, operation, target, where))
            for operation in selector.select(store.value)
        )
    )
    for buffer in (*constants, *selector.copies):
        stmt = Allocate(buffer, stmt)
    return stmt


def _scope(operation: AluOperation, body: Stmt) -> UopScope:
    return UopScope("alu" if operation.opcode is not None else "gemm", body)


def _fill(operation: AluOperation) -> GemmUop | AluUop:
    """The micro-op of an operation on the one element of a constant."""
    assert operation.place is not None
    return _uop(operation, (Const(0), operation.place), (Const(0), operation.place))


def _kernel(
    nest: LoopNest, store: BufferStore, operation: AluOperation, target: Target, where: str,
    *, starts: bool = False,
) -> Stmt:  # fmt: skip
    """The loops over elements around the micro-op of one operation. With ``starts`` the loops that
    the result does not depend on are a reduction, which the operation starts."""
    dst = BufferLoad(operation.place or store.buffer, store.indices)
    src = operation.operand if isinstance(operation.operand, BufferLoad) else dst
    forms = [flat_index(access.buffer, access.indices) for access in (dst, src)]
    tile = target.acc.shape[0] * target.acc.shape[1]
    loops, forms, _ = remove_tile_loops(
        nest.loops, forms, tile, constraints(nest.guards, where), where
    )
    if not nest.guards:  # conditions use the loops as they are
        loops, forms = join_loops(loops, forms)
    operand = (forms[1].expr(), src.buffer)
    if isinstance(operation.operand, Buffer):
        operand = (Const(0), operation.operand)
    uop = _uop(operation, (forms[0].expr(), dst.buffer), operand)
    if starts:
        result = forms[0].expr()
        over = [equal(loop.var, 0) for loop in loops if not uses(result, [loop.var])]
        assert isinstance(uop, AluUop)
        uop = replace(uop, start=all_of(*over) if over else ALWAYS)
    return wrap_in_loops(loops, nest.guards, uop)


def _uop(
    operation: AluOperation, dst: tuple[Expr, Buffer], src: tuple[Expr, Buffer]
) -> GemmUop | AluUop:
    """The micro-op. Operands are (element from the start of the buffer, buffer)."""
    if operation.opcode is None:
        return GemmUop(dst=dst[0], reset=True, dst_buffer=dst[1])
    return AluUop(
        opcode=operation.opcode, dst=dst[0], src=src[0],
        imm=operation.operand if isinstance(operation.operand, int) else None,
        limits=operation.limits, dst_buffer=dst[1], src_buffer=src[1],
    )  # fmt: skip
