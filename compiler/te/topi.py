"""Element-wise operators on whole tensors, one ``te.compute`` each.

Operands are tensors of one dtype whose shapes broadcast as NumPy's do, or a tensor and an integer
(a Python one or a NumPy scalar). The tag of an operation (:mod:`vta.compiler.te.tags`)
tells the two cases apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vta.compiler.te import dtypes, tags
from vta.compiler.te.expr import Add, Const, Expr, Max, Min, Mul, Shl, Shr, Sub
from vta.compiler.te.tensor import Tensor, compute, placeholder
from vta.errors import TensorError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vta.compiler.te.expr import Binary

__all__ = [
    "add",
    "broadcast_to",
    "cast",
    "clip",
    "identity",
    "left_shift",
    "maximum",
    "minimum",
    "multiply",
    "right_shift",
    "subtract",
]

Operand = Tensor | int


def _elementwise(node: type[Binary], a: Operand, b: Operand, name: str) -> Tensor:
    tensors = [item for item in (a, b) if isinstance(item, Tensor)]
    if not tensors:
        raise TensorError(f"{name}: at least one operand must be a tensor; got {a!r} and {b!r}")
    shape = _broadcast(name, tensors)

    def element(*index: Expr) -> Expr:
        return node.of(
            *(_read(item, index) if isinstance(item, Tensor) else item for item in (a, b))
        )

    tag = tags.BROADCAST if len(tensors) == 2 else tags.ELEMWISE
    return compute(shape, element, name=name, tag=tag)


def _broadcast(name: str, tensors: Sequence[Tensor]) -> tuple[int, ...]:
    """The shape of the result: dimensions are paired from the last one on; those of extent 1, and
    missing ones, are repeated.

    Raises
    ------
    TensorError
        If two extents of a dimension differ and neither is 1.
    """
    try:
        return np.broadcast_shapes(*(tensor.shape for tensor in tensors))
    except ValueError:
        shapes = ", ".join(f"{tensor.name} has {list(tensor.shape)}" for tensor in tensors)
        raise TensorError(
            f"{name}: the shapes do not broadcast as NumPy's do; {shapes}; counted from the last "
            f"dimension, extents must be equal or 1"
        ) from None


def _read(tensor: Tensor, index: Sequence[Expr]) -> Expr:
    """The element of a tensor that is broadcast to the shape of ``index``."""
    own = index[len(index) - tensor.ndim :]
    return tensor[tuple(Const(0) if extent == 1 else i for i, extent in zip(own, tensor.shape))]


def add(a: Operand, b: Operand, name: str = "add") -> Tensor:
    """``a + b``, wrapping."""
    return _elementwise(Add, a, b, name)


def subtract(a: Operand, b: Operand, name: str = "subtract") -> Tensor:
    """``a - b``, wrapping."""
    return _elementwise(Sub, a, b, name)


def multiply(a: Operand, b: Operand, name: str = "multiply") -> Tensor:
    """``a * b``, wrapping."""
    return _elementwise(Mul, a, b, name)


def maximum(a: Operand, b: Operand, name: str = "maximum") -> Tensor:
    """The larger of ``a`` and ``b``."""
    return _elementwise(Max, a, b, name)


def minimum(a: Operand, b: Operand, name: str = "minimum") -> Tensor:
    """The smaller of ``a`` and ``b``."""
    return _elementwise(Min, a, b, name)


def right_shift(a: Operand, b: Operand, name: str = "right_shift") -> Tensor:
    """``a >> b``, arithmetic."""
    return _elementwise(Shr, a, b, name)


def left_shift(a: Operand, b: Operand, name: str = "left_shift") -> Tensor:
    """``a << b``."""
    return _elementwise(Shl, a, b, name)


def identity(x: Tensor, name: str = "identity") -> Tensor:
    """A copy."""
    return compute(x.shape, lambda *i: x[i], name=name, tag=tags.ELEMWISE)


def broadcast_to(x: Tensor, shape: Sequence[int], name: str = "broadcast_to") -> Tensor:
    """``x`` repeated to ``shape``, as ``numpy.broadcast_to`` does.

    Raises
    ------
    TensorError
        If ``x`` does not broadcast to ``shape``.
    """
    wanted = placeholder(shape, x.dtype, "the result")
    if _broadcast(f"{name} {x.name}", [x, wanted]) != wanted.shape:
        raise TensorError(f"{name}: {x.name} has {list(x.shape)}; must broadcast to {list(shape)}")
    return compute(wanted.shape, lambda *i: _read(x, i), name=name, tag=tags.BROADCAST)


def cast(x: Tensor, dtype: object, name: str = "cast") -> Tensor:
    """``x`` converted to ``dtype``; narrowing keeps the low bits."""
    wanted = dtypes.check(dtype, f"cast {x.name}")
    return compute(x.shape, lambda *i: x[i].astype(wanted), name=name, tag=tags.ELEMWISE)


def clip(x: Tensor, a_min: int, a_max: int, name: str = "clip") -> Tensor:
    """``x`` limited to ``a_min .. a_max``: a stage for each limit, as the machine has an
    instruction for each.

    Raises
    ------
    TensorError
        If ``a_min`` is above ``a_max``.
    """
    if a_min > a_max:
        raise TensorError(f"clip {x.name}: a_min is {a_min}; must not be above a_max, {a_max}")
    return maximum(minimum(x, a_max, name=f"{name}_min"), a_min, name=f"{name}_max")
