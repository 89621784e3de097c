"""Tensors of the accelerator lie in tiles; ``pack`` and ``unpack`` change the layout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from vta.compiler.graph.ir import Attribute, Graph, Layout, Node, Tensor
from vta.compiler.graph.registry import row_of

if TYPE_CHECKING:
    from vta.config import VTAConfig

__all__ = ["layouts"]

_PACK = {"tiles": "pack", "rows": "pack_rows", "columns": "pack_columns"}
_UNPACK = {"tiles": "unpack", "rows": "unpack_rows"}


def _tile(layout: Layout, cfg: VTAConfig) -> tuple[int, int]:
    return (cfg.block_out if layout == "columns" else cfg.batch), cfg.block_in


def layouts(graph: Graph, cfg: VTAConfig) -> Graph:
    """Insert changes of layout where a tensor is needed in another one than it is computed in.

    A tensor keeps its name in the layout in which it is computed; the other copy is called
    ``NAME.tiles`` or ``NAME.plain``. Inputs and outputs of the network are plain.
    """
    tensors: dict[str, Tensor] = dict(graph.tensors)
    nodes: list[Node] = []
    copies: dict[tuple[str, Layout], str] = {}
    names = graph.new_names()

    def in_layout(given: str, wanted: Layout, source: str) -> str:
        name = given
        if tensors[name].is_constant or tensors[name].layout == wanted:
            return name
        if (name, wanted) not in copies:
            copy = names.tensor(f"{name}.{wanted}")
            tensors[copy] = replace(tensors[name], name=copy, layout=wanted)
            if wanted == "plain":
                operator = _UNPACK[tensors[name].layout]
                tile: dict[str, Attribute] = {}
            else:
                name = in_layout(name, "plain", source)
                operator, tile = _PACK[wanted], {"tile": _tile(wanted, cfg)}
            own = names.node(f"{given}.{operator}")
            nodes.append(Node(own, operator, (name,), (copy,), tile, source))
            copies[given, wanted] = copy
        return copies[given, wanted]

    for node in graph.nodes:
        row = row_of(node)
        layout: Layout = "tiles" if row.lower is not None else "plain"
        wanted: Sequence[Layout] = [layout] * len(node.inputs)
        if row.layouts is not None:
            data, layout = row.layouts(node, graph)
            wanted = (*data, *wanted[len(data) :])
        if row.on_tiles is not None and row.on_tiles(node, graph, cfg):
            computed = [name for name in node.inputs if not tensors[name].is_constant]
            if all(tensors[name].layout == "tiles" for name in computed):
                layout, wanted = "tiles", ["tiles"] * len(node.inputs)
        inputs = tuple(in_layout(name, own, node.source) for name, own in zip(node.inputs, wanted))
        nodes.append(replace(node, inputs=inputs))
        for name in node.outputs:
            tensors[name] = replace(tensors[name], layout=layout)
    producers = graph.producers()
    outputs = [
        in_layout(name, "plain", producers[name].source if name in producers else "")
        for name in graph.outputs
    ]
    return replace(graph, tensors=tensors).rewritten(nodes, outputs=outputs)
