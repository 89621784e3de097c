"""The scales of an integer graph become multipliers and shifts: afterwards it is exact.

The rules are those of :mod:`vta.compiler.ops.requantise` and :mod:`vta.compiler.ops.elementwise`.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np
import numpy.typing as npt

from vta.compiler.graph.ir import Graph, Node, Quantisation, Tensor
from vta.compiler.graph.names import NewNames
from vta.compiler.graph.operators.quantised import stored_range
from vta.compiler.ops.requantise import choose, choose_scales, half
from vta.errors import ModelError, OperatorError

__all__ = ["requantise"]

Integers = npt.NDArray[np.int64]
Reals = npt.NDArray[np.float64]

_MOST_SUM = 1 << 31
_NO_EFFECT = 0.25
"""Steps of the result."""


def requantise(graph: Graph, *, one_pass: bool = False) -> Graph:
    """Every operator with a scale gets its integers as attributes.

    The zero point of the data becomes part of the bias. With ``one_pass`` sums of products become
    activations by one rounding (:class:`~vta.compiler.ops.requantise.OnePass`), which needs a
    machine with the instruction set extension: attribute ``scales`` in place of ``multipliers``,
    ``pre_shift``, ``shift`` and ``zero``.

    Raises
    ------
    ModelError
        If the scales of a node are out of range.
    """
    nodes: list[Node] = []
    tensors: list[Tensor] = []
    names = graph.new_names()
    for node in graph.nodes:
        try:
            if node.operator in ("conv2d", "dense"):
                node, own = _products(node, graph, one_pass, names)
                tensors += own
            elif node.operator == "batch_matmul":
                node = _matrices(node, graph, one_pass)
            elif node.operator == "average_pool":
                node = _average(node, graph, one_pass)
            elif node.operator == "ragged_average":
                data, result = _of(graph, node.inputs[0]), _of(graph, node.output)
                node = node.with_attributes(
                    scale=data.scale / result.scale, data_zero=data.zero, zero=result.zero
                )
            elif node.operator in ("add", "rescale"):
                node = _weighted(node, graph)
            elif node.operator == "multiply":
                node = _product(node, graph)
        except OperatorError as error:
            raise ModelError(f"node {node.label}: {error}") from None
        nodes.append(node)
    return graph.rewritten(nodes, tensors)


def _of(graph: Graph, name: str) -> Quantisation:
    quantisation = graph[name].quantisation
    assert quantisation is not None, name
    return quantisation


def _products(
    node: Node, graph: Graph, one_pass: bool, names: NewNames
) -> tuple[Node, list[Tensor]]:
    data = _of(graph, node.inputs[0])
    kernel, bias = graph[node.inputs[1]], graph[node.inputs[2]]
    assert kernel.values is not None and bias.values is not None
    rows = kernel.values.reshape(kernel.shape[0], -1).astype(np.int64)
    moved = bias.values.astype(np.int64) - data.zero * rows.sum(axis=1)
    bounds = np.abs(rows).sum(axis=1) * 128 + np.abs(moved)
    if "whole_sums" in node.attributes:
        _require_sums(bounds)
        return node, [replace(bias, values=moved.astype(np.int32))]
    result = _of(graph, node.output)
    scales = data.scale * np.broadcast_to(_of(graph, kernel.name).scales, (len(rows),))
    ratios = scales / result.scale
    halved = _halvings(rows, bounds, ratios)
    tensors = []
    if halved.any():
        rows = _shifted(rows, halved[:, None])
        moved = _shifted(bias.values, halved) - data.zero * rows.sum(axis=1)
        ratios = ratios * 2.0**halved
        bounds = np.abs(rows).sum(axis=1) * 128 + np.abs(moved)
        kernel = replace(
            kernel, name=names.tensor(f"{kernel.name}.{node.name}"),
            values=rows.reshape(kernel.shape).astype(np.int8),
        )  # fmt: skip
        node = replace(node, inputs=(node.inputs[0], kernel.name, *node.inputs[2:]))
        tensors.append(kernel)
    node = _scaled(node, graph, ratios, bounds, result, one_pass)
    return node, [*tensors, replace(bias, values=moved.astype(np.int32))]


def _require_sums(bounds: Integers) -> None:
    if bounds.max() >= 1 << 31:
        raise OperatorError(f"sums reach {int(bounds.max())} in magnitude; must be below 2^31")


def _halvings(rows: Integers, bounds: Integers, ratios: Reals) -> Integers:
    """How often the units of each channel are doubled so that its sums fit 32 bits.

    A channel of nearly no weights has so small a scale that its bias fills 32 bits; its products
    are less than a quarter of a step of the result, and the bits that they lose have no effect.
    """
    needed = np.ceil(np.log2(np.maximum(bounds, 1) / (_MOST_SUM / 2))).clip(0).astype(np.int64)
    small = np.abs(rows).sum(axis=1) * 256 * ratios < _NO_EFFECT
    return np.where((bounds >= _MOST_SUM) & small, needed, 0)


def _shifted(values: Integers, by: Integers) -> Integers:
    """Halved ``by`` times, rounded to nearest."""
    return np.asarray(np.rint(values / 2.0**by), np.int64)


def _matrices(node: Node, graph: Graph, one_pass: bool) -> Node:
    left, right = (_of(graph, name) for name in node.inputs)
    assert left.zero == right.zero == 0, node.name
    bound = graph[node.inputs[0]].shape[-1] << 14
    if "whole_sums" in node.attributes:
        _require_sums(np.array([bound]))
        return node
    result = _of(graph, node.output)
    scale = left.scale * right.scale / result.scale
    return _scaled(node, graph, np.array([scale]), np.array([bound]), result, one_pass)


def _average(node: Node, graph: Graph, one_pass: bool) -> Node:
    data, result = _of(graph, node.inputs[0]), _of(graph, node.output)
    taps = prod(node.integers("kernel"))
    bound = taps * (128 + abs(data.zero))
    scale = data.scale / (taps * result.scale)
    node = _scaled(node, graph, np.array([scale]), np.array([bound]), result, one_pass)
    return node.with_attributes(bias=-data.zero * taps)


def _scaled(
    node: Node,
    graph: Graph,
    scales: Reals,
    bounds: Integers,
    result: Quantisation,
    one_pass: bool,
) -> Node:
    low, high = stored_range(node, graph[node.output])
    if one_pass:
        words = choose_scales(scales.tolist(), bounds.tolist(), zero=result.zero)
        return node.with_attributes(scales=words, low=low, high=high)
    found = choose(scales.tolist(), bounds.tolist(), zero=result.zero, low=low, high=high)
    return node.with_attributes(
        multipliers=found.multipliers, pre_shift=found.pre_shift, shift=found.shift,
        zero=result.zero, low=low, high=high,
    )  # fmt: skip


def _weighted(node: Node, graph: Graph) -> Node:
    """``(sum_k data_k * multiplier[k] + offset) >> shift``; the largest shift that fits."""
    result = _of(graph, node.output)
    operands = [_of(graph, name) for name in node.inputs]
    low, high = stored_range(node, graph[node.output])
    for shift in range(22, -1, -1):
        factors = [round(operand.scale / result.scale * 2.0**shift) for operand in operands]
        if max(factors) >= 1 << 15:
            continue
        offset = (result.zero << shift) + half(shift)
        offset -= sum(factor * operand.zero for factor, operand in zip(factors, operands))
        if sum(factors) * 128 + abs(offset) < 1 << 31:
            return node.with_attributes(
                multipliers=tuple(factors), offset=offset, shift=shift, low=low, high=high
            )
    raise OperatorError(
        f"scales {[operand.scale for operand in operands]} over that of the result, "
        f"{result.scale:g}, exceed 15 bits"
    )


def _product(node: Node, graph: Graph) -> Node:
    """``((a - zero_a) * (b - zero_b) * multiplier + offset) >> shift``; the largest shift that
    fits."""
    result = _of(graph, node.output)
    operands = [_of(graph, name) for name in node.inputs]
    low, high = stored_range(node, graph[node.output])
    ratio = prod(operand.scale for operand in operands) / result.scale
    for shift in range(31, -1, -1):
        multiplier = round(ratio * 2.0**shift)
        offset = (result.zero << shift) + half(shift)
        if multiplier < 1 << 15 and (multiplier << 16) + abs(offset) < 1 << 31:
            zeros = tuple(operand.zero for operand in operands)
            return node.with_attributes(
                multiplier=multiplier, offset=offset, shift=shift, zeros=zeros, low=low, high=high
            )
    raise OperatorError(
        f"scales {[operand.scale for operand in operands]} over that of the result, "
        f"{result.scale:g}, exceed 15 bits"
    )
