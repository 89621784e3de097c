"""Float ONNX models, made ready for onnxruntime's quantiser: which nodes it leaves alone, and why.

A function of one tensor, as GELU in its parts, is rounded once if no tensor inside it is quantised.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper, version_converter

from vta.errors import ModelError

__all__ = ["left_real", "with_bias_in_convolutions", "with_names", "with_opset", "with_shapes"]

LEAST_OPSET = 13
"""The first one with a scale for each channel."""
ELEMENTWISE = frozenset((
    "Abs", "Add", "Clip", "Div", "Erf", "Exp", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu",
    "Log", "Max", "Min", "Mul", "Neg", "PRelu", "Pow", "Reciprocal", "Relu", "Sigmoid", "Sqrt",
    "Sub", "Tanh",
))  # fmt: skip
_CLIPS = frozenset(("Clip", "Relu"))
_MOVING = frozenset((
    "Flatten", "Gather", "Reshape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze",
))  # fmt: skip
_REAL_ALWAYS = frozenset(("Div", "LayerNormalization", "Pow", "ReduceMean", "Sqrt", "Sub"))
"""Operators that the host runs on real numbers when they read more than one tensor of data."""


def with_shapes(model: onnx.ModelProto, shapes: Mapping[str, Sequence[int]]) -> onnx.ModelProto:
    """A copy of the model with shapes of inputs, by name; inner shapes are inferred again later.

    Raises
    ------
    ModelError
        If there is no such input, or the model has another extent.
    """
    made = onnx.ModelProto()
    made.CopyFrom(model)
    known = {value.name: value for value in made.graph.input}
    for name, shape in shapes.items():
        if name not in known:
            raise ModelError(
                f"a shape is given for {name}; the inputs are {', '.join(sorted(known))}"
            )
        dims = known[name].type.tensor_type.shape.dim
        if len(dims) != len(shape) or any(
            dim.dim_value > 0 and dim.dim_value != extent for dim, extent in zip(dims, shape)
        ):
            have = "x".join(str(dim.dim_value or dim.dim_param or "?") for dim in dims)
            raise ModelError(f"input {name} is given shape {tuple(shape)}; the model has {have}")
        for dim, extent in zip(dims, shape):
            dim.Clear()
            dim.dim_value = extent
    if shapes:
        del made.graph.value_info[:]
        for output in made.graph.output:
            output.type.tensor_type.ClearField("shape")
    return made


def with_opset(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model at opset 13, if it has a lower one.

    Raises
    ------
    ModelError
        If onnx cannot convert it.
    """
    versions = [item.version for item in model.opset_import if item.domain in ("", "ai.onnx")]
    if not versions or versions[0] >= LEAST_OPSET:
        return model
    try:
        return version_converter.convert_version(model, LEAST_OPSET)
    except (RuntimeError, ValueError) as error:
        raise ModelError(
            f"opset {versions[0]}; must be at least {LEAST_OPSET}, and onnx cannot convert it: "
            f"{error}"
        ) from None


def with_names(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model, in which every node has a name of its own."""
    taken: set[str] = set()
    for number, node in enumerate(model.graph.node):
        if not node.name or node.name in taken:
            node.name = f"{node.op_type}_{node.output[0] or number}"
        taken.add(node.name)
    return model


def with_bias_in_convolutions(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model, in which a constant a channel that is added to a transposed convolution is its
    bias."""
    constants = {item.name: item for item in model.graph.initializer}
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    outputs = {value.name for value in model.graph.output}
    for node in list(model.graph.node):
        if node.op_type != "ConvTranspose" or len(node.input) > 2 or node.output[0] in outputs:
            continue
        after = readers.get(node.output[0], [])
        if len(after) != 1 or after[0].op_type != "Add":
            continue
        others = [name for name in after[0].input if name != node.output[0]]
        if len(others) != 1 or others[0] not in constants:
            continue
        values = numpy_helper.to_array(constants[others[0]])
        shape = tuple(constants[node.input[1]].dims) if node.input[1] in constants else ()
        group = next((item.i for item in node.attribute if item.name == "group"), 1)
        if len(shape) != 4 or values.size not in (1, shape[1] * group):
            continue
        if values.size > 1 and (values.ndim < 3 or values.shape[-3] != values.size):
            continue
        bias = np.broadcast_to(values.reshape(-1), (shape[1] * group,)).copy()
        model.graph.initializer.append(numpy_helper.from_array(bias, f"{node.name}.bias"))
        node.input.append(f"{node.name}.bias")
        node.output[0] = after[0].output[0]
        model.graph.node.remove(after[0])
        if len(readers[others[0]]) == 1:
            model.graph.initializer.remove(constants[others[0]])
    return model


def left_real(model: onnx.ModelProto) -> list[str]:
    """The names of nodes that are not quantised themselves; what they read and what reads them is.

    Elementwise functions of one tensor of data (activations in their parts, factors, summands),
    operators that the host runs on real numbers, what moves their results, and a softmax at an
    output. A lone rectifier or clip is quantised, because it becomes part of its producer.
    """
    constants: dict[str, Any] = {item.name: item for item in model.graph.initializer}
    root: dict[str, str] = {}
    """Of the result of an elementwise node of one tensor: that tensor."""
    members: dict[str, list[Any]] = {}
    real: list[str] = []
    results = {value.name for value in model.graph.input}
    """Tensors that are not made of quantised ones."""
    outputs = {value.name for value in model.graph.output}
    for node in model.graph.node:
        if node.op_type == "Constant":
            constants.update(dict.fromkeys(node.output))
            continue
        data = [name for name in node.input if name and name not in constants]
        if node.op_type in ELEMENTWISE and data:
            roots = {root.get(name, name) for name in data}
            if len(roots) == 1:
                root[node.output[0]] = (only := roots.pop())
                members.setdefault(only, []).append(node)
                if only in results:
                    results.add(node.output[0])
                continue
        if (
            (node.op_type in _REAL_ALWAYS and not _averages_images(node, constants))
            or (node.op_type in _MOVING and data and data[0] in results)
            or (node.op_type == "Softmax" and node.output[0] in outputs)
        ):
            real.append(node.name)
            results.update(node.output)
    for nodes in members.values():
        if any(node.op_type not in _CLIPS for node in nodes):
            real += [node.name for node in nodes]
    return real


def _averages_images(node: onnx.NodeProto, constants: Mapping[str, Any]) -> bool:
    """Whether a node is the mean of height and width, which the accelerator computes."""
    if node.op_type != "ReduceMean":
        return False
    axes = next((list(item.ints) for item in node.attribute if item.name == "axes"), None)
    if len(node.input) > 1 and constants.get(node.input[1]) is not None:
        axes = numpy_helper.to_array(constants[node.input[1]]).tolist()
    return axes is not None and {axis % 4 for axis in axes} == {2, 3}
