"""Matrix products of any shape become those that the accelerator runs.

Zero points of two activations would need sums of their rows and columns. Instead, the depth of the
product grows: ``(a - p)(b - q) = ab - pb - aq + pq``, a block of columns for each product, whose
constants are int8; -p is 64 + 64 if p is -128.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

import numpy as np

from vta.compiler.graph.ir import Attribute, Graph, Node, Quantisation, Tensor
from vta.host_operators import DATA_BLOCK

__all__ = ["matrix_products"]


def matrix_products(graph: Graph) -> Graph:
    """``dense`` of more dimensions than two -> reshape, dense, reshape; ``matmul`` ->
    ``batch_matmul`` of (pairs, M, K) and (pairs, N, K), with what moves operands there."""
    writer = _Writer(graph)
    for node in graph.nodes:
        if node.operator == "matmul":
            writer.batched(node)
        elif node.operator == "dense" and _is_to_be_moved(node, graph):
            writer.rows(node)
        else:
            writer.nodes.append(node)
    return graph.rewritten(writer.nodes, writer.tensors.values())


def _is_to_be_moved(node: Node, graph: Graph) -> bool:
    return "transposed" in node.attributes or len(graph[node.inputs[0]].shape) != 2


class _Writer:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.names = graph.new_names()
        self.nodes: list[Node] = []
        self.tensors: dict[str, Tensor] = {}

    def tensor(self, name: str) -> Tensor:
        return self.tensors.get(name) or self.graph[name]

    def moved(
        self, node: Node, name: str, operator: str, shape: Sequence[int], **attributes: Attribute
    ) -> str:
        """The result of a data movement, of the same integers; ``name`` if it has the shape."""
        source = self.tensor(name)
        if operator in ("reshape", "expand") and source.shape == tuple(shape):
            return name
        made = replace(source, name=self.names.tensor(f"{name}.{operator}"), shape=tuple(shape))
        self.tensors[made.name] = made
        own = self.names.node(f"{node.name}.{operator}")
        self.nodes.append(Node(own, operator, (name,), (made.name,), attributes, node.source))
        return made.name

    def _with_result(self, node: Node, shape: tuple[int, ...]) -> None:
        """``node``, whose result has another shape than the graph says."""
        final = self.graph[node.output]
        if final.shape == shape:
            self.nodes.append(node)
            return
        inner = replace(final, name=self.names.tensor(f"{final.name}.product"), shape=shape)
        self.tensors[inner.name] = inner
        self.nodes.append(replace(node, outputs=(inner.name,)))
        own = self.names.node(f"{node.name}.reshape")
        self.nodes.append(Node(own, "reshape", (inner.name,), (final.name,), {}, node.source))

    def rows(self, node: Node) -> None:
        name = node.inputs[0]
        attributes = dict(node.attributes)
        if attributes.pop("transposed", 0):
            name = self._swapped(node, name)
        *front, depth = self.tensor(name).shape
        count = prod(front)
        name = self.moved(node, name, "reshape", (count, depth))
        inner = replace(node, inputs=(name, *node.inputs[1:]), attributes=attributes)
        self._with_result(inner, (count, self.graph[node.output].shape[-1]))

    def _swapped(self, node: Node, name: str) -> str:
        """The last two axes exchanged."""
        shape = self.tensor(name).shape
        order = (*range(len(shape) - 2), len(shape) - 1, len(shape) - 2)
        return self.moved(node, name, "transpose", [shape[axis] for axis in order], order=order)

    def batched(self, node: Node) -> None:
        left, right = node.inputs
        by_columns = node.integers("transposed")
        if by_columns[0]:
            left = self._swapped(node, left)
        if not by_columns[1]:
            right = self._swapped(node, right)
        (*outer, rows, depth), (*other, columns, _) = (
            self.tensor(name).shape for name in (left, right)
        )
        if prod(other) == 1:  # one right matrix for all: the left ones are one matrix
            pairs, rows = 1, prod(outer) * rows
        else:
            front = np.broadcast_shapes(tuple(outer), tuple(other))
            pairs = prod(front)
            left, right = (
                self.moved(node, name, "expand", (*front, *self.tensor(name).shape[-2:]))
                for name in (left, right)
            )
        left = self.moved(node, left, "reshape", (pairs, rows, depth))
        right = self.moved(node, right, "reshape", (pairs, columns, depth))
        left, right = self._without_zeros(node, left, right)
        attributes = {key: v for key, v in node.attributes.items() if key != "transposed"}
        inner = replace(node, operator="batch_matmul", inputs=(left, right), attributes=attributes)
        self._with_result(inner, (pairs, rows, columns))

    def _without_zeros(self, node: Node, left: str, right: str) -> tuple[str, str]:
        """Operands with zero point 0, and the same products."""
        parts = [_blocks(self._quantisation(name).zero) for name in (left, right)]
        blocks = (
            tuple(a for a in parts[0] for _ in parts[1]),
            tuple(b for _ in parts[0] for b in parts[1]),
        )
        if len(blocks[0]) == 1:
            return left, right
        names = []
        for name, own in zip((left, right), blocks):
            *front, depth = self.tensor(name).shape
            made = self.moved(node, name, "depth_blocks", (*front, depth * len(own)), blocks=own)
            scale = self._quantisation(name).scale
            self.tensors[made] = replace(
                self.tensors[made], quantisation=Quantisation((scale,), (0,))
            )
            names.append(made)
        return names[0], names[1]

    def _quantisation(self, name: str) -> Quantisation:
        found = self.tensor(name).quantisation
        assert found is not None, name
        return found


def _blocks(zero: int) -> tuple[int, ...]:
    """The data, and int8 constants whose sum is ``-zero``."""
    if not zero:
        return (DATA_BLOCK,)
    return (DATA_BLOCK, -zero) if zero > -128 else (DATA_BLOCK, 64, 64)
