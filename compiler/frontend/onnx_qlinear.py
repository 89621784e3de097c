"""ONNX operators on stored integers: their operator on real numbers between ``dequantize`` and
``quantize``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod

import numpy as np

from vta.compiler.frontend.onnx_elementwise import elementwise
from vta.compiler.frontend.onnx_import import Importer, OnnxNode
from vta.compiler.frontend.onnx_matrices import add_matmul
from vta.compiler.frontend.onnx_quantisation import quantisation
from vta.compiler.frontend.onnx_windows import add_conv
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


def _qlinear_conv(importer: Importer, node: OnnxNode) -> None:
    node.require("auto_pad", "dilations", "group", "kernel_shape", "pads", "strides")
    names = [_real(importer, node, 0), _real(importer, node, 3)]
    if importer.has(node, 8):
        bias = importer.constant(node, 8, "the bias")
        scale = importer.constant(node, 1, "the scale").reshape(-1)
        scales = scale * importer.constant(node, 4, "the scale").reshape(-1)
        scaled = importer.add_constant(f"{node.inputs[8]}.scale", scales.astype(np.float32))
        zero = importer.add_constant(f"{node.inputs[8]}.zero", np.zeros(scaled.shape, np.int32))
        names.append(
            importer.add(
                node, "dequantize", [node.inputs[8], scaled.name, zero.name], bias.shape,
                output=importer.unused(f"{node.inputs[8]}.real"), suffix=".input_8", axis=0,
            ).name
        )  # fmt: skip
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


QLINEAR: Mapping[tuple[str, str], Handler] = {
    ("", "QLinearConv"): _qlinear_conv,
    ("", "QLinearMatMul"): _qlinear_matmul,
    ("com.microsoft", "QLinearAdd"): _qlinear_add,
}
"""By domain and operator."""
