"""The registry of operators: one row each (:mod:`~vta.compiler.graph.operator_row`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vta.compiler.graph.operators import (
    convolution,
    elementwise,
    matrices,
    movement,
    pointwise,
    pooling,
    real,
    residual,
    sequences,
)

if TYPE_CHECKING:
    from vta.compiler.graph.ir import Graph, Node
    from vta.compiler.graph.operator_row import OperatorRow

__all__ = ["OPERATORS", "row_of", "violations"]

OPERATORS: dict[str, OperatorRow] = {
    row.name: row
    for module in (
        convolution,
        residual,
        matrices,
        pooling,
        elementwise,
        pointwise,
        movement,
        real,
        sequences,
    )
    for row in module.ROWS
}
"""Every operator of the graph by name."""


def violations(node: Node, graph: Graph) -> list[str]:
    """Every constraint that a node violates, as a sentence with what was found."""
    found = []
    for constraint in row_of(node).constraints:
        why = constraint.found(node, graph)
        if why is not None:
            found.append(f"{why}; {constraint.sentence}")
    return found


def row_of(node: Node) -> OperatorRow:
    """The row of a node's operator."""
    return OPERATORS[node.operator]
