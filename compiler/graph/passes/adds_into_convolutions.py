"""The sum of a convolution's result and another tensor becomes part of the convolution."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from vta.compiler.graph.ir import Graph, Node
from vta.compiler.graph.registry import row_of
from vta.compiler.ops.requantise import one_pass_on
from vta.errors import OperatorError

if TYPE_CHECKING:
    from vta.config import VTAConfig

__all__ = ["adds_into_convolutions"]

_RULE = ("multipliers", "offset", "shift", "low", "high")


def adds_into_convolutions(graph: Graph, cfg: VTAConfig) -> Graph:
    """``a = conv2d(x, ...); b = add(a, y)`` -> ``b = conv2d_add(x, ..., y)``.

    The result of the convolution stays in the accumulators, and the ALU adds beside the products of
    the next block. Only on machines with REQUANTISE, where nothing else reads ``a``, and where the
    accumulators hold blocks of both tensors. If both operands are results of convolutions, the one
    with more products takes the sum.
    """
    if not one_pass_on(cfg):
        return graph
    producers, consumers = graph.producers(), graph.consumers()
    names = graph.new_names()
    nodes: dict[str, Node] = {node.name: node for node in graph.nodes}
    for node in graph.nodes:
        if node.operator != "add" or len(set(node.inputs)) != 2:
            continue
        found = [
            producer
            for name in node.inputs
            if (producer := producers.get(name)) is not None
            and producer.operator == "conv2d"
            and len(consumers[name]) == 1
            and name not in graph.outputs
        ]
        for convolution in sorted(found, key=lambda one: -_products(one, graph)):
            fused = _fused(convolution, node)
            if _fits(fused, graph, cfg):
                del nodes[convolution.name]
                nodes[node.name] = replace(fused, name=names.node(fused.name))
                break
    return graph.rewritten(list(nodes.values()))


def _products(node: Node, graph: Graph) -> int:
    """Products of each element of a convolution's result."""
    values = graph[node.inputs[1]].values
    assert values is not None
    return int(values[0].size)


def _fused(convolution: Node, add: Node) -> Node:
    swapped = add.inputs[1] == convolution.output
    (other,) = (name for name in add.inputs if name != convolution.output)
    rule = {f"add_{name}": add.attributes[name] for name in _RULE}
    first, second = add.integers("multipliers")
    rule["add_multipliers"] = (second, first) if swapped else (first, second)
    return Node(
        f"{convolution.name} + {add.name}", "conv2d_add", (*convolution.inputs, other),
        add.outputs, {**convolution.attributes, **rule}, f"{convolution.label} and {add.label}",
    )  # fmt: skip


def _fits(node: Node, graph: Graph, cfg: VTAConfig) -> bool:
    lower = row_of(node).lower
    assert lower is not None
    try:
        lower(node, graph, cfg)
    except OperatorError:
        return False
    return True
