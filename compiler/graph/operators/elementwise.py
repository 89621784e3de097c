"""``add``, ``clip``, ``rescale`` and ``line``: weighted sums of tensors of equal shape.

add: two inputs. clip: one input, attributes ``real_low`` and ``real_high``; it is a ``rescale`` in
integer graphs. rescale: one input, from its quantisation to that of the result. line: one input, a
clipped line of it, whose integers are known from the start. An integer node has the attributes
``multipliers`` (one an input), ``offset``, ``shift``, ``low`` and ``high``.
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


def _two_axes(node: Node, graph: Graph) -> str | None:
    shape = graph[node.inputs[0]].shape
    return None if 2 <= len(shape) <= 5 else f"data has shape {shape}"


_AXES = Constraint("tensors must have 2 to 5 dimensions", _two_axes)

ROWS = (
    OperatorRow(
        name="add",
        onnx={"Add": 7, "QLinearAdd": 1, "Sum": 8},
        reference=_reference,
        lower=_lower,
        accumulates=True,
        limits=dict.fromkeys(
            ("Add", "QLinearAdd", "Sum"),
            (
                "operands must be computed and have the same shape of 2 to 5 dimensions; else "
                "the host runs it",
            ),
        ),
    ),
    OperatorRow(name="clip", onnx={"Relu": 6, "Clip": 11}, constraints=(_AXES,)),
    OperatorRow(name="rescale", onnx={}, reference=_reference, lower=_lower),
    OperatorRow(name="line", onnx={}, reference=_reference, lower=_lower),
)
