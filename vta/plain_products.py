"""Float ONNX models in the form that onnxruntime's quantiser takes: Gemm without factors."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from vta.float_model import without_unused_constants

__all__ = ["with_plain_products"]

Array = npt.NDArray[np.float32]


def with_plain_products(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model, in which Gemm nodes with constant weights have ``alpha`` and ``beta`` 1, and a
    vector as bias: factors are part of the constants, and a constant summand that differs from row
    to row is an Add behind the product.

    onnxruntime quantises a bias without the factor ``beta``, and fails at one that is no vector.
    """
    constants = {item.name: item for item in model.graph.initializer}
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        nodes.append(node)
        if node.op_type == "Gemm" and node.input[1] in constants:
            nodes += _plain(model, node, constants)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return without_unused_constants(model)


def _plain(
    model: onnx.ModelProto, node: onnx.NodeProto, constants: Mapping[str, onnx.TensorProto]
) -> list[onnx.NodeProto]:
    """Change a Gemm; the nodes behind it."""
    given = {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}
    weights = numpy_helper.to_array(constants[node.input[1]])
    columns = weights.shape[0 if given.get("transB", 0) else 1]
    alpha, beta = np.float32(given.get("alpha", 1)), np.float32(given.get("beta", 1))
    if alpha != 1:
        node.input[1] = _constant(model, f"{node.name}.alpha", weights * alpha)
        _remove(node, "alpha")
    if len(node.input) > 2 and node.input[2] not in constants:
        return []
    _remove(node, "beta")
    if len(node.input) < 3:
        return []
    summand = numpy_helper.to_array(constants[node.input[2]]) * beta
    if summand.size == 1 or summand.shape in ((columns,), (1, columns)):
        if beta != 1 or summand.shape != (columns,):
            vector = np.broadcast_to(summand.reshape(-1), (columns,))
            node.input[2] = _constant(model, f"{node.name}.beta", vector)
        return []
    del node.input[2]
    (result,) = node.output
    node.output[0] = f"{result}.products"
    inputs = [node.output[0], _constant(model, f"{node.name}.summand", summand)]
    return [onnx.helper.make_node("Add", inputs, [result], f"{node.name}.sum")]


def _constant(model: onnx.ModelProto, name: str, values: Array) -> str:
    model.graph.initializer.append(numpy_helper.from_array(np.asarray(values, np.float32), name))
    return name


def _remove(node: onnx.NodeProto, name: str) -> None:
    kept = [item for item in node.attribute if item.name != name]
    del node.attribute[:]
    node.attribute.extend(kept)
