"""``conv2d`` and ``conv2d_transpose``: sums of products with bias and requantisation.

conv2d: inputs data (NCHW), kernel (OIHW), bias (O); attributes ``strides``, ``pads`` (top, left,
bottom, right), ``dilations``, ``group``. conv2d_transpose, of float graphs: a kernel of outputs
first (OIHW) too; attributes ``strides``, ``pads``, ``group``. An integer node has the attributes of
the pass ``requantise`` besides.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from vta.compiler.graph.operator_row import Array, Constraint, Lowered, OperatorRow
from vta.compiler.graph.operators.quantised import (
    channel_scales,
    constant_weights,
    requantise_of,
    requantised,
)
from vta.compiler.ops.conv2d import conv2d

if TYPE_CHECKING:
    from vta.compiler.graph.ir import Graph, Node
    from vta.compiler.ops.residual import Residual
    from vta.config import VTAConfig

__all__ = ["ROWS", "conv2d_reference", "lower_conv2d"]


def conv2d_reference(node: Node, graph: Graph, arrays: Sequence[Array]) -> Array:
    """The stored integers of a ``conv2d``, from data, kernel and bias."""
    data, kernel, bias = arrays
    top, left, bottom, right = node.integers("pads")
    (down, across), (dy, dx) = node.integers("strides"), node.integers("dilations")
    frame = ((0, 0), (0, 0), (top, bottom), (left, right))
    wide = np.pad(data, frame, constant_values=_pad_value(node))
    spans = tuple((k - 1) * d + 1 for k, d in zip(kernel.shape[2:], (dy, dx)))
    views = np.lib.stride_tricks.sliding_window_view(wide, spans, axis=(2, 3))
    views = views[:, :, ::down, ::across, ::dy, ::dx]
    # Integers below 2^53 are exact in float64, where NumPy multiplies matrices fast.
    parts = [
        np.moveaxis(np.tensordot(part, weights, axes=([1, 4, 5], [1, 2, 3])), -1, 1)
        for part, weights in zip(
            np.split(views.astype(np.float64), node.integer("group"), axis=1),
            np.split(kernel.astype(np.float64), node.integer("group")),
        )
    ]
    total = np.concatenate(parts, axis=1).astype(np.int64) + bias.reshape(1, -1, 1, 1)
    return requantised(node, total)


def _pad_value(node: Node) -> int:
    return node.integer("pad_value") if "pad_value" in node.attributes else 0


def lower_conv2d(
    node: Node, graph: Graph, cfg: VTAConfig, residual: Residual | None = None
) -> Lowered:
    """The operator of a ``conv2d``; with ``residual`` its last input is a tensor that is added."""
    data, kernel, bias, *_ = (graph[name] for name in node.inputs)
    assert kernel.values is not None and bias.values is not None
    operator = conv2d(
        data.shape, kernel.shape[0], kernel.shape[2:],
        cfg=cfg, requantise=requantise_of(node), stride=node.integers("strides"),
        padding=node.integers("pads"), dilation=node.integers("dilations"),
        groups=node.integer("group"), im2col=False, pad_value=_pad_value(node), residual=residual,
    )  # fmt: skip
    return Lowered(operator, (kernel.values, bias.values, channel_scales(node)))


def _two_dimensions(node: Node, graph: Graph) -> str | None:
    shape = graph[node.inputs[0]].shape
    return None if len(shape) == 4 else f"data has shape {shape}"


_WEIGHTS = Constraint("weights and bias must be constants", constant_weights)

ROWS = (
    OperatorRow(
        name="conv2d",
        onnx={"Conv": 11, "QLinearConv": 10},
        reference=conv2d_reference,
        lower=lower_conv2d,
        constraints=(
            Constraint("data must be a batch of images (NCHW)", _two_dimensions),
            _WEIGHTS,
        ),
        accumulates=True,
    ),
    OperatorRow(
        name="conv2d_transpose",
        onnx={"ConvTranspose": 11},
        constraints=(
            Constraint("data must be a batch of images (NCHW)", _two_dimensions),
            _WEIGHTS,
        ),
        accumulates=True,
        limits={
            "ConvTranspose": (
                "dilations must be 1, auto_pad NOTSET; the host interleaves the phases",
            )
        },
    ),
)
