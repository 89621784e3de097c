"""``max_pool``, ``average_pool`` and ``ragged_average``: windows of each channel.

Input data (NCHW); attributes ``kernel``, ``strides``, ``pads`` (top, left, bottom, right). An
integer average has the attributes of the pass ``requantise``, and ``bias``, besides. The windows of
``average_pool`` lie in the image; those of ``ragged_average`` may reach into the padding, which
counts if ``counted`` is 1, and with ``ceil`` behind it, which never counts. Its integers are those
of :func:`~vta.compiler.ops.average_pool.average_pool`, for ``scale`` (data over result),
``data_zero`` and ``zero``.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, TypedDict

import numpy as np

from vta.compiler.graph.operator_row import Array, Constraint, Lowered, OperatorRow
from vta.compiler.graph.operators.quantised import channel_scales, requantise_of, requantised
from vta.compiler.ops.average_pool import average_pool, average_rule
from vta.compiler.ops.global_sum import global_sum
from vta.compiler.ops.pooling import max_pool, sum_pool

if TYPE_CHECKING:
    from vta.compiler.graph.ir import Graph, Node
    from vta.config import VTAConfig

__all__ = ["ROWS"]


def _windows(node: Node, data: Array, fill: int) -> Array:
    top, left, bottom, right = node.integers("pads")
    down, across = node.integers("strides")
    frame = ((0, 0), (0, 0), (top, bottom), (left, right))
    wide = np.pad(data.astype(np.int64), frame, constant_values=fill)
    views = np.lib.stride_tricks.sliding_window_view(wide, node.integers("kernel"), axis=(2, 3))
    return views[:, :, ::down, ::across]


def _max_reference(node: Node, graph: Graph, arrays: Sequence[Array]) -> Array:
    windows: Array = _windows(node, arrays[0], -(1 << 31)).max(axis=(4, 5))
    return windows.astype(np.int8)


def _average_reference(node: Node, graph: Graph, arrays: Sequence[Array]) -> Array:
    sums = _windows(node, arrays[0], 0).sum(axis=(4, 5)) + node.integer("bias")
    return requantised(node, sums)


class _Ragged(TypedDict):
    """Arguments that are the same in the reference and on the accelerator."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    ceil_mode: bool
    count_include_pad: bool
    scale: float
    data_zero: int
    zero: int


def _ragged(node: Node) -> _Ragged:
    return {
        "kernel": node.integers("kernel"), "stride": node.integers("strides"),
        "padding": node.integers("pads"), "ceil_mode": bool(node.integer("ceil")),
        "count_include_pad": bool(node.integer("counted")), "scale": node.real("scale"),
        "data_zero": node.integer("data_zero"), "zero": node.integer("zero"),
    }  # fmt: skip


def _ragged_reference(node: Node, graph: Graph, arrays: Sequence[Array]) -> Array:
    height, width = arrays[0].shape[2:]
    return average_rule((height, width), **_ragged(node)).reference(arrays[0]).astype(np.int8)


def _lower_ragged(node: Node, graph: Graph, cfg: VTAConfig) -> Lowered:
    return Lowered(average_pool(graph[node.inputs[0]].shape, cfg=cfg, **_ragged(node)))


def _lower_max(node: Node, graph: Graph, cfg: VTAConfig) -> Lowered:
    data = graph[node.inputs[0]]
    return Lowered(
        max_pool(
            data.shape, node.integers("kernel"),
            cfg=cfg, stride=node.integers("strides"), padding=node.integers("pads"),
        )
    )  # fmt: skip


def _lower_average(node: Node, graph: Graph, cfg: VTAConfig) -> Lowered:
    data = graph[node.inputs[0]]
    kernel, pads = node.integers("kernel"), node.integers("pads")
    if kernel == data.shape[2:] and not any(pads) and 2 * prod(kernel) > cfg.acc_depth:
        operator = global_sum(data.shape, cfg=cfg, requantise=requantise_of(node))
    else:
        operator = sum_pool(
            data.shape, kernel, cfg=cfg, requantise=requantise_of(node),
            stride=node.integers("strides"), padding=pads,
        )  # fmt: skip
    channels = data.shape[1]
    bias = np.full(channels, node.integer("bias"), np.int32)
    factors = np.broadcast_to(channel_scales(node), (channels,))
    return Lowered(operator, (bias, factors))


def _images(node: Node, graph: Graph) -> str | None:
    shape = graph[node.inputs[0]].shape
    return None if len(shape) == 4 else f"data has shape {shape}"


_DENSE = "dilations must be 1"
_IMAGES = Constraint("data must be a batch of images (NCHW)", _images)

ROWS = (
    OperatorRow(
        name="max_pool",
        onnx={"GlobalMaxPool": 1, "MaxPool": 8},
        reference=_max_reference,
        lower=_lower_max,
        constraints=(_IMAGES,),
        limits={"MaxPool": (_DENSE, "the second result (indices) must not be used")},
    ),
    OperatorRow(
        name="average_pool",
        onnx={
            "AveragePool": 7,
            "GlobalAveragePool": 1,
            "QLinearAveragePool": 1,
            "QLinearGlobalAveragePool": 1,
            "ReduceMean": 11,
        },
        reference=_average_reference,
        lower=_lower_average,
        constraints=(_IMAGES,),
        accumulates=True,
        limits={
            "AveragePool": (_DENSE,),
            "ReduceMean": ("of other axes than height and width the host runs it",),
        },
    ),
    OperatorRow(
        name="ragged_average",
        onnx={},
        reference=_ragged_reference,
        lower=_lower_ragged,
        constraints=(_IMAGES,),
    ),
)
