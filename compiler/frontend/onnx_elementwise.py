"""ONNX operators that work element by element: what they are made of in the graph."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt

import numpy as np

from vta.compiler.frontend.onnx_import import Importer, OnnxNode
from vta.compiler.graph.ir import Tensor
from vta.host_elementwise import INTEGER_BINARY
from vta.host_operators import run_host_operator

__all__ = ["ELEMENTWISE", "elementwise"]

Handler = Callable[[Importer, OnnxNode], None]

_COMPUTED = {"real_add": "add", "real_multiply": "multiply"}
"""Of two tensors that are computed, these may run on the accelerator."""


def elementwise(
    importer: Importer, node: OnnxNode, kind: str, *operands: Tensor | float,
    output: str | None = None,
) -> Tensor:  # fmt: skip
    """``kind`` of its operands, which are broadcast; without ``output`` an inner tensor.

    Raises
    ------
    ModelError
        If operands are neither float32 nor integers of one type that ``kind`` takes, or shapes do
        not fit.
    """
    own = output or importer.unused(f"{node.outputs[0]}.{kind}")
    tensors = [_tensor(importer, own, operand) for operand in operands]
    dtype = tensors[0].dtype
    for tensor in tensors:
        fits = tensor.dtype in ("int32", "int64") and kind in INTEGER_BINARY
        if tensor.dtype != "float32" and not fits:
            allowed = "float32, int32 or int64" if kind in INTEGER_BINARY else "float32"
            name = importer.called(tensor)
            raise node.error(f"{name} is {tensor.dtype}; must be {allowed}")
        if tensor.dtype != dtype:
            name = importer.called(tensor)
            raise node.error(f"{name} is {tensor.dtype}; must be {dtype}, as the first is")
    if all(tensor.is_constant for tensor in tensors):
        values = [tensor.values for tensor in tensors if tensor.values is not None]
        return importer.add_constant(own, run_host_operator(kind, values, {}), of_file=True)
    try:
        shape = np.broadcast_shapes(*(tensor.shape for tensor in tensors))
    except ValueError:
        shapes = " and ".join(str(tensor.shape) for tensor in tensors)
        raise node.error(f"shapes {shapes} must be broadcast to one") from None
    if dtype == "float32" and not any(tensor.is_constant for tensor in tensors):
        kind = _COMPUTED.get(kind, kind)
    names = [tensor.name for tensor in tensors]
    suffix = "" if output else f".{kind}"
    return importer.add(node, kind, names, shape, output=own, suffix=suffix, dtype=dtype)


def _tensor(importer: Importer, name: str, operand: Tensor | float) -> Tensor:
    if isinstance(operand, Tensor):
        return operand
    return importer.add_constant(f"{name}.constant", np.array(operand, np.float32))


def _of_two(kind: str) -> Handler:
    def handler(importer: Importer, node: OnnxNode) -> None:
        node.require()
        a, b = importer.tensor(node, 0), importer.tensor(node, 1)
        elementwise(importer, node, kind, a, b, output=node.outputs[0])

    return handler


def _of_several(kind: str) -> Handler:
    """Max, Min and Sum take any number of operands."""

    def handler(importer: Importer, node: OnnxNode) -> None:
        node.require()
        found = importer.tensor(node, 0)
        if len(node.inputs) == 1:
            importer.add(node, "reshape", [found.name], found.shape)
        for index in range(1, len(node.inputs)):
            last = index == len(node.inputs) - 1
            found = elementwise(
                importer, node, kind, found, importer.tensor(node, index),
                output=node.outputs[0] if last else None,
            )  # fmt: skip

    return handler


def _of_one(kind: str) -> Handler:
    def handler(importer: Importer, node: OnnxNode) -> None:
        node.require()
        elementwise(importer, node, kind, importer.tensor(node, 0), output=node.outputs[0])

    return handler


def _gate(importer: Importer, node: OnnxNode, data: Tensor, alpha: float, beta: float,
          output: str | None = None) -> Tensor:  # fmt: skip
    """``clip(alpha * data + beta, 0, 1)``."""
    line = elementwise(importer, node, "real_multiply", data, alpha)
    line = elementwise(importer, node, "real_add", line, beta)
    line = elementwise(importer, node, "maximum", line, 0.0)
    return elementwise(importer, node, "minimum", line, 1.0, output=output)


def _hard_sigmoid(importer: Importer, node: OnnxNode) -> None:
    node.require("alpha", "beta")
    alpha, beta = node.value("alpha", 0.2), node.value("beta", 0.5)
    _gate(importer, node, importer.tensor(node, 0), alpha, beta, node.outputs[0])


def _hard_swish(importer: Importer, node: OnnxNode) -> None:
    node.require()
    data = importer.tensor(node, 0)
    gate = _gate(importer, node, data, 1 / 6, 0.5)
    elementwise(importer, node, "real_multiply", data, gate, output=node.outputs[0])


def _rectifier(importer: Importer, node: OnnxNode, slope: Tensor | float) -> None:
    """``max(data, 0) + slope * min(data, 0)``."""
    data = importer.tensor(node, 0)
    below = elementwise(importer, node, "minimum", data, 0.0)
    scaled = elementwise(importer, node, "real_multiply", below, slope)
    above = elementwise(importer, node, "maximum", data, 0.0)
    elementwise(importer, node, "real_add", above, scaled, output=node.outputs[0])


def _leaky_relu(importer: Importer, node: OnnxNode) -> None:
    node.require("alpha")
    _rectifier(importer, node, node.value("alpha", 0.01))


def _prelu(importer: Importer, node: OnnxNode) -> None:
    node.require()
    _rectifier(importer, node, importer.tensor(node, 1))


def _gelu(importer: Importer, node: OnnxNode) -> None:
    """``x / 2 * (1 + erf(x / sqrt(2)))``, or by tanh."""
    node.require("approximate")
    kind = node.value("approximate", "none", "none", "tanh")
    data = importer.tensor(node, 0)
    if kind == "none":
        inner = elementwise(importer, node, "real_multiply", data, sqrt(0.5))
        inner = elementwise(importer, node, "erf", inner)
    else:
        cube = elementwise(importer, node, "power", data, 3.0)
        cube = elementwise(importer, node, "real_multiply", cube, 0.044715)
        inner = elementwise(importer, node, "real_add", data, cube)
        inner = elementwise(importer, node, "real_multiply", inner, sqrt(2 / np.pi))
        inner = elementwise(importer, node, "tanh", inner)
    inner = elementwise(importer, node, "real_add", inner, 1.0)
    inner = elementwise(importer, node, "real_multiply", inner, 0.5)
    elementwise(importer, node, "real_multiply", data, inner, output=node.outputs[0])


ELEMENTWISE: dict[tuple[str, str], Handler] = {
    ("", "Abs"): _of_one("absolute"),
    ("", "Add"): _of_two("real_add"),
    ("", "Div"): _of_two("divide"),
    ("", "Erf"): _of_one("erf"),
    ("", "Exp"): _of_one("exp"),
    ("", "Gelu"): _gelu,
    ("", "HardSigmoid"): _hard_sigmoid,
    ("", "HardSwish"): _hard_swish,
    ("", "LeakyRelu"): _leaky_relu,
    ("", "Log"): _of_one("log"),
    ("", "Max"): _of_several("maximum"),
    ("", "Min"): _of_several("minimum"),
    ("", "Mul"): _of_two("real_multiply"),
    ("", "Neg"): _of_one("negative"),
    ("", "PRelu"): _prelu,
    ("", "Pow"): _of_two("power"),
    ("", "Reciprocal"): _of_one("reciprocal"),
    ("", "Sigmoid"): _of_one("sigmoid"),
    ("", "Sqrt"): _of_one("sqrt"),
    ("", "Sub"): _of_two("subtract"),
    ("", "Sum"): _of_several("real_add"),
    ("", "Tanh"): _of_one("tanh"),
}
"""By domain and operator."""
