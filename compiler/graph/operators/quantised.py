"""What rows share: the requantisation that a node carries, and constraints of quantised tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vta.compiler.ops.requantise import OnePass, Requantise, WholeSums

if TYPE_CHECKING:
    from vta.compiler.graph.ir import Graph, Node, Tensor
    from vta.compiler.graph.operator_row import Array

__all__ = [
    "HIGHEST",
    "LOWEST",
    "channel_scales",
    "constant_input",
    "constant_weights",
    "real_range",
    "requantise_of",
    "requantised",
    "stored_range",
]

LOWEST, HIGHEST = -128, 127
"""Of int8, the type of activations."""


def requantise_of(node: Node) -> Requantise:
    """The requantisation in a node's attributes, as the pass ``requantise`` sets them; none of a
    node with ``whole_sums``."""
    if "whole_sums" in node.attributes:
        return WholeSums()
    if "scales" in node.attributes:
        return OnePass(low=node.integer("low"), high=node.integer("high"))
    return Requantise(
        node.integer("shift"),
        node.integer("low"),
        node.integer("high"),
        scaled=True,
        pre_shift=node.integer("pre_shift"),
        zero=node.integer("zero"),
    )


def channel_scales(node: Node) -> Array:
    """The scales or multipliers of a node: int32, one a channel or one for all."""
    name = "scales" if "scales" in node.attributes else "multipliers"
    return np.array(node.integers(name), np.int32)


def requantised(node: Node, sums: Array) -> Array:
    """Sums of shape (n, channels, ...), bias added, as int8 by the node's requantisation, or
    whole as int32."""
    if "whole_sums" in node.attributes:
        return WholeSums().reference(sums)
    factors = channel_scales(node)
    shape = (1, -1, *(1 for _ in sums.shape[2:]))
    return requantise_of(node).reference(sums, factors.reshape(shape)).astype(np.int8)


def real_range(node: Node) -> tuple[float, float]:
    """The real numbers that a fused activation clips to."""
    low = node.real("real_low") if "real_low" in node.attributes else -np.inf
    high = node.real("real_high") if "real_high" in node.attributes else np.inf
    return low, high


def stored_range(node: Node, result: Tensor) -> tuple[int, int]:
    """The stored integers that a node clips its result to: int8, and its fused activation."""
    assert result.quantisation is not None
    scale, zero = result.quantisation.scale, result.quantisation.zero
    low, high = (
        float(np.clip(np.rint(np.float64(value) / scale) + zero, LOWEST, HIGHEST))
        for value in real_range(node)
    )
    return int(low), int(high)


def constant_input(node: Node, graph: Graph, index: int) -> Array | None:
    """The values of a constant input, through a ``dequantize`` node too; None if it is absent or
    computed."""
    if index >= len(node.inputs):
        return None
    name = node.inputs[index]
    values = graph[name].values
    if values is not None:
        return values
    for producer in graph.nodes:
        if name in producer.outputs and producer.operator == "dequantize":
            return graph[producer.inputs[0]].values
    return None


def constant_weights(node: Node, graph: Graph) -> str | None:
    """What is wrong with weights or bias that must be constants; None if nothing is."""
    if constant_input(node, graph, 1) is None:
        return "weights are computed"
    if len(node.inputs) > 2 and constant_input(node, graph, 2) is None:
        return "bias is computed"
    return None
