"""Buffer reuse: the result of an ALU stage takes the buffer of an operand.

The vector ALU overwrites its first operand. Where a stage reads a tensor for the last time, at
exactly the positions that the stage writes, its result gets the buffer of that tensor: a chain of
shift, max and min works in the buffer of the product in front.

Stages that are left out later (``skip_alu``) share buffers alike, so that they take no more memory.

Input: the loop nest with ``alu`` and ``skip_alu`` pragmas. Output: the same with fewer buffers.
"""

from __future__ import annotations

from collections.abc import Iterator

from vta.compiler.analysis.alu_operations import count_operations_in_place
from vta.compiler.analysis.loop_nest import collect_loops, flat_index
from vta.compiler.target import Target
from vta.compiler.tir.ir import (
    Allocate,
    Buffer,
    BufferLoad,
    BufferStore,
    For,
    GemmTile,
    LoadBuffer2D,
    Pragma,
    PrimFunc,
    Stmt,
    StoreBuffer2D,
)
from vta.compiler.tir.visitor import children, rebuild_statements, replace_buffers, walk, with_body

__all__ = ["reuse_buffers"]


def reuse_buffers(func: PrimFunc, target: Target) -> PrimFunc:
    """Merge buffers along chains of ALU stages. The values that the program computes stay."""
    body = func.body
    while (pair := next(_candidates(body, target), None)) is not None:
        result, operand = pair
        body = replace_buffers(_drop(body, result), {result: operand})
    return with_body(func, body)


def _drop(stmt: Stmt, buffer: Buffer) -> Stmt:
    """``stmt`` without the allocation of ``buffer``."""

    def change(node: Stmt) -> Stmt:
        if isinstance(node, Allocate) and node.buffer is buffer:
            return change(node.body)
        return rebuild_statements(node, change)

    return change(stmt)


def _candidates(body: Stmt, target: Target) -> Iterator[tuple[Buffer, Buffer]]:
    """The (result, operand) of each stage whose result may share the buffer of an operand."""
    places = dict(_allocations(body, ()))
    nodes = list(walk(body))
    last_use: dict[Buffer, int] = {}
    first_use: dict[Buffer, int] = {}
    for position, node in enumerate(nodes):
        for buffer in _mentioned(node):
            last_use[buffer] = position
            first_use.setdefault(buffer, position)
    for position, node in enumerate(nodes):
        if not (isinstance(node, Pragma) and node.key in ("alu", "skip_alu")):
            continue
        store = collect_loops(node.body).leaf
        if not isinstance(store, BufferStore) or store.buffer not in places:
            continue
        result, end = store.buffer, position + sum(1 for _ in walk(node))
        loads = [item for item in walk(store.value) if isinstance(item, BufferLoad)]
        found: dict[Buffer, int] = {}
        for load in loads:
            operand = load.buffer
            operations = count_operations_in_place(store, load, target)
            if (
                operations is not None
                and operand is not result
                and operand.scope == result.scope == target.acc.scope
                and (operand.shape, operand.dtype) == (result.shape, result.dtype)
                and places.get(operand) == places[result]
                and first_use[result] >= position
                and last_use[operand] < end
                and all(_same_place(item, store) for item in loads if item.buffer is operand)
            ):
                found.setdefault(operand, operations)
        if found:
            yield result, min(found, key=lambda operand: found[operand])


def _mentioned(node: object) -> tuple[Buffer, ...]:
    match node:
        case BufferLoad(buffer=buffer) | BufferStore(buffer=buffer):
            return (buffer,)
        case LoadBuffer2D(src=None, dst=dst):
            return (dst,)
        case LoadBuffer2D(src=Buffer() as src, dst=dst) | StoreBuffer2D(src=src, dst=dst):
            return src, dst
        case GemmTile(acc=acc):
            return (acc.buffer,)  # the loads inside are visited too
        case _:
            return ()


def _same_place(load: BufferLoad, store: BufferStore) -> bool:
    a = flat_index(load.buffer, load.indices)
    b = flat_index(store.buffer, store.indices)
    return (a - b).terms == () and a.const == b.const


def _allocations(stmt: Stmt, loops: tuple[For, ...]) -> Iterator[tuple[Buffer, tuple[int, ...]]]:
    """Every allocated buffer, with the identities of the loops around its allocation."""
    if isinstance(stmt, Allocate):
        yield stmt.buffer, tuple(id(loop) for loop in loops)
    if isinstance(stmt, For):
        loops = (*loops, stmt)
    for child in children(stmt):
        if isinstance(child, Stmt):
            yield from _allocations(child, loops)
