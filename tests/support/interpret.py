"""Executes a lowered loop nest statement by statement, slowly and plainly: the judge of the
lowering.
 It knows the loop-nest part of the IR only (no coprocessor statements). Fresh buffers hold rubbish,
an index outside its buffer is an error, and the rounds of virtual threads run last to first, since
their order must not matter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vta.compiler.te import dtypes
from vta.compiler.te.conditions import And, Or, Select
from vta.compiler.te.expr import Binary, Cast, Compare, Const, Expr, Var
from vta.compiler.tir.ir import (
    Allocate,
    Buffer,
    BufferLoad,
    BufferStore,
    For,
    GemmTile,
    IfThenElse,
    Pragma,
    PrimFunc,
    Seq,
    Stmt,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["run_nest"]

RUBBISH = 0x5A5A5A5A


def run_nest(func: PrimFunc, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The outputs of ``func`` for ``arrays``, one for each parameter that is not an output."""
    given = iter(arrays)
    memory = {
        buffer: _fresh(buffer) if buffer in func.outputs else _given(buffer, next(given))
        for buffer in func.params
    }
    _Run(memory).stmt(func.body, {})
    return [memory[buffer].astype(buffer.dtype) for buffer in func.outputs]


def _fresh(buffer: Buffer) -> np.ndarray:
    return np.full(buffer.shape, dtypes.wrap(RUBBISH, buffer.dtype), np.int64)


def _given(buffer: Buffer, array: np.ndarray) -> np.ndarray:
    assert array.shape == buffer.shape, (buffer.name, array.shape, buffer.shape)
    assert array.dtype == buffer.dtype, (buffer.name, array.dtype, buffer.dtype)
    return array.astype(np.int64)


class _Run:
    def __init__(self, memory: dict[Buffer, np.ndarray]) -> None:
        self.memory = memory

    def stmt(self, stmt: Stmt, env: dict[Var, int]) -> None:
        match stmt:
            case Seq(stmts=stmts):
                for inner in stmts:
                    self.stmt(inner, env)
            case For(var=var, extent=extent, kind=kind, body=body):
                assert extent > 1, f"a loop of {extent} rounds is left in the program"
                assert var not in env, f"the loop variable {var.name} is bound twice"
                for value in reversed(range(extent)) if kind == "cthread" else range(extent):
                    self.stmt(body, {**env, var: value})
            case IfThenElse(cond=cond, then=then):
                if self.expr(cond, env):
                    self.stmt(then, env)
            case Allocate(buffer=buffer, body=body):
                self.memory[buffer] = _fresh(buffer)
                self.stmt(body, env)
                del self.memory[buffer]
            case Pragma(body=body):
                self.stmt(body, env)
            case BufferStore(buffer=buffer, indices=indices, value=value):
                assert value.dtype == buffer.dtype, f"{buffer.name}: stores {value.dtype}"
                place = self.place(buffer, indices, env)
                self.memory[buffer][place] = self.expr(value, env)
            case GemmTile():
                self.gemm(stmt, env)
            case _:
                raise AssertionError(f"{type(stmt).__name__} is no statement of a loop nest")

    def gemm(self, stmt: GemmTile, env: dict[Var, int]) -> None:
        acc = self.tile(stmt.acc, env)
        if stmt.reset:
            acc[...] = 0
            return
        if self.expr(stmt.start, env):
            acc[...] = 0
        product = self.tile(stmt.inp, env) @ self.tile(stmt.wgt, env).T
        acc[...] = (acc + product + 2**31) % 2**32 - 2**31

    def tile(self, load: BufferLoad | None, env: dict[Var, int]) -> np.ndarray:
        """A view of the last two dimensions."""
        assert load is not None
        place = self.place(load.buffer, load.indices, env)
        assert place[-2:] == (0, 0), f"{load}: a tile must start at 0, 0"
        return self.memory[load.buffer][place[:-2]]

    def place(
        self, buffer: Buffer, indices: Sequence[Expr], env: dict[Var, int]
    ) -> tuple[int, ...]:
        place = tuple(self.expr(index, env) for index in indices)
        assert len(place) == len(buffer.shape)
        assert all(0 <= i < n for i, n in zip(place, buffer.shape)), (
            f"{buffer.name}{list(buffer.shape)} has no element {place}"
        )
        return place

    def expr(self, expr: Expr, env: dict[Var, int]) -> int:
        match expr:
            case Const(value=value):
                return value
            case Var():
                return env[expr]
            case BufferLoad(buffer=buffer, indices=indices):
                return int(self.memory[buffer][self.place(buffer, indices, env)])
            case Select(cond=cond, then=then, other=other):
                return self.expr(then if self.expr(cond, env) else other, env)
            case Cast(value=value, dtype=dtype):
                return dtypes.wrap(self.expr(value, env), dtype)
            case Compare(op=op, a=a, b=b):
                return Compare.compute(op, self.expr(a, env), self.expr(b, env))
            case And(a=a, b=b):
                return self.expr(a, env) and self.expr(b, env)
            case Or(a=a, b=b):
                return self.expr(a, env) or self.expr(b, env)
            case Binary(a=a, b=b):
                value = expr.compute(self.expr(a, env), self.expr(b, env))
                return dtypes.wrap(value, expr.dtype)
            case _:
                raise AssertionError(f"{type(expr).__name__} is no expression of a loop nest")
