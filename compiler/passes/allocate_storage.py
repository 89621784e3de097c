"""Storage allocation: an address in its on-chip memory for each buffer.

A buffer is live from its first to its last access. An access in a loop that the buffer was not
allocated in counts as an access during the whole loop. Buffers that are never live at the same time
share elements. A buffer without accesses has no elements (``skip_alu`` and ``skip_dma_copy`` leave
such buffers).

A loop of virtual threads has a frame in each memory for each thread, which holds the buffers that
are allocated inside the loop, so threads never share such a buffer. A ring buffer is live during
the whole program, with all slots, since a slot may be read again much later.

Input: Allocate statements, and indices relative to each buffer. Output: no Allocate statements, and
indices relative to each memory.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from vta.compiler.analysis.thread_conflicts import refuse_conflicts
from vta.compiler.target import GLOBAL, Memory, Target
from vta.compiler.te.expr import Const, Expr, Var
from vta.compiler.tir.affine import linear
from vta.compiler.tir.ir import (
    Allocate,
    AluUop,
    Buffer,
    BufferStore,
    For,
    GemmUop,
    LoadBuffer2D,
    PrimFunc,
    RingSlot,
    Stmt,
    StoreBuffer2D,
)
from vta.compiler.tir.visitor import children, rebuild_statements, walk, with_body
from vta.errors import LoweringError

__all__ = ["allocate_storage"]

_END = 1 << 62
"""A time behind every statement."""


def allocate_storage(func: PrimFunc, target: Target) -> PrimFunc:
    """Choose the address of every buffer.

    Raises
    ------
    LoweringError
        If a memory is too small (with the buffers that are live at the same time), a buffer is not
        a whole number of elements or is in DRAM between two stages, or virtual threads race on a
        buffer (:mod:`vta.compiler.analysis.thread_conflicts`).
    """
    refuse_conflicts(func)
    ranges = _LiveRanges(target)
    ranges.visit(func.body)
    _refuse_threads(func, ranges.slots)
    for memory in (target.inp, target.wgt, target.acc):
        ranges.root.place(memory)
    bases = ranges.root.bases([])
    slots = ranges.slots
    for buffer, slot in slots.items():
        step = ranges.blocks[buffer].size // buffer.slots
        bases[buffer] = (linear(slot).scale(step) + linear(bases[buffer])).expr()

    def change(node: Stmt) -> Stmt:
        match node:
            case Allocate(buffer=buffer, body=body):
                inner = change(body)
                return RingSlot(buffer, slots[buffer], inner) if buffer.slots else inner
            case LoadBuffer2D(dst=dst):
                return replace(node, sram_index=_moved(node.sram_index, bases[dst]))
            case StoreBuffer2D(src=src):
                return replace(node, sram_index=_moved(node.sram_index, bases[src]))
            case GemmUop() | AluUop():
                return _moved_uop(node, bases)
            case _:
                return rebuild_statements(node, change)

    return with_body(func, change(func.body))


def _refuse_threads(func: PrimFunc, rings: Iterable[Buffer]) -> None:
    """Refuse ring buffers beside virtual threads: both decide the tokens, in different ways."""
    threads = [node for node in walk(func.body) if isinstance(node, For) and node.kind == "cthread"]
    for buffer in rings:
        for loop in threads:
            raise LoweringError(
                f"{buffer.name} is a ring buffer, and loop {loop.var.name} is bound to virtual "
                f"threads; a program has either ring buffers or virtual threads"
            )


def _moved(index: Expr, base: Expr) -> Expr:
    return (linear(base) + linear(index)).expr()


def _moved_uop(uop: GemmUop | AluUop, bases: dict[Buffer, Expr]) -> GemmUop | AluUop:
    moved: dict[str, Any] = {
        name: _moved(getattr(uop, name), bases[buffer])
        for name in uop.OPERANDS
        if (buffer := getattr(uop, f"{name}_buffer")) is not None
    }
    return replace(uop, **moved)


# ---- lifetimes -----------------------------------------------------------------------------------


@dataclass
class _Block:
    """Elements of a memory that are live from ``start`` to ``end``, of a buffer or a frame.

    ``where`` names the loops around the allocation, ``depth`` is their number. Times and ``base``
    are -1 while unknown.
    """

    what: Buffer | _Frame
    size: int
    where: str
    depth: int = 0
    start: int = -1
    end: int = -1
    base: int = -1

    def use(self, start: int, end: int) -> None:
        self.start = start if self.start < 0 else min(self.start, start)
        self.end = max(self.end, end)

    def overlaps(self, other: _Block) -> bool:
        """Whether the two are live at the same time."""
        return self.start <= other.end and other.start <= self.end


@dataclass
class _Frame:
    """The allocations of one virtual thread, or of the whole program."""

    loop: For | None
    start: int
    end: int = -1
    blocks: dict[str, list[_Block]] = field(default_factory=dict)
    frames: list[_Frame] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)

    def place(self, memory: Memory) -> None:
        """Choose addresses by first fit, in the order of allocation; inner frames first."""
        blocks = [block for block in self.blocks.get(memory.scope, []) if block.end >= 0]
        for frame in self.frames:
            frame.place(memory)
            size = frame.sizes[memory.scope]
            if size:
                assert frame.loop is not None
                where = f"loop {frame.loop.var.name}"
                block = _Block(frame, size * frame.loop.extent, where)
                block.use(frame.start, frame.end)
                blocks.append(block)
        blocks.sort(key=lambda block: block.start)
        placed: list[_Block] = []
        for block in blocks:
            live = sorted((b for b in placed if b.overlaps(block)), key=lambda b: b.base)
            block.base = 0
            for other in live:
                if block.base + block.size <= other.base:
                    break
                block.base = max(block.base, other.base + other.size)
            if block.base + block.size > memory.depth:
                raise _overflow(memory, block, live)
            placed.append(block)
        self.blocks[memory.scope] = blocks
        self.sizes[memory.scope] = max((b.base + b.size for b in blocks), default=0)

    def bases(self, offsets: list[tuple[str, Expr]]) -> dict[Buffer, Expr]:
        """The first element of every buffer; ``offsets``: (scope, first element) of frames."""
        found: dict[Buffer, Expr] = {}
        for scope, blocks in self.blocks.items():
            around = linear(Const(0))
            for name, offset in offsets:
                if name == scope:
                    around += linear(offset)
            for block in blocks:
                base = (around + linear(Const(block.base))).expr()
                if isinstance(block.what, Buffer):
                    found[block.what] = base
                else:
                    loop = block.what.loop
                    assert loop is not None
                    step = block.what.sizes[scope]
                    inner = (linear(loop.var).scale(step) + linear(Const(block.base))).expr()
                    found |= _only(block.what.bases([*offsets, (scope, inner)]), scope)
        return found


def _only(bases: dict[Buffer, Expr], scope: str) -> dict[Buffer, Expr]:
    return {buffer: base for buffer, base in bases.items() if buffer.scope == scope}


def _overflow(memory: Memory, block: _Block, live: list[_Block]) -> LoweringError:
    def name(item: _Block) -> str:
        if isinstance(item.what, Buffer):
            return f"{item.what.name} {item.size} elements at {item.where}"
        inside = ", ".join(
            b.what.name
            for b in item.what.blocks.get(memory.scope, [])
            if isinstance(b.what, Buffer)
        )
        return f"{inside} {item.size} elements for all virtual threads of {item.where}"

    items = [*live, block]
    total = sum(item.size for item in items)
    return LoweringError(
        f"{memory.scope} has {memory.depth} elements, but {total} are live at the same time: "
        f"{'; '.join(name(item) for item in items)}. Split loops into smaller blocks, or compute "
        f"the stages further inside"
    )


@dataclass
class _OpenLoop:
    """A loop around the current statement, and the blocks accessed inside so far."""

    loop: For
    accessed: list[_Block] = field(default_factory=list)


class _LiveRanges:
    """Collects the allocations and their live ranges. Time counts statements in program order."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.root = _Frame(None, 0)
        self.frame = self.root
        self.time = 0
        self.blocks: dict[Buffer, _Block] = {}
        self.loops: list[_OpenLoop] = []
        self.slots: dict[Buffer, Var] = {}
        """The slot variable of each ring buffer."""

    def visit(self, stmt: Stmt) -> None:
        self.time += 1
        match stmt:
            case Allocate(buffer=buffer, body=body):
                self.allocate(buffer)
                self.visit(body)
            case For(body=body):
                self.loop(stmt, body)
            case LoadBuffer2D(dst=buffer) | StoreBuffer2D(src=buffer):
                self.access(buffer)
            case GemmUop() | AluUop():
                for name in stmt.OPERANDS:
                    operand = getattr(stmt, f"{name}_buffer")
                    if operand is not None:
                        self.access(operand)
            case BufferStore(buffer=buffer):
                raise LoweringError(
                    f"{buffer.name} is computed value by value, which no module of the machine "
                    f"does; its stage needs the pragma dma_copy or alu, or tensorize"
                )
            case _:
                for child in children(stmt):
                    if isinstance(child, Stmt):
                        self.visit(child)

    def allocate(self, buffer: Buffer) -> None:
        memory = self.target.memory(buffer.scope)
        if memory is None:
            raise LoweringError(
                f"stage {buffer.name} is in DRAM between two stages ({GLOBAL} scope) and is not an "
                f"argument; s[{buffer.name}].compute_inline() computes each element where it is "
                f"read (padding and dilation become part of the load); set_scope puts the stage in "
                f"an on-chip memory, where it needs a pragma or tensorize"
            )
        tile = memory.shape[0] * memory.shape[1]
        if buffer.size % tile:
            raise LoweringError(
                f"{buffer.name} of shape {buffer.shape} is not a whole number of elements of "
                f"{memory.shape[0]} x {memory.shape[1]}"
            )
        names = ", ".join(item.loop.var.name for item in self.loops)
        where = f"loop {names}" if names else "the outermost level"
        size = buffer.size // tile * max(buffer.slots, 1)
        block = _Block(buffer, size, where, len(self.loops))
        if buffer.slots:
            self.slots[buffer] = Var(f"{buffer.name}_slot")
            block.use(0, _END)
        self.frame.blocks.setdefault(memory.scope, []).append(block)
        self.blocks[buffer] = block

    def loop(self, loop: For, body: Stmt) -> None:
        start, outer = self.time, self.frame
        if loop.kind == "cthread":
            self.frame = _Frame(loop, start)
            outer.frames.append(self.frame)
        self.loops.append(_OpenLoop(loop))
        self.visit(body)
        for block in self.loops.pop().accessed:
            if block.depth <= len(self.loops):  # allocated outside: live during the whole loop
                block.use(start, self.time)
                if self.loops:
                    self.loops[-1].accessed.append(block)
        if loop.kind == "cthread":
            self.frame.end = self.time
            self.frame = outer

    def access(self, buffer: Buffer) -> None:
        if buffer not in self.blocks:
            return  # an argument, in DRAM
        block = self.blocks[buffer]
        block.use(self.time, self.time)
        if self.loops:
            self.loops[-1].accessed.append(block)
