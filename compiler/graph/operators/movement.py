"""Operators that only move data; the host does them between two programs of the accelerator, but
for ``upsample`` (``factors`` of height and width, nearest).

``reshape``, ``transpose`` (``order``), ``concat`` (``axis``), ``pad`` (``pads`` top, left, bottom,
right, and ``value``; in float graphs ``real_value``), ``im2col`` (a convolution's attributes,
``kernel`` and the ``value`` of the padding), ``resize`` (nearest: of each of the ``rows`` and
``columns`` of the result, which one of the data), ``resample`` (weighted sums of several rows and
columns in float32; inputs data, places of rows, places of columns, weights of rows, weights of
columns), ``slice`` (of each axis the
first element and the step, ``begins`` and ``steps``), and the changes of layout, ``pack``,
``unpack``, ``pack_rows``, ``unpack_rows`` and ``pack_columns``.
``recode`` stores uint8 as int8, 128 less, or the reverse: activations of the accelerator are
signed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from vta.compiler.graph.operator_row import Array, Lowered, OperatorRow
from vta.compiler.ops.movement import upsample
from vta.host_operators import run_host_operator

if TYPE_CHECKING:
    from vta.compiler.graph.ir import Graph, Node
    from vta.config import VTAConfig

__all__ = ["ROWS"]

HostAttributes = dict[str, int | tuple[int, ...]]


def _reshape(node: Node, graph: Graph, arrays: Sequence[Array]) -> Array:
    return arrays[0].reshape(graph[node.output].shape)


def _transpose(node: Node, graph: Graph, arrays: Sequence[Array]) -> Array:
    return arrays[0].transpose(node.integers("order"))


def _concat(node: Node, graph: Graph, arrays: Sequence[Array]) -> Array:
    return np.concatenate(arrays, node.integer("axis"))


def _pad(node: Node, graph: Graph, arrays: Sequence[Array]) -> Array:
    top, left, bottom, right = node.integers("pads")
    frame = ((0, 0), (0, 0), (top, bottom), (left, right))
    return np.pad(arrays[0], frame, constant_values=node.integer("value"))


def _resize(node: Node, graph: Graph, arrays: Sequence[Array]) -> Array:
    rows, columns = np.array(node.integers("rows")), np.array(node.integers("columns"))
    return np.asarray(arrays[0][:, :, rows[:, None], columns])


def _upsample(node: Node, graph: Graph, arrays: Sequence[Array]) -> Array:
    down, across = node.integers("factors")
    return arrays[0].repeat(down, axis=2).repeat(across, axis=3)


def _lower_upsample(node: Node, graph: Graph, cfg: VTAConfig) -> Lowered:
    return Lowered(upsample(graph[node.inputs[0]].shape, node.integers("factors"), cfg=cfg))


def _recode(node: Node, graph: Graph, arrays: Sequence[Array]) -> Array:
    step = -128 if arrays[0].dtype == np.uint8 else 128
    return (arrays[0].astype(np.int16) + step).astype(graph[node.output].dtype)


def _windows(node: Node) -> dict[str, int | tuple[int, ...]]:
    names = ("dilations", "kernel", "pads", "strides")
    return {**{name: node.integers(name) for name in names}, "value": node.integer("value")}


def _im2col(node: Node, graph: Graph, arrays: Sequence[Array]) -> Array:
    return run_host_operator("im2col", arrays, _windows(node))


def _whole_tiles(node: Node, graph: Graph, cfg: VTAConfig) -> bool:
    """Channels or pixels of computed tensors are joined, and no tensor but the last has filled-up
    channels."""
    if any(graph[name].is_constant for name in node.inputs):
        return False
    axis = node.integer("axis")
    if axis == 1:
        return all(not graph[name].shape[1] % cfg.block_out for name in node.inputs[:-1])
    return axis > 1


def _result_shape(node: Node, graph: Graph) -> HostAttributes:
    return {"shape": graph[node.output].shape}


def _slice(node: Node, graph: Graph) -> HostAttributes:
    return {
        "begins": node.integers("begins"), "counts": graph[node.output].shape,
        "steps": node.integers("steps"),
    }  # fmt: skip


def _tile(node: Node, graph: Graph) -> HostAttributes:
    return {"tile": node.integers("tile")}


ROWS = (
    OperatorRow(
        name="reshape",
        onnx={
            "Dropout": 11,
            "Flatten": 9,
            "Identity": 1,
            "Reshape": 5,
            "Squeeze": 11,
            "Unsqueeze": 11,
        },
        reference=_reshape,
        host=_result_shape,
        limits={
            "Reshape": ("the shape must be a constant", "allowzero must be 0"),
            "Squeeze": ("axes must be constants",),
            "Unsqueeze": ("axes must be constants",),
        },
    ),
    OperatorRow(
        name="transpose",
        onnx={"DepthToSpace": 11, "SpaceToDepth": 11, "Transpose": 1},
        reference=_transpose,
        host=lambda node, graph: {"order": node.integers("order")},
        limits=dict.fromkeys(
            ("DepthToSpace", "SpaceToDepth"), ("data must be a batch of images (NCHW)",)
        ),
    ),
    OperatorRow(
        name="concat",
        onnx={"Concat": 4, "QLinearConcat": 1},
        reference=_concat,
        host=lambda node, graph: {"axis": node.integer("axis")},
        on_tiles=_whole_tiles,
    ),
    OperatorRow(
        name="pad",
        onnx={"Pad": 11},
        reference=_pad,
        host=lambda node, graph: {
            "pads": node.integers("pads"),
            "value": node.integer("value"),
        },
        on_tiles=lambda node, graph, cfg: True,
        limits={
            "Pad": (
                "data must be NCHW or NCL; height and width alone are padded, by constants; zeros "
                "in front of a convolution become part of it",
            )
        },
    ),
    OperatorRow(
        name="slice",
        onnx={"Slice": 11, "Split": 2},
        reference=lambda node, graph, arrays: run_host_operator(
            "slice", arrays, _slice(node, graph)
        ),
        host=_slice,
        limits={
            "Slice": ("starts, ends, axes and steps must be constants",),
            "Split": ("extents of parts must be constants",),
        },
    ),
    OperatorRow(
        name="upsample",
        onnx={"Resize": 11},
        reference=_upsample,
        lower=_lower_upsample,
        limits={
            "Resize": (
                "data must be a batch of images (NCHW), and the size constant; modes linear and "
                "cubic, and factors that are no integers, run on the host",
            )
        },
    ),
    OperatorRow(
        name="resize",
        onnx={},
        reference=_resize,
        host=lambda node, graph: {name: node.integers(name) for name in ("columns", "rows")},
        on_tiles=lambda node, graph, cfg: True,
    ),
    OperatorRow(
        name="resample",
        onnx={},
        reference=lambda node, graph, arrays: run_host_operator("resample", arrays, {}),
        host=lambda node, graph: {},
    ),
    OperatorRow(name="im2col", onnx={}, reference=_im2col, host=lambda node, graph: _windows(node)),
    OperatorRow(name="recode", onnx={}, reference=_recode, host=lambda node, graph: {}),
    OperatorRow(name="pack", onnx={}, host=_tile),
    OperatorRow(name="unpack", onnx={}, host=_result_shape),
    OperatorRow(name="pack_rows", onnx={}, host=_tile),
    OperatorRow(name="unpack_rows", onnx={}, host=_result_shape),
    OperatorRow(name="pack_columns", onnx={}, host=_tile),
)
