"""ONNX operators that change the size of images."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from vta.compiler.frontend.onnx_import import Importer, OnnxNode
from vta.compiler.graph.ir import Tensor

__all__ = ["IMAGES", "require_images"]

Handler = Callable[[Importer, OnnxNode], None]
Places = npt.NDArray[np.float32]


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
    places = {
        "asymmetric": lambda x: x / scale,
        "half_pixel": lambda x: (x + 0.5) / scale - 0.5,
        "pytorch_half_pixel": lambda x: (x + 0.5) / scale - 0.5 if new > 1 else 0.0 * x,
        "align_corners": lambda x: x * (old - 1) / (new - 1) if new > 1 else 0.0 * x,
    }
    roundings = {
        "floor": np.floor,
        "ceil": np.ceil,
        "round_prefer_floor": lambda x: np.ceil(x - 0.5),
        "round_prefer_ceil": lambda x: np.floor(x + 0.5),
    }
    place = node.value("coordinate_transformation_mode", "half_pixel", *places)
    rounding = node.value("nearest_mode", "round_prefer_floor", *roundings)
    found = roundings[rounding](places[place](np.arange(new, dtype=np.float32)))
    return tuple(int(index) for index in np.clip(found, 0, old - 1))


IMAGES: Mapping[tuple[str, str], Handler] = {
    ("", "Resize"): _resize,
}
"""By domain and operator."""
