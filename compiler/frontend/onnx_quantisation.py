"""QuantizeLinear and DequantizeLinear, and the scales and zero points of quantised operators."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import prod

import numpy as np
from onnx import TensorProto

from vta.compiler.frontend.onnx_import import Importer, OnnxNode
from vta.compiler.graph.ir import Tensor

__all__ = ["QUANTISATION", "on_stored", "quantisation"]

Handler = Callable[[Importer, OnnxNode], None]


def quantisation(
    importer: Importer, node: OnnxNode, scale: int, zero: int, data: Tensor, default: str
) -> tuple[list[str], str]:
    """Names of scale and zero point, which are checked, and the type of the stored integers."""
    scales = importer.constant(node, scale, "the scale")
    if scales.dtype != np.float32 or not (scales > 0).all() or not scales.size:
        raise node.error(f"the scale ({node.inputs[scale]}) must be positive numbers in float32")
    if importer.has(node, zero):
        zeros = importer.tensors[node.inputs[zero]]
        importer.constant(node, zero, "the zero point")
    else:
        values = np.zeros(scales.shape, default)
        zeros = importer.add_constant(f"{node.outputs[0]}.zero", values)
    if (
        zeros.shape != scales.shape
        and zeros.values is not None
        and zeros.values.size != scales.size
    ):
        raise node.error(f"{scales.size} scales with a zero point of shape {zeros.shape}")
    return [node.inputs[scale], zeros.name], zeros.dtype


def _axis(node: OnnxNode, data: Tensor, scales: Tensor) -> int:
    count = prod(scales.shape)
    if len(scales.shape) > 1:
        raise node.error(f"scales of shape {scales.shape}; must be one, or one along an axis")
    rank = len(data.shape)
    axis = int(node.value("axis", 1))
    if count == 1:
        return 0
    if not -rank <= axis < rank or data.shape[axis % rank] != count:
        raise node.error(f"{count} scales along axis {axis} of a tensor of shape {data.shape}")
    return axis % rank


def _quantize(importer: Importer, node: OnnxNode) -> None:
    node.require("axis", "saturate", "output_dtype", "block_size", "precision")
    node.value("block_size", 0, 0)
    node.value("precision", 0, 0, TensorProto.FLOAT)
    kinds = {0: "uint8", TensorProto.UINT8: "uint8", TensorProto.INT8: "int8"}
    kind = node.value("output_dtype", 0, *kinds)
    data = importer.tensor(node, 0)
    names, dtype = quantisation(importer, node, 1, 2, data, kinds[kind])
    if kind and dtype != kinds[kind]:
        raise node.error(f"attribute output_dtype is {kinds[kind]}, but the zero point is {dtype}")
    if dtype not in ("int8", "uint8"):
        raise node.error(f"stores {dtype}; must be int8 or uint8")
    axis = _axis(node, data, importer.tensors[names[0]])
    importer.add(node, "quantize", [data.name, *names], data.shape, dtype=dtype, axis=axis)


def _dequantize(importer: Importer, node: OnnxNode) -> None:
    node.require("axis", "block_size", "output_dtype")
    node.value("block_size", 0, 0)
    node.value("output_dtype", 0, 0, TensorProto.FLOAT)
    data = importer.tensor(node, 0)
    names, _ = quantisation(importer, node, 1, 2, data, data.dtype)
    axis = _axis(node, data, importer.tensors[names[0]])
    importer.add(node, "dequantize", [data.name, *names], data.shape, axis=axis)


_MOVING = ("reshape", "transpose", "slice", "expand", "gather")


def _parameters(importer: Importer, tensor: Tensor) -> tuple[str, ...] | None:
    """Scale and zero point of stored integers, as the ``quantize`` that they come from has them."""
    name = tensor.name
    while True:
        source = next((node for node in importer.nodes if node.outputs == (name,)), None)
        if source is None:
            return None
        if source.operator == "quantize":
            return (
                source.inputs[1:]
                if importer.tensors[source.inputs[1]].shape in ((), (1,))
                else None
            )
        if source.operator not in _MOVING:
            return None
        name = source.inputs[0]


def on_stored(handler: Handler) -> Handler:
    """An importer of an operator that keeps the scale of its data: stored integers are dequantised
    before it and quantised behind it."""

    def either(importer: Importer, node: OnnxNode) -> None:
        data = importer.tensor(node, 0)
        if data.dtype == "float32":
            handler(importer, node)
            return
        parameters = _parameters(importer, data) if data.dtype in ("int8", "uint8") else None
        if parameters is None:
            raise node.error(
                f"{data.name} is {data.dtype}; must be float32, or the integers of a quantised "
                f"tensor with one scale"
            )
        real = importer.add(
            node, "dequantize", [data.name, *parameters], data.shape, suffix=".input", axis=0,
            output=importer.unused(f"{data.name}.real"),
        )  # fmt: skip
        found = importer.unused(f"{node.outputs[0]}.real")
        inner = replace(
            node, inputs=(real.name, *node.inputs[1:]), outputs=(found, *node.outputs[1:])
        )
        handler(importer, inner)
        importer.add(
            node, "quantize", [found, *parameters], importer.tensors[found].shape,
            dtype=data.dtype, suffix=".output", axis=0,
        )  # fmt: skip

    return either


QUANTISATION: Mapping[tuple[str, str], Handler] = {
    (domain, f"{kind}Linear"): handler
    for domain in ("", "com.microsoft")
    for kind, handler in (("Dequantize", _dequantize), ("Quantize", _quantize))
}
"""By domain and operator."""
