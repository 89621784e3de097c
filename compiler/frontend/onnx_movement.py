"""ONNX operators that join tensors, and change their shape or the order of axes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod

from vta.compiler.frontend.onnx_import import Importer, OnnxNode
from vta.compiler.graph.ir import Tensor

__all__ = ["MOVEMENT"]

Handler = Callable[[Importer, OnnxNode], None]


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


MOVEMENT: Mapping[tuple[str, str], Handler] = {
    ("", "Concat"): _concat,
    ("", "Flatten"): _reshape,
    ("", "Reshape"): _reshape,
    ("", "Squeeze"): _reshape,
    ("", "Transpose"): _transpose,
    ("", "Unsqueeze"): _reshape,
}
"""By domain and operator."""
