"""ONNX operators that change the size of images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from vta.compiler.frontend.onnx_import import Importer, OnnxNode
from vta.compiler.frontend.onnx_resampling import COORDINATES, coordinates, taps
from vta.compiler.frontend.onnx_signals import on_signals
from vta.compiler.frontend.onnx_weights import transposed_weights
from vta.compiler.graph.ir import Tensor

__all__ = ["IMAGES", "MAX_SIDE", "require_images"]

MAX_SIDE = 1 << 16
"""Pixels of a side of an image that is resized or framed: each has its place in a list."""

Handler = Callable[[Importer, OnnxNode], None]
Places = Callable[[npt.NDArray[Any]], npt.NDArray[Any]]


def require_images(importer: Importer, node: OnnxNode, data: Tensor) -> None:
    """Refuse data that are no batch of images."""
    if len(data.shape) != 4:
        raise node.error(
            f"data {importer.called(data)} has shape {data.shape}; must be a batch of images (NCHW)"
        )


def _resize(importer: Importer, node: OnnxNode) -> None:
    node.require(
        "antialias", "axes", "coordinate_transformation_mode", "cubic_coeff_a", "exclude_outside",
        "extrapolation_value", "keep_aspect_ratio_policy", "mode", "nearest_mode",
    )  # fmt: skip
    mode = node.value("mode", "nearest", "nearest", "linear", "cubic")
    node.value("exclude_outside", 0, 0)
    node.value("antialias", 0, 0)
    node.value("keep_aspect_ratio_policy", "stretch", "stretch")
    data = importer.tensor(node, 0)
    require_images(importer, node, data)
    by_size = importer.has(node, 3)
    given: list[float] = (
        [*importer.integers(node, 3, "the size")] if by_size
        else importer.constant(node, 2, "the scales").reshape(-1).tolist()
    )  # fmt: skip
    axes = node.axes(node.value("axes", [0, 1, 2, 3]), 4)
    if len(given) != len(axes):
        raise node.error(f"{len(given)} scales or extents; must be {len(axes)}, one an axis")
    scales, size = [1.0] * 4, list(data.shape)
    for axis, value in zip(axes, given):
        scales[axis] = value / data.shape[axis] if by_size else value
        size[axis] = int(value if by_size else np.floor(data.shape[axis] * value))
    if size[:2] != list(data.shape[:2]) or min(size) < 1:
        raise node.error(
            f"the result of {data.name} would have shape {size}; must be NCHW, with "
            f"{data.shape[0]} images and {data.shape[1]} channels"
        )
    node.extents(node.outputs[0], size)
    if max(size) > MAX_SIDE:
        raise node.error(f"the result has {size[2]}x{size[3]} pixels; at most {MAX_SIDE} a side")
    if mode != "nearest":
        _resample(importer, node, data, size, scales[2:])
        return
    rows, columns = (
        _nearest(node, old, new, scale)
        for old, new, scale in zip(data.shape[2:], size[2:], scales[2:])
    )
    factors = size[2] // data.shape[2], size[3] // data.shape[3]
    repeated = [
        tuple(np.arange(extent).repeat(factor).tolist())
        for extent, factor in zip(data.shape[2:], factors)
    ]
    if repeated == [rows, columns]:
        importer.add(node, "upsample", [data.name], size, factors=factors)
    else:
        importer.add(node, "resize", [data.name], size, rows=rows, columns=columns)


def _nearest(node: OnnxNode, old: int, new: int, scale: float) -> tuple[int, ...]:
    """Which pixel of the data each of the result is, along one axis."""
    roundings: dict[str, Places] = {
        "floor": np.floor,
        "ceil": np.ceil,
        "round_prefer_floor": lambda x: np.ceil(x - 0.5),
        "round_prefer_ceil": lambda x: np.floor(x + 0.5),
    }
    place = node.value("coordinate_transformation_mode", "half_pixel", *COORDINATES)
    rounding = node.value("nearest_mode", "round_prefer_floor", *roundings)
    found = roundings[rounding](coordinates(place, old, new, scale))
    return tuple(int(index) for index in np.clip(found, 0, old - 1))


def _resample(
    importer: Importer, node: OnnxNode, data: Tensor, size: Sequence[int], scales: Sequence[float]
) -> None:  # fmt: skip
    """Sums of two or four pixels along each axis, on real numbers."""
    place = node.value("coordinate_transformation_mode", "half_pixel", *COORDINATES)
    curve = float(node.value("cubic_coeff_a", -0.75))
    for old, new, scale in zip(data.shape[2:], size[2:], scales):
        if place == "align_corners" and not np.isclose(scale * old, new, atol=1e-4):
            raise node.error(
                f"{scale:g} times {old} pixels with align_corners; must be a whole number, because "
                f"definitions differ otherwise (give sizes in place of scales)"
            )
    index: list[str] = []
    weights: list[str] = []
    for name, old, new, scale in zip(("rows", "columns"), data.shape[2:], size[2:], scales):
        found = taps(node.value("mode", None), coordinates(place, old, new, scale), old, curve)
        for what, values, names in zip(("places", "weights"), found, (index, weights)):
            names.append(importer.add_constant(f"{node.outputs[0]}.{name}.{what}", values).name)
    importer.add(node, "resample", [data.name, *index, *weights], size)


def _conv_transpose(importer: Importer, node: OnnxNode) -> None:
    node.require(
        "auto_pad", "dilations", "group", "kernel_shape", "output_padding", "output_shape", "pads",
        "strides",
    )  # fmt: skip
    node.value("auto_pad", "NOTSET", "NOTSET")
    node.value("output_shape", None, None)
    importer.tensor(node, 1)
    _add_conv_transpose(importer, node, [n for n in node.inputs if n], node.outputs[0])


@on_signals
def _add_conv_transpose(
    importer: Importer, node: OnnxNode, names: Sequence[str], output: str
) -> None:
    data, kernel = (importer.tensors[name] for name in names[:2])
    require_images(importer, node, data)
    node.value("dilations", [1, 1], [1, 1])
    if len(kernel.shape) != 4 or kernel.shape[0] != data.shape[1]:
        raise node.error(
            f"the kernel {importer.called(kernel)} has shape {kernel.shape}; must be IOHW with "
            f"{data.shape[1]} input channels"
        )
    groups = node.value("group", 1)
    if groups < 1 or kernel.shape[0] % groups:
        raise node.error(f"attribute group is {groups}; must divide {kernel.shape[0]} channels")
    taps = list(kernel.shape[2:])
    if node.value("kernel_shape", taps) != taps:
        raise node.error(f"attribute kernel_shape must be {taps}, that of the kernel")
    strides, more = node.value("strides", [1, 1]), node.value("output_padding", [0, 0])
    pads = node.value("pads", [0] * 4)
    if (len(strides), len(more), len(pads)) != (2, 2, 4):
        raise node.error(
            f"strides {strides}, output_padding {more}, pads {pads}; must be 2, 2 and 4 integers"
        )
    if min(strides) < 1 or min(*pads, *more) < 0 or any(a >= b for a, b in zip(more, strides)):
        raise node.error(
            f"strides {strides}, pads {pads}, output_padding {more}; strides must be positive, "
            f"and output_padding less than they are"
        )
    size = [
        (data.shape[2 + k] - 1) * strides[k] + taps[k] + more[k] - pads[k] - pads[k + 2]
        for k in (0, 1)
    ]
    turned = transposed_weights(importer, node, kernel, groups)
    importer.add(
        node, "conv2d_transpose", [data.name, turned.name, *names[2:]],
        (data.shape[0], kernel.shape[1] * groups, *size), strides=tuple(strides),
        pads=tuple(pads), group=groups, output=output,
    )  # fmt: skip


IMAGES: Mapping[tuple[str, str], Handler] = {
    ("", "ConvTranspose"): _conv_transpose,
    ("", "Resize"): _resize,
}
"""By domain and operator."""
