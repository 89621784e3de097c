"""Element-wise operators on whole tensors, each one ``te.compute``.

Operands are tensors of one shape and dtype, or a tensor and a Python integer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vta.errors import TensorError

from . import dtypes
from .expr import Add, Expr, Max, Min, Mul, Shl, Shr, Sub
from .tensor import Tensor, compute

if TYPE_CHECKING:
    from .expr import Binary

__all__ = [
    "add",
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
    shape = tensors[0].shape
    if tensors[-1].shape != shape:
        raise TensorError(
            f"{name}: the operands must have one shape; {tensors[0].name} has {list(shape)}, "
            f"{tensors[-1].name} has {list(tensors[-1].shape)}"
        )

    def element(*index: Expr) -> Expr:
        return node.of(*(item[index] if isinstance(item, Tensor) else item for item in (a, b)))

    return compute(shape, element, name=name)


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
    return compute(x.shape, lambda *i: x[i], name=name)


def cast(x: Tensor, dtype: object, name: str = "cast") -> Tensor:
    """``x`` converted to ``dtype``; narrowing keeps the low bits."""
    wanted = dtypes.check(dtype, f"cast {x.name}")
    return compute(x.shape, lambda *i: x[i].astype(wanted), name=name)


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
