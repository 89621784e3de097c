"""ONNX activation functions, made of functions of the host: of a quantised tensor they become a
table, or operations of the vector ALU."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from vta.compiler.frontend.onnx_elementwise import elementwise
from vta.compiler.frontend.onnx_import import Importer, OnnxNode

__all__ = ["ACTIVATIONS"]

Handler = Callable[[Importer, OnnxNode], None]


def _exponential(importer: Importer, node: OnnxNode, slope: float, alpha: float,
                 width: float) -> None:  # fmt: skip
    """``slope * (max(x, 0) + alpha * (exp(min(x, 0) / width) - 1))``."""
    data = importer.tensor(node, 0)
    below = elementwise(importer, node, "minimum", data, 0.0)
    if width != 1:
        below = elementwise(importer, node, "divide", below, width)
    curve = elementwise(importer, node, "exp", below)
    curve = elementwise(importer, node, "subtract", curve, 1.0)
    curve = elementwise(importer, node, "real_multiply", curve, alpha * slope)
    above = elementwise(importer, node, "maximum", data, 0.0)
    if slope != 1:
        above = elementwise(importer, node, "real_multiply", above, slope)
    elementwise(importer, node, "real_add", above, curve, output=node.outputs[0])


def _elu(importer: Importer, node: OnnxNode) -> None:
    node.require("alpha")
    _exponential(importer, node, 1.0, node.value("alpha", 1.0), 1.0)


def _celu(importer: Importer, node: OnnxNode) -> None:
    node.require("alpha")
    alpha = node.value("alpha", 1.0)
    if not alpha > 0:
        raise node.error(f"attribute alpha is {alpha}; must be positive")
    _exponential(importer, node, 1.0, alpha, alpha)


def _selu(importer: Importer, node: OnnxNode) -> None:
    node.require("alpha", "gamma")
    alpha, gamma = node.value("alpha", 1.6732632423543772), node.value("gamma", 1.0507009873554805)
    _exponential(importer, node, gamma, alpha, 1.0)


def _softplus(importer: Importer, node: OnnxNode, output: str | None = None) -> str:
    """``max(x, 0) + log(1 + exp(-abs(x)))``, which does not overflow."""
    data = importer.tensor(node, 0)
    size = elementwise(importer, node, "absolute", data)
    power = elementwise(importer, node, "exp", elementwise(importer, node, "negative", size))
    logarithm = elementwise(importer, node, "log", elementwise(importer, node, "real_add", power,
                                                               1.0))  # fmt: skip
    above = elementwise(importer, node, "maximum", data, 0.0)
    return elementwise(importer, node, "real_add", above, logarithm, output=output).name


def _softplus_alone(importer: Importer, node: OnnxNode) -> None:
    node.require()
    _softplus(importer, node, node.outputs[0])


def _mish(importer: Importer, node: OnnxNode) -> None:
    """``x * tanh(softplus(x))``."""
    node.require()
    gate = elementwise(importer, node, "tanh", importer.tensors[_softplus(importer, node)])
    data = importer.tensor(node, 0)
    elementwise(importer, node, "real_multiply", data, gate, output=node.outputs[0])


def _softsign(importer: Importer, node: OnnxNode) -> None:
    """``x / (1 + abs(x))``."""
    node.require()
    data = importer.tensor(node, 0)
    size = elementwise(importer, node, "absolute", data)
    size = elementwise(importer, node, "real_add", size, 1.0)
    elementwise(importer, node, "divide", data, size, output=node.outputs[0])


def _swish(importer: Importer, node: OnnxNode) -> None:
    """``x * sigmoid(alpha * x)``."""
    node.require("alpha")
    data = importer.tensor(node, 0)
    inner = elementwise(importer, node, "real_multiply", data, node.value("alpha", 1.0))
    gate = elementwise(importer, node, "sigmoid", inner)
    elementwise(importer, node, "real_multiply", data, gate, output=node.outputs[0])


ACTIVATIONS: Mapping[tuple[str, str], Handler] = {
    ("", "Celu"): _celu,
    ("", "Elu"): _elu,
    ("", "Mish"): _mish,
    ("", "Selu"): _selu,
    ("", "Softplus"): _softplus_alone,
    ("", "Softsign"): _softsign,
    ("", "Swish"): _swish,
}
"""By domain and operator."""
