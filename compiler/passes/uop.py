"""Micro-kernels: the loops of a kernel that the instruction itself can run.

A GEMM or ALU instruction has two loops that step its indices by constant factors. The two outermost
loops of a kernel that fit become those; the others are unrolled into micro-ops when the kernel is
recorded. Where more micro-ops would come out than the micro-op memory holds, outer loops go around
the kernel instead.

Input: UopScopes with plain loops. Output: in each at most two UopLoops, outermost.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod

from vta.config import ITER_BITS

from ..affine import Affine, linear
from ..expr import Const, Expr
from ..ir import PrimFunc, Stmt, UopLoop, UopPush, UopScope, seq
from ..target import Target
from ..visitor import rebuild, substitute, with_body
from .nest import Loop, Nest, peel, rewrap, uses

__all__ = ["fold_uop_loops"]

MAX_ITER = (1 << ITER_BITS) - 1
MAX_FOLDED = 2


def fold_uop_loops(func: PrimFunc, target: Target) -> PrimFunc:
    """Turn loops of kernels into loops of instructions."""

    def change(node: Stmt) -> Stmt:
        match node:
            case UopScope():
                return _fold(node, target.uop_depth)
            case Stmt():
                return rebuild(node, change)
            case _:
                return node

    return with_body(func, change(func.body))


def _fold(scope: UopScope, capacity: int) -> Stmt:
    nest = peel(scope.body)
    push = nest.leaf
    assert isinstance(push, UopPush), push
    host: list[Loop] = []
    loops = list(nest.loops)
    while True:
        folded = [loop for loop in loops if _factors(loop, push, nest) is not None][:MAX_FOLDED]
        rest = [loop for loop in loops if loop not in folded]
        if prod(loop.extent for loop in rest) <= capacity:
            break
        host.append(loops.pop(0))  # too many micro-ops: one kernel for each round of this loop
    return rewrap(host, (), _kernel(scope, folded, rest, nest, push))


def _factors(loop: Loop, push: UopPush, nest: Nest) -> tuple[int, int, int] | None:
    """The steps of dst, src and wgt, if the instruction can run this loop."""
    if any(uses(guard, [loop.var]) for guard in nest.guards):
        return None
    factors = []
    for index in (push.dst, push.src, push.wgt):
        form = linear(index)
        factor = form.coefficient(loop.var)
        if factor < 0 or uses(form.without(loop.var).expr(), [loop.var]):
            return None
        factors.append(factor)
    return factors[0], factors[1], factors[2]


def _kernel(
    scope: UopScope, folded: list[Loop], rest: list[Loop], nest: Nest, push: UopPush
) -> Stmt:
    """The kernel; a folded loop of more rounds than an instruction has becomes several kernels."""
    for at, loop in enumerate(folded):
        if loop.extent > MAX_ITER:
            parts = []
            for start in range(0, loop.extent, MAX_ITER):
                count = min(MAX_ITER, loop.extent - start)
                shifted = substitute(push, {loop.var: loop.var + start})
                shorter = [*folded[:at], Loop(loop.var, count), *folded[at + 1 :]]
                parts.append(_kernel(scope, shorter, rest, nest, _tidy(shifted)))
            return seq(*parts)
    zero: dict[Expr, Expr] = {loop.var: Const(0) for loop in folded}
    body: Stmt = rewrap(rest, nest.guards, _tidy(substitute(push, zero)))
    for loop in reversed(folded):
        factors = _factors(loop, push, nest)
        assert factors is not None
        body = UopLoop(loop.extent, *factors, body)
    return replace(scope, body=body)


def _tidy(push: UopPush) -> UopPush:
    forms: list[Affine] = [linear(index) for index in (push.dst, push.src, push.wgt)]
    return replace(push, dst=forms[0].expr(), src=forms[1].expr(), wgt=forms[2].expr())
