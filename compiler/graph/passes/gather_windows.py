"""Convolutions of few channels read windows that the host has gathered.

A first layer has 3 channels or fewer, which would leave most lanes of a tile empty.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from vta.compiler.graph.ir import Graph, Node, Quantisation, Tensor
from vta.compiler.ops.conv2d import few_channels
from vta.compiler.ops.geometry import Window

if TYPE_CHECKING:
    from vta.config import VTAConfig

__all__ = ["gather_windows"]


def gather_windows(graph: Graph, cfg: VTAConfig) -> Graph:
    """``conv2d(x, kernel)`` -> ``conv2d(im2col(x), kernel as 1x1)``.

    Each pixel of ``im2col(x)`` has the taps of all channels of ``x`` as its channels, in the order
    channel, row, column. Only where that saves half of the products or more.
    """
    nodes: list[Node] = []
    tensors: list[Tensor] = []
    names = graph.new_names()
    for node in graph.nodes:
        if node.operator == "conv2d" and node.integer("group") == 1:
            data, kernel = graph[node.inputs[0]], graph[node.inputs[1]]
            n, c, height, width = data.shape
            window = Window.of(
                node.name, (height, width), kernel.shape[2:], node.integers("strides"),
                node.integers("pads"), node.integers("dilations"),
            )  # fmt: skip
            if few_channels(c, window, cfg):
                zero = data.quantisation.zero if isinstance(data.quantisation, Quantisation) else 0
                taps = replace(
                    data, name=names.tensor(f"{node.output}.windows"),
                    shape=(n, c * kernel.shape[2] * kernel.shape[3], *window.out),
                )  # fmt: skip
                assert kernel.values is not None
                weights = kernel.values.reshape(kernel.shape[0], -1, 1, 1)
                flat = replace(
                    kernel, name=names.tensor(f"{kernel.name}.{node.name}"),
                    shape=weights.shape, values=weights,
                )  # fmt: skip
                tensors += [taps, flat]
                attributes = {
                    name: node.integers(name) for name in ("strides", "pads", "dilations")
                }
                nodes.append(
                    Node(
                        names.node(f"{node.name}.im2col"), "im2col", (data.name,), (taps.name,),
                        {**attributes, "kernel": tuple(kernel.shape[2:]), "value": zero},
                        node.source,
                    )
                )  # fmt: skip
                node = replace(
                    node.with_attributes(strides=(1, 1), pads=(0, 0, 0, 0), dilations=(1, 1)),
                    inputs=(taps.name, flat.name, *node.inputs[2:]),
                )
        nodes.append(node)
    return graph.rewritten(nodes, tensors)
