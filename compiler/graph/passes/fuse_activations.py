"""``clip`` becomes part of the operator that computes its only input."""

from __future__ import annotations

from dataclasses import replace

from vta.compiler.graph.ir import Graph, Node
from vta.compiler.graph.operators.quantised import real_range
from vta.compiler.graph.registry import row_of

__all__ = ["fuse_activations"]


def fuse_activations(graph: Graph) -> Graph:
    """``a = conv2d(...); b = clip(a)`` -> ``b = conv2d(..., real_low, real_high)``.

    Only where nothing else uses ``a``. An operator whose ``accumulates`` is False keeps its clip.
    """
    consumers, producers = graph.consumers(), graph.producers()
    fused: dict[str, Node] = {}  # by the result of the producer
    gone: set[str] = set()
    for node in graph.nodes:
        source = producers.get(node.inputs[0]) if node.operator == "clip" else None
        if source is None or not row_of(source).accumulates or source.name in gone:
            continue
        if len(consumers[source.output]) > 1 or source.output in graph.outputs:
            continue
        low, high = real_range(node)
        fused[source.name] = replace(
            source.with_attributes(real_low=low, real_high=high), outputs=node.outputs
        )
        gone.update((node.name, source.name))
    nodes = [fused.get(n.name, n) for n in graph.nodes if n.name in fused or n.name not in gone]
    return graph.rewritten(nodes)
