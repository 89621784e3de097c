"""Padding of convolutions by a zero point that is not 0 becomes a node of its own.

Loads of the machine fill in zeros, and only those.
"""

from __future__ import annotations

from dataclasses import replace

from vta.compiler.graph.ir import Graph, Node, Tensor

__all__ = ["explicit_padding"]


def explicit_padding(graph: Graph) -> Graph:
    """``conv2d(x, pads)`` -> ``conv2d(pad(x, pads, value=zero), pads=0)``."""
    nodes: list[Node] = []
    tensors: list[Tensor] = []
    for node in graph.nodes:
        if node.operator == "conv2d" and any(node.integers("pads")):
            data = graph[node.inputs[0]]
            assert data.quantisation is not None
            if data.quantisation.zero:
                top, left, bottom, right = node.integers("pads")
                n, c, height, width = data.shape
                padded = replace(
                    data, name=graph.unused_name(f"{node.output}.padded"),
                    shape=(n, c, height + top + bottom, width + left + right),
                )  # fmt: skip
                tensors.append(padded)
                frame: dict[str, int | tuple[int, ...]] = {
                    "pads": (top, left, bottom, right), "value": data.quantisation.zero,
                }  # fmt: skip
                nodes.append(Node(f"{node.name}.pad", "pad", (data.name,), (padded.name,), frame))
                node = replace(
                    node.with_attributes(pads=(0, 0, 0, 0)),
                    inputs=(padded.name, *node.inputs[1:]),
                )
        nodes.append(node)
    return graph.rewritten(nodes, tensors)
