"""Elementwise functions of one quantised tensor become one node: on the vector ALU, or a table.

Erf, sigmoid, hard-swish, GELU in its parts, PReLU, factors and summands that are constants: what
lies between a ``dequantize`` and a ``quantize`` is a function of 256 stored integers, whatever its
parts are, and is rounded once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from vta.compiler.graph.alu_functions import Function, alu_function
from vta.compiler.graph.ir import Attribute, Graph, Node, Tensor
from vta.compiler.graph.names import NewNames
from vta.compiler.graph.operator_row import Array
from vta.compiler.graph.operators.quantised import constant_input, real_range
from vta.host_elementwise import BINARY, UNARY
from vta.host_operators import run_host_operator

__all__ = ["fold_pointwise"]

_REAL = {"add": "real_add", "multiply": "real_multiply"}
_POINTWISE = {*UNARY, *BINARY, *_REAL, "clip"}
_OWN_PASS = ({"clip"},)
"""Operators of a region that :mod:`~vta.compiler.graph.passes.fuse_activations` does better."""
_ALU_RANKS = range(2, 6)


def fold_pointwise(graph: Graph) -> Graph:
    """``quantize(f(dequantize(x)))`` -> ``quantize(lookup(dequantize(x), table))``.

    ``f`` is a graph of elementwise operators whose other operands are constants: scalars, or
    vectors along one axis of ``x``. In place of ``lookup`` there is ``line``, ``two_slopes`` or
    ``hard_swish``, with its integers, where :func:`~vta.compiler.graph.alu_functions.alu_function`
    finds one.
    """
    producers = graph.producers()
    nodes: list[Node] = []
    tensors: list[Tensor] = []
    names = graph.new_names()
    for node in graph.nodes:
        if node.operator == "quantize":
            region = _region(graph, producers, node)
            made = None if region is None else _folded(graph, producers, node, region, names)
            if made is not None:
                folded, own = made
                nodes.append(folded)
                tensors += own
                node = replace(node, inputs=(folded.output, *node.inputs[1:]))
        nodes.append(node)
    return graph.rewritten(nodes, tensors)


def _region(graph: Graph, producers: Mapping[str, Node], result: Node) -> list[Node] | None:
    """The elementwise nodes between one ``dequantize`` and a ``quantize``, in order; None if there
    are none, or several tensors of data."""
    found: set[str] = set()
    sources: set[str] = set()
    left = [result.inputs[0]]
    while left:
        name = left.pop()
        producer = producers.get(name)
        if _is_constant(graph, producers, name):
            continue
        if producer is None or producer.operator not in _POINTWISE:
            sources.add(name)
        elif producer.name not in found:
            found.add(producer.name)
            left += producer.inputs
    region = [node for node in graph.nodes if node.name in found]
    kinds = {node.operator for node in region}
    if not region or len(sources) != 1 or kinds in _OWN_PASS:
        return None
    source = producers.get(sources.pop())
    if source is None or source.operator != "dequantize":
        return None
    scales = [graph[node.inputs[1]].values for node in (source, result)]
    return region if all(s is not None and s.size == 1 for s in scales) else None


def _folded(
    graph: Graph,
    producers: Mapping[str, Node],
    result: Node,
    region: Sequence[Node],
    names: NewNames,
) -> tuple[Node, list[Tensor]] | None:
    computed = {node.output for node in region}
    data = next(
        name for node in region for name in node.inputs
        if name not in computed and not _is_constant(graph, producers, name)
    )  # fmt: skip
    source = producers[data]
    rank = len(graph[data].shape)
    stored = np.arange(-128, 128).astype(np.int8).reshape(256, *(1 for _ in range(rank)))
    if graph[source.inputs[0]].dtype == "uint8":
        stored = (stored.astype(np.int16) + 128).astype(np.uint8)
    values = {data: run_host_operator("dequantize", [stored, *_parameters(graph, source)],
                                      {"axis": 0})}  # fmt: skip
    for node in region:
        operands = [_operand(graph, node, k, values) for k in range(len(node.inputs))]
        if any(operand is None for operand in operands):
            return None
        values[node.output] = _evaluate(node, [array for array in operands if array is not None])
    real = values[result.inputs[0]]
    if real.ndim != rank + 1 or np.isnan(real).any():
        return None
    axes = [axis for axis in range(rank) if real.shape[axis + 1] > 1]
    if len(axes) > 1 or graph[result.inputs[0]].shape != graph[data].shape:
        return None
    table = run_host_operator("quantize", [real, *_parameters(graph, result)], {"axis": 0})
    if table.dtype == np.uint8:
        table = (table.astype(np.int16) - 128).astype(np.int8)
    axis = axes[0] if axes else 0
    function = _function(graph, source, result, real.reshape(256, -1), table.reshape(256, -1))
    return _node(graph, region[-1], data, result, function, axis, names)


def _node(
    graph: Graph,
    last: Node,
    data: str,
    result: Node,
    function: Function,
    axis: int,
    names: NewNames,
) -> tuple[Node, list[Tensor]]:
    shape = graph[data].shape
    output = Tensor(names.tensor(f"{result.output}.real"), shape, "float32")
    channels = function.table.shape[1]
    on_alu = None
    if len(shape) in _ALU_RANKS and (channels == 1 or axis == 1):
        on_alu = alu_function(function)
    if on_alu is not None:
        operator, attributes = on_alu
        return Node(last.name, operator, (data,), (output.name,), attributes, last.source), [output]
    values = np.ascontiguousarray(function.table.T)
    values = values.reshape(256) if channels == 1 else values
    table = Tensor(names.tensor(f"{result.output}.table"), values.shape, "int8", values=values)
    found: dict[str, Attribute] = {"axis": axis}
    return Node(last.name, "lookup", (data, table.name), (output.name,), found, last.source), [
        output,
        table,
    ]


def _function(graph: Graph, source: Node, result: Node, real: Array, table: Array) -> Function:
    (data_scale, data_zero), (scale, zero) = (
        (float(s.reshape(-1)[0]), int(z.reshape(-1)[0]) - (128 if z.dtype == np.uint8 else 0))
        for s, z in (_parameters(graph, node) for node in (source, result))
    )
    return Function(
        real.astype(np.float64) / scale + zero, table, data_zero, zero, data_scale / scale
    )


def _parameters(graph: Graph, node: Node) -> list[Array]:
    """Scale and zero point of a ``quantize`` or ``dequantize``."""
    found = [graph[name].values for name in node.inputs[1:]]
    return [values for values in found if values is not None]


def _is_constant(graph: Graph, producers: Mapping[str, Node], name: str) -> bool:
    producer = producers.get(name)
    return graph[name].is_constant or (
        producer is not None
        and producer.operator == "dequantize"
        and graph[producer.inputs[0]].is_constant
    )


def _operand(graph: Graph, node: Node, index: int, values: Mapping[str, Array]) -> Array | None:
    """A computed operand, or a constant, dequantised if it is stored."""
    name = node.inputs[index]
    if name in values:
        return values[name]
    stored = constant_input(node, graph, index)
    if stored is None or graph[name].is_constant:
        return stored
    source = graph.producers()[name]
    return run_host_operator(
        "dequantize", [stored, *_parameters(graph, source)], {"axis": source.integer("axis")}
    )


def _evaluate(node: Node, operands: Sequence[Array]) -> Array:
    if node.operator != "clip":
        return run_host_operator(_REAL.get(node.operator, node.operator), operands, {})
    low, high = real_range(node)
    return np.clip(operands[0], np.float32(low), np.float32(high))
