"""A frame of zeros around an image becomes the padding of the convolution that reads it."""

from __future__ import annotations

from dataclasses import replace

from vta.compiler.graph.ir import Graph, Node

__all__ = ["pads_into_convolutions"]


def pads_into_convolutions(graph: Graph) -> Graph:
    """``conv2d(pad(x, pads, value=zero point), pads)`` -> ``conv2d(x, sum of pads)``."""
    producers = graph.producers()
    nodes: list[Node] = []
    for node in graph.nodes:
        source = producers.get(node.inputs[0]) if node.operator == "conv2d" else None
        if source is not None and source.operator == "pad":
            data = graph[source.inputs[0]]
            same = data.quantisation == graph[source.output].quantisation
            if same and data.quantisation and data.quantisation.zero == source.integer("value"):
                both = zip(source.integers("pads"), node.integers("pads"))
                node = replace(
                    node.with_attributes(pads=tuple(a + b for a, b in both)),
                    inputs=(data.name, *node.inputs[1:]),
                )
        nodes.append(node)
    return graph.rewritten(nodes)
