"""``add``, ``clip`` and ``rescale``: weighted sums of tensors of equal shape.

add: two inputs. clip: one input, attributes ``real_low`` and ``real_high``; it is a ``rescale`` in
integer graphs. rescale: one input, from its quantisation to that of the result. An integer node has
the attributes ``multipliers`` (one an input), ``offset``, ``shift``, ``low`` and ``high``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from vta.compiler.graph.operator_row import Array, Constraint, Lowered, OperatorRow
from vta.compiler.ops.elementwise import weighted_sum

if TYPE_CHECKING:
    from vta.compiler.graph.ir import Graph, Node
    from vta.config import VTAConfig

__all__ = ["ROWS"]


def _reference(node: Node, graph: Graph, arrays: Sequence[Array]) -> Array:
    total = np.full(arrays[0].shape, node.integer("offset"), np.int64)
    for array, factor in zip(arrays, node.integers("multipliers")):
        total += array.astype(np.int64) * factor
    clipped = np.clip(total >> node.integer("shift"), node.integer("low"), node.integer("high"))
    return np.asarray(clipped, np.int8)


def _lower(node: Node, graph: Graph, cfg: VTAConfig) -> Lowered:
    return Lowered(
        weighted_sum(
            graph[node.inputs[0]].shape, node.integers("multipliers"),
            cfg=cfg, offset=node.integer("offset"), shift=node.integer("shift"),
            low=node.integer("low"), high=node.integer("high"),
        )
    )  # fmt: skip


def _equal_shapes(node: Node, graph: Graph) -> str | None:
    shapes = [graph[name].shape for name in node.inputs]
    return None if shapes[0] == shapes[1] else f"shapes are {shapes[0]} and {shapes[1]}"


def _no_constant(node: Node, graph: Graph) -> str | None:
    computed = graph.data_inputs(node)
    return None if len(computed) == len(node.inputs) else "one operand is a constant"


def _two_axes(node: Node, graph: Graph) -> str | None:
    shape = graph[node.inputs[0]].shape
    return None if 2 <= len(shape) <= 5 else f"data has shape {shape}"


_AXES = Constraint("tensors must have 2 to 5 dimensions", _two_axes)

ROWS = (
    OperatorRow(
        name="add",
        onnx={"Add": 7, "QLinearAdd": 1},
        reference=_reference,
        lower=_lower,
        constraints=(
            Constraint("both operands must have the same shape (no broadcasting)", _equal_shapes),
            Constraint("both operands must be computed", _no_constant),
            _AXES,
        ),
        accumulates=True,
    ),
    OperatorRow(name="clip", onnx={"Relu": 6, "Clip": 11}, constraints=(_AXES,)),
    OperatorRow(name="rescale", onnx={}, reference=_reference, lower=_lower),
)
