"""Data races of virtual threads: two threads access one element from two modules, and one writes.

Tokens order the instructions of one thread. Instructions of different threads are ordered only
within a module: the GEMM of one thread may overwrite an element before the STORE of another thread
reads it. A buffer that is allocated inside the loop of threads has a copy for each thread; all
other buffers are checked here.
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
    """An access of ``module`` to elements ``first`` .. ``last`` of a buffer, inside ``loops``. The
    buffer is allocated inside the first ``depth`` loops.
    """

    module: PipelineModule
    buffer: Buffer
    writes: bool
    first: Expr
    last: Expr
    loops: tuple[For, ...]
    depth: int

    def span(self, threads: Mapping[Var, int]) -> tuple[int, int]:
        """The lowest and the highest element, with these values of thread variables."""
        ranges: dict[Var, tuple[int, int]] = {}
        for loop in self.loops:
            value = threads.get(loop.var)
            ranges[loop.var] = (0, loop.extent - 1) if value is None else (value, value)
        return int(interval(self.first, ranges)[0]), int(interval(self.last, ranges)[1])


def refuse_conflicts(func: PrimFunc) -> None:
    """Refuse a program with a data race between virtual threads.

    The threads must still be loops, and buffers must not have addresses yet. Ranges of elements are
    compared, from the lowest to the highest element that a thread accesses.

    Raises
    ------
    LoweringError
        With the buffer, the threads and the ranges.
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
    """Compare the accesses of each pair of threads of a loop, in the same outer threads."""
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
                    f"virtual threads of loop {loop.var.name} race on {one.buffer.name}: "
                    f"the {one.module.name} module writes elements {low} to {high} in thread "
                    f"{a}, the {two.module.name} module {'writes' if two.writes else 'reads'} "
                    f"elements {other_low} to {other_high} in thread {b}, in no order; compute "
                    f"stage {one.buffer.name} inside the loop, so that each thread has a buffer"
                )


def _accesses(
    stmt: Stmt, loops: tuple[For, ...], module: PipelineModule | None, depths: Mapping[Buffer, int]
) -> Iterator[_Access]:
    """Every access; ``depths`` is the number of loops around each allocation."""
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
    """The accesses of a statement: buffer, whether written, first element, number of elements."""
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
    """Distance in DRAM from the first element of a transfer to the end of the last one."""
    return (stmt.y_size - 1) * stmt.x_stride + stmt.x_size
