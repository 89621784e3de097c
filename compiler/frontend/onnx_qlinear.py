"""ONNX operators on stored integers: their operator on real numbers between ``dequantize`` and
``quantize``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import prod

import numpy as np

from vta.compiler.frontend.onnx_elementwise import ELEMENTWISE, elementwise
from vta.compiler.frontend.onnx_import import Importer, OnnxNode
from vta.compiler.frontend.onnx_matrices import MATRICES, add_matmul
from vta.compiler.frontend.onnx_movement import MOVEMENT
from vta.compiler.frontend.onnx_quantisation import quantisation
from vta.compiler.frontend.onnx_softmax import SOFTMAX
from vta.compiler.frontend.onnx_windows import POOLS, add_conv
from vta.compiler.graph.ir import Tensor

__all__ = ["QLINEAR"]

Handler = Callable[[Importer, OnnxNode], None]


def _real(importer: Importer, node: OnnxNode, index: int, *, axis: int = 0) -> str:
    """A quantised input of a QLinear operator (data, scale, zero point) as real numbers."""
    data = importer.tensor(node, index)
    names, _ = quantisation(importer, node, index + 1, index + 2, data, data.dtype)
    scales = importer.tensors[names[0]]
    if prod(scales.shape) > 1 and (len(scales.shape) != 1 or data.shape[axis] != scales.shape[0]):
        raise node.error(f"{prod(scales.shape)} scales for {data.name} of shape {data.shape}")
    real = importer.add(
        node, "dequantize", [data.name, *names], data.shape,
        output=importer.unused(f"{data.name}.real"), suffix=f".input_{index}", axis=axis,
    )  # fmt: skip
    return real.name


def _stored(importer: Importer, node: OnnxNode, index: int, real: Tensor) -> None:
    """The result of a QLinear operator: ``real`` stored by scale and zero point at ``index``."""
    names, dtype = quantisation(importer, node, index, index + 1, real, "uint8")
    importer.add(
        node, "quantize", [real.name, *names], real.shape, dtype=dtype, suffix=".output", axis=0
    )


def _real_bias(importer: Importer, node: OnnxNode, index: int) -> str:
    """A bias in units of the products, as real numbers: scales are at 1 and 4."""
    bias = importer.constant(node, index, "the bias")
    name = node.inputs[index]
    scale = importer.constant(node, 1, "the scale").reshape(-1)
    scales = scale * importer.constant(node, 4, "the scale").reshape(-1)
    scaled = importer.add_constant(f"{name}.scale", scales.astype(np.float32))
    zero = importer.add_constant(f"{name}.zero", np.zeros(scaled.shape, np.int32))
    return importer.add(
        node, "dequantize", [name, scaled.name, zero.name], bias.shape,
        output=importer.unused(f"{name}.real"), suffix=f".input_{index}", axis=0,
    ).name  # fmt: skip


def _qlinear_conv(importer: Importer, node: OnnxNode) -> None:
    node.require("auto_pad", "dilations", "group", "kernel_shape", "pads", "strides")
    names = [_real(importer, node, 0), _real(importer, node, 3)]
    if importer.has(node, 8):
        names.append(_real_bias(importer, node, 8))
    real = importer.unused(f"{node.outputs[0]}.real")
    add_conv(importer, node, names, real)
    _stored(importer, node, 6, importer.tensors[real])


def _qlinear_matmul(importer: Importer, node: OnnxNode) -> None:
    node.require()
    names = [_real(importer, node, 0), _real(importer, node, 3, axis=1)]
    real = importer.unused(f"{node.outputs[0]}.real")
    add_matmul(importer, node, names, output=real)
    _stored(importer, node, 6, importer.tensors[real])


def _qlinear_add(importer: Importer, node: OnnxNode) -> None:
    node.require()
    names = [_real(importer, node, 0), _real(importer, node, 3)]
    operands = [importer.tensors[name] for name in names]
    real = importer.unused(f"{node.outputs[0]}.real")
    _stored(importer, node, 6, elementwise(importer, node, "real_add", *operands, output=real))


def _qlinear_mul(importer: Importer, node: OnnxNode) -> None:
    node.require()
    names = [_real(importer, node, 0), _real(importer, node, 3)]
    operands = [importer.tensors[name] for name in names]
    real = importer.unused(f"{node.outputs[0]}.real")
    found = elementwise(importer, node, "real_multiply", *operands, output=real)
    _stored(importer, node, 6, found)


def _qlinear_concat(importer: Importer, node: OnnxNode) -> None:
    """Scale and zero point of the result, then three inputs for each part."""
    names = [_real(importer, node, index) for index in range(2, len(node.inputs), 3)]
    _between(importer, node, "Concat", MOVEMENT["", "Concat"], names, 0)


def _qgemm(importer: Importer, node: OnnxNode) -> None:
    """Without a scale of the result it is not quantised."""
    node.require("alpha", "transA", "transB")
    by_rows = bool(node.value("transB", 0))
    names = [_real(importer, node, 0), _real(importer, node, 3, axis=0 if by_rows else 1)]
    if importer.has(node, 6):
        node.value("alpha", 1.0, 1.0)
        names.append(_real_bias(importer, node, 6))
    if importer.has(node, 7):
        _between(importer, node, "Gemm", MATRICES["", "Gemm"], names, 7)
    else:
        MATRICES["", "Gemm"](importer, replace(node, kind="Gemm", inputs=tuple(names)))


def _of_one(kind: str, handler: Handler, *, left_out: Mapping[str, int] | None = None) -> Handler:
    """An operator on one tensor of data; ``left_out``: attributes that must have these values."""

    def run(importer: Importer, node: OnnxNode) -> None:
        attributes = dict(node.attributes)
        for name, value in (left_out or {}).items():
            node.value(name, value, value)
            attributes.pop(name, None)
        opset = int(attributes.pop("opset", node.opset)) if kind == "Softmax" else node.opset
        inner = replace(node, attributes=attributes, opset=opset)
        _between(importer, inner, kind, handler, [_real(importer, node, 0)], 3)

    return run


def _between(
    importer: Importer, node: OnnxNode, kind: str, handler: Handler, names: Sequence[str],
    scale: int,
) -> None:  # fmt: skip
    """The operator ``kind`` on real numbers, whose result is stored by the scale at an index."""
    real = importer.unused(f"{node.outputs[0]}.real")
    handler(importer, replace(node, kind=kind, inputs=tuple(names), outputs=(real,)))
    _stored(importer, node, scale, importer.tensors[real])


_LAST = {"channels_last": 0}
QLINEAR: Mapping[tuple[str, str], Handler] = {
    ("", "QLinearConv"): _qlinear_conv,
    ("", "QLinearMatMul"): _qlinear_matmul,
    ("com.microsoft", "QGemm"): _qgemm,
    ("com.microsoft", "QLinearAdd"): _qlinear_add,
    ("com.microsoft", "QLinearAveragePool"): _of_one(
        "AveragePool", POOLS["AveragePool"], left_out=_LAST
    ),
    ("com.microsoft", "QLinearConcat"): _qlinear_concat,
    ("com.microsoft", "QLinearGlobalAveragePool"): _of_one(
        "GlobalAveragePool", POOLS["GlobalAveragePool"], left_out=_LAST
    ),
    ("com.microsoft", "QLinearLeakyRelu"): _of_one("LeakyRelu", ELEMENTWISE["", "LeakyRelu"]),
    ("com.microsoft", "QLinearMul"): _qlinear_mul,
    ("com.microsoft", "QLinearSigmoid"): _of_one("Sigmoid", ELEMENTWISE["", "Sigmoid"]),
    ("com.microsoft", "QLinearSoftmax"): _of_one("Softmax", SOFTMAX["", "Softmax"]),
}
"""By domain and operator."""
