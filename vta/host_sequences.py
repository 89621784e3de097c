"""Operators of the host for networks that read sequences: look-up of rows, masks, norms.

Each is a function of NumPy arrays and attributes, as :mod:`vta.host_operators` runs it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "CAST_TYPES",
    "COMPARISONS",
    "LOGICAL",
    "cast",
    "gather",
    "gathered",
    "layer_norm",
    "reduce_sum",
    "where",
]

Array = npt.NDArray[Any]

CAST_TYPES: Mapping[int, str] = MappingProxyType({
    1: "float32", 2: "uint8", 3: "int8", 6: "int32", 7: "int64", 9: "bool",
})  # fmt: skip
"""Types by the numbers that ONNX gives them."""

COMPARISONS: Mapping[str, Callable[[Array, Array], Array]] = MappingProxyType({
    "equal": np.equal, "less": np.less, "less_equal": np.less_equal,
})  # fmt: skip
"""Of two arrays of numbers, which are broadcast: bool."""
LOGICAL: Mapping[str, Callable[..., Array]] = MappingProxyType({
    "logical_and": np.logical_and, "logical_not": np.logical_not, "logical_or": np.logical_or,
})  # fmt: skip
"""Of arrays of bool, ``logical_not`` of one, the others of two."""


def gather(arrays: Sequence[Array], attributes: Mapping[str, Any]) -> Array:
    """Slices of data along an axis, one for each index; a negative index counts from the end.

    Raises
    ------
    IndexError
        If an index is out of range.
    TypeError
        If indices are no integers.
    """
    data, indices = arrays
    axis = attributes["axis"]
    extent = data.shape[axis]
    if indices.size and not -extent <= indices.min() <= indices.max() < extent:
        raise IndexError(
            f"indices are {indices.min()} to {indices.max()}; must be {-extent} to {extent - 1}, "
            f"of axis {axis}"
        )
    return np.asarray(np.take(data, indices, axis=axis))


def gathered(shapes: Sequence[tuple[int, ...]], attributes: Mapping[str, Any]) -> int:
    """How many elements :func:`gather` gives."""
    data, indices = shapes
    axis = attributes["axis"]
    if not 0 <= axis < len(data):
        raise ValueError(f"axis {axis} of {len(data)} dimensions")
    return prod((*data[:axis], *indices, *data[axis + 1 :]))


def where(arrays: Sequence[Array], attributes: Mapping[str, Any]) -> Array:
    """The second array where the first is true, else the third; shapes are broadcast."""
    condition, chosen, other = arrays
    if condition.dtype != np.bool_ or chosen.dtype != other.dtype:
        raise ValueError("types must be bool and twice the same")
    return np.where(condition, chosen, other)


def cast(arrays: Sequence[Array], attributes: Mapping[str, Any]) -> Array:
    """The data in the type ``to``, one of :data:`CAST_TYPES`."""
    if attributes["to"] not in CAST_TYPES:
        raise ValueError(f"to is {attributes['to']}; must be one of {list(CAST_TYPES)}")
    with np.errstate(invalid="ignore"):
        return arrays[0].astype(CAST_TYPES[attributes["to"]])


def layer_norm(arrays: Sequence[Array], attributes: Mapping[str, Any]) -> Array:
    """``(x - mean) / sqrt(variance + epsilon) * scale + bias`` over the axes from ``axis`` on, in
    float64, rounded to the type of the data."""
    data, scale, bias, epsilon = arrays
    axes = tuple(range(attributes["axis"], data.ndim))
    if not axes:
        raise ValueError(f"axis {attributes['axis']} of {data.ndim} dimensions")
    wide = data.astype(np.float64)
    moved = wide - wide.mean(axis=axes, keepdims=True)
    deviation = np.sqrt((moved**2).mean(axis=axes, keepdims=True) + epsilon.astype(np.float64))
    with np.errstate(all="ignore"):
        return np.asarray(moved / deviation * scale + bias, data.dtype)


def reduce_sum(arrays: Sequence[Array], attributes: Mapping[str, Any]) -> Array:
    """Sums over ``axes``, which stay with extent 1; of real numbers in float64."""
    (data,) = arrays
    wide = np.float64 if data.dtype.kind == "f" else np.int64
    sums = data.sum(axis=tuple(attributes["axes"]), dtype=wide, keepdims=True)
    return np.asarray(sums, data.dtype)
