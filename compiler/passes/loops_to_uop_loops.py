"""Loops of kernels to micro-op loops: the two loops that an instruction runs itself.

A GEMM or ALU instruction has two loops that advance its indices by constant factors. The two
outermost loops of a kernel that fit become these loops. The other loops are unrolled into micro-ops
when the kernel is recorded. Where the micro-op memory does not hold that many micro-ops, the
outermost loops move out of the kernel.

Input: UopScopes with serial loops. Output: at most two UopLoops in each, outermost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from math import prod
from typing import Any

from vta.compiler.analysis.conditional_values import conjuncts
from vta.compiler.analysis.loop_bounds import LoopBounds, Ranges, bound_loops, constraints
from vta.compiler.analysis.loop_nest import Loop, collect_loops, uses, wrap_in_loops
from vta.compiler.analysis.strided_loops import stride_condition, strided_loops
from vta.compiler.target import Target
from vta.compiler.te.expr import Const, Expr, Var, maximum, minimum
from vta.compiler.tir.affine import Affine, linear
from vta.compiler.tir.ir import (
    AluUop,
    For,
    GemmUop,
    PrimFunc,
    RingSlot,
    Seq,
    Stmt,
    UopLoop,
    UopScope,
    seq,
)
from vta.compiler.tir.visitor import rebuild_statements, substitute, with_body
from vta.config import ITER_BITS
from vta.errors import LoweringError

__all__ = ["loops_to_uop_loops"]

MAX_ITER = (1 << ITER_BITS) - 1
"""Most iterations of a loop of an instruction."""
MAX_FOLDED = 2
"""Number of loops of an instruction."""


def loops_to_uop_loops(func: PrimFunc, target: Target) -> PrimFunc:
    """Turn the loops of kernels into loops of instructions."""
    return with_body(func, _rewrite(func.body, target.uop_depth, {}))


def _rewrite(stmt: Stmt, capacity: int, ranges: Ranges) -> Stmt:
    match stmt:
        case UopScope():
            return _Folder(stmt, ranges).fold(capacity)
        case For(var=var, extent=extent, kind=kind, body=body):
            body = _rewrite(body, capacity, {**ranges, var: (0, extent - 1)})
            return For(var, extent, kind, body) if body != Seq() else body
        case RingSlot(buffer=buffer, var=var, body=body):
            ranges = {**ranges, var: (0, buffer.slots - 1)}
            return RingSlot(buffer, var, _rewrite(body, capacity, ranges))
        case _:
            return rebuild_statements(stmt, lambda inner: _rewrite(inner, capacity, ranges))


class _Folder:
    """A kernel whose loops become loops of an instruction."""

    def __init__(self, scope: UopScope, ranges: Ranges) -> None:
        self.scope = scope
        nest = collect_loops(scope.body)
        assert isinstance(nest.leaf, GemmUop | AluUop), nest.leaf
        self.uop, self.loops = nest.leaf, list(nest.loops)
        strided = self._strided(nest.guards, ranges)
        self.never = strided is None
        guards = nest.guards if strided is None else strided
        self.bounds, self.guards = self._bounds_of_loops(guards, ranges)
        self._drop_first_iterations()

    def _strided(self, guards: Sequence[Expr], ranges: Ranges) -> Sequence[Expr] | None:
        """Make loops strided where guards select remainders; returns the guards that are left, None
        if no iteration is.
        """
        conditions = [part for guard in guards for part in conjuncts(guard)]
        if not any(map(stride_condition, conditions)):
            return guards
        where = f"{self.scope.kind} kernel"
        strided = strided_loops(self.loops, conditions, ranges, where, several=True)
        if strided is None:
            return None
        self.loops = list(strided.loops)
        self.uop = _with_indices(self.uop, strided.at)  # such a kernel starts no sums
        return strided.conditions

    def _bounds_of_loops(
        self, guards: Iterable[Expr], ranges: Ranges
    ) -> tuple[dict[Var, LoopBounds], list[Expr]]:
        """The bounds of loops from the guards, and the guards to be tested for each micro-op."""
        where = f"{self.scope.kind} kernel"
        tested: list[Expr] = []
        cuts: list[Affine] = []
        for guard in guards:
            try:
                forms = constraints([guard], where)
                bound_loops(self.loops, forms, ranges, where)
            except LoweringError:  # not the bounds of one loop
                tested.append(guard)
            else:
                cuts += forms
        bounds, outer = bound_loops(self.loops, cuts, ranges, where)
        return bounds, [*outer, *tested]

    def _drop_first_iterations(self) -> None:
        """Shorten loops whose first iterations never run, by a constant number."""
        for at, loop in enumerate(self.loops):
            bound = self.bounds.get(loop.var)
            if bound is None or bound.before == Const(0):
                continue
            if not (isinstance(bound.before, Const) and isinstance(bound.size, Const)):
                continue
            if any(uses(guard, [loop.var]) for guard in self.guards):
                continue
            var = Var(loop.var.name)
            self.loops[at] = Loop(var, bound.size.value)
            self.uop = _at(self.uop, {loop.var: var + bound.before.value})
            del self.bounds[loop.var]

    def _drop_single_iterations(self) -> None:
        once: dict[Var, Expr] = {loop.var: Const(0) for loop in self.loops if loop.extent == 1}
        self.uop = _at(self.uop, once)
        self.loops = [loop for loop in self.loops if loop.var not in once]

    def fold(self, capacity: int) -> Stmt:
        """The kernel, inside the loops that the micro-op memory leaves no room for."""
        if self.never or any(loop.extent == 0 for loop in self.loops):
            return Seq()
        self._drop_single_iterations()
        outer: list[Loop] = []
        loops = list(self.loops)
        while True:
            folded = self._folded(loops)
            rest = [loop for loop in loops if loop not in folded]
            if prod(loop.extent for loop in rest) <= capacity:
                break
            outer.append(loops.pop(0))
        stmt = self._kernel(folded, rest)
        stmt = wrap_in_loops((), self._inside(outer), stmt)
        return wrap_in_loops(outer, (), stmt)

    def _folded(self, loops: Sequence[Loop]) -> list[Loop]:
        """The loops that the instruction runs: the outermost ones that fit.

        Where the instruction starts sums, loops over a sum are chosen only when no other loop is
        left, so that the products of a tile stay consecutive.
        """
        possible = [loop for loop in loops if self._factors(loop) is not None]
        over = [loop for loop in possible if uses(self.uop.start, [loop.var])]
        folded = [loop for loop in possible if loop not in over][:MAX_FOLDED]
        others = [loop for loop in loops if not uses(self.uop.start, [loop.var])]
        if over and len(others) > len(folded):
            return folded
        return possible[:MAX_FOLDED]

    def _factors(self, loop: Loop) -> list[int] | None:
        """The factors of the operands in this loop; None if the instruction cannot run the loop."""
        bound = self.bounds.get(loop.var)
        if bound is not None and bound.before != Const(0):
            return None
        if any(uses(guard, [loop.var]) for guard in self.guards):
            return None
        factors = []
        for name in self.uop.OPERANDS:
            form = linear(getattr(self.uop, name))
            factor = form.coefficient(loop.var)
            if factor < 0 or uses(form.without(loop.var).expr(), [loop.var]):
                return None
            factors.append(factor)
        return factors

    def _inside(self, loops: list[Loop]) -> list[Expr]:
        """The conditions that an iteration of these loops runs."""
        return [self.bounds[loop.var].holds(loop.var) for loop in loops if loop.var in self.bounds]

    def _extent(self, loop: Loop) -> Expr:
        bound = self.bounds.get(loop.var)
        return bound.size if bound else Const(loop.extent)

    def _kernel(self, folded: list[Loop], rest: list[Loop]) -> Stmt:
        """The kernel, or several if a folded loop exceeds the iterations of an instruction."""
        for at, loop in enumerate(folded):
            if loop.extent > MAX_ITER:
                parts = []
                for start in range(0, loop.extent, MAX_ITER):
                    part = Loop(Var(loop.var.name), min(MAX_ITER, loop.extent - start))
                    shorter = [*folded[:at], part, *folded[at + 1 :]]
                    parts.append(self._part(loop, part, start)._kernel(shorter, rest))
                return seq(*parts)
        uop = _at(self.uop, {loop.var: Const(0) for loop in folded})
        body = wrap_in_loops(rest, [*self._inside(rest), *self.guards], uop)
        for loop in reversed(folded):
            factors = self._factors(loop)
            assert factors is not None
            dst, src, wgt = [*factors, 0][:3]  # the ALU has no wgt
            body = UopLoop(self._extent(loop), dst, src, wgt, body)
        return replace(self.scope, body=body)

    def _part(self, loop: Loop, part: Loop, start: int) -> _Folder:
        """This kernel with ``loop`` replaced by a part of it."""
        other = copy(self)
        other.uop = _at(self.uop, {loop.var: part.var + start})
        bound = self.bounds.get(loop.var)
        if bound is not None:
            size = minimum(maximum(bound.size - start, 0), part.extent)
            other.bounds = {**self.bounds, part.var: replace(bound, size=size)}
        return other


def _at(uop: GemmUop | AluUop, values: Mapping[Var, Expr]) -> GemmUop | AluUop:
    """``uop`` for these values of some variables."""
    moved = _with_indices(uop, lambda index: linear(substitute(index, values)).expr())
    return replace(moved, start=substitute(moved.start, values))


def _with_indices(uop: GemmUop | AluUop, change: Callable[[Expr], Expr]) -> GemmUop | AluUop:
    changed: dict[str, Any] = {name: change(getattr(uop, name)) for name in uop.OPERANDS}
    return replace(uop, **changed)
