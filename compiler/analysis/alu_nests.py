"""An ``alu`` nest as perfect nests: loop distribution over statements and over conditions.

No element of the result depends on another, so the loops of a stage can run once for each of its
statements: first for the start values of a reduction, then for the accumulation. They can also run
once for each case of a condition.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from vta.compiler.analysis.conditional_values import cases, conjuncts
from vta.compiler.analysis.loop_bounds import Ranges
from vta.compiler.analysis.loop_nest import Loop, LoopNest, require_no_attached_stages
from vta.compiler.analysis.strided_loops import stride_condition, strided_loops
from vta.compiler.te.conditions import Select
from vta.compiler.te.expr import Add, Binary, Const, Expr, Max, Min, Mul, Var
from vta.compiler.tir.ir import BufferLoad, BufferStore, For, IfThenElse, Pragma, Seq, Stmt
from vta.compiler.tir.visitor import rebuild, substitute, walk
from vta.errors import LoweringError

__all__ = ["reduction_term", "separate_nests"]


def separate_nests(body: Stmt, ranges: Ranges, where: str) -> list[LoopNest]:
    """The nests of ``body``, in order, each around one store without ``if_then_else``.

    Parameters
    ----------
    body : Stmt
        The loops of one stage: the body of the pragma.
    ranges : mapping of Var to (int, int)
        The lowest and the highest value of each variable of the loops around ``body``.
    where : str
        Start of error messages.

    Raises
    ------
    LoweringError
        If ``body`` holds anything but the computation of the stage, or a condition is not a
        comparison of indices.
    """
    require_no_attached_stages(body, where, "one computation")
    found: list[LoopNest] = []
    for nest in _separated(body, where):
        for case in _without_selects(nest):
            strided = _strided(case, ranges, where)
            if strided is not None:
                found.append(_with_own_loops(strided) if found else strided)
    return found


def _separated(stmt: Stmt, where: str) -> Iterator[LoopNest]:
    match stmt:
        case For(var=var, extent=extent, kind="serial" | "unroll", body=body):
            for nest in _separated(body, where):
                yield replace(nest, loops=(Loop(var, extent), *nest.loops))
        case IfThenElse(cond=cond, then=then):
            for nest in _separated(then, where):
                yield replace(nest, guards=(cond, *nest.guards))
        case Seq(stmts=stmts):
            for item in stmts:
                yield from _separated(item, where)
        case Pragma(key="alu", body=body):
            yield from _separated(body, where)
        case BufferStore():
            yield LoopNest((), (), stmt)
        case For(var=var):
            raise LoweringError(
                f"{where}: the loop {var.name} inside is bound to virtual threads; the pragma must "
                f"be given to a loop inside {var.name}"
            )
        case _:
            raise LoweringError(f"{where}: must contain one computation and nothing else:\n{stmt}")


def _without_selects(nest: LoopNest) -> Iterator[LoopNest]:
    """One nest for each case of the conditions in the value, without ``if_then_else``."""
    store = nest.leaf
    assert isinstance(store, BufferStore)
    chosen = next((node for node in walk(store.value) if isinstance(node, Select)), None)
    if chosen is None:
        yield nest
        return
    if chosen is store.value and isinstance(chosen.other, Const) and not _reads_itself(store):
        yield replace(nest, leaf=replace(store, value=chosen.other))
        sides = [(chosen.then, True)]
    else:
        sides = [(chosen.then, True), (chosen.other, False)]
    for side, holds in sides:
        leaf = replace(store, value=_replaced(store.value, chosen, side))
        if _is_unchanged(leaf):
            continue
        for case in cases(chosen.cond, holds):
            yield from _without_selects(replace(nest, guards=(*nest.guards, *case), leaf=leaf))


def _replaced(value: Expr, old: Expr, new: Expr) -> Expr:
    def change(node: Expr) -> Expr:
        return new if node is old else rebuild(node, change)

    return change(value)


def _reads_itself(store: BufferStore) -> bool:
    return any(
        isinstance(node, BufferLoad) and node.buffer is store.buffer for node in walk(store.value)
    )


def _is_unchanged(store: BufferStore) -> bool:
    """Whether the store writes the value that the element has already, as ``x = x + 0``."""
    match store.value:
        case Add(a=a, b=Const(value=0)):
            return a == BufferLoad(store.buffer, store.indices)
        case value:
            return value == BufferLoad(store.buffer, store.indices)


def _strided(nest: LoopNest, ranges: Ranges, where: str) -> LoopNest | None:
    """The nest with a shorter loop in place of each condition on a remainder; None if no iteration
    is left.
    """
    conditions = [part for guard in nest.guards for part in conjuncts(guard)]
    if not any(map(stride_condition, conditions)):
        return nest
    store = nest.leaf
    assert isinstance(store, BufferStore)
    kept: list[Expr] = []
    if reduction_term(store) is not None:  # the result index must not use reduction loops
        variables = {loop.var for loop in nest.loops}
        of_loops = {cond: sum(node in variables for node in set(walk(cond))) for cond in conditions}
        kept = [cond for cond in conditions if of_loops[cond] > 1]
        conditions = [cond for cond in conditions if of_loops[cond] <= 1]
    strided = strided_loops(nest.loops, conditions, ranges, where, several=True)
    if strided is None:
        return None
    indices = tuple(map(strided.at, store.indices))
    leaf = BufferStore(store.buffer, indices, strided.at(store.value))
    return LoopNest(strided.loops, (*strided.conditions, *map(strided.at, kept)), leaf)


def _with_own_loops(nest: LoopNest) -> LoopNest:
    """The nest with fresh loop variables, since a loop variable belongs to one loop."""
    fresh: dict[Var, Expr] = {loop.var: Var(loop.var.name) for loop in nest.loops}
    loops = tuple(
        Loop(var, loop.extent) for loop in nest.loops if isinstance(var := fresh[loop.var], Var)
    )
    guards = tuple(substitute(guard, fresh) for guard in nest.guards)
    return LoopNest(loops, guards, substitute(nest.leaf, fresh))


def reduction_term(store: BufferStore) -> Expr | None:
    """The computed term of an accumulation: ``b * c`` of ``a = a + b * c``; else None."""
    value = store.value
    if not isinstance(value, Add | Mul | Max | Min):
        return None
    target = BufferLoad(store.buffer, store.indices)
    if value.a != target or not isinstance(value.b, Binary):
        return None
    reads = (node for node in walk(value.b) if isinstance(node, BufferLoad))
    return None if any(load.buffer is store.buffer for load in reads) else value.b
