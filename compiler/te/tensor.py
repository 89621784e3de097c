"""Tensors and the operations that define them: placeholder, compute, reduce_axis, sum, max, min."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, cast

from vta.compiler.te import dtypes, tags
from vta.compiler.te.expr import (
    Const,
    Expr,
    IterVar,
    Reduce,
    TensorRead,
    as_expr,
    maximum,
    minimum,
)
from vta.compiler.te.unsupported import WholeTensor, elements_are_written
from vta.compiler.te.wellformed import check_body
from vta.compiler.tir.visitor import walk
from vta.errors import TensorError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from vta.compiler.te.expr import ExprLike

__all__ = [
    "ComputeOp",
    "Operation",
    "PlaceholderOp",
    "Tensor",
    "compute",
    "placeholder",
    "reduce_axis",
    "reduce_max",
    "reduce_min",
    "reduce_sum",
]

ReduceKind = Literal["sum", "max", "min"]


@dataclass(frozen=True, eq=False)
class Operation:
    """The definition of a tensor. ``axis`` are the axes of the result, ``reduce_axis`` those of the
    reduction.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    tag: str = ""
    axis: tuple[IterVar, ...] = ()
    reduce_axis: tuple[IterVar, ...] = ()

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """The tensors that the definition reads, in order of first use."""
        return ()

    @property
    def input_tensors(self) -> list[Tensor]:
        """:attr:`inputs` under the name of the original."""
        return list(self.inputs)

    @property
    def num_outputs(self) -> int:
        """Always 1."""
        return 1

    def same_as(self, other: object) -> bool:
        """Whether ``other`` is this very object."""
        return self is other

    def output(self, index: int = 0) -> Tensor:
        """The tensor that this operation defines. Every operation has one output."""
        if index != 0:
            raise TensorError(f"{self.name} has one output; there is no output {index}")
        return Tensor(self)


@dataclass(frozen=True, eq=False)
class PlaceholderOp(Operation):
    """A tensor that is an argument of the program."""


@dataclass(frozen=True, eq=False)
class ComputeOp(Operation):
    """A computed tensor: the element at the indices ``axis`` is ``body``."""

    body: Expr = field(default_factory=lambda: Const(0))

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        reads = (node.tensor for node in walk(self.body) if isinstance(node, TensorRead))
        return tuple(dict.fromkeys(reads))


@dataclass(frozen=True)
class Tensor(WholeTensor):
    """A multi-dimensional array: an argument, or computed. ``tensor[i, j]`` reads an element."""

    op: Operation

    @property
    def name(self) -> str:
        return self.op.name

    @property
    def shape(self) -> tuple[int, ...]:
        return self.op.shape

    @property
    def dtype(self) -> str:
        return self.op.dtype

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __getitem__(self, indices: Any) -> Expr:
        """One element.

        Raises
        ------
        TensorError
            If the number of indices is not the number of dimensions, or an index is not an integer
            expression.
        """
        given = indices if isinstance(indices, tuple) else (indices,)
        if len(given) != self.ndim:
            raise TensorError(
                f"{self.name} has {self.ndim} dimensions {list(self.shape)}; "
                f"got {len(given)} indices ({', '.join(map(str, given))})"
            )
        return TensorRead(self, tuple(self._index(dim, item) for dim, item in enumerate(given)))

    def _index(self, dim: int, item: object) -> Expr:
        if isinstance(item, slice) or item is Ellipsis:
            raise TensorError(f"{self.name}: index {dim} is a slice; must be one position")
        index = as_expr(item)
        if index.dtype != dtypes.INDEX:
            raise TensorError(
                f"{self.name}: index {dim} is `{index}` of dtype {index.dtype}; "
                f"must be {dtypes.INDEX}"
            )
        return index

    def __call__(self, *indices: ExprLike) -> Expr:
        """Same as ``tensor[indices]``."""
        return self[indices]

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator[Expr]:
        raise TensorError(f"{self.name}: a tensor expression cannot be iterated over; index it")

    def __str__(self) -> str:
        return f"Tensor({self.name}, shape={list(self.shape)}, dtype={self.dtype})"

    __repr__ = __str__


def _shape(shape: object, what: str) -> tuple[int, ...]:
    """The checked shape; a single integer is the extent of one dimension."""
    dims = tuple(shape) if isinstance(shape, tuple | list) else (shape,)
    if not dims:
        raise TensorError(f"{what}: a tensor must have at least one dimension")
    extents: list[int] = []
    for dim in dims:
        if (extent := dtypes.integer(dim)) is None:
            raise TensorError(f"{what}: shape is {list(dims)}; every extent must be an integer")
        if extent < 1:
            raise TensorError(f"{what}: shape is {list(dims)}; every extent must be at least 1")
        extents.append(extent)
    return tuple(extents)


def placeholder(shape: object, dtype: object = "int32", name: str = "placeholder") -> Tensor:
    """A tensor that is an argument of the program.

    Raises
    ------
    TensorError
        For a shape of other than positive integers, or an unknown dtype.
    """
    what = f"placeholder {name}"
    return Tensor(PlaceholderOp(name, _shape(shape, what), dtypes.check(dtype, what)))


def reduce_axis(dom: Sequence[int], name: str = "rv") -> IterVar:
    """An axis to reduce over: the values from ``begin`` to ``end - 1`` of ``dom = (begin, end)``.

    Raises
    ------
    TensorError
        If ``dom`` is not a pair of integers with ``begin < end``.
    """
    pair = [dtypes.integer(end) for end in dom] if isinstance(dom, Iterable) else []
    if len(pair) != 2 or (begin := pair[0]) is None or (end := pair[1]) is None:
        raise TensorError(f"reduce_axis {name}: dom is {dom!r}; must be (begin, end), two integers")
    if begin >= end:
        raise TensorError(f"reduce_axis {name}: dom is ({begin}, {end}); begin must be below end")
    return IterVar(name, extent=end - begin, kind="reduce", begin=begin)


def compute(
    shape: object,
    fcompute: Callable[..., ExprLike],
    name: str = "compute",
    tag: str = "",
    attrs: Mapping[str, object] | None = None,
) -> Tensor:
    """A tensor whose element at ``(i, j, ...)`` is ``fcompute(i, j, ...)``.

    The axes have the names of the parameters of ``fcompute``; with ``*args`` they are ``i0``,
    ``i1``, ... ``tag`` is the kind of operator (:mod:`vta.compiler.te.tags`);
    an empty tag means the tag of the ``te.tag_scope`` around the
    call. ``attrs`` is accepted for compatibility and not used.

    Raises
    ------
    TensorError
        If the number of parameters is not the number of dimensions, the result is not an
        expression, a reduction is inside another expression, a reduction axis has no reduction, or
        an index can be outside its tensor.
    """
    what = f"compute {name}"
    extents = _shape(shape, what)
    axes = tuple(
        IterVar(axis_name, extent=extent)
        for axis_name, extent in zip(_axis_names(fcompute, len(extents), what), extents)
    )
    with elements_are_written(True):
        result = fcompute(*axes)
    if isinstance(result, Tensor):
        raise TensorError(
            f"{what}: the function returns the tensor {result.name}; must return an element, "
            f"{result.name}[i, ...]"
        )
    with elements_are_written(False):  # this compute may be inside the function of another one
        body = as_expr(result)
        reduced = body.axes if isinstance(body, Reduce) else ()
        check_body(what, body, (*axes, *reduced))
    return Tensor(
        ComputeOp(name, extents, body.dtype, tag or tags.current_tag(), axes, reduced, body=body)
    )


def _axis_names(fcompute: Callable[..., ExprLike], ndim: int, what: str) -> tuple[str, ...]:
    parameters = inspect.signature(fcompute).parameters.values()
    names: list[str] = []
    for parameter in parameters:
        if parameter.kind is parameter.VAR_POSITIONAL:
            names += [f"i{dim}" for dim in range(len(names), ndim)]
        elif parameter.default is parameter.empty:
            names.append(parameter.name)
    if len(names) != ndim:
        raise TensorError(
            f"{what}: the shape has {ndim} dimensions, the function takes {len(names)} "
            f"({', '.join(names)})"
        )
    return tuple(names)


# ---- reductions and their two-operand forms ------------------------------------------------------


def _reduce(kind: ReduceKind, body: Expr, axes: Sequence[IterVar]) -> Reduce:
    """``body`` reduced over ``axes`` (each of kind ``reduce``).

    Raises
    ------
    TensorError
        If an axis is not a reduction axis or is named twice, or the body is a reduction itself.
    """
    if not axes:
        raise TensorError(f"te.{kind}: at least one reduction axis is required")
    for axis in axes:
        if not isinstance(axis, IterVar) or axis.kind != "reduce":
            raise TensorError(
                f"te.{kind}: {axis} is not a reduction axis; te.reduce_axis makes one"
            )
    if len(set(axes)) != len(axes):
        raise TensorError(f"te.{kind}: an axis is named twice in {', '.join(a.name for a in axes)}")
    if isinstance(body, Reduce):
        raise TensorError(
            f"te.{kind}: the body is a reduction itself; the inner one needs its own te.compute"
        )
    return Reduce(kind, as_expr(body), tuple(axes))


def _axes(kind: str, axis: object) -> tuple[IterVar, ...]:
    axes = tuple(axis) if isinstance(axis, tuple | list) else (axis,)
    for item in axes:
        if not isinstance(item, IterVar):
            raise TensorError(f"te.{kind}: axis is {item!r}; must be made with te.reduce_axis")
    return axes


def reduce_sum(expr: Expr, axis: IterVar | Sequence[IterVar]) -> Expr:
    """The sum of ``expr`` over ``axis``, wrapping at the width of its type."""
    return _reduce("sum", expr, _axes("sum", axis))


def reduce_max(expr: ExprLike, axis: IterVar | Sequence[IterVar] | ExprLike) -> Expr:
    """The largest ``expr`` over reduction axes; the larger of both if ``axis`` is an expression."""
    if not isinstance(axis, IterVar | tuple | list):
        return maximum(expr, cast("ExprLike", axis))  # checked there
    return _reduce("max", as_expr(expr), _axes("max", axis))


def reduce_min(expr: ExprLike, axis: IterVar | Sequence[IterVar] | ExprLike) -> Expr:
    """As :func:`vta.te.max`, with the smallest or the smaller value."""
    if not isinstance(axis, IterVar | tuple | list):
        return minimum(expr, cast("ExprLike", axis))  # checked there
    return _reduce("min", as_expr(expr), _axes("min", axis))
