"""Invariants of a program after each pass, checked in tests.

:func:`verify` raises AssertionError: a broken invariant is a fault of a pass, not of a user's
program.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product

from vta.compiler.driver import PASSES
from vta.compiler.target import Memory, Target
from vta.compiler.te.expr import Expr, Var
from vta.compiler.tir.evaluate import evaluator
from vta.compiler.tir.interval import interval
from vta.compiler.tir.ir import (
    Allocate,
    AluUop,
    BufferStore,
    CoprocScope,
    DepPop,
    DepPush,
    For,
    GemmTile,
    GemmUop,
    IfThenElse,
    LoadBuffer2D,
    Pragma,
    PrimFunc,
    RingSlot,
    Seq,
    Stmt,
    StoreBuffer2D,
    UopLoop,
    UopScope,
)
from vta.compiler.tir.visitor import children, walk
from vta.isa import MemId, PipelineModule

__all__ = ["verify"]


def verify(func: PrimFunc, stage: str, target: Target) -> None:
    """Check the invariants of the pass ``stage`` and of all earlier passes.

    Raises
    ------
    AssertionError
        If an invariant does not hold.
    """
    done = list(PASSES)[: list(PASSES).index(stage) + 1]
    _loop_variables(func)
    for name in done:
        _CHECKS[name](func, target)


def _nodes(func: PrimFunc, *kinds: type[Stmt]) -> list[Stmt]:
    return [node for node in walk(func.body) if isinstance(node, kinds)]


def _loop_variables(func: PrimFunc) -> None:
    """Every loop has at least two iterations; a loop variable belongs to one loop, and is used only
    inside.
    """

    def visit(node: Stmt | Expr, bound: frozenset[Var]) -> None:
        if isinstance(node, For):
            assert node.extent > 1, f"a loop of {node.extent} iterations:\n{node}"
            assert node.var not in bound, f"{node.var} is the variable of two nested loops"
            bound = bound | {node.var}
        elif isinstance(node, RingSlot):
            bound = bound | {node.var}
        elif isinstance(node, Var):
            assert node in bound, f"{node} is used outside its loop"
        for child in children(node):
            visit(child, bound)

    visit(func.body, frozenset())


def _after_copies_to_transfers(func: PrimFunc, target: Target) -> None:
    for node in _nodes(func, Pragma):
        assert isinstance(node, Pragma) and "dma_copy" not in node.key, node
    _modules_fit(func)


def _modules_fit(func: PrimFunc) -> None:
    """Each operation is in one scope, of the module that executes it."""

    def visit(node: Stmt | Expr, module: PipelineModule | None) -> None:
        match node:
            case CoprocScope():
                assert module is None, f"a scope inside a scope:\n{node}"
                module = node.module
            case LoadBuffer2D():
                load = node.mem_id in (MemId.INP, MemId.WGT)
                assert module is (PipelineModule.LOAD if load else PipelineModule.COMPUTE), node
            case StoreBuffer2D():
                assert module is PipelineModule.STORE, node
            case UopScope():
                assert module is PipelineModule.COMPUTE, node
        for child in children(node):
            visit(child, module)

    visit(func.body, None)


def _after_alu_nests_to_kernels(func: PrimFunc, target: Target) -> None:
    assert not _nodes(func, Pragma), _nodes(func, Pragma)[0]


def _after_gemm_tiles_to_kernels(func: PrimFunc, target: Target) -> None:
    assert not _nodes(func, GemmTile), _nodes(func, GemmTile)[0]


def _after_allocate_storage(func: PrimFunc, target: Target) -> None:
    """Nothing is allocated or computed by the host, and no index leaves its memory."""
    left = _nodes(func, Allocate, BufferStore)
    assert not left, left[0]
    memories = {MemId.INP: target.inp, MemId.WGT: target.wgt}

    def inside(index: Expr, memory: Memory, around: _Around) -> None:
        text = f"{index} leaves {memory.scope}, which has {memory.depth}"
        assert around.holds(index, memory.depth), text

    def visit(node: Stmt, around: _Around) -> None:
        match node:
            case For(var=var, extent=extent, body=body):
                return visit(body, replace(around, ranges={**around.ranges, var: (0, extent - 1)}))
            case RingSlot(buffer=buffer, var=var, body=body):
                ranges = {**around.ranges, var: (0, buffer.slots - 1)}
                return visit(body, replace(around, ranges=ranges))
            case IfThenElse(cond=cond, then=then):
                return visit(then, replace(around, conditions=(*around.conditions, cond)))
            case UopLoop():
                return visit(node.body, around)
            case LoadBuffer2D():
                inside(node.sram_index, memories.get(node.mem_id, target.acc), around)
            case StoreBuffer2D():
                inside(node.sram_index, target.acc, around)
            case AluUop():
                inside(node.dst, target.acc, around)
                inside(node.src, target.acc, around)
            case GemmUop():
                inside(node.dst, target.acc, around)
                if not node.reset:
                    inside(node.src, target.inp, around)
                    inside(node.wgt, target.wgt, around)
        for child in children(node):
            if isinstance(child, Stmt):
                visit(child, around)
        return None

    visit(func.body, _Around({}))


@dataclass(frozen=True)
class _Around:
    """The loops and conditions around a statement."""

    ranges: dict[Var, tuple[int, int]]
    conditions: tuple[Expr, ...] = ()

    def holds(self, index: Expr, depth: int) -> bool:
        """Whether ``index`` is in 0 .. ``depth`` - 1 wherever the conditions hold.

        All values of the loops are tried where intervals do not suffice.
        """
        low, high = interval(index, self.ranges)
        if low >= 0 and high < depth:
            return True
        used = {v for expr in (index, *self.conditions) for v in walk(expr) if isinstance(v, Var)}
        names = list(used)
        tests, place = [evaluator(cond) for cond in self.conditions], evaluator(index)
        for point in product(*(range(self.ranges[var][1] + 1) for var in names)):
            values = dict(zip(names, point))
            if all(test(values) for test in tests) and not 0 <= place(values) < depth:
                return False
        return True


def _after_merge_scopes(func: PrimFunc, target: Target) -> None:
    """Neighbouring scopes are of different modules."""
    for node in _nodes(func, Seq):
        assert isinstance(node, Seq)
        for before, after in zip(node.stmts, node.stmts[1:]):
            both = isinstance(before, CoprocScope) and isinstance(after, CoprocScope)
            assert not both or before.module is not after.module, node  # type: ignore[attr-defined]


def _after_insert_tokens(func: PrimFunc, target: Target) -> None:
    """One statement at a time, in order, every pop finds a token, and none is left."""
    tokens: Counter[tuple[PipelineModule, PipelineModule]] = Counter()

    def visit(node: Stmt, values: dict[Var, int]) -> None:
        match node:
            case For(var=var, extent=extent, body=body):
                if any(isinstance(inner, DepPush | DepPop) for inner in walk(body)):
                    for value in range(extent):
                        visit(body, {**values, var: value})
            case IfThenElse(cond=cond, then=then):
                if evaluator(cond)(values):
                    visit(then, values)
            case DepPush(source=source, target=to):
                assert {source, to} != {PipelineModule.LOAD, PipelineModule.STORE}, node
                tokens[source, to] += 1
            case DepPop(source=source, target=to):
                tokens[source, to] -= 1
                assert tokens[source, to] >= 0, f"no token for {node}"
            case Seq() | CoprocScope():
                for child in children(node):
                    if isinstance(child, Stmt):
                        visit(child, values)

    visit(func.body, {})
    assert not any(tokens.values()), f"tokens are left: {tokens}"


def _after_interleave_threads(func: PrimFunc, target: Target) -> None:
    for node in _nodes(func, For):
        assert isinstance(node, For) and node.kind != "cthread", node


def _after_loops_to_uop_loops(func: PrimFunc, target: Target) -> None:
    """Instruction loops are outermost in their kernel, and at most two."""
    for node in _nodes(func, UopScope):
        assert isinstance(node, UopScope)
        body, loops = node.body, 0
        while isinstance(body, UopLoop):
            body, loops = body.body, loops + 1
        assert loops <= 2, node
        assert not any(isinstance(inner, UopLoop) for inner in walk(body)), node


def _nothing_new(func: PrimFunc, target: Target) -> None:
    """A pass that only rearranges."""


_CHECKS: dict[str, Callable[[PrimFunc, Target], None]] = {
    "copies_to_transfers": _after_copies_to_transfers,
    "reuse_buffers": _nothing_new,
    "alu_nests_to_kernels": _after_alu_nests_to_kernels,
    "gemm_tiles_to_kernels": _after_gemm_tiles_to_kernels,
    "allocate_storage": _after_allocate_storage,
    "merge_scopes": _after_merge_scopes,
    "insert_tokens": _after_insert_tokens,
    "interleave_threads": _after_interleave_threads,
    "loops_to_uop_loops": _after_loops_to_uop_loops,
}
