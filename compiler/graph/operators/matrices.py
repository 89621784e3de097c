"""Matrix products: ``dense`` of data and weights, and ``matmul`` of two activations.

dense: inputs data, kernel (outputs, inputs), bias; data of two dimensions are rows, those of four
are taken in the order C, H, W. In float graphs data can have more dimensions in front of the rows,
and attribute ``transposed`` says that data are (inputs, rows).

matmul, in float graphs: two computed tensors (..., M, K) and (..., K, N), broadcast in front;
attribute ``transposed`` (two of 0 and 1) says which one is stored the other way round. The pass
:mod:`~vta.compiler.graph.passes.matrix_products` makes ``batch_matmul`` of it: left (pairs, M, K),
right (pairs, N, K), both with zero point 0. An integer node has the attributes of the pass
``requantise`` besides, or ``whole_sums`` if its result is int32, in units of the products.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from vta.compiler.graph.operator_row import Array, Constraint, Lowered, OperatorRow
from vta.compiler.graph.operators.quantised import (
    channel_scales,
    constant_input,
    constant_weights,
    requantise_of,
    requantised,
)
from vta.compiler.graph.user_names import input_name
from vta.compiler.ops.conv2d import conv2d
from vta.compiler.ops.dense import batch_matmul, dense
from vta.host_operators import run_host_operator

if TYPE_CHECKING:
    from vta.compiler.graph.ir import Graph, Layout, Node
    from vta.config import VTAConfig

__all__ = ["ROWS"]


# ---- data and weights ----------------------------------------------------------------------------


def _dense_reference(node: Node, graph: Graph, arrays: Sequence[Array]) -> Array:
    data, kernel, bias = arrays
    rows = data.reshape(len(data), -1).astype(np.float64)
    sums = (rows @ kernel.astype(np.float64).T).astype(np.int64)
    return requantised(node, sums + bias)


def _lower_dense(node: Node, graph: Graph, cfg: VTAConfig) -> Lowered:
    """Several rows share the weights; a single one, or images, are a convolution whose window
    covers the whole image."""
    data, kernel, bias = (graph[name] for name in node.inputs)
    assert kernel.values is not None and bias.values is not None
    units = kernel.shape[0]
    if _in_rows(node, graph):
        rows = dense(data.shape, units, cfg=cfg, requantise=requantise_of(node))
        return Lowered(rows, (kernel.values, bias.values, *_factors(node, units)))
    shape = data.shape if len(data.shape) == 4 else (*data.shape, 1, 1)
    operator = conv2d(
        shape, units, shape[2:], cfg=cfg, requantise=requantise_of(node), im2col=False
    )
    weights = kernel.values.reshape(units, *shape[1:])
    return Lowered(operator, (weights, bias.values, *_factors(node, units)), shape)


def _factors(node: Node, units: int) -> list[Array]:
    """What the requantisation takes of each column: nothing of whole sums."""
    if "whole_sums" in node.attributes:
        return []
    return [np.broadcast_to(channel_scales(node), (units,))]


def _in_rows(node: Node, graph: Graph) -> bool:
    shape = graph[node.inputs[0]].shape
    return len(shape) == 2 and shape[0] > 1


def _dense_layouts(node: Node, graph: Graph) -> tuple[tuple[Layout, ...], Layout]:
    return (("rows",), "rows") if _in_rows(node, graph) else (("tiles",), "tiles")


# ---- two activations -----------------------------------------------------------------------------


def _batch_reference(node: Node, graph: Graph, arrays: Sequence[Array]) -> Array:
    left, right = (array.astype(np.float64) for array in arrays)
    return requantised(node, (left @ right.swapaxes(1, 2)).astype(np.int64))


def _lower_batch(node: Node, graph: Graph, cfg: VTAConfig) -> Lowered:
    left, right = (graph[name].shape for name in node.inputs)
    operator = batch_matmul(left, right, cfg=cfg, requantise=requantise_of(node))
    return Lowered(operator, _factors(node, right[1]))


def _depth_blocks(node: Node, graph: Graph, arrays: Sequence[Array]) -> Array:
    return run_host_operator("depth_blocks", arrays, {"blocks": node.integers("blocks")})


def _expand(node: Node, graph: Graph, arrays: Sequence[Array]) -> Array:
    return np.broadcast_to(arrays[0], graph[node.output].shape)


def _computed(node: Node, graph: Graph) -> str | None:
    constants = [
        name for index, name in enumerate(node.inputs)
        if constant_input(node, graph, index) is not None
    ]  # fmt: skip
    return f"{input_name(graph, constants[0])} is a constant" if constants else None


ROWS = (
    OperatorRow(
        name="dense",
        onnx={"Gemm": 11, "QGemm": 1},
        reference=_dense_reference,
        lower=_lower_dense,
        constraints=(Constraint("weights and bias must be constants", constant_weights),),
        accumulates=True,
        layouts=_dense_layouts,
        limits={
            "Gemm": (
                "data and weights must be matrices",
                "alpha must be positive",
            )
        },
    ),
    OperatorRow(
        name="matmul",
        onnx={"MatMul": 9, "QLinearMatMul": 10},
        constraints=(
            Constraint(
                "a constant operand must be the second one, and a matrix; else both must be "
                "computed, and of two dimensions or more",
                _computed,
            ),
        ),
        accumulates=True,
    ),
    OperatorRow(
        name="batch_matmul",
        onnx={},
        reference=_batch_reference,
        lower=_lower_batch,
        accumulates=True,
        layouts=lambda node, graph: (("rows", "columns"), "rows"),
    ),
    OperatorRow(
        name="depth_blocks",
        onnx={},
        reference=_depth_blocks,
        host=lambda node, graph: {"blocks": node.integers("blocks")},
    ),
    OperatorRow(
        name="expand",
        onnx={"Expand": 8},
        reference=_expand,
        host=lambda node, graph: {"shape": graph[node.output].shape},
        limits={"Expand": ("the shape must be a constant",)},
    ),
)
