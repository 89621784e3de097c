"""What virtual threads must not do: touch an element that another thread writes, in another module.

Tokens order the steps of each thread. Between threads only each module's own order holds: what one
thread's STORE reads, another thread's GEMM may overwrite at any time. A buffer that is allocated
inside the loop of threads is one for each thread; all others are looked at here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import permutations, product

from vta.compiler.te.expr import Const, Expr, Var
from vta.compiler.tir.interval import interval
from vta.compiler.tir.ir import (
    Allocate,
    AluUop,
    Buffer,
    CoprocScope,
    For,
    GemmUop,
    LoadBuffer2D,
    PrimFunc,
    Stmt,
    StoreBuffer2D,
)
from vta.compiler.tir.visitor import children
from vta.errors import LoweringError
from vta.isa import PipelineModule

__all__ = ["refuse_conflicts"]


@dataclass(frozen=True)
class _Access:
    """Elements ``first`` .. ``last`` of a buffer, inside ``loops``; those from number ``depth`` on
    are inside the buffer's allocation.
    """

    module: PipelineModule
    buffer: Buffer
    writes: bool
    first: Expr
    last: Expr
    loops: tuple[For, ...]
    depth: int

    def span(self, threads: Mapping[Var, int]) -> tuple[int, int]:
        """The lowest and highest element that these threads touch."""
        ranges: dict[Var, tuple[int, int]] = {}
        for loop in self.loops:
            value = threads.get(loop.var)
            ranges[loop.var] = (0, loop.extent - 1) if value is None else (value, value)
        return int(interval(self.first, ranges)[0]), int(interval(self.last, ranges)[1])


def refuse_conflicts(func: PrimFunc) -> None:
    """Check a program whose buffers have no place yet and whose threads are loops still.

    The ranges of elements are compared, from the lowest to the highest that a thread touches.

    Raises
    ------
    LoweringError
        Naming the buffer, the threads and the ranges.
    """
    found: dict[tuple[Var, Buffer], list[_Access]] = {}
    for access in _accesses(func.body, (), None, {}):
        for loop in access.loops[access.depth :]:
            if loop.kind == "cthread":
                found.setdefault((loop.var, access.buffer), []).append(access)
    for (var, _), accesses in found.items():
        for one, two in permutations(accesses, 2):
            if one.writes and one.module is not two.module:
                _compare(var, one, two)


def _compare(var: Var, one: _Access, two: _Access) -> None:
    """All pairs of different threads of a loop; those of loops around it are the same."""
    at = next(n for n, loop in enumerate(one.loops) if loop.var is var)
    loop = one.loops[at]
    outer = [item for item in one.loops[:at] if item.kind == "cthread"]
    for values in product(*(range(item.extent) for item in outer)):
        fixed = dict(zip((item.var for item in outer), values))
        spans = [
            [access.span({**fixed, loop.var: thread}) for thread in range(loop.extent)]
            for access in (one, two)
        ]
        for a, b in permutations(range(loop.extent), 2):
            (low, high), (other_low, other_high) = spans[0][a], spans[1][b]
            if low <= other_high and other_low <= high:
                raise LoweringError(
                    f"virtual threads of loop {loop.var.name}: {one.buffer.name} is one for all; "
                    f"the {one.module.name} module writes its elements {low} to {high} in thread "
                    f"{a}, the {two.module.name} module {'writes' if two.writes else 'reads'} "
                    f"{other_low} to {other_high} in thread {b}, in no order; attach its stage "
                    f"inside the loop, so that each thread has its own"
                )


def _accesses(
    stmt: Stmt, loops: tuple[For, ...], module: PipelineModule | None, depths: Mapping[Buffer, int]
) -> Iterator[_Access]:
    """Every access; ``depths`` counts the loops around the allocations."""
    match stmt:
        case For():
            loops = (*loops, stmt)
        case Allocate(buffer=buffer):
            depths = {**depths, buffer: len(loops)}
        case CoprocScope():
            module = stmt.module
    for buffer, writes, first, count in _touched(stmt):
        assert module is not None
        depth = depths.get(buffer, 0)
        yield _Access(module, buffer, writes, first, first + count - 1, loops, depth)
    for child in children(stmt):
        if isinstance(child, Stmt):
            yield from _accesses(child, loops, module, depths)


def _touched(stmt: Stmt) -> list[tuple[Buffer, bool, Expr, Expr]]:
    """What a statement accesses: the buffer, whether it writes, the first element, how many."""
    one = Const(1)
    match stmt:
        case LoadBuffer2D():
            columns = stmt.x_pad_before + stmt.x_size + stmt.x_pad_after
            rows = stmt.y_pad_before + stmt.y_size + stmt.y_pad_after
            written = (stmt.dst, True, stmt.sram_index, columns * rows)
            if stmt.src is None:
                return [written]
            return [written, (stmt.src, False, stmt.src_offset, _extent(stmt))]
        case StoreBuffer2D():
            return [
                (stmt.src, False, stmt.sram_index, stmt.x_size * stmt.y_size),
                (stmt.dst, True, stmt.dst_offset, _extent(stmt)),
            ]
        case GemmUop() | AluUop():
            return [
                (buffer, name == "dst", getattr(stmt, name), one)
                for name in stmt.OPERANDS
                if (buffer := getattr(stmt, f"{name}_buffer")) is not None
            ]
        case _:
            return []


def _extent(stmt: LoadBuffer2D | StoreBuffer2D) -> Expr:
    """From the first element of a transfer in DRAM to behind its last one."""
    return (stmt.y_size - 1) * stmt.x_stride + stmt.x_size
