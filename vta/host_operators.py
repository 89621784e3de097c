"""What the host computes in a network: data movement, and the changes between real numbers and
integers. Each is a function of NumPy arrays; nothing of a file is executed.

One rounding rule for real numbers: ``quantize`` is ``clip(rint(x / scale) + zero)``, halves to
even, in float32, as ONNX says. Everything between quantised tensors is integer arithmetic on the
accelerator (:mod:`vta.compiler.ops.requantise`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from vta.errors import NetworkError, TensorError
from vta.host_elementwise import BINARY, UNARY, looked_up
from vta.host_sequences import (
    COMPARISONS,
    LOGICAL,
    cast,
    gather,
    gathered,
    layer_norm,
    reduce_sum,
    where,
)
from vta.packing import pack as _pack
from vta.packing import (
    pack_columns,
    pack_rows,
    packed_columns_shape,
    packed_rows_shape,
    packed_shape,
    unpack_rows,
)
from vta.packing import unpack as _unpack

__all__ = ["DATA_BLOCK", "HOST_OPERATORS", "HostAttribute", "HostOperator", "run_host_operator"]

Array = npt.NDArray[Any]
HostAttribute = int | tuple[int, ...]
Shape = tuple[int, ...]

DATA_BLOCK = 128
"""In the attribute ``blocks`` of ``depth_blocks``: the data; other values are int8 constants."""
_MOST_PADDED = 1 << 28
"""Elements of padded images that windows are gathered from, and of other intermediate results."""


@dataclass(frozen=True)
class HostOperator:
    """One operator of the host.

    Attributes
    ----------
    inputs : int or None
        How many arrays it takes; None: at least one.
    attributes : tuple of str
        The attributes that it takes: integers, or lists of them.
    run : callable
        ``run(arrays, attributes)``: the result.
    size : callable
        ``size(shapes, attributes)``: how many elements the result has, and that running the
        operator takes memory of that order: ValueError where it does not.
    real : bool
        Whether it computes with real numbers (float32) rather than moving data.
    """

    inputs: int | None
    attributes: tuple[str, ...]
    run: Callable[[Sequence[Array], Mapping[str, Any]], Array]
    size: Callable[[Sequence[Shape], Mapping[str, Any]], int]
    real: bool = False


def _quantize(arrays: Sequence[Array], attributes: Mapping[str, Any]) -> Array:
    data, scale, zero = arrays
    limits = np.iinfo(zero.dtype)
    # ONNX divides in the type of the data and rounds halves to even; infinity is clipped.
    with np.errstate(over="ignore"):
        quotients = data / _along(scale, data, attributes["axis"])
    steps = np.rint(quotients).astype(np.float64)
    if np.isnan(steps).any():
        raise ValueError("data hold NaN, which no integer stands for")
    moved = steps + _along(zero, data, attributes["axis"])
    return np.clip(moved, limits.min, limits.max).astype(zero.dtype)


def _dequantize(arrays: Sequence[Array], attributes: Mapping[str, Any]) -> Array:
    data, scale, zero = arrays
    steps = data.astype(np.int32) - _along(zero, data, attributes["axis"]).astype(np.int32)
    return (steps.astype(np.float32) * _along(scale, data, attributes["axis"])).astype(np.float32)


def _along(values: Array, data: Array, axis: int) -> Array:
    """Scales or zero points in a shape that broadcasts; of one for all, the axis has no meaning."""
    if values.size == 1:
        return values.reshape(())
    shape = [1] * data.ndim
    shape[axis] = values.size
    return values.reshape(shape)


def _softmax(arrays: Sequence[Array], attributes: Mapping[str, Any]) -> Array:
    (data,) = arrays
    powers = np.exp(data - data.max(axis=attributes["axis"], keepdims=True))
    return np.asarray(powers / powers.sum(axis=attributes["axis"], keepdims=True), data.dtype)


def _mean(arrays: Sequence[Array], attributes: Mapping[str, Any]) -> Array:
    (data,) = arrays
    sums = data.mean(axis=tuple(attributes["axes"]), dtype=np.float64, keepdims=True)
    return np.asarray(sums, data.dtype)


def _padded(arrays: Sequence[Array], attributes: Mapping[str, Any]) -> Array:
    (data,) = arrays
    top, left, bottom, right = attributes["pads"]
    frame = [(0, 0), (0, 0), (top, bottom), (left, right)]
    frame += [(0, 0)] * (data.ndim - 4)  # tiles have two more axes
    return np.pad(data, frame, constant_values=attributes["value"])


def _im2col(arrays: Sequence[Array], attributes: Mapping[str, Any]) -> Array:
    """The windows of an image as the channels of its pixels, in the order channel, row, column."""
    (data,) = arrays
    top, left, bottom, right = attributes["pads"]
    (down, across), (dy, dx) = attributes["strides"], attributes["dilations"]
    frame = ((0, 0), (0, 0), (top, bottom), (left, right))
    wide = np.pad(data, frame, constant_values=attributes["value"])
    spans = tuple((k - 1) * d + 1 for k, d in zip(attributes["kernel"], attributes["dilations"]))
    views = np.lib.stride_tricks.sliding_window_view(wide, spans, axis=(2, 3))
    views = views[:, :, ::down, ::across, ::dy, ::dx].transpose(0, 1, 4, 5, 2, 3)
    return views.reshape(data.shape[0], -1, *views.shape[-2:])


def _real(function: Callable[..., Array]) -> Callable[[Sequence[Array], Mapping[str, Any]], Array]:
    """A function of real numbers as the host runs it: in the type of the data, also where a result
    is not finite."""

    def run(arrays: Sequence[Array], attributes: Mapping[str, Any]) -> Array:
        with np.errstate(all="ignore"):
            return np.asarray(function(*arrays), arrays[0].dtype)

    return run


def _compared(function: Callable[..., Array]) -> Callable[..., Array]:
    def run(arrays: Sequence[Array], attributes: Mapping[str, Any]) -> Array:
        if len({array.dtype for array in arrays}) > 1:
            raise ValueError("types must be the same")
        return function(*arrays)

    return run


def _logical(function: Callable[..., Array]) -> Callable[..., Array]:
    def run(arrays: Sequence[Array], attributes: Mapping[str, Any]) -> Array:
        if any(array.dtype != np.bool_ for array in arrays):
            raise ValueError("types must be bool")
        return function(*arrays)

    return run


def _lookup(arrays: Sequence[Array], attributes: Mapping[str, Any]) -> Array:
    data, table = arrays
    if data.dtype != np.int8 or table.dtype != np.int8 or table.shape[-1:] != (256,):
        raise ValueError(f"tables have shape {table.shape}; must be of 256 entries, all int8")
    return looked_up(data, table, attributes["axis"])


def _depth_blocks(arrays: Sequence[Array], attributes: Mapping[str, Any]) -> Array:
    """Copies of the data and constants, one after the other along the last axis."""
    (data,) = arrays
    blocks = [
        data if block == DATA_BLOCK else np.full(data.shape, block, data.dtype)
        for block in attributes["blocks"]
    ]
    return np.concatenate(blocks, axis=-1)


def _resized(arrays: Sequence[Array], attributes: Mapping[str, Any]) -> Array:
    rows, columns = (np.array(attributes[name], np.int64) for name in ("rows", "columns"))
    return np.asarray(arrays[0][:, :, rows[:, None], columns])


def _resampled(arrays: Sequence[Array], attributes: Mapping[str, Any]) -> Array:
    """Weighted sums of pixels, of rows first, tap by tap in float32."""
    data, rows, columns, *weights = arrays
    for axis, index, factors in zip((2, 3), (rows, columns), weights):
        shape = (-1, 1) if axis == 2 else (-1,)
        parts = (
            data.take(index[:, tap], axis) * factors[:, tap].reshape(shape)
            for tap in range(factors.shape[1])
        )
        data = sum(parts, np.zeros((), np.float32))
    return data


def _sliced(arrays: Sequence[Array], attributes: Mapping[str, Any]) -> Array:
    (data,) = arrays
    for axis, place in enumerate(_places(attributes)):
        data = data.take(np.array(place, np.int64), axis)
    return data


def _places(attributes: Mapping[str, Any]) -> list[range]:
    """The elements of each axis that a slice takes."""
    return [
        range(begin, begin + count * step, step)
        for begin, count, step in zip(
            attributes["begins"], attributes["counts"], attributes["steps"], strict=True
        )
    ]


def _same(shapes: Sequence[Shape], attributes: Mapping[str, Any]) -> int:
    return prod(shapes[0])


def _broadcast(shapes: Sequence[Shape], attributes: Mapping[str, Any]) -> int:
    return prod(np.broadcast_shapes(*shapes))


def _chosen(shapes: Sequence[Shape], attributes: Mapping[str, Any]) -> int:
    """Rows and columns must be in the image."""
    (
        n,
        c,
        *extents,
    ) = shapes[0]
    for name, extent in zip(("rows", "columns"), extents):
        if not attributes[name] or not 0 <= min(attributes[name]) <= max(attributes[name]) < extent:
            raise ValueError(f"{name} must be 0 to {extent - 1}")
    return prod((n, c, len(attributes["rows"]), len(attributes["columns"]), *extents[2:]))


def _tapped(shapes: Sequence[Shape], attributes: Mapping[str, Any]) -> int:
    """As many weights as places of rows and of columns, of images."""
    (n, c, _, width), rows, columns, *weights = shapes
    if [rows, columns] != weights or len(rows) != 2 or len(columns) != 2:
        raise ValueError(f"rows {rows}, columns {columns}, weights {weights}; must be the same")
    between = n * c * rows[0] * width  # rows are summed first
    if between > _MOST_PADDED:
        raise ValueError(f"{between} sums of rows; at most {_MOST_PADDED}")
    return n * c * rows[0] * columns[0]


def _placed(arrays: Sequence[Array], attributes: Mapping[str, Any]) -> Array:
    """Of each row along an axis, the place of the largest element: the first one, or the last."""
    (data,) = arrays
    axis = attributes["axis"]
    if not attributes["last"]:
        return np.asarray(data.argmax(axis, keepdims=True))
    turned = np.flip(data, axis).argmax(axis, keepdims=True)
    return np.asarray(data.shape[axis] - 1 - turned)


def _least_placed(arrays: Sequence[Array], attributes: Mapping[str, Any]) -> Array:
    (data,) = arrays
    if data.dtype.kind not in "fi" or data.dtype.itemsize > 4:
        raise ValueError(f"data are {data.dtype}; must be float32, int8 or int32")
    return _placed([-data.astype(np.float64)], attributes)


def _without_axis(shapes: Sequence[Shape], attributes: Mapping[str, Any]) -> int:
    return _reduced(shapes, {"axes": (attributes["axis"],)})


def _reduced(shapes: Sequence[Shape], attributes: Mapping[str, Any]) -> int:
    return prod(1 if axis in attributes["axes"] else n for axis, n in enumerate(shapes[0]))


def _parts(shapes: Sequence[Shape], attributes: Mapping[str, Any]) -> int:
    for place, extent in zip(_places(attributes), shapes[0], strict=True):
        if not place or min(place[0], place[-1]) < 0 or max(place[0], place[-1]) >= extent:
            raise ValueError(f"elements {place} of {extent}")
    return prod(attributes["counts"])


def _sum(shapes: Sequence[Shape], attributes: Mapping[str, Any]) -> int:
    return sum(map(prod, shapes))


def _packed(shapes: Sequence[Shape], attributes: Mapping[str, Any]) -> int:
    return prod(packed_shape(shapes[0], attributes["tile"]))


def _blocks(shapes: Sequence[Shape], attributes: Mapping[str, Any]) -> int:
    found = attributes["blocks"]
    if not shapes[0] or not all(-128 <= block <= DATA_BLOCK for block in found):
        raise ValueError(f"blocks are {found}; must be -128 to {DATA_BLOCK}, of a matrix")
    return prod(shapes[0]) * len(found)


def _unpacked(shapes: Sequence[Shape], attributes: Mapping[str, Any]) -> int:
    return prod(attributes["shape"])


def _framed(shapes: Sequence[Shape], attributes: Mapping[str, Any]) -> int:
    top, left, bottom, right = attributes["pads"]
    n, c, height, width, *tile = shapes[0]
    if min(top, left, bottom, right) < 0:
        raise ValueError(f"pads are {attributes['pads']}; must not be negative")
    return prod((n, c, height + top + bottom, width + left + right, *tile))


def _gathered(shapes: Sequence[Shape], attributes: Mapping[str, Any]) -> int:
    """The padded images are bounded: they are not part of the count."""
    n, c, *extents = shapes[0]
    count = padded = n * c
    for axis, extent in enumerate(extents):
        taps, step, dilation = (attributes[k][axis] for k in ("kernel", "strides", "dilations"))
        first, last = attributes["pads"][axis], attributes["pads"][axis + 2]
        span = (taps - 1) * dilation + 1
        if min(taps, step, dilation) < 1 or min(first, last) < 0:
            raise ValueError(f"window {span} with step {step} and padding {first}, {last}")
        padded *= extent + first + last
        if span > extent + first + last:
            raise ValueError(f"window {span} of {extent + first + last} pixels")
        count *= taps * ((extent + first + last - span) // step + 1)
    if padded > _MOST_PADDED:
        raise ValueError(f"padded images of {padded} elements; at most {_MOST_PADDED}")
    return count


HOST_OPERATORS: dict[str, HostOperator] = {
    "quantize": HostOperator(3, ("axis",), _quantize, _same, real=True),
    "dequantize": HostOperator(3, ("axis",), _dequantize, _same, real=True),
    "softmax": HostOperator(1, ("axis",), _softmax, _same, real=True),
    "mean": HostOperator(1, ("axes",), _mean, _reduced, real=True),
    "pack": HostOperator(1, ("tile",), lambda a, at: _pack(a[0], at["tile"]), _packed),
    "unpack": HostOperator(1, ("shape",), lambda a, at: _unpack(a[0], at["shape"]), _unpacked),
    "pack_rows": HostOperator(
        1, ("tile",), lambda a, at: pack_rows(a[0], at["tile"]),
        lambda shapes, at: prod(packed_rows_shape(shapes[0], at["tile"])),
    ),
    "unpack_rows": HostOperator(
        1, ("shape",), lambda a, at: unpack_rows(a[0], at["shape"]), _unpacked
    ),
    "pack_columns": HostOperator(
        1, ("tile",), lambda a, at: pack_columns(a[0], at["tile"]),
        lambda shapes, at: prod(packed_columns_shape(shapes[0], at["tile"])),
    ),
    "depth_blocks": HostOperator(1, ("blocks",), _depth_blocks, _blocks),
    "expand": HostOperator(
        1, ("shape",), lambda a, at: np.broadcast_to(a[0], at["shape"]), _unpacked
    ),
    "reshape": HostOperator(1, ("shape",), lambda a, at: a[0].reshape(at["shape"]), _same),
    "transpose": HostOperator(1, ("order",), lambda a, at: a[0].transpose(at["order"]), _same),
    "concat": HostOperator(None, ("axis",), lambda a, at: np.concatenate(a, at["axis"]), _sum),
    "pad": HostOperator(1, ("pads", "value"), _padded, _framed),
    "slice": HostOperator(1, ("begins", "counts", "steps"), _sliced, _parts),
    "resize": HostOperator(1, ("columns", "rows"), _resized, _chosen),
    "im2col": HostOperator(
        1, ("dilations", "kernel", "pads", "strides", "value"), _im2col, _gathered
    ),
    # uint8 as int8 and back: 128 less or more
    "recode": HostOperator(
        1, (), lambda a, _: (a[0] ^ np.array(128, np.uint8).astype(a[0].dtype)).view(
            "int8" if a[0].dtype == np.uint8 else "uint8"), _same
    ),
    "gather": HostOperator(2, ("axis",), gather, gathered),
    "where": HostOperator(3, (), where, _broadcast),
    "cast": HostOperator(1, ("to",), cast, _same),
    "layer_norm": HostOperator(4, ("axis",), layer_norm, _broadcast, real=True),
    "reduce_sum": HostOperator(1, ("axes",), reduce_sum, _reduced, real=True),
    "reduce_max": HostOperator(
        1, ("axes",), lambda a, at: a[0].max(axis=tuple(at["axes"]), keepdims=True), _reduced
    ),
    "reduce_min": HostOperator(
        1, ("axes",), lambda a, at: a[0].min(axis=tuple(at["axes"]), keepdims=True), _reduced
    ),
    "arg_max": HostOperator(1, ("axis", "last"), _placed, _without_axis),
    "arg_min": HostOperator(1, ("axis", "last"), _least_placed, _without_axis),
    "resample": HostOperator(5, (), _resampled, _tapped, real=True),
    **{
        name: HostOperator(2, (), _compared(function), _broadcast)
        for name, function in COMPARISONS.items()
    },
    **{
        name: HostOperator(1 if name == "logical_not" else 2, (), _logical(function), _broadcast)
        for name, function in LOGICAL.items()
    },
    "lookup": HostOperator(2, ("axis",), _lookup, _same),
    **{
        name: HostOperator(1, (), _real(function), _same, real=True)
        for name, function in UNARY.items()
    },
    **{
        name: HostOperator(2, (), _real(function), _broadcast, real=True)
        for name, function in BINARY.items()
    },
}  # fmt: skip
"""Every operator of the host by name; those of network files are these and no others."""


def run_host_operator(
    name: str, arrays: Sequence[Array], attributes: Mapping[str, HostAttribute]
) -> Array:
    """The result of a host operator.

    Parameters
    ----------
    name : str
        One of :data:`HOST_OPERATORS`.
    arrays : sequence of ndarray
        Its inputs.
    attributes : mapping
        Exactly those that it takes.

    Raises
    ------
    NetworkError
        If there is no such operator, the inputs or attributes are not its, or do not fit.
    """
    row = HOST_OPERATORS.get(name)
    if row is None:
        raise NetworkError(f"no host operator {name!r}; must be one of {', '.join(HOST_OPERATORS)}")
    if (row.inputs is not None and len(arrays) != row.inputs) or not arrays:
        raise NetworkError(f"host operator {name}: {len(arrays)} inputs; must be {row.inputs}")
    if sorted(attributes) != sorted(row.attributes):
        raise NetworkError(
            f"host operator {name}: attributes {sorted(attributes)}; must be "
            f"{sorted(row.attributes)}"
        )
    try:
        return np.asarray(row.run(arrays, attributes), order="C")  # scalars stay scalars
    except (ValueError, TypeError, IndexError, TensorError) as error:
        shapes = ", ".join(f"{array.dtype} {array.shape}" for array in arrays)
        raise NetworkError(f"host operator {name} of {shapes}: {error}") from None
