"""``conv2d_add``: a convolution, and the sum of its result and a tensor of equal shape.

Inputs data, kernel and bias of the convolution, then the tensor; attributes of the ``conv2d``, and
those of the ``add`` with the prefix ``add_``: ``add_multipliers`` (of the result and of the
tensor), ``add_offset``, ``add_shift``, ``add_low``, ``add_high``. The pass
``adds_into_convolutions`` makes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vta.compiler.graph.operator_row import Array, Lowered, OperatorRow
from vta.compiler.graph.operators.convolution import conv2d_reference, lower_conv2d
from vta.compiler.ops.residual import Residual

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vta.compiler.graph.ir import Graph, Node
    from vta.config import VTAConfig

__all__ = ["ROWS"]


def _residual_of(node: Node) -> Residual:
    first, second = node.integers("add_multipliers")
    return Residual(
        (first, second), node.integer("add_offset"), node.integer("add_shift"),
        node.integer("add_low"), node.integer("add_high"),
    )  # fmt: skip


def _reference(node: Node, graph: Graph, arrays: Sequence[Array]) -> Array:
    *convolved, residual = arrays
    result = conv2d_reference(node, graph, convolved)
    return _residual_of(node).reference(result, residual).astype(np.int8)


def _lower(node: Node, graph: Graph, cfg: VTAConfig) -> Lowered:
    return lower_conv2d(node, graph, cfg, _residual_of(node))


ROWS = (OperatorRow(name="conv2d_add", onnx={}, reference=_reference, lower=_lower),)
