"""A rescaling that only clips becomes part of the operator that computes its input."""

from __future__ import annotations

from dataclasses import replace

from vta.compiler.graph.ir import Graph, Node
from vta.compiler.graph.registry import row_of

__all__ = ["clip_into_producer"]


def clip_into_producer(graph: Graph) -> Graph:
    """``a = conv2d(..., low, high); b = rescale(a)`` -> ``b = conv2d(..., low', high')``.

    Where scale and zero point of ``a`` and ``b`` are equal, and nothing else reads ``a``. A
    quantised model has such nodes for each activation that is quantised twice, before and after.
    The result is the same: ``rescale`` with equal scales is ``clip``, and of two clips the inner
    limits are clipped by the outer ones.
    """
    producers, consumers = graph.producers(), graph.consumers()
    nodes: dict[str, Node] = {node.name: node for node in graph.nodes}
    for node in graph.nodes:
        if node.operator != "rescale":
            continue
        source = producers.get(node.inputs[0])
        if source is None or not row_of(source).accumulates:
            continue
        source = nodes[source.name]
        before, after = graph[node.inputs[0]], graph[node.output]
        if before.quantisation != after.quantisation or before.name in graph.outputs:
            continue
        if len(consumers[before.name]) > 1:
            continue
        low, high = node.integer("low"), node.integer("high")
        limits = (min(max(source.integer(name), low), high) for name in ("low", "high"))
        clipped = dict(zip(("low", "high"), limits))
        nodes[source.name] = replace(source.with_attributes(**clipped), outputs=node.outputs)
        del nodes[node.name]
    return graph.rewritten(list(nodes.values()))
