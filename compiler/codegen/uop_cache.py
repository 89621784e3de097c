"""Kernels: the table of their micro-ops, and which kernels are in the micro-op memory.

A kernel is the sequence of micro-ops that one GEMM or ALU instruction runs through.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod

import numpy as np
import numpy.typing as npt

from vta.compiler.te.expr import Const, Var
from vta.compiler.tir.evaluate import ArrayEvaluator, ArrayValues, Values, array_evaluator
from vta.compiler.tir.ir import AluUop, For, GemmUop, IfThenElse, Stmt, UopLoop, UopScope
from vta.compiler.tir.visitor import walk
from vta.errors import LoweringError
from vta.isa import Isa

__all__ = ["Kernel", "KernelTable", "UopCache"]


@dataclass(frozen=True)
class Kernel:
    """A kernel of the program: ``size`` micro-ops from ``offset`` in the table of micro-ops.

    ``starts`` has a flag for each micro-op: whether its product is the first of a sum, or its
    operand the first of a reduction by the ALU. It is empty if none is.
    """

    offset: int
    size: int
    starts: tuple[bool, ...] = ()


_Indices = npt.NDArray[np.int64]
_Record = Callable[[Values], tuple[_Indices, _Indices, _Indices, npt.NDArray[np.bool_]]]


class KernelTable:
    """The program's table of micro-ops. A kernel that is recorded for the first time is appended.

    A kernel comes from a scope of the program and the values of the loop variables that the scope
    depends on. Two scopes have two kernels even if their micro-ops are equal.
    """

    def __init__(self, isa: Isa) -> None:
        self._isa = isa
        self._scopes: dict[int, _KernelTemplate] = {}
        self._kernels: dict[tuple[int, bytes], Kernel] = {}
        self.words = bytearray()

    def record(self, scope: UopScope, values: Values) -> Kernel:
        """The kernel of ``scope`` for these values of the loop variables around it."""
        template = self._scopes.get(id(scope))
        if template is None:
            template = self._scopes[id(scope)] = _KernelTemplate(scope)
        key = tuple([values[var] for var in template.free])
        kernel = template.known.get(key)
        if kernel is None:
            data, starts = template.record(key, self._isa)
            kernel = self._append((id(scope), data), data)
            kernel = template.known[key] = replace(kernel, starts=starts) if starts else kernel
        return kernel

    def append(self, words: bytes) -> Kernel:
        """The kernel of these micro-ops, which belong to no scope."""
        return self._append((0, words), words)

    def _append(self, key: tuple[int, bytes], words: bytes) -> Kernel:
        if key not in self._kernels:
            self._kernels[key] = Kernel(len(self.words) // 4, len(words) // 4)
            self.words += words
        return self._kernels[key]


class _KernelTemplate:
    """A scope prepared for recording. Equal values of its free variables are recorded once."""

    def __init__(self, scope: UopScope) -> None:
        self.scope = scope  # alive, so that id(scope) stays its own
        inner = {node.var for node in walk(scope) if isinstance(node, For)}
        self.free = tuple({v: None for v in walk(scope) if isinstance(v, Var) and v not in inner})
        self.known: dict[tuple[int, ...], Kernel] = {}
        """By the values of the free variables."""
        body = scope.body
        self.loops: list[UopLoop] = []
        while isinstance(body, UopLoop):
            self.loops.append(body)
            body = body.body
        self._run = _recorder(body)

    def record(self, key: tuple[int, ...], isa: Isa) -> tuple[bytes, tuple[bool, ...]]:
        """The words for these values of the free variables, and :attr:`Kernel.starts`."""
        dst, src, wgt, starts = self._run(dict(zip(self.free, key)))
        flags = tuple(starts.tolist()) if starts.any() else ()
        return isa.encode_indices(dst, src, wgt).tobytes(), flags


def _recorder(stmt: Stmt) -> _Record:
    """A function that gives, for values of the free variables, ``dst``, ``src`` and ``wgt`` of the
    micro-ops of ``stmt`` (int64), and for each whether it is the first of a sum or of another
    reduction (bool).
    """
    loops: list[For] = []
    tests: list[ArrayEvaluator] = []
    while not isinstance(stmt, GemmUop | AluUop):
        match stmt:
            case For():
                loops.append(stmt)
                stmt = stmt.body
            case IfThenElse(cond=cond, then=then):
                tests.append(array_evaluator(cond))
                stmt = then
            case _:
                raise AssertionError(f"a kernel cannot hold {type(stmt).__name__}")
    if isinstance(stmt, GemmUop):
        found = (stmt.dst, stmt.src, stmt.wgt, stmt.start)
    else:
        found = (stmt.dst, stmt.src if stmt.imm is None else stmt.dst, Const(0), stmt.start)
    results = [array_evaluator(expr) for expr in found]
    extents = [loop.extent for loop in loops]
    grid = np.indices(extents).reshape(len(loops), prod(extents))
    iterations = {loop.var: row for loop, row in zip(loops, grid)}

    def run(free: Values) -> tuple[_Indices, _Indices, _Indices, npt.NDArray[np.bool_]]:
        values: ArrayValues = {**free, **iterations}
        found = [result(values) for result in results]
        dst, src, wgt, starts = (
            each if isinstance(each, np.ndarray) and each.ndim else np.full(grid.shape[1], each)
            for each in found
        )
        if tests:
            holds = np.ones(grid.shape[1], np.bool_)
            for test in tests:
                holds &= test(values)
            dst, src, wgt, starts = dst[holds], src[holds], wgt[holds], starts[holds]
        return dst, src, wgt, starts.astype(np.bool_)

    return run


class UopCache:
    """The kernels in the micro-op memory while the program runs.

    Kernels are placed consecutively. At the end of the memory, placement begins at 0 again
    and evicts the kernels that it overwrites.
    """

    def __init__(self, depth: int) -> None:
        self._depth = depth
        self._resident: OrderedDict[tuple[int, int], int] = OrderedDict()
        """The first entry of each kernel, by its offset and size: first the kernels at or behind
        the end of the youngest one, in ascending order, then those in front of it, too."""
        self._end = 0

    def place(self, kernel: Kernel) -> tuple[int, bool]:
        """The first entry of the kernel in the memory, and whether a LOAD must bring it there.

        Raises
        ------
        LoweringError
            If the kernel is larger than the memory.
        """
        key = kernel.offset, kernel.size
        if key in self._resident:
            return self._resident[key], False
        if kernel.size > self._depth:
            raise LoweringError(
                f"a kernel of {kernel.size} micro-ops; the micro-op memory holds {self._depth}"
            )
        start = self._end
        if start + kernel.size > self._depth:
            while self._oldest() >= start:
                self._resident.move_to_end(next(iter(self._resident)))
            start = 0
        end = start + kernel.size
        while start <= self._oldest() < end:
            self._resident.popitem(last=False)
        self._resident[key] = start
        self._end = end
        return start, True

    def _oldest(self) -> int:
        """The first entry of the kernel that is overwritten next; -1 if there is none."""
        return next(iter(self._resident.values()), -1)
