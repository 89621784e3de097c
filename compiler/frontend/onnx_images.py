"""ONNX operators that change the size of images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from vta.compiler.frontend.onnx_import import Importer, OnnxNode
from vta.compiler.frontend.onnx_weights import reordered_weights
from vta.compiler.graph.ir import Tensor

__all__ = ["IMAGES", "require_images"]

Handler = Callable[[Importer, OnnxNode], None]
Places = Callable[[npt.NDArray[Any]], npt.NDArray[Any]]


def require_images(node: OnnxNode, data: Tensor) -> None:
    """Refuse data that are no batch of images."""
    if len(data.shape) != 4:
        raise node.error(
            f"data {data.name} has shape {data.shape}; must be a batch of images (NCHW)"
        )


def _resize(importer: Importer, node: OnnxNode) -> None:
    node.require(
        "antialias", "axes", "coordinate_transformation_mode", "cubic_coeff_a", "exclude_outside",
        "extrapolation_value", "keep_aspect_ratio_policy", "mode", "nearest_mode",
    )  # fmt: skip
    node.value("mode", "nearest", "nearest")
    node.value("antialias", 0, 0)
    node.value("keep_aspect_ratio_policy", "stretch", "stretch")
    data = importer.tensor(node, 0)
    require_images(node, data)
    by_size = importer.has(node, 3)
    given = importer.constant(node, 3, "the size") if by_size else importer.constant(
        node, 2, "the scales"
    )  # fmt: skip
    axes = [axis % 4 for axis in node.value("axes", [0, 1, 2, 3])]
    if len(given) != len(axes):
        raise node.error(f"{len(given)} scales or extents; must be {len(axes)}, one an axis")
    scales, size = [1.0] * 4, list(data.shape)
    for axis, value in zip(axes, given.tolist()):
        scales[axis] = value / data.shape[axis] if by_size else value
        size[axis] = int(value if by_size else np.floor(data.shape[axis] * value))
    if size[:2] != list(data.shape[:2]) or min(size) < 1:
        raise node.error(
            f"the result of {data.name} would have shape {size}; must be NCHW, with "
            f"{data.shape[0]} images and {data.shape[1]} channels"
        )
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
    places: dict[str, Places] = {
        "asymmetric": lambda x: x / scale,
        "half_pixel": lambda x: (x + 0.5) / scale - 0.5,
        "pytorch_half_pixel": lambda x: (x + 0.5) / scale - 0.5 if new > 1 else np.zeros_like(x),
        "align_corners": lambda x: x * (old - 1) / (new - 1) if new > 1 else np.zeros_like(x),
    }
    roundings: dict[str, Places] = {
        "floor": np.floor,
        "ceil": np.ceil,
        "round_prefer_floor": lambda x: np.ceil(x - 0.5),
        "round_prefer_ceil": lambda x: np.floor(x + 0.5),
    }
    place = node.value("coordinate_transformation_mode", "half_pixel", *places)
    rounding = node.value("nearest_mode", "round_prefer_floor", *roundings)
    found = roundings[rounding](places[place](np.arange(new, dtype=np.float32)))
    return tuple(int(index) for index in np.clip(found, 0, old - 1))


def _conv_transpose(importer: Importer, node: OnnxNode) -> None:
    node.require(
        "auto_pad", "dilations", "group", "kernel_shape", "output_padding", "output_shape", "pads",
        "strides",
    )  # fmt: skip
    node.value("auto_pad", "NOTSET", "NOTSET")
    node.value("group", 1, 1)
    node.value("dilations", [1, 1], [1, 1])
    node.value("output_shape", None, None)
    data, kernel = importer.tensor(node, 0), importer.tensor(node, 1)
    require_images(node, data)
    if len(kernel.shape) != 4 or kernel.shape[0] != data.shape[1]:
        raise node.error(
            f"the kernel {kernel.name} has shape {kernel.shape}; must be IOHW with "
            f"{data.shape[1]} input channels"
        )
    taps = list(kernel.shape[2:])
    if node.value("kernel_shape", taps) != taps:
        raise node.error(f"attribute kernel_shape must be {taps}, that of the kernel")
    strides, more = node.value("strides", [1, 1]), node.value("output_padding", [0, 0])
    pads = node.value("pads", [0] * 4)
    if min(strides) < 1 or min(*pads, *more) < 0 or any(a >= b for a, b in zip(more, strides)):
        raise node.error(
            f"strides {strides}, pads {pads}, output_padding {more}; strides must be positive, "
            f"and output_padding less than they are"
        )
    size = [
        (data.shape[2 + k] - 1) * strides[k] + taps[k] + more[k] - pads[k] - pads[k + 2]
        for k in (0, 1)
    ]
    turned = reordered_weights(importer, node, kernel, (1, 0, 2, 3))
    importer.add(
        node, "conv2d_transpose", [data.name, turned.name, *(n for n in node.inputs[2:] if n)],
        (data.shape[0], kernel.shape[1], *size), strides=tuple(strides), pads=tuple(pads),
    )  # fmt: skip


IMAGES: Mapping[tuple[str, str], Handler] = {
    ("", "ConvTranspose"): _conv_transpose,
    ("", "Resize"): _resize,
}
"""By domain and operator."""
