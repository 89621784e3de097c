"""A rescaling becomes part of the operator that computes its input."""

from __future__ import annotations

from dataclasses import replace

from vta.compiler.graph.ir import Graph, Node, Tensor
from vta.compiler.graph.operators.quantised import HIGHEST, LOWEST, real_range
from vta.compiler.graph.registry import row_of

__all__ = ["rescale_into_producer"]


def rescale_into_producer(graph: Graph) -> Graph:
    """``a = conv2d(...); b = rescale(a)`` -> ``b = conv2d(...)``.

    The producer requantises to the scale of ``b``, and clips to the range of ``a``. Only where
    nothing else reads ``a``.

    A quantised model has such nodes for each activation that is quantised before and after, with
    one scale, and before a concatenation of tensors with several scales. With equal scales the
    result is the same; else one rounding is left out.
    """
    producers, consumers = graph.producers(), graph.consumers()
    nodes: dict[str, Node] = {node.name: node for node in graph.nodes}
    for node in graph.nodes:
        if node.operator != "rescale":
            continue
        source = producers.get(node.inputs[0])
        if source is None or not row_of(source).accumulates:
            continue
        if len(consumers[source.output]) > 1 or source.output in graph.outputs:
            continue
        inner, outer, stored = real_range(source), real_range(node), _range(graph[source.output])
        low, high = (min(max(limit, outer[0], stored[0]), outer[1], stored[1]) for limit in inner)
        nodes[source.name] = producers[node.output] = replace(
            nodes[source.name].with_attributes(real_low=low, real_high=high), outputs=node.outputs
        )
        del nodes[node.name]
    return graph.rewritten(list(nodes.values()))


def _range(tensor: Tensor) -> tuple[float, float]:
    """The real numbers that the stored integers of a tensor reach to."""
    quantisation = tensor.quantisation
    assert quantisation is not None
    low, high = (quantisation.scale * (end - quantisation.zero) for end in (LOWEST, HIGHEST))
    return low, high
