"""Float ONNX models whose activations are easier to round: outliers move into the weights.

A few channels of a transformer's activations are far larger than the others, and one scale a tensor
leaves the small ones few steps. ``data @ weights`` is ``(data / s) @ (s * weights)`` for any
positive factor ``s`` of each channel, and weights have steps to spare (SmoothQuant, Xiao et al.,
2023).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from vta.float_model import ELEMENTWISE, REAL_ALWAYS

__all__ = ["smoothed"]

Array = npt.NDArray[Any]
SOURCES = ELEMENTWISE | REAL_ALWAYS
"""Operators whose result is not rounded before the factor."""
STRENGTH = 0.7
"""The share of an outlier, in powers, that the weights take."""


def smoothed(
    model: onnx.ModelProto, largest: Callable[[Sequence[str]], dict[str, Array]]
) -> onnx.ModelProto:
    """The model with a factor for each channel in front of products with constant weights.

    Parameters
    ----------
    model : ModelProto
        Products are Gemm nodes of what elementwise operators or norms compute; in front of them
        may be a Reshape that keeps the last axis.
        ``largest(names)``: of each tensor the largest magnitude along its last axis, on samples.
    """
    constants = {item.name: item for item in model.graph.initializer}
    producers = {name: node for node in model.graph.node for name in node.output}
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    groups: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        weights = constants.get(node.input[1]) if node.op_type == "Gemm" else None
        if weights is None or _flag(node, "transA") or len(readers[weights.name]) > 1:
            continue
        before = producers.get(node.input[0])
        rows = before is not None and before.op_type == "Reshape"
        source = before.input[0] if before is not None and rows else node.input[0]
        if source in producers and producers[source].op_type in SOURCES:
            groups.setdefault(source, []).append(node)
    ranges = largest(list(groups))
    places = {id(node): index for index, node in enumerate(model.graph.node)}
    added: list[tuple[int, onnx.NodeProto]] = []
    for source, products in groups.items():
        kernels = [
            _rows(node, numpy_helper.to_array(constants[node.input[1]])) for node in products
        ]
        data = ranges[source]
        if any(len(kernel) != len(data) for kernel in kernels):
            continue  # the Reshape joins other axes
        factors = _factors(data, np.abs(np.concatenate(kernels, axis=1)).max(axis=1))
        name = f"{source}.smooth"
        inverse = (1 / factors).astype(np.float32)
        model.graph.initializer.append(numpy_helper.from_array(inverse, f"{name}.factors"))
        made = helper.make_node("Mul", [source, f"{name}.factors"], [name], name)
        for node, kernel in zip(products, kernels):
            wide = (kernel * factors[:, None]).astype(np.float32)
            wide = np.ascontiguousarray(wide.T if _flag(node, "transB") else wide)
            constants[node.input[1]].CopyFrom(numpy_helper.from_array(wide, node.input[1]))
            before = producers.get(node.input[0])
            reader = node if node.input[0] == source or before is None else before
            reader.input[0] = name
        added.append((places[id(producers[source])], made))
    nodes = list(model.graph.node)
    for place, made in sorted(added, key=lambda item: -item[0]):
        nodes.insert(place + 1, made)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def _factors(data: Array, weights: Array) -> Array:
    """Positive, 1 in the geometric mean; 1 where a channel is always 0."""
    known = (data > 0) & (weights > 0)
    logs = np.where(known, STRENGTH * np.log(np.where(known, data, 1)), 0.0)
    logs -= np.where(known, (1 - STRENGTH) * np.log(np.where(known, weights, 1)), 0.0)
    middle = logs[known].mean() if known.any() else 0.0
    return np.exp(np.where(known, logs - middle, 0.0))


def _rows(node: onnx.NodeProto, weights: Array) -> Array:
    """Weights as (inputs, outputs)."""
    return weights.T if _flag(node, "transB") else weights


def _flag(node: onnx.NodeProto, name: str) -> bool:
    return any(item.name == name and item.i for item in node.attribute)
