"""ONNX operators that reduce axes: of images on the accelerator, of others on the host."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from vta.compiler.frontend.onnx_import import Importer, OnnxNode

__all__ = ["REDUCTIONS"]

Handler = Callable[[Importer, OnnxNode], None]

_KINDS = {"ReduceMean": "mean", "ReduceSum": "reduce_sum"}


def _reduce(importer: Importer, node: OnnxNode) -> None:
    kind = _KINDS[node.kind]
    node.require("axes", "keepdims", "noop_with_empty_axes")
    node.value("noop_with_empty_axes", 0, 0)
    data = importer.tensor(node, 0)
    rank = len(data.shape)
    given = node.value("axes", None)
    if importer.has(node, 1):
        given = importer.constant(node, 1, "axes").tolist()
    axes = sorted({axis % rank for axis in given or range(rank)})
    whole = [1 if axis in axes else extent for axis, extent in enumerate(data.shape)]
    shape = whole
    if not node.value("keepdims", 1, 0, 1):
        shape = [extent for axis, extent in enumerate(data.shape) if axis not in axes]
    own = node.outputs[0] if shape == whole else importer.unused(f"{node.outputs[0]}.{kind}")
    suffix = "" if shape == whole else f".{kind}"
    if kind == "mean" and rank == 4 and axes == [2, 3]:
        importer.add(
            node, "average_pool", [data.name], whole, output=own, suffix=suffix,
            kernel=data.shape[2:], strides=(1, 1), pads=(0, 0, 0, 0),
        )  # fmt: skip
    else:
        importer.add(
            node, kind, [data.name], whole, output=own, suffix=suffix, axes=tuple(axes),
            dtype=data.dtype,
        )  # fmt: skip
    if shape != whole:
        importer.add(node, "reshape", [own], shape, dtype=data.dtype)


REDUCTIONS: Mapping[tuple[str, str], Handler] = {("", kind): _reduce for kind in _KINDS}
"""By domain and operator."""
