"""One function for each ONNX operator: from a node of the file to nodes of the graph."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np
from onnx import numpy_helper

from vta.compiler.frontend.onnx_activations import ACTIVATIONS
from vta.compiler.frontend.onnx_elementwise import ELEMENTWISE
from vta.compiler.frontend.onnx_images import IMAGES
from vta.compiler.frontend.onnx_import import Importer, OnnxNode
from vta.compiler.frontend.onnx_matrices import MATRICES
from vta.compiler.frontend.onnx_norms import NORMS
from vta.compiler.frontend.onnx_qlinear import QLINEAR
from vta.compiler.frontend.onnx_quantisation import QUANTISATION
from vta.compiler.frontend.onnx_rearrangement import REARRANGEMENTS
from vta.compiler.frontend.onnx_reductions import REDUCTIONS
from vta.compiler.frontend.onnx_sequences import SEQUENCES
from vta.compiler.frontend.onnx_slices import SLICES
from vta.compiler.frontend.onnx_softmax import SOFTMAX
from vta.compiler.frontend.onnx_windows import WINDOWS
from vta.compiler.graph.ir import Tensor

__all__ = ["IMPORTERS"]

Handler = Callable[[Importer, OnnxNode], None]


# ---- clips ---------------------------------------------------------------------------------------


def _relu(importer: Importer, node: OnnxNode) -> None:
    node.require()
    data = importer.tensor(node, 0)
    importer.add(node, "clip", [data.name], data.shape, real_low=0.0, real_high=float("inf"))


def _clip(importer: Importer, node: OnnxNode) -> None:
    node.require()
    data = importer.tensor(node, 0)
    low, high = (
        importer.number(node, index, what) if importer.has(node, index) else default
        for index, what, default in ((1, "min", -float("inf")), (2, "max", float("inf")))
    )  # fmt: skip
    importer.add(node, "clip", [data.name], data.shape, real_low=low, real_high=high)


# ---- data movement -------------------------------------------------------------------------------


def _concat(importer: Importer, node: OnnxNode) -> None:
    node.require("axis")
    parts = [importer.tensor(node, index) for index in range(len(node.inputs))]
    first, dtype = parts[0].shape, parts[0].dtype
    axis = node.axis(node.value("axis", 0), len(first))
    for part in parts:
        rest = (*part.shape[:axis], *part.shape[axis + 1 :])
        if rest != (*first[:axis], *first[axis + 1 :]):
            raise node.error(f"shapes {first} and {part.shape} differ besides axis {axis}")
        if part.dtype != dtype:
            raise node.error(f"{part.name} is {part.dtype}; must be {dtype}, as {parts[0].name}")
    extent = sum(part.shape[axis] for part in parts)
    shape = (*first[:axis], extent, *first[axis + 1 :])
    importer.add(node, "concat", [part.name for part in parts], shape, axis=axis, dtype=dtype)


def _reshape(importer: Importer, node: OnnxNode) -> None:
    data = importer.tensor(node, 0)
    shape = _new_shape(importer, node, data)
    if prod(shape) != prod(data.shape):
        raise node.error(f"cannot give {data.name} of shape {data.shape} the shape {shape}")
    importer.add(node, "reshape", [data.name], shape, dtype=data.dtype)


def _new_shape(importer: Importer, node: OnnxNode, data: Tensor) -> tuple[int, ...]:
    rank = len(data.shape)
    if node.kind == "Flatten":
        node.require("axis")
        axis = node.value("axis", 1)
        axis = rank if axis == rank else node.axis(axis, rank)
        return prod(data.shape[:axis]), prod(data.shape[axis:])
    if node.kind == "Reshape":
        node.require("allowzero")
        node.value("allowzero", 0, 0)
        wanted = importer.integers(node, 1, "the shape")
        shape = [data.shape[n] if not e and n < rank else e for n, e in enumerate(wanted)]
        if shape.count(-1) == 1:
            shape[shape.index(-1)] = prod(data.shape) // max(1, -prod(shape))
        return tuple(shape)
    node.require("axes")
    axes = node.value("axes", None)
    if axes is None and importer.has(node, 1):
        axes = importer.integers(node, 1, "axes")
    if node.kind == "Squeeze":
        gone = [n for n, e in enumerate(data.shape) if e == 1] if axes is None else axes
        gone = node.axes(gone, rank)
        if any(data.shape[axis] != 1 for axis in gone):
            raise node.error(f"axes {gone} of shape {data.shape}; must have extent 1")
        return tuple(e for n, e in enumerate(data.shape) if n not in gone)
    if axes is None:
        raise node.error("axes are missing")
    new = node.axes(axes, rank + len(axes))
    old = iter(data.shape)
    return tuple(1 if n in new else next(old) for n in range(rank + len(axes)))


def _transpose(importer: Importer, node: OnnxNode) -> None:
    node.require("perm")
    data = importer.tensor(node, 0)
    order = tuple(node.value("perm", list(reversed(range(len(data.shape))))))
    if sorted(order) != list(range(len(data.shape))):
        raise node.error(f"attribute perm is {order}; must order {len(data.shape)} axes")
    importer.add(
        node, "transpose", [data.name], [data.shape[axis] for axis in order],
        dtype=data.dtype, order=order,
    )  # fmt: skip


def _same(importer: Importer, node: OnnxNode) -> None:
    """Identity, and Dropout at inference: the result is a reshape to the same shape."""
    node.require("seed", "ratio")
    if len([name for name in node.outputs if name]) > 1:
        raise node.error("has a second result (mask); only the values are supported")
    if importer.has(node, 2) and importer.constant(node, 2, "training_mode").any():
        raise node.error("input training_mode is true; must be false")
    data = importer.tensor(node, 0)
    if data.values is not None:
        importer.tensors[node.outputs[0]] = Tensor(
            node.outputs[0], data.shape, data.dtype, values=data.values
        )
        return
    importer.add(node, "reshape", [data.name], data.shape, dtype=data.dtype)


def _constant(importer: Importer, node: OnnxNode) -> None:
    node.require("value", "value_int", "value_ints", "value_float", "value_floats")
    if len(node.attributes) != 1:
        raise node.error(f"has {len(node.attributes)} values; must have one")
    ((kind, value),) = node.attributes.items()
    if kind == "value":
        values = numpy_helper.to_array(value)
    else:
        values = np.array(value, np.int64 if kind.startswith("value_int") else np.float32)
    importer.add_constant(node.outputs[0], values)


IMPORTERS: dict[tuple[str, str], Handler] = {
    **ACTIVATIONS,
    **ELEMENTWISE,
    **IMAGES,
    **MATRICES,
    **NORMS,
    **QLINEAR,
    **QUANTISATION,
    **REARRANGEMENTS,
    **REDUCTIONS,
    **SEQUENCES,
    **SLICES,
    **SOFTMAX,
    **WINDOWS,
    ("", "Clip"): _clip,
    ("", "Concat"): _concat,
    ("", "Constant"): _constant,
    ("", "Dropout"): _same,
    ("", "Flatten"): _reshape,
    ("", "Identity"): _same,
    ("", "Relu"): _relu,
    ("", "Reshape"): _reshape,
    ("", "Squeeze"): _reshape,
    ("", "Transpose"): _transpose,
    ("", "Unsqueeze"): _reshape,
}
"""By domain and operator."""
