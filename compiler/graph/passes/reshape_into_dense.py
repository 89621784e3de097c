"""A ``dense`` layer of a flattened image reads the image itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vta.compiler.graph.ir import Graph, Node, Tensor

__all__ = ["reshape_into_dense"]


def reshape_into_dense(graph: Graph) -> Graph:
    """``dense(reshape(x), kernel)`` -> ``dense(x, kernel)``, where ``x`` is a batch of images.

    The reshape keeps the batch and joins the rest in the order C, H, W, as ``dense`` takes it; the
    accelerator runs it as a convolution whose window is the image, and no data is moved. A
    ``transpose`` before the reshape, which keeps the batch too, becomes another order of the
    kernel's columns.
    """
    producers = graph.producers()
    nodes: list[Node] = []
    tensors: list[Tensor] = []
    names = graph.new_names()
    for node in graph.nodes:
        source = producers.get(node.inputs[0]) if node.operator == "dense" else None
        if source is not None and source.operator == "reshape":
            before, after = graph[source.inputs[0]], graph[source.output]
            if len(before.shape) == 4 and before.shape[0] == after.shape[0]:
                name, kernel = before.name, graph[node.inputs[1]]
                turn = producers.get(before.name)
                if (
                    turn is not None
                    and turn.operator == "transpose"
                    and turn.integers("order")[0] == 0
                ):
                    name = turn.inputs[0]
                    own = names.tensor(f"{kernel.name}.{node.name}")
                    kernel = _turned(own, kernel, before.shape, turn.integers("order"))
                    tensors.append(kernel)
                node = replace(node, inputs=(name, kernel.name, *node.inputs[2:]))
        nodes.append(node)
    return graph.rewritten(nodes, tensors)


def _turned(name: str, kernel: Tensor, shape: tuple[int, ...], order: tuple[int, ...]) -> Tensor:
    """A kernel for the image before it was transposed to ``shape``."""
    assert kernel.values is not None
    columns = kernel.values.reshape(-1, *shape[1:]).transpose(0, *np.argsort(order)[1:])
    values = np.ascontiguousarray(columns.reshape(kernel.shape))
    return replace(kernel, name=name, values=values)
