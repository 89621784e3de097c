"""Operators on real numbers (float32), on the host: ``quantize``, ``dequantize``, ``softmax`` and
``mean`` (attribute ``axes``, which stay, with extent 1).

quantize and dequantize: inputs data, scale, zero point; attribute ``axis``, of scales that are
several. softmax: attribute ``axis``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from vta.compiler.graph.operator_row import Array, Constraint, OperatorRow
from vta.compiler.graph.user_names import input_name
from vta.host_operators import run_host_operator

if TYPE_CHECKING:
    from vta.compiler.graph.ir import Graph, Node

__all__ = ["ROWS"]


def _axis(node: Node, graph: Graph) -> dict[str, int | tuple[int, ...]]:
    return {"axis": node.integer("axis")}


def _reference(node: Node, graph: Graph, arrays: Sequence[Array]) -> Array:
    return run_host_operator(node.operator, arrays, _axis(node, graph))


def _constant_parameters(node: Node, graph: Graph) -> str | None:
    computed = [name for name in node.inputs[1:] if not graph[name].is_constant]
    return f"{input_name(graph, computed[0])} is computed" if computed else None


_CONSTANTS = Constraint("scale and zero point must be constants", _constant_parameters)

_NO_BLOCKS = "scales must be one, or one along an axis (block_size 0)"


def _axes(node: Node, graph: Graph) -> dict[str, int | tuple[int, ...]]:
    return {"axes": node.integers("axes")}


def _mean(node: Node, graph: Graph, arrays: Sequence[Array]) -> Array:
    return run_host_operator("mean", arrays, _axes(node, graph))


ROWS = (
    OperatorRow(name="mean", onnx={}, reference=_mean, host=_axes),
    OperatorRow(
        name="quantize",
        onnx={"QuantizeLinear": 10},
        reference=_reference,
        host=_axis,
        constraints=(_CONSTANTS,),
        limits={"QuantizeLinear": ("the result must be int8 or uint8", _NO_BLOCKS)},
    ),
    OperatorRow(
        name="dequantize",
        onnx={"DequantizeLinear": 10},
        reference=_reference,
        host=_axis,
        constraints=(_CONSTANTS,),
        limits={"DequantizeLinear": (_NO_BLOCKS,)},
    ),
    OperatorRow(
        name="softmax",
        onnx={"LogSoftmax": 11, "QLinearSoftmax": 1, "Softmax": 11},
        reference=_reference,
        host=_axis,
    ),
)
