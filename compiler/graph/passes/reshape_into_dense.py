"""A ``dense`` layer of a flattened image reads the image itself."""

from __future__ import annotations

from dataclasses import replace

from vta.compiler.graph.ir import Graph

__all__ = ["reshape_into_dense"]


def reshape_into_dense(graph: Graph) -> Graph:
    """``dense(reshape(x))`` -> ``dense(x)``, where ``x`` is a batch of images.

    The reshape keeps the batch and joins the rest in the order C, H, W, as ``dense`` takes it; the
    accelerator runs it as a convolution whose window is the image, and no data is moved.
    """
    producers = graph.producers()
    nodes = []
    for node in graph.nodes:
        source = producers.get(node.inputs[0]) if node.operator == "dense" else None
        if source is not None and source.operator == "reshape":
            before, after = graph[source.inputs[0]], graph[source.output]
            if len(before.shape) == 4 and before.shape[0] == after.shape[0]:
                node = replace(node, inputs=(before.name, *node.inputs[1:]))
        nodes.append(node)
    return graph.rewritten(nodes)
