"""The data that the loads of a ring buffer bring in one iteration.

Two iterations that load the same data can share a slot, so that the second one loads nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from vta.compiler.codegen.transfer_parts import TransferSizes, load_sizes
from vta.compiler.te.expr import Var
from vta.compiler.tir.evaluate import evaluator
from vta.compiler.tir.ir import (
    Buffer,
    CoprocScope,
    For,
    IfThenElse,
    LoadBuffer2D,
    RingSlot,
    Seq,
    Stmt,
)
from vta.compiler.tir.visitor import children

__all__ = ["LoadedData", "loaded_data"]


class LoadedData(NamedTuple):
    """The data of one load: the index of the argument in DRAM (None for zeros), and the place."""

    argument: int | None
    sizes: TransferSizes


_Contents = Callable[[dict[Var, int], list[LoadedData]], None]


def loaded_data(
    stmt: Stmt, buffer: Buffer, argument_of: Callable[[Buffer, Stmt], int]
) -> _Contents:
    """A function of (values of the loop variables, list) that appends the data of each load of
    ``buffer`` in ``stmt``, in program order.

    ``argument_of`` gives the index of a buffer in DRAM, for a statement that reads it.
    """
    match stmt:
        case LoadBuffer2D(dst=dst, src=src) if dst is buffer:
            sizes = load_sizes(stmt)
            argument = None if src is None else argument_of(src, stmt)
            return lambda values, out: out.append(LoadedData(argument, sizes(values)))
        case For(var=var, extent=extent, body=body):
            inner = loaded_data(body, buffer, argument_of)
            return _nothing if inner is _nothing else _repeated(inner, var, extent)
        case IfThenElse(cond=cond, then=then):
            test, inside = evaluator(cond), loaded_data(then, buffer, argument_of)
            if inside is _nothing:
                return _nothing
            return lambda values, out: inside(values, out) if test(values) else None
        case RingSlot(var=var, body=body):
            within = loaded_data(body, buffer, argument_of)
            if within is _nothing:
                return _nothing
            return lambda values, out: within({**values, var: 0}, out)
        case Seq() | CoprocScope():
            parts = (
                loaded_data(item, buffer, argument_of)
                for item in children(stmt)
                if isinstance(item, Stmt)
            )
            return _sequence([part for part in parts if part is not _nothing])
        case _:
            return _nothing


def _nothing(values: dict[Var, int], out: list[LoadedData]) -> None:
    """The data of a statement without loads."""


def _repeated(inner: _Contents, var: Var, extent: int) -> _Contents:
    def run(values: dict[Var, int], out: list[LoadedData]) -> None:
        for value in range(extent):
            values[var] = value
            inner(values, out)
        del values[var]

    return run


def _sequence(parts: list[_Contents]) -> _Contents:
    if not parts:
        return _nothing

    def run(values: dict[Var, int], out: list[LoadedData]) -> None:
        for part in parts:
            part(values, out)

    return run
