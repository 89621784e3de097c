"""ONNX operators that reduce axes: means of images on the accelerator, all others on the host."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from vta.compiler.frontend.onnx_elementwise import elementwise
from vta.compiler.frontend.onnx_import import Importer, OnnxNode
from vta.compiler.graph.ir import Tensor

__all__ = ["REDUCTIONS"]

Handler = Callable[[Importer, OnnxNode], None]

_KINDS = {
    "ReduceL2": "reduce_sum",
    "ReduceMax": "reduce_max",
    "ReduceMean": "mean",
    "ReduceMin": "reduce_min",
    "ReduceSum": "reduce_sum",
}


def _reduce(importer: Importer, node: OnnxNode) -> None:
    kind = _KINDS[node.kind]
    node.require("axes", "keepdims", "noop_with_empty_axes")
    node.value("noop_with_empty_axes", 0, 0)
    data = importer.tensor(node, 0)
    rank = len(data.shape)
    given = node.value("axes", None)
    if importer.has(node, 1):
        given = importer.integers(node, 1, "axes")
    axes = sorted(node.axes(given or range(rank), rank))
    if data.dtype == "bool":
        raise node.error(f"{data.name} is bool; must be numbers")
    whole = [1 if axis in axes else extent for axis, extent in enumerate(data.shape)]
    shape = whole
    if not node.value("keepdims", 1, 0, 1):
        shape = [extent for axis, extent in enumerate(data.shape) if axis not in axes]
    length = node.kind == "ReduceL2"
    if length:
        data = elementwise(importer, node, "real_multiply", data, data)
    last = shape == whole and not length
    own = node.outputs[0] if last else importer.unused(f"{node.outputs[0]}.{kind}")
    suffix = "" if last else f".{kind}"
    if kind == "mean" and rank == 4 and axes == [2, 3]:
        found = importer.add(
            node, "average_pool", [data.name], whole, output=own, suffix=suffix,
            kernel=data.shape[2:], strides=(1, 1), pads=(0, 0, 0, 0),
        )  # fmt: skip
    else:
        found = importer.add(
            node, kind, [data.name], whole, output=own, suffix=suffix, axes=tuple(axes),
            dtype=data.dtype,
        )  # fmt: skip
    if length:
        found = elementwise(
            importer, node, "sqrt", found, output=node.outputs[0] if shape == whole else None
        )
    _without_axes(importer, node, found, shape)


def _without_axes(importer: Importer, node: OnnxNode, found: Tensor, shape: Sequence[int]) -> None:
    if tuple(shape) != found.shape:
        importer.add(node, "reshape", [found.name], shape, dtype=found.dtype)


def _arg(importer: Importer, node: OnnxNode) -> None:
    """The place of the largest or the least element along an axis, int64."""
    node.require("axis", "keepdims", "select_last_index")
    data = importer.tensor(node, 0)
    axis = node.axis(node.value("axis", 0), len(data.shape))
    whole = [1 if n == axis else extent for n, extent in enumerate(data.shape)]
    keeps = node.value("keepdims", 1, 0, 1)
    shape = whole if keeps else [extent for n, extent in enumerate(data.shape) if n != axis]
    last = node.value("select_last_index", 0, 0, 1)
    kind = "arg_max" if node.kind == "ArgMax" else "arg_min"
    found = importer.add(
        node, kind, [data.name], whole, dtype="int64", suffix="" if keeps else f".{kind}",
        output=node.outputs[0] if keeps else importer.unused(f"{node.outputs[0]}.{kind}"),
        axis=axis, last=last,
    )  # fmt: skip
    _without_axes(importer, node, found, shape)


REDUCTIONS: Mapping[tuple[str, str], Handler] = {
    **{("", kind): _reduce for kind in _KINDS},
    ("", "ArgMax"): _arg,
    ("", "ArgMin"): _arg,
}
"""By domain and operator."""
