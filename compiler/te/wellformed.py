"""Checks of the body of a compute, made when the compute is written."""

from __future__ import annotations

from math import isfinite

from vta.compiler.te import dtypes
from vta.compiler.te.conditions import Select
from vta.compiler.te.expr import (
    Binary,
    Cast,
    Const,
    Expr,
    FloorDiv,
    FloorMod,
    IterVar,
    Max,
    Min,
    Reduce,
    TensorRead,
    Var,
)
from vta.compiler.tir.affine import linear
from vta.compiler.tir.interval import interval
from vta.compiler.tir.visitor import children, walk
from vta.errors import LoweringError, TensorError

__all__ = ["check_body"]


def check_body(what: str, body: Expr, axes: tuple[IterVar, ...]) -> None:
    """Check the body of a compute over ``axes``: those of the result and of the reduction.

    Raises
    ------
    TensorError
        For a variable that is not an axis, a reduction inside another expression, an index that is
        not affine or can be outside its tensor, or index arithmetic that would wrap. The message
        starts with ``what``.
    """
    _check_nodes(what, body, axes)
    for read in walk(body):
        if isinstance(read, TensorRead):
            _check_read(what, read, body, axes)
    _check_range(what, body, axes)


def _check_nodes(what: str, body: Expr, axes: tuple[IterVar, ...]) -> None:
    for node in walk(body):
        if isinstance(node, Reduce) and node is not body:
            raise TensorError(
                f"{what}: `{node}` is inside another expression; a reduction must be the whole "
                f"body of its own te.compute"
            )
        if isinstance(node, IterVar) and node not in axes:
            if node.kind == "reduce":
                raise TensorError(
                    f"{what}: the reduction axis {node.name} is not among the axes of a te.sum, "
                    f"te.max or te.min around it"
                )
            raise TensorError(f"{what}: the axis {node.name} belongs to another compute")
        if isinstance(node, Var) and not isinstance(node, IterVar):
            raise TensorError(f"{what}: the variable {node.name} has no value; shapes are static")


def _ranges(axes: tuple[IterVar, ...]) -> dict[Var, tuple[int, int]]:
    return {axis: (axis.begin, axis.begin + axis.extent - 1) for axis in axes}


def _check_range(what: str, body: Expr, axes: tuple[IterVar, ...]) -> None:
    """Arithmetic on axes must not wrap, since the compiler computes it with exact integers."""
    lowest, highest = dtypes.limits(dtypes.INDEX)
    pending = [body]
    while pending:
        node = pending.pop()
        pending += [inner for inner in children(node) if isinstance(inner, Expr)]
        if not isinstance(node, Binary) or node.dtype != dtypes.INDEX:
            continue
        if any(isinstance(inner, TensorRead | Cast) for inner in walk(node)):
            continue
        low, high = interval(node, _ranges(axes))
        if isfinite(low) and isfinite(high) and (low < lowest or high > highest):
            raise TensorError(f"{what}: `{node}` runs over {low}..{high}; must fit {dtypes.INDEX}")


def _check_read(what: str, read: TensorRead, body: Expr, axes: tuple[IterVar, ...]) -> None:
    """Indices must be affine (with divisions by constants) and, unless guarded, in range."""
    ranges = _ranges(axes)
    guarded = any(
        isinstance(node, Select) and any(inner is read for inner in walk(node))
        for node in walk(body)
    )
    for dim, index in enumerate(read.indices):
        try:
            _check_affine(index)
        except LoweringError as error:
            raise TensorError(f"{what}: index {dim} of {read.tensor.name}: {error}") from None
        low, high = interval(index, ranges)
        extent = read.tensor.shape[dim]
        if not guarded and not 0 <= low <= high < extent:
            raise TensorError(
                f"{what}: index {dim} of {read.tensor.name} is `{index}`, which runs over "
                f"{low}..{high}; must stay in 0..{extent - 1}"
            )


def _check_affine(index: Expr) -> None:
    for atom, _ in linear(index).terms:
        match atom:
            case Var():
                continue
            case FloorDiv(a=a, b=Const(value=by)) | FloorMod(a=a, b=Const(value=by)) if by > 0:
                _check_affine(a)
            case Min(a=a, b=b) | Max(a=a, b=b):
                _check_affine(a)
                _check_affine(b)
            case _:
                raise LoweringError(f"`{index}` must be affine in the axes; `{atom}` is not")
