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
    names = graph.new_names()
    for node in graph.nodes:
        if node.operator == "conv2d" and any(node.integers("pads")):
            data = graph[node.inputs[0]]
            assert data.quantisation is not None
            if data.quantisation.zero:
                top, left, bottom, right = node.integers("pads")
                n, c, height, width = data.shape
                padded = replace(
                    data, name=names.tensor(f"{node.output}.padded"),
                    shape=(n, c, height + top + bottom, width + left + right),
                )  # fmt: skip
                tensors.append(padded)
                frame: dict[str, int | tuple[int, ...]] = {
                    "pads": (top, left, bottom, right), "value": data.quantisation.zero,
                }  # fmt: skip
                own = names.node(f"{node.name}.pad")
                nodes.append(Node(own, "pad", (data.name,), (padded.name,), frame, node.source))
                node = replace(
                    node.with_attributes(pads=(0, 0, 0, 0)),
                    inputs=(padded.name, *node.inputs[1:]),
                )
        nodes.append(node)
    return graph.rewritten(nodes, tensors)
