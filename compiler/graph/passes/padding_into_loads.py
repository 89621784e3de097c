"""Padding by a zero point becomes part of the convolution again, where loads can write it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from vta.compiler.graph.ir import Graph, Node
from vta.isa.capabilities import Capability, capabilities_of

if TYPE_CHECKING:
    from vta.config import VTAConfig

__all__ = ["padding_into_loads"]


def padding_into_loads(graph: Graph, cfg: VTAConfig) -> Graph:
    """``conv2d(pad(x, pads, value), pads=0)`` -> ``conv2d(x, pads, pad_value)``.

    On machines with the instruction set extension, whose loads pad with any activation. The
    reverse of :func:`~vta.compiler.graph.passes.explicit_padding.explicit_padding`.
    """
    if Capability.PAD_VALUE not in capabilities_of(cfg):
        return graph
    producers = graph.producers()
    nodes: list[Node] = []
    for node in graph.nodes:
        source = producers.get(node.inputs[0]) if node.operator == "conv2d" else None
        if source is not None and source.operator == "pad" and not any(node.integers("pads")):
            node = replace(
                node.with_attributes(
                    pads=source.integers("pads"), pad_value=source.integer("value")
                ),
                inputs=(source.inputs[0], *node.inputs[1:]),
            )
        nodes.append(node)
    return graph.rewritten(nodes)
