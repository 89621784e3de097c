"""Tensors of the accelerator lie in tiles; ``pack`` and ``unpack`` change the layout."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from vta.compiler.graph.ir import Graph, Layout, Node, Tensor
from vta.compiler.graph.registry import row_of

if TYPE_CHECKING:
    from vta.config import VTAConfig

__all__ = ["layouts"]


def layouts(graph: Graph, cfg: VTAConfig) -> Graph:
    """Insert changes of layout where a tensor is needed in another one than it is computed in.

    A tensor keeps its name in the layout in which it is computed; the other copy is called
    ``NAME.tiles`` or ``NAME.plain``. Inputs and outputs of the network are plain.
    """
    tensors: dict[str, Tensor] = dict(graph.tensors)
    nodes: list[Node] = []
    copies: dict[tuple[str, Layout], str] = {}

    def in_layout(name: str, wanted: Layout) -> str:
        if tensors[name].is_constant or tensors[name].layout == wanted:
            return name
        if (name, wanted) not in copies:
            copy = f"{name}.{wanted}"
            tensors[copy] = replace(tensors[name], name=copy, layout=wanted)
            tile: dict[str, int | tuple[int, ...]] = {"tile": (cfg.batch, cfg.block_out)}
            operator, attributes = ("pack", tile) if wanted == "tiles" else ("unpack", {})
            nodes.append(Node(f"{name}.{operator}", operator, (name,), (copy,), attributes))
            copies[name, wanted] = copy
        return copies[name, wanted]

    for node in graph.nodes:
        row = row_of(node)
        layout: Layout = "tiles" if row.lower is not None else "plain"
        if row.on_tiles is not None and row.on_tiles(node, graph, cfg):
            computed = [name for name in node.inputs if not tensors[name].is_constant]
            if all(tensors[name].layout == "tiles" for name in computed):
                layout = "tiles"
        inputs = tuple(in_layout(name, layout) for name in node.inputs)
        nodes.append(replace(node, inputs=inputs))
        for name in node.outputs:
            tensors[name] = replace(tensors[name], layout=layout)
    outputs = [in_layout(name, "plain") for name in graph.outputs]
    return replace(graph, tensors=tensors).rewritten(nodes, outputs=outputs)
