"""Vector arithmetic: ``pragma(alu)`` nests become kernels of ALU micro-ops, one for each step of
the stage's value (:mod:`.steps`).

Input: nests with ``alu`` pragmas. Output: none is left; each is a sequence of UopScopes in a
CoprocScope of the compute module, its loops over elements joined where they are one.
"""

from __future__ import annotations

from vta.compiler.analysis.alu_operations import Step, StepTaker
from vta.compiler.analysis.loop_bounds import constraints
from vta.compiler.analysis.loop_nest import Nest, flat_index, join_loops, peel, rewrap, strip_tile
from vta.compiler.target import Target
from vta.compiler.te.expr import Const, Expr
from vta.compiler.tir.ir import (
    Allocate,
    Buffer,
    BufferLoad,
    BufferStore,
    CoprocScope,
    Pragma,
    PrimFunc,
    Seq,
    Stmt,
    UopPush,
    UopScope,
    seq,
)
from vta.compiler.tir.visitor import rebuild, with_body
from vta.errors import LoweringError
from vta.isa import PipelineModule

__all__ = ["inject_alu"]


def inject_alu(func: PrimFunc, target: Target) -> PrimFunc:
    """Replace every ``alu`` nest.

    Raises
    ------
    LoweringError
        For a stage that the vector ALU cannot compute; it names the stage and the part.
    """

    def change(node: Stmt) -> Stmt:
        match node:
            case Pragma(key="skip_alu"):
                return Seq()
            case Pragma(key="alu", body=body):
                where = f"stage {node.stage}, alu at axis {node.axis}"
                nests = body.stmts if isinstance(body, Seq) else (body,)
                kernels = [_kernels(peel(nest), target, where) for nest in nests]
                return CoprocScope(PipelineModule.COMPUTE, seq(*kernels))
            case Stmt():
                return rebuild(node, change)
            case _:
                return node

    return with_body(func, change(func.body))


def _kernels(nest: Nest, target: Target, where: str) -> Stmt:
    """A UopScope for each step of the stage's value, in the memory that the steps need."""
    store = nest.leaf
    if not isinstance(store, BufferStore):
        raise LoweringError(
            f"{where}: must contain one computation and nothing else; a stage attached inside it "
            f"is none"
        )
    taker = StepTaker(store, target, where)
    taker.require_acc(store)
    constants = taker.constants.values()
    stmt = seq(
        *(
            _scope(step, _fill(step))
            if any(step.place is place for place in constants)
            else _scope(step, _kernel(nest, store, step, target, where))
            for step in taker.steps(store.value)
        )
    )
    for buffer in (*constants, *taker.copies):
        stmt = Allocate(buffer, stmt)
    return stmt


def _scope(step: Step, body: Stmt) -> UopScope:
    return UopScope("alu" if step.opcode is not None else "gemm", body)


def _fill(step: Step) -> UopPush:
    """A step on the one element of a constant."""
    assert step.place is not None
    return _push(step, (Const(0), step.place), (Const(0), step.place))


def _kernel(nest: Nest, store: BufferStore, step: Step, target: Target, where: str) -> Stmt:
    """The loops over elements around the micro-op of one step."""
    dst = BufferLoad(step.place or store.buffer, store.indices)
    src = step.operand if isinstance(step.operand, BufferLoad) else dst
    forms = [flat_index(access.buffer, access.indices) for access in (dst, src)]
    tile = target.acc.shape[0] * target.acc.shape[1]
    loops, forms, _ = strip_tile(nest.loops, forms, tile, constraints(nest.guards, where), where)
    if not nest.guards:  # a condition needs its loops as they are
        loops, forms = join_loops(loops, forms)
    operand = (forms[1].expr(), src.buffer)
    if isinstance(step.operand, Buffer):
        operand = (Const(0), step.operand)
    push = _push(step, (forms[0].expr(), dst.buffer), operand)
    return rewrap(loops, nest.guards, push)


def _push(step: Step, dst: tuple[Expr, Buffer], src: tuple[Expr, Buffer]) -> UopPush:
    """The micro-op; the operands are elements counted from the start of a buffer."""
    zero = Const(0)
    if step.opcode is None:
        return UopPush(0, True, dst[0], zero, zero, dst_buffer=dst[1])
    imm = step.operand if isinstance(step.operand, int) else None
    return UopPush(
        1, False, dst[0], src[0], zero, step.opcode, imm is not None, imm or 0, dst[1], src[1]
    )
