"""Products with more output channels than the accumulators hold constants of become several."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from vta.compiler.graph.ir import Attribute, Graph, Node, Tensor

if TYPE_CHECKING:
    from vta.compiler.graph.names import NewNames
    from vta.config import VTAConfig

__all__ = ["split_channels"]

_OPERATORS = ("conv2d", "dense")
_BY_CHANNEL = ("scales", "multipliers")
"""Attributes with one number for each output channel."""
_SHARE = 4
"""Constants (two or three for each tile of channels) take up to about half of the accumulators."""


def split_channels(graph: Graph, cfg: VTAConfig) -> Graph:
    """``dense(x, kernel)`` -> ``concat(dense(x, kernel[:k]), dense(x, kernel[k:]))``, as equal
    parts of whole tiles of channels, as few as fit."""
    nodes: list[Node] = []
    tensors: list[Tensor] = []
    names = graph.new_names()
    most = max(1, cfg.acc_depth // _SHARE)
    for node in graph.nodes:
        channels = graph[node.inputs[1]].shape[0] if node.operator in _OPERATORS else 0
        tiles = -(-channels // cfg.block_out)
        grouped = node.operator == "conv2d" and node.integer("group") > 1
        if tiles <= most or grouped:
            nodes.append(node)
            continue
        count = -(-tiles // most)
        step = -(-tiles // count) * cfg.block_out
        parts = []
        for number, first in enumerate(range(0, channels, step)):
            part, own = _part(graph, node, slice(first, first + step), number, names)
            parts.append(part)
            tensors += own
        nodes += parts
        joined: dict[str, Attribute] = {"axis": _axis(node, graph)}
        results = tuple(part.output for part in parts)
        own_name = names.node(f"{node.name}.join")
        nodes.append(Node(own_name, "concat", results, node.outputs, joined, node.source))
    return graph.rewritten(nodes, tensors)


def _axis(node: Node, graph: Graph) -> int:
    """The axis of the result's channels: of a matrix product the last one."""
    return 1 if node.operator == "conv2d" else len(graph[node.output].shape) - 1


def _part(
    graph: Graph, node: Node, taken: slice, number: int, names: NewNames
) -> tuple[Node, list[Tensor]]:
    def named(tensor: Tensor) -> str:
        constant = f".{node.name}" if tensor.is_constant else ""
        return names.tensor(f"{tensor.name}.part_{number}{constant}")

    result = graph[node.output]
    constants = []
    for tensor in (graph[name] for name in node.inputs[1:]):
        assert tensor.values is not None
        values = tensor.values[taken]
        constants.append(
            replace(
                tensor, name=named(tensor), values=values, shape=values.shape,
                quantisation=None,
            )
        )  # fmt: skip
    channels = constants[0].shape[0]
    axis = _axis(node, graph)
    shape = (*result.shape[:axis], channels, *result.shape[axis + 1 :])
    own = replace(result, name=named(result), shape=shape)
    attributes = {}
    for name in _BY_CHANNEL:
        if name in node.attributes and len(node.integers(name)) > 1:
            attributes[name] = node.integers(name)[taken]
    part = replace(
        node.with_attributes(**attributes), name=names.node(f"{node.name}.part_{number}"),
        inputs=(node.inputs[0], *(tensor.name for tensor in constants)), outputs=(own.name,),
    )  # fmt: skip
    return part, [own, *constants]
