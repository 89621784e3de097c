"""A transposed convolution becomes a convolution of which each channel is a phase of the result.

Each pixel of the result of a transposed convolution with stride s sums the taps ``r, r + s, ...``
of the kernel, where the phase r is its place modulo s. So the phases are s * s convolutions of
the data; their results are interleaved afterwards, by the host. Their zero points and padding are
those of a convolution.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np

from vta.compiler.graph.ir import Graph, Node, Tensor
from vta.compiler.graph.names import NewNames
from vta.compiler.graph.operator_row import Array

__all__ = ["transposed_into_convolution"]


def transposed_into_convolution(graph: Graph) -> Graph:
    """``conv2d_transpose(x, kernel)`` -> ``interleave(conv2d(x, phases of kernel))``."""
    nodes: list[Node] = []
    tensors: list[Tensor] = []
    names = graph.new_names()
    for node in graph.nodes:
        if node.operator != "conv2d_transpose":
            nodes.append(node)
            continue
        made, own = _phases(graph, node, names)
        nodes += made
        tensors += own
    return graph.rewritten(nodes, tensors)


def _phases(graph: Graph, node: Node, names: NewNames) -> tuple[list[Node], list[Tensor]]:
    data, kernel, bias = (graph[name] for name in node.inputs)
    result = graph[node.output]
    assert kernel.values is not None and bias.values is not None
    strides, (top, left, *_) = node.integers("strides"), node.integers("pads")
    down, across = strides
    places = [
        _axis(data.shape[axis], result.shape[axis], kernel.shape[axis], step, first)
        for axis, step, first in ((2, down, top), (3, across, left))
    ]
    (before_y, after_y, rows), (before_x, after_x, columns) = places
    count, channels, groups = down * across, kernel.shape[0], node.integer("group")
    each = channels // groups
    # Channels of the convolution: group, phase, channel of the group.
    order = np.arange(count * channels).reshape(count, groups, each).swapaxes(0, 1).reshape(-1)
    weights = np.ascontiguousarray(_phase_kernels(kernel.values, strides)[order])
    n = data.shape[0]

    def inner(name: str, *shape: int) -> Tensor:
        return replace(result, name=names.tensor(f"{node.output}.{name}"), shape=shape)

    phases = inner("phases", n, count * channels, rows, columns)
    quantisation = kernel.quantisation
    if quantisation is not None and quantisation.axis is not None:
        scales, zeros = quantisation.scales * count, quantisation.zeros * count
        quantisation = replace(
            quantisation, scales=tuple(scales[place] for place in order),
            zeros=tuple(zeros[place] for place in order),
        )  # fmt: skip
    flat = replace(
        kernel, name=names.tensor(f"{kernel.name}.{node.name}"), shape=weights.shape,
        values=weights, quantisation=quantisation,
    )  # fmt: skip
    every = np.tile(bias.values, count)[order]
    biases = replace(
        bias, name=names.tensor(f"{bias.name}.{node.name}"), shape=every.shape, values=every
    )
    split = inner("split", n * groups, down, across, each, rows, columns)
    turned = inner("turned", n * groups, each, rows, down, columns, across)
    joined = inner("joined", n, channels, rows * down, columns * across)
    height, width = result.shape[2:]
    crop = joined.shape[2:] != (height, width) or top or left
    last = joined if crop else result
    kept = {name: value for name, value in node.attributes.items() if name.startswith("real")}
    convolution: dict[str, tuple[int, ...] | int] = {
        "strides": (1, 1), "dilations": (1, 1), "group": groups,
        "pads": (before_y, before_x, after_y, after_x),
    }  # fmt: skip
    made = [
        Node(node.name, "conv2d", (data.name, flat.name, biases.name), (phases.name,),
             {**kept, **convolution}, node.source),
        Node(names.node(f"{node.name}.split"), "reshape", (phases.name,), (split.name,),
             source=node.source),
        Node(names.node(f"{node.name}.interleave"), "transpose", (split.name,), (turned.name,),
             {"order": (0, 3, 4, 1, 5, 2)}, node.source),
        Node(names.node(f"{node.name}.join"), "reshape", (turned.name,), (last.name,),
             source=node.source),
    ]  # fmt: skip
    if crop:
        window = {"rows": range(top, top + height), "columns": range(left, left + width)}
        made.append(
            Node(names.node(f"{node.name}.crop"), "resize", (joined.name,), (result.name,),
                 {name: tuple(places) for name, places in window.items()}, node.source)
        )  # fmt: skip
    return made, [phases, flat, biases, split, turned, joined]


def _axis(data: int, result: int, taps: int, step: int, first: int) -> tuple[int, int, int]:
    """Padding before and after the data, and how many results of each phase there are."""
    each = -(-taps // step)
    count = max((result - 1 + first) // step + 1, data)
    return each - 1, count - data, count


def _phase_kernels(kernel: Array, strides: tuple[int, ...]) -> Array:
    """The kernel (OIHW) of each phase, one after the other: (phases * O, I, taps, taps); the last
    tap of a convolution is the first one of a transposed convolution."""
    rows, columns = (-(-taps // step) for taps, step in zip(kernel.shape[2:], strides))
    whole = np.zeros((*kernel.shape[:2], rows * strides[0], columns * strides[1]), kernel.dtype)
    whole[:, :, : kernel.shape[2], : kernel.shape[3]] = kernel
    parts = [
        whole[:, :, y :: strides[0], x :: strides[1]][:, :, ::-1, ::-1]
        for y, x in product(range(strides[0]), range(strides[1]))
    ]
    return np.ascontiguousarray(np.concatenate(parts))
