"""Functions of one activation, products of two, and the elementwise functions of real numbers.

Of stored integers: ``lookup`` (inputs data and table; attribute ``axis``) on the host;
``line`` (attributes as of ``rescale``), ``two_slopes``, ``hard_swish`` and ``multiply`` on the
vector ALU, by the rules of :mod:`vta.compiler.ops.pointwise`. The pass
:mod:`~vta.compiler.graph.passes.fold_pointwise` makes the first four of real functions.

Of real numbers, on the host: those of :mod:`vta.host_elementwise`; operands are broadcast.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from vta.compiler.graph.operator_row import Array, Lowered, OperatorRow
from vta.compiler.ops.pointwise import (
    gated,
    hard_swish,
    product,
    sloped,
    two_slopes,
    weighted_product,
)
from vta.host_elementwise import BINARY, UNARY
from vta.host_operators import run_host_operator

if TYPE_CHECKING:
    from vta.compiler.graph.ir import Graph, Node
    from vta.config import VTAConfig

__all__ = ["ROWS", "by_channel"]


def by_channel(whole: Sequence[int], other: Sequence[int]) -> bool:
    """Whether a tensor has one value for each image and channel of another one."""
    return len(whole) > 2 and tuple(other) == (*whole[:2], *(1 for _ in whole[2:]))


def _limits(node: Node) -> dict[str, int]:
    return {name: node.integer(name) for name in ("shift", "low", "high")}


def _rule(node: Node) -> dict[str, int]:
    return {"data_zero": node.integer("data_zero"), **_limits(node)}


# ---- functions of one activation -----------------------------------------------------------------


def _axis(node: Node, graph: Graph) -> dict[str, int | tuple[int, ...]]:
    return {"axis": node.integer("axis")}


def _lookup(node: Node, graph: Graph, arrays: Sequence[Array]) -> Array:
    return run_host_operator("lookup", arrays, _axis(node, graph))


def _one_table(node: Node, graph: Graph, cfg: VTAConfig) -> bool:
    return len(graph[node.inputs[1]].shape) == 1


def _channel_rows(node: Node, graph: Graph, *names: str) -> list[Array]:
    """Attributes as int32, one for each channel of the data."""
    channels = graph[node.inputs[0]].shape[1]
    return [np.broadcast_to(np.array(node.integers(name), np.int32), (channels,)) for name in names]


_SLOPES = ("positive", "negative", "offset")


def _slopes_reference(node: Node, graph: Graph, arrays: Sequence[Array]) -> Array:
    (data,) = arrays
    shape = (1, -1, *(1 for _ in data.shape[2:]))
    rising, falling, offset = (row.reshape(shape) for row in _channel_rows(node, graph, *_SLOPES))
    result = sloped(data.astype(np.int64), rising, falling, offset, **_rule(node))
    return result.astype(np.int8)


def _lower_slopes(node: Node, graph: Graph, cfg: VTAConfig) -> Lowered:
    operator = two_slopes(graph[node.inputs[0]].shape, cfg=cfg, **_rule(node))
    return Lowered(operator, _channel_rows(node, graph, *_SLOPES))


def _gate(node: Node) -> tuple[int, int, int]:
    factor, start, shift = node.integers("gate")
    return factor, start, shift


def _swish_reference(node: Node, graph: Graph, arrays: Sequence[Array]) -> Array:
    result = gated(
        arrays[0].astype(np.int64), _gate(node), node.integer("multiplier"),
        node.integer("offset"), **_rule(node),
    )  # fmt: skip
    return result.astype(np.int8)


def _lower_swish(node: Node, graph: Graph, cfg: VTAConfig) -> Lowered:
    data = graph[node.inputs[0]]
    factor, start, shift = _gate(node)
    operator = hard_swish(
        data.shape, (factor, shift), node.integer("multiplier"), cfg=cfg, **_rule(node)
    )
    rows = [np.full(data.shape[1], value, np.int32) for value in (start, node.integer("offset"))]
    return Lowered(operator, rows)


# ---- products ------------------------------------------------------------------------------------


def _zeros(node: Node) -> tuple[int, int]:
    first, second = node.integers("zeros")
    return first, second


def _multiply(node: Node, graph: Graph, arrays: Sequence[Array]) -> Array:
    a, b = (array.astype(np.int64) for array in arrays)
    result = weighted_product(
        a, b, node.integer("multiplier"), node.integer("offset"), zeros=_zeros(node),
        **_limits(node),
    )  # fmt: skip
    return result.astype(np.int8)


def _lower_multiply(node: Node, graph: Graph, cfg: VTAConfig) -> Lowered:
    data, factor = (graph[name].shape for name in node.inputs)
    operator = product(
        data, node.integer("multiplier"), cfg=cfg, zeros=_zeros(node), **_limits(node),
        by_channel=data != factor,
    )  # fmt: skip
    return Lowered(operator, (np.full(data[1], node.integer("offset"), np.int32),))


# ---- real numbers --------------------------------------------------------------------------------


def _real(node: Node, graph: Graph, arrays: Sequence[Array]) -> Array:
    return run_host_operator(node.operator, arrays, {})


_OF_ONE = (
    "data must be float32; of one quantised tensor and constants: on the accelerator, if a clipped "
    "line, two slopes or hard-swish; else a table of 256 entries"
)
_OF_INTEGERS = _OF_ONE.replace("float32;", "float32, int32 or int64;")
_ONNX = {
    "real_add": {"BatchNormalization": 9},
    "absolute": {"Abs": 6},
    "divide": {"Div": 7, "Softsign": 1},
    "erf": {"Erf": 9, "Gelu": 20},
    "exp": {"Celu": 12, "Elu": 6, "Exp": 6, "Selu": 6},
    "log": {"Log": 6, "Softplus": 1},
    "maximum": {"Max": 8},
    "minimum": {"Min": 8},
    "negative": {"Neg": 6},
    "power": {"Pow": 7},
    "reciprocal": {"Reciprocal": 6},
    "sigmoid": {"QLinearSigmoid": 1, "Sigmoid": 6, "Swish": 24},
    "sqrt": {"Sqrt": 6},
    "subtract": {"Sub": 7},
    "tanh": {"Mish": 18, "Tanh": 6},
}

ROWS = (
    OperatorRow(
        name="lookup", onnx={}, reference=_lookup, host=_axis, on_tiles=_one_table,
    ),
    OperatorRow(
        name="two_slopes",
        onnx={"LeakyRelu": 6, "PRelu": 7, "QLinearLeakyRelu": 1},
        reference=_slopes_reference,
        lower=_lower_slopes,
        limits={
            "LeakyRelu": ("its data and its result must be quantised; else the host runs it",),
            "PRelu": (
                "its data and its result must be quantised, and the slope be a constant, one or "
                "one a channel; else the host runs it",
            ),
        },
    ),
    OperatorRow(
        name="hard_swish",
        onnx={"HardSigmoid": 6, "HardSwish": 14},
        reference=_swish_reference,
        lower=_lower_swish,
        limits=dict.fromkeys(
            ("HardSigmoid", "HardSwish"),
            ("its data and its result must be quantised; else the host runs it",),
        ),
    ),
    OperatorRow(
        name="multiply",
        onnx={"Mul": 7, "QLinearMul": 1},
        reference=_multiply,
        lower=_lower_multiply,
        accumulates=True,
        limits={
            "Mul": (
                "both operands must be computed and have the same shape, or one of them the shape "
                "(N, C, 1, 1); else as Div",
            )
        },
    ),
    *(
        OperatorRow(
            name=name,
            onnx=_ONNX.get(name, {}),
            reference=_real,
            host=lambda node, graph: {},
            limits={
                kind: (_OF_INTEGERS if kind in ("Max", "Min", "Sub") else _OF_ONE,)
                for kind in _ONNX.get(name, {})
            },
        )
        for name in (*UNARY, *BINARY)
    ),
)  # fmt: skip
