"""ONNX nodes that compute with constants alone: chains of shapes, and weights in another form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from vta.errors import ModelError

__all__ = ["FOLDED", "MAX_FOLDED", "folded", "live_nodes"]

Array = npt.NDArray[Any]

MAX_FOLDED = 1 << 26
"""Elements of a constant that is computed."""
FOLDED = frozenset((
    "Abs", "Add", "And", "Cast", "Ceil", "Concat", "ConstantOfShape", "Div", "Equal", "Expand",
    "Flatten", "Floor", "Gather", "Greater", "GreaterOrEqual", "Identity", "Less", "LessOrEqual",
    "Max", "Min", "Mod", "Mul", "Neg", "Not", "Or", "Pow", "QuantizeLinear", "Range", "Reciprocal",
    "ReduceMax", "ReduceMin", "ReduceProd", "ReduceSum", "Reshape", "Slice", "Split", "Sqrt",
    "Squeeze", "Sub", "Tile", "Transpose", "Trilu", "Unsqueeze", "Where",
))  # fmt: skip
"""Operators whose results are constants if all inputs are."""
_GROWING = ("ConstantOfShape", "Expand", "Range", "Tile")
"""Operators whose results can be larger than all inputs together."""
_REFUSED = (
    onnx.shape_inference.InferenceError, ArithmeticError, IndexError, RuntimeError, TypeError,
    ValueError,
)  # fmt: skip
"""What shape inference and the reference implementation raise for inputs that do not fit."""


def live_nodes(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """The nodes that an output of the graph is made of, in order."""
    needed = {value.name for value in graph.output}
    found: list[onnx.NodeProto] = []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            found.append(node)
            needed.update(node.input)
    return found[::-1]


def folded(
    node: onnx.NodeProto, versions: Sequence[onnx.OperatorSetIdProto], inputs: Mapping[str, Array]
) -> list[Array]:
    """The results of a node with constant inputs, by the reference implementation of ONNX.

    Parameters
    ----------
    node : NodeProto
        One of :data:`FOLDED`.
    versions : sequence of OperatorSetIdProto
        Of the model.
    inputs : mapping of str to ndarray
        The values of all inputs.

    Raises
    ------
    ModelError
        If shapes or types do not fit, or a result has more than :data:`MAX_FOLDED` elements.
    """
    name = f"node {node.name or node.output[0]} ({node.op_type})"
    outputs = [helper.make_empty_tensor_value_info(output) for output in node.output if output]
    graph = helper.make_graph(
        [node], "constants", [], outputs,
        [numpy_helper.from_array(values, key) for key, values in inputs.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=list(versions))
    try:
        inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
        for value in inferred.graph.output:
            dims = value.type.tensor_type.shape.dim
            unknown = not all(dim.HasField("dim_value") for dim in dims)
            shape = tuple(dim.dim_value for dim in dims)
            if prod(shape) > MAX_FOLDED or (unknown and node.op_type in _GROWING):
                raise ModelError(
                    f"{name}: the constant {value.name} has shape {shape}; must have at most "
                    f"{MAX_FOLDED} elements"
                )
        with np.errstate(all="ignore"):
            found = ReferenceEvaluator(model).run(None, {})
    except _REFUSED as error:
        text = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(f"{name}: cannot compute the constant: {text[:300]}") from None
    return [np.asarray(values) for values in found]
