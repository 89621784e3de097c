"""ONNX operators of networks that read sequences: rows of tables, masks, layer norm, shapes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from vta.compiler.frontend.onnx_import import Importer, OnnxNode
from vta.compiler.graph.ir import Attribute, Tensor
from vta.host_operators import HostAttribute, run_host_operator
from vta.host_sequences import CAST_TYPES

__all__ = ["SEQUENCES"]

Handler = Callable[[Importer, OnnxNode], None]


def _add(
    importer: Importer, node: OnnxNode, kind: str, operands: Sequence[Tensor],
    shape: Sequence[int], dtype: str, **attributes: HostAttribute,
) -> None:  # fmt: skip
    """A node of the host, or its result if all operands are constants."""
    values = [tensor.values for tensor in operands if tensor.values is not None]
    if len(values) == len(operands):
        importer.add_constant(
            node.outputs[0], run_host_operator(kind, values, attributes), of_file=True
        )
        return
    given: dict[str, Attribute] = dict(attributes)
    names = [tensor.name for tensor in operands]
    importer.add(node, kind, names, shape, output=None, suffix="", dtype=dtype, **given)


def _broadcast(node: OnnxNode, tensors: Sequence[Tensor]) -> tuple[int, ...]:
    try:
        return np.broadcast_shapes(*(tensor.shape for tensor in tensors))
    except ValueError:
        shapes = " and ".join(str(tensor.shape) for tensor in tensors)
        raise node.error(f"shapes {shapes} must be broadcast to one") from None


def _gather(importer: Importer, node: OnnxNode) -> None:
    node.require("axis")
    data, indices = importer.tensor(node, 0), importer.tensor(node, 1)
    axis = node.axis(node.value("axis", 0), len(data.shape))
    if indices.dtype not in ("int32", "int64"):
        raise node.error(f"indices {indices.name} are {indices.dtype}; must be int32 or int64")
    known, extent = indices.values, data.shape[axis]
    if known is not None and known.size and not -extent <= known.min() <= known.max() < extent:
        raise node.error(
            f"indices {indices.name} are {known.min()} to {known.max()}; axis {axis} has {extent} "
            f"elements"
        )
    shape = (*data.shape[:axis], *indices.shape, *data.shape[axis + 1 :])
    _add(importer, node, "gather", [data, indices], shape, data.dtype, axis=axis)


def _where(importer: Importer, node: OnnxNode) -> None:
    node.require()
    tensors = [importer.tensor(node, index) for index in range(3)]
    condition, chosen, other = (tensor.dtype for tensor in tensors)
    if condition != "bool" or chosen != other:
        raise node.error(f"types are {condition}, {chosen}, {other}; must be bool, twice the same")
    _add(importer, node, "where", tensors, _broadcast(node, tensors), chosen)


def _compare(kind: str, *, turned: bool = False) -> Handler:
    """Of two tensors of numbers; ``turned``: the second one comes first."""

    def handler(importer: Importer, node: OnnxNode) -> None:
        node.require()
        first, second = (importer.tensor(node, index) for index in range(2))
        if first.dtype != second.dtype or first.dtype == "bool":
            raise node.error(f"types are {first.dtype}, {second.dtype}; must be twice the same, "
                             f"numbers")  # fmt: skip
        operands = [second, first] if turned else [first, second]
        _add(importer, node, kind, operands, _broadcast(node, operands), "bool")

    return handler


def _logical(kind: str, count: int) -> Handler:
    def handler(importer: Importer, node: OnnxNode) -> None:
        node.require()
        operands = [importer.tensor(node, index) for index in range(count)]
        for tensor in operands:
            if tensor.dtype != "bool":
                raise node.error(f"{tensor.name} is {tensor.dtype}; must be bool")
        _add(importer, node, kind, operands, _broadcast(node, operands), "bool")

    return handler


def _cast(importer: Importer, node: OnnxNode) -> None:
    node.require("to", "saturate", "round_mode")
    to = node.value("to", None)
    if to not in CAST_TYPES:
        raise node.error(f"attribute to is {to}; must be {', '.join(CAST_TYPES.values())}")
    data = importer.tensor(node, 0)
    _add(importer, node, "cast", [data], data.shape, CAST_TYPES[to], to=to)


def _layer_norm(importer: Importer, node: OnnxNode) -> None:
    node.require("axis", "epsilon", "stash_type")
    node.value("stash_type", 1, 1)
    further = [name for name in node.outputs[1:] if name]
    if further:
        raise node.error(f"has further results ({', '.join(further)}); must have the first alone")
    data, scale = importer.tensor(node, 0), importer.tensor(node, 1)
    axis = node.axis(node.value("axis", -1), len(data.shape))
    if importer.has(node, 2):
        bias = importer.tensor(node, 2)
    else:
        bias = importer.add_constant(f"{node.outputs[0]}.bias", np.zeros(scale.shape, np.float32))
    epsilon = importer.add_constant(
        f"{node.outputs[0]}.epsilon", np.array(node.value("epsilon", 1e-5), np.float32)
    )
    operands = [data, scale, bias, epsilon]
    for tensor in operands:
        if tensor.dtype != "float32":
            raise node.error(f"{tensor.name} is {tensor.dtype}; must be float32")
    if _broadcast(node, operands) != data.shape:
        raise node.error(f"scale or bias have more elements than data of shape {data.shape}")
    _add(importer, node, "layer_norm", operands, data.shape, "float32", axis=axis)


def _expand(importer: Importer, node: OnnxNode) -> None:
    node.require()
    data = importer.tensor(node, 0)
    given = tuple(importer.integers(node, 1, "the shape"))
    try:
        shape = np.broadcast_shapes(data.shape, given)
    except ValueError:
        raise node.error(f"{data.name} of shape {data.shape} does not expand to {given}") from None
    importer.add(node, "expand", [data.name], shape, dtype=data.dtype)


def _shape(importer: Importer, node: OnnxNode) -> None:
    """Shapes are known: a constant."""
    node.require("start", "end")
    shape = importer.tensor(node, 0).shape[node.value("start", 0) : node.value("end", None)]
    importer.add_constant(node.outputs[0], np.array(shape, np.int64), of_file=True)


def _split(importer: Importer, node: OnnxNode) -> None:
    """A slice for each part."""
    node.require("axis", "num_outputs", "split")
    data = importer.tensor(node, 0)
    rank = len(data.shape)
    axis = node.axis(node.value("axis", 0), len(data.shape))
    extent, count = data.shape[axis], len(node.outputs)
    given = node.value("split", None)
    if importer.has(node, 1):
        given = importer.integers(node, 1, "split")
    if given is None:
        step = -(-extent // count)
        if extent % count and "num_outputs" not in node.attributes:
            raise node.error(
                f"{count} parts of {extent} elements; must be equal, or their extents be given"
            )
        given = [min(step, extent - step * number) for number in range(count)]
    if len(given) != count or sum(given) != extent or min(given) < 1:
        raise node.error(
            f"parts are {given}; must be {count} positive numbers whose sum is {extent}"
        )
    begins = np.cumsum([0, *given]).tolist()
    for number, (name, begin, size) in enumerate(zip(node.outputs, begins, given)):
        if not name:
            continue
        shape = (*data.shape[:axis], size, *data.shape[axis + 1 :])
        importer.add(
            node, "slice", [data.name], shape, output=name, dtype=data.dtype,
            suffix=f".part_{number}", steps=(1,) * rank,
            begins=tuple(begin if n == axis else 0 for n in range(rank)),
        )  # fmt: skip


SEQUENCES: Mapping[tuple[str, str], Handler] = {
    ("", "And"): _logical("logical_and", 2),
    ("", "Cast"): _cast,
    ("", "Equal"): _compare("equal"),
    ("", "Expand"): _expand,
    ("", "Gather"): _gather,
    ("", "Greater"): _compare("less", turned=True),
    ("", "GreaterOrEqual"): _compare("less_equal", turned=True),
    ("", "LayerNormalization"): _layer_norm,
    ("", "Less"): _compare("less"),
    ("", "LessOrEqual"): _compare("less_equal"),
    ("", "Not"): _logical("logical_not", 1),
    ("", "Or"): _logical("logical_or", 2),
    ("", "Shape"): _shape,
    ("", "Split"): _split,
    ("", "Where"): _where,
}
"""By domain and operator."""
