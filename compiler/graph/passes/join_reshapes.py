"""One reshape after another becomes one; those that change nothing go."""

from __future__ import annotations

from dataclasses import replace

from vta.compiler.graph.ir import Graph, Node

__all__ = ["join_reshapes"]


def join_reshapes(graph: Graph) -> Graph:
    """``reshape(reshape(x))`` -> ``reshape(x)``, and ``reshape(x)`` to its own shape -> ``x``.

    Where ``x`` and the result mean the same integers; outputs of the network keep their node.
    """
    first: dict[str, str] = {}
    """Of the result of reshapes: the tensor in front of them."""
    instead: dict[str, str] = {}
    nodes: list[Node] = []
    for node in graph.nodes:
        node = replace(node, inputs=tuple(instead.get(name, name) for name in node.inputs))
        if node.operator == "reshape":
            (name,), result = node.inputs, graph[node.output]
            name = first.get(name, name)
            source = graph[name]
            if source.quantisation == result.quantisation and source.dtype == result.dtype:
                first[result.name] = name
                node = replace(node, inputs=(name,))
                if source.shape == result.shape and result.name not in graph.outputs:
                    instead[result.name] = name
                    continue
        nodes.append(node)
    return graph.rewritten(nodes)
