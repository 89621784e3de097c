"""Graphs as text: one tensor and one node a line; golden files of the passes are made of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vta.compiler.graph.ir import Attribute, Graph, Node

__all__ = ["graph_text"]

MOST_NUMBERS = 8


def graph_text(graph: Graph) -> str:
    """The whole graph. Values of constants, and long attributes, are shortened."""
    lines = [f"graph {graph.name}"]
    lines += [f"  input {graph[name]}" for name in graph.inputs]
    lines += [f"  {tensor}" for tensor in graph.tensors.values() if tensor.is_constant]
    for node in graph.nodes:
        results = ", ".join(str(graph[name]) for name in node.outputs)
        lines.append(f"  {results} = {_node(node)}")
    lines.append(f"  return {', '.join(graph.outputs)}")
    return "\n".join(lines) + "\n"


def _node(node: Node) -> str:
    parts = [*node.inputs, *(f"{key}={_value(value)}" for key, value in node.attributes.items())]
    return f"{node.operator}({', '.join(parts)})  # {node.name}"


def _value(value: Attribute) -> str:
    if isinstance(value, tuple):
        shown = ", ".join(_value(item) for item in value[:MOST_NUMBERS])
        more = f", ... {len(value)} in all" if len(value) > MOST_NUMBERS else ""
        return f"({shown}{more})"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
