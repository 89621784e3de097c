"""Float ONNX models, made ready for onnxruntime's quantiser: which nodes it leaves alone, and why.

A function of one tensor, as GELU in its parts, is rounded once if no tensor inside it is quantised.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper, version_converter

from vta.compiler.frontend.onnx_model import completed_shapes
from vta.errors import ModelError

__all__ = [
    "REAL_ALWAYS",
    "left_real",
    "read_by_real_only",
    "with_bias_in_convolutions",
    "with_bias_in_products",
    "with_names",
    "with_norms_as_convolutions",
    "with_opset",
    "with_outputs_apart",
    "with_shapes",
    "with_sums_of_two",
    "without_bias_in_groups",
    "without_unused_constants",
]

LEAST_OPSET = 13
"""The first one with a scale for each channel."""
ELEMENTWISE = frozenset((
    "Abs", "Add", "BatchNormalization", "Celu", "Clip", "Div", "Elu", "Erf", "Exp", "Gelu",
    "HardSigmoid", "HardSwish", "LeakyRelu", "Log", "Max", "Min", "Mish", "Mul", "Neg", "PRelu",
    "Pow", "Reciprocal", "Relu", "Selu", "Sigmoid", "Softplus", "Softsign", "Sqrt", "Sub", "Swish",
    "Tanh",
))  # fmt: skip
_CLIPS = frozenset(("Clip", "Relu"))
_MOVING = frozenset((
    "Flatten", "Gather", "Reshape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze",
))  # fmt: skip
REAL_ALWAYS = frozenset((
    "ArgMax", "ArgMin", "Cast", "Div", "Expand", "GroupNormalization", "InstanceNormalization",
    "LayerNormalization", "LogSoftmax", "LpNormalization", "Pow", "ReduceL2", "ReduceMax",
    "ReduceMean", "ReduceMin", "ReduceSum", "Softmax", "Sqrt", "Sub", "Where",
))  # fmt: skip
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
    for name, shape in completed_shapes(made, shapes).items():
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


def with_norms_as_convolutions(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model, in which batch norms of images, that no convolution in front takes in, are
    convolutions of one tap and one channel each; the shapes must be known."""
    inferred = onnx.shape_inference.infer_shapes(model)
    ranks = {
        value.name: len(value.type.tensor_type.shape.dim)
        for value in (*inferred.graph.value_info, *inferred.graph.input)
    }
    constants = {item.name: item for item in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type != "BatchNormalization" or ranks.get(node.input[0]) != 4:
            continue
        if len(node.output) > 1 or any(name not in constants for name in node.input[1:]):
            continue
        scale, bias, mean, variance = (
            numpy_helper.to_array(constants[name]).astype(np.float64) for name in node.input[1:]
        )
        given = {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}
        factor = scale / np.sqrt(variance + given.get("epsilon", 1e-5))
        values = {"factor": factor.reshape(-1, 1, 1, 1), "summand": bias - mean * factor}
        inputs = [node.input[0]]
        for name, array in values.items():
            inputs.append(f"{node.name}.{name}")
            tensor = numpy_helper.from_array(array.astype(np.float32), inputs[-1])
            model.graph.initializer.append(tensor)
        node.CopyFrom(
            onnx.helper.make_node(
                "Conv", inputs, list(node.output), node.name, kernel_shape=[1, 1], group=factor.size
            )
        )
    return without_unused_constants(model)


def without_unused_constants(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model without the constants that no node reads."""
    used = {name for node in model.graph.node for name in node.input}
    kept = [item for item in model.graph.initializer if item.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    return model


def with_outputs_apart(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model, in which an output that a rectifier or clip reads is a copy of what that reads:
    onnxruntime would give the output the range of the rectifier's result."""
    outputs = {value.name for value in model.graph.output}
    clipped = {
        node.input[0]: node
        for node in model.graph.node
        if node.op_type in _CLIPS and node.input[0] in outputs
    }
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        nodes.append(node)
        for index, name in enumerate(node.output):
            if name not in clipped:
                continue
            node.output[index] = clipped[name].input[0] = f"{name}.computed"
            own = f"{node.name}.output_{index}"
            nodes.append(onnx.helper.make_node("Identity", [node.output[index]], [name], own))
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def with_sums_of_two(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model, in which a Sum is an Add of two tensors after the other."""
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        if node.op_type != "Sum" or len(node.input) < 2:
            nodes.append(node)
            continue
        before = node.input[0]
        for number, name in enumerate(node.input[1:], 1):
            last = number == len(node.input) - 1
            result = node.output[0] if last else f"{node.output[0]}.{number}"
            own = node.name if last else f"{node.name}.{number}"
            nodes.append(onnx.helper.make_node("Add", [before, name], [result], own))
            before = result
    del model.graph.node[:]
    model.graph.node.extend(nodes)
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
        if group > 1 and shape[1] > 1:
            continue  # onnxruntime does not quantise such a bias
        bias = np.broadcast_to(values.reshape(-1), (shape[1] * group,)).copy()
        model.graph.initializer.append(numpy_helper.from_array(bias, f"{node.name}.bias"))
        node.input.append(f"{node.name}.bias")
        node.output[0] = after[0].output[0]
        model.graph.node.remove(after[0])
        if len(readers[others[0]]) == 1:
            model.graph.initializer.remove(constants[others[0]])
    return model


def without_bias_in_groups(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model, in which the bias of a transposed convolution in groups of several channels is a
    sum behind it: onnxruntime has scales for the channels of one group, and fails at the bias."""
    constants = {item.name: item for item in model.graph.initializer}
    nodes = []
    for node in model.graph.node:
        nodes.append(node)
        if node.op_type != "ConvTranspose" or len(node.input) < 3 or not node.input[2]:
            continue
        kernel, bias = (constants.get(name) for name in node.input[1:3])
        group = next((item.i for item in node.attribute if item.name == "group"), 1)
        if kernel is None or bias is None or group == 1 or kernel.dims[1] == 1:
            continue
        values = numpy_helper.to_array(bias).reshape(1, -1, *(1 for _ in kernel.dims[2:]))
        name = f"{node.name or node.output[0]}.bias"
        model.graph.initializer.append(numpy_helper.from_array(values, name))
        result = node.output[0]
        node.output[0] = f"{result}.products"
        del node.input[2]
        nodes.append(onnx.helper.make_node("Add", [node.output[0], name], [result], f"{name}.sum"))
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def with_bias_in_products(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model, in which a constant vector that is added to the product of rows of any number of
    dimensions and constant weights is the bias of a Gemm; the shapes must be known."""
    inferred = onnx.shape_inference.infer_shapes(model)
    shapes = {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*inferred.graph.value_info, *inferred.graph.input, *inferred.graph.output)
    }
    constants = {item.name: item for item in model.graph.initializer}
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    outputs = {value.name for value in model.graph.output}
    gone: set[str] = set()
    replaced: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        after = readers.get(node.output[0], [])
        if node.op_type != "MatMul" or len(after) != 1 or after[0].op_type != "Add":
            continue
        weights = constants.get(node.input[1])
        others = [name for name in after[0].input if name != node.output[0]]
        bias = constants.get(others[0]) if len(others) == 1 else None
        rows, result = shapes.get(node.input[0], []), shapes.get(after[0].output[0], [])
        if weights is None or bias is None or node.output[0] in outputs or len(rows) < 3:
            continue
        if len(weights.dims) != 2 or list(bias.dims) != [weights.dims[1]]:
            continue
        if min((*rows, *result)) < 1 or result != [*rows[:-1], weights.dims[1]]:
            continue
        gone.add(after[0].name)
        replaced[node.name] = _gemm(model, node, [weights.name, bias.name], result, after[0])
    nodes = [
        made
        for node in model.graph.node
        if node.name not in gone
        for made in replaced.get(node.name, [node])
    ]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def _gemm(
    model: onnx.ModelProto, product: onnx.NodeProto, constants: Sequence[str],
    result: Sequence[int], summed: onnx.NodeProto,
) -> list[onnx.NodeProto]:  # fmt: skip
    """Rows as a matrix, the product with its bias, and the result in its own shape."""
    name, make = product.name, onnx.helper.make_node
    for suffix, shape in (("rows", [-1, 0]), ("shape", result)):
        values = np.array(shape, np.int64)
        if suffix == "rows":
            weights = next(i for i in model.graph.initializer if i.name == constants[0])
            values[1] = weights.dims[0]
        model.graph.initializer.append(numpy_helper.from_array(values, f"{name}.{suffix}"))
    return [
        make("Reshape", [product.input[0], f"{name}.rows"], [f"{name}.data"], f"{name}.flatten"),
        make("Gemm", [f"{name}.data", *constants], [f"{name}.sums"], name),
        make("Reshape", [f"{name}.sums", f"{name}.shape"], [summed.output[0]], f"{name}.unflatten"),
    ]


def left_real(model: onnx.ModelProto) -> list[str]:
    """The names of nodes that are not quantised themselves; what they read and what reads them is.

    Elementwise functions of one tensor of data (activations in their parts, factors, summands),
    operators that the host runs on real numbers, elementwise operators that only those read, what
    moves their results, and rows of constant tables. A lone rectifier or clip is quantised,
    because it becomes part of its producer.
    """
    constants: dict[str, Any] = {item.name: item for item in model.graph.initializer}
    root: dict[str, str] = {}
    """Of the result of an elementwise node of one tensor: that tensor."""
    members: dict[str, list[Any]] = {}
    real: list[str] = []
    results = {value.name for value in model.graph.input}
    """Tensors that are not made of quantised ones."""
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
            (node.op_type in REAL_ALWAYS and not _averages_images(node, constants))
            or (node.op_type in _MOVING and data and data[0] in results)
            or (node.op_type == "Gather" and node.input[0] in constants)
        ):
            real.append(node.name)
            results.update(node.output)
    for nodes in members.values():
        if any(node.op_type not in _CLIPS for node in nodes):
            real += [node.name for node in nodes]
    return [*real, *read_by_real_only(model, set(real))]


def read_by_real_only(model: onnx.ModelProto, real: Collection[str]) -> list[str]:
    """Elementwise nodes whose result only real operators read: the sum that a norm or a softmax
    reads is not rounded."""
    readers: dict[str, list[str]] = {value.name: [""] for value in model.graph.output}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node.name)
    found: set[str] = set()
    for node in reversed(model.graph.node):
        after = readers.get(node.output[0], [])
        of_real = bool(after) and all(name in real or name in found for name in after)
        if of_real and node.op_type in ELEMENTWISE - _CLIPS and node.name not in real:
            found.add(node.name)
    return sorted(found)


def _averages_images(node: onnx.NodeProto, constants: Mapping[str, Any]) -> bool:
    """Whether a node is the mean of height and width, which the accelerator computes."""
    if node.op_type != "ReduceMean":
        return False
    axes = next((list(item.ints) for item in node.attribute if item.name == "axes"), None)
    if len(node.input) > 1 and constants.get(node.input[1]) is not None:
        axes = numpy_helper.to_array(constants[node.input[1]]).tolist()
    return axes is not None and {axis % 4 for axis in axes} == {2, 3}
