"""ONNX operators that move blocks of channels into pixels and back, and that frame images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from vta.compiler.frontend.onnx_images import MAX_SIDE, require_images
from vta.compiler.frontend.onnx_import import Importer, OnnxNode
from vta.compiler.frontend.onnx_signals import on_signals
from vta.compiler.frontend.onnx_stored import moved
from vta.compiler.graph.ir import Tensor

__all__ = ["REARRANGEMENTS"]

Handler = Callable[[Importer, OnnxNode], None]


def _in_steps(
    importer: Importer, node: OnnxNode, data: Tensor, inner: Sequence[int], order: Sequence[int],
    result: Sequence[int],
) -> None:  # fmt: skip
    """A transpose of more axes than the data have."""
    wide = moved(importer, node, "reshape", data, inner, suffix=".split")
    turned = moved(
        importer, node, "transpose", wide, [inner[axis] for axis in order], suffix=".turn",
        order=tuple(order),
    )  # fmt: skip
    moved(importer, node, "reshape", turned, result, suffix="", output=node.outputs[0])


def _blocks(importer: Importer, node: OnnxNode) -> tuple[Tensor, int]:
    data = importer.tensor(node, 0)
    require_images(importer, node, data)
    block = node.value("blocksize", 0)
    if block < 1:
        raise node.error(f"attribute blocksize is {block}; must be positive")
    return data, block


def _depth_to_space(importer: Importer, node: OnnxNode) -> None:
    node.require("blocksize", "mode")
    data, b = _blocks(importer, node)
    n, c, height, width = data.shape
    if c % (b * b):
        raise node.error(f"{c} channels; must be a multiple of blocksize {b} squared")
    if node.value("mode", "DCR", "DCR", "CRD") == "DCR":
        inner, order = (n, b, b, c // b // b, height, width), (0, 3, 4, 1, 5, 2)
    else:
        inner, order = (n, c // b // b, b, b, height, width), (0, 1, 4, 2, 5, 3)
    _in_steps(importer, node, data, inner, order, (n, c // b // b, height * b, width * b))


def _space_to_depth(importer: Importer, node: OnnxNode) -> None:
    node.require("blocksize")
    data, b = _blocks(importer, node)
    n, c, height, width = data.shape
    if height % b or width % b:
        raise node.error(f"{height}x{width} pixels; must be multiples of blocksize {b}")
    inner = (n, c, height // b, b, width // b, b)
    _in_steps(
        importer, node, data, inner, (0, 3, 5, 1, 2, 4), (n, c * b * b, height // b, width // b)
    )


def _pad(importer: Importer, node: OnnxNode) -> None:
    node.require("mode", "pads", "value")
    data = importer.tensor(node, 0)
    rank = len(data.shape)
    if rank not in (3, 4):
        raise node.error(f"data {data.name} has shape {data.shape}; must be NCHW or NCL")
    given = node.value("pads", None)
    if given is None:
        given = importer.integers(node, 1, "pads")
    axes = list(range(rank))
    if importer.has(node, 3):
        axes = node.axes(importer.integers(node, 3, "axes"), rank)
    mode = node.value("mode", "constant", "constant", "edge", "reflect", "wrap")
    if len(given) != 2 * len(axes) or (mode != "constant" and min(given, default=0) < 0):
        raise node.error(
            f"pads are {given}; must be {2 * len(axes)} numbers, negative in mode constant only"
        )
    frame = [(0, 0)] * rank
    for place, axis in enumerate(axes):
        frame[axis] = (given[place], given[place + len(axes)])
    if any(map(any, frame[:2])):
        raise node.error(f"pads are {given}; must be 0 for the batch and the channels")
    value = float(node.value("value", 0.0))
    if importer.has(node, 2):
        value = importer.number(node, 2, "the value")
    cut = [(max(-first, 0), max(-last, 0)) for first, last in frame]
    if any(map(any, cut)):
        shape = [extent - first - last for extent, (first, last) in zip(data.shape, cut)]
        data = moved(
            importer, node, "slice", data, shape, suffix=".cut",
            begins=tuple(first for first, _ in cut), steps=(1,) * rank,
        )  # fmt: skip
        frame = [(max(first, 0), max(last, 0)) for first, last in frame]
    sides = [(0, 0), *frame[2:]] if rank == 3 else frame[2:]
    (top, bottom), (left, right) = sides

    @on_signals
    def framed(importer: Importer, node: OnnxNode, names: Sequence[str], output: str) -> None:
        image = importer.tensors[names[0]]
        n, c, height, width = image.shape
        size = (n, c, height + top + bottom, width + left + right)
        node.extents(output, size)
        if mode == "constant":
            whole = int(value) if np.isfinite(value) and value == int(value) else 0
            importer.add(
                node, "pad", names, size, output=output, pads=(top, left, bottom, right),
                value=whole, real_value=value, dtype=image.dtype,
            )  # fmt: skip
            return
        for extent, (first, last) in zip((height, width), sides):
            if mode == "reflect" and max(first, last) >= extent:
                raise node.error(f"pads are {given}; must be less than {extent}, to reflect")
        if max(size) > MAX_SIDE:
            raise node.error(f"the result has shape {size}; at most {MAX_SIDE} pixels a side")
        rows, columns = (
            tuple(np.pad(np.arange(extent), side, mode=mode).tolist())
            for extent, side in zip((height, width), sides)
        )
        importer.add(
            node, "resize", names, size, output=output, rows=rows, columns=columns,
            dtype=image.dtype,
        )  # fmt: skip

    framed(importer, _without_attributes(node), [data.name], node.outputs[0])


def _without_attributes(node: OnnxNode) -> OnnxNode:
    return OnnxNode(node.name, node.kind, node.opset, node.inputs, node.outputs, {})


REARRANGEMENTS: Mapping[tuple[str, str], Handler] = {
    ("", "DepthToSpace"): _depth_to_space,
    ("", "Pad"): _pad,
    ("", "SpaceToDepth"): _space_to_depth,
}
"""By domain and operator."""
