"""Operators of neural networks: padding, dilation, relu."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vta.compiler.te import dtypes, tags
from vta.compiler.te.conditions import all_of, equal, select
from vta.compiler.te.expr import Const, Expr
from vta.compiler.te.tensor import Tensor, compute
from vta.compiler.te.topi import maximum
from vta.errors import TensorError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["dilate", "pad", "relu"]


def pad(
    data: Tensor,
    pad_before: Sequence[int],
    pad_after: Sequence[int] | None = None,
    pad_value: float = 0,
    name: str = "PadInput",
) -> Tensor:
    """``data`` with ``pad_value`` around it: ``pad_before[d]`` in front of dimension d,
    ``pad_after[d]`` behind.

    Without ``pad_after`` both sides have ``pad_before``.

    Raises
    ------
    TensorError
        If the number of pads is not the number of dimensions, a pad is negative or the value no
        integer.
    """
    before = _pads(data, "pad_before", pad_before)
    after = before if pad_after is None else _pads(data, "pad_after", pad_after)
    value = _integer(pad_value, f"pad {data.name}: pad_value")
    shape = tuple(b + extent + a for b, extent, a in zip(before, data.shape, after))

    def element(*index: Expr) -> Expr:
        inside = []
        for i, b, extent, a in zip(index, before, data.shape, after):
            inside += [i >= b] if b else []
            inside += [i < b + extent] if a else []
        read = data[tuple(i - b for i, b in zip(index, before))]
        return select(all_of(*inside), read, value) if inside else read

    return compute(shape, element, name=name, tag=f"{tags.INJECTIVE},pad")


def _pads(data: Tensor, what: str, pads: Sequence[int]) -> tuple[int, ...]:
    if len(pads) != data.ndim:
        raise TensorError(
            f"pad {data.name}: {what} is {list(pads)}; the tensor has {data.ndim} dimensions"
        )
    amounts = [amount for pad in pads if (amount := dtypes.integer(pad)) is not None and pad >= 0]
    if len(amounts) != len(pads):
        raise TensorError(f"pad {data.name}: {what} is {list(pads)}; must be integers >= 0")
    return tuple(amounts)


def _integer(value: float, what: str) -> int:
    if value != int(value):
        raise TensorError(f"{what} is {value!r}; must be an integer")
    return int(value)


def dilate(
    data: Tensor, strides: Sequence[int], dilation_value: float = 0, name: str = "DilatedInput"
) -> Tensor:
    """``data`` with ``strides[d] - 1`` values ``dilation_value`` between elements of dimension d.

    Raises
    ------
    TensorError
        If the number of strides is not the number of dimensions, a stride is below 1 or the value
        no integer.
    """
    if len(strides) != data.ndim or any(stride < 1 for stride in strides):
        raise TensorError(
            f"dilate {data.name}: strides is {list(strides)}; must be {data.ndim} integers >= 1"
        )
    value = _integer(dilation_value, f"dilate {data.name}: dilation_value")
    shape = tuple((extent - 1) * stride + 1 for extent, stride in zip(data.shape, strides))

    def element(*index: Expr) -> Expr:
        hits = [equal(i % stride, Const(0)) for i, stride in zip(index, strides) if stride > 1]
        read = data[tuple(i // stride for i, stride in zip(index, strides))]
        return select(all_of(*hits), read, value) if hits else read

    return compute(shape, element, name=name, tag=f"{tags.INJECTIVE},dilate")


def relu(x: Tensor, name: str = "relu") -> Tensor:
    """``max(x, 0)``."""
    return maximum(x, 0, name=name)
