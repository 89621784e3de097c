"""Operators of networks that read sequences, on the host: ``gather`` (inputs data and indices,
attribute ``axis``), ``where``, ``cast`` (attribute ``to``, a number of ONNX), ``layer_norm``
(inputs data, scale, bias and epsilon, attribute ``axis``, the first one of the mean),
``reduce_sum``, ``reduce_max``, ``reduce_min`` (attribute ``axes``, which stay with extent 1),
``arg_max`` and ``arg_min`` (attributes ``axis``, which stays with extent 1, and ``last``: of equal
elements the last one); ``equal``, ``less``, ``less_equal`` of numbers, and ``logical_and``,
``logical_not``, ``logical_or``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from vta.compiler.graph.operator_row import Array, OperatorRow
from vta.host_operators import run_host_operator

if TYPE_CHECKING:
    from vta.compiler.graph.ir import Graph, Node

__all__ = ["ROWS"]

HostAttributes = dict[str, int | tuple[int, ...]]


def _host(*names: str) -> Callable[[Node, Graph], HostAttributes]:
    def attributes(node: Node, graph: Graph) -> HostAttributes:
        return {
            name: node.integers(name) if name == "axes" else node.integer(name) for name in names
        }

    return attributes


def _row(
    name: str, onnx: dict[str, int], *attributes: str,
    limits: dict[str, tuple[str, ...]] | None = None,
) -> OperatorRow:  # fmt: skip
    host = _host(*attributes)

    def reference(node: Node, graph: Graph, arrays: Sequence[Array]) -> Array:
        return run_host_operator(name, arrays, host(node, graph))

    return OperatorRow(name=name, onnx=onnx, reference=reference, host=host, limits=limits or {})


_CONSTANT_AXES = ("axes must be constants",)

ROWS = (
    _row(
        "gather", {"Gather": 1}, "axis",
        limits={"Gather": ("indices must be int32 or int64; those of a run are checked",)},
    ),
    _row("where", {"Where": 9}),
    _row(
        "cast", {"Cast": 6}, "to",
        limits={"Cast": ("to must be float32, int8, uint8, int32, int64 or bool",)},
    ),
    _row(
        "layer_norm",
        {"GroupNormalization": 18, "InstanceNormalization": 6, "LayerNormalization": 17}, "axis",
        limits={
            "GroupNormalization": ("scale and bias must be constants",),
            "InstanceNormalization": ("scale and bias must be constants",),
            "LayerNormalization": (
                "data must be float32; only the first result; scale and bias of any origin",
            ),
        },
    ),
    _row(
        "reduce_sum", {"LpNormalization": 1, "ReduceL2": 11, "ReduceSum": 11}, "axes",
        limits=dict.fromkeys(("ReduceL2", "ReduceSum"), _CONSTANT_AXES),
    ),
    _row("reduce_max", {"ReduceMax": 11}, "axes", limits={"ReduceMax": _CONSTANT_AXES}),
    _row("reduce_min", {"ReduceMin": 11}, "axes", limits={"ReduceMin": _CONSTANT_AXES}),
    _row("arg_max", {"ArgMax": 11}, "axis", "last"),
    _row("arg_min", {"ArgMin": 11}, "axis", "last"),
    *(
        _row(name, kinds, limits=dict.fromkeys(kinds, ("operands must be numbers of one type",)))
        for name, kinds in (
            ("equal", {"Equal": 7}),
            ("less", {"Greater": 7, "Less": 7}),
            ("less_equal", {"GreaterOrEqual": 12, "LessOrEqual": 12}),
        )
    ),
    _row("logical_and", {"And": 7}),
    _row("logical_not", {"Not": 1}),
    _row("logical_or", {"Or": 7}),
)  # fmt: skip
