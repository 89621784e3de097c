"""Weights of ONNX operators in the shape and the order of axes that the graph has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from vta.compiler.frontend.onnx_import import Importer, OnnxNode
from vta.compiler.graph.ir import Tensor

__all__ = ["reordered_weights", "reshaped_weights", "transposed_weights"]

Array = npt.NDArray[Any]


def reordered_weights(
    importer: Importer, node: OnnxNode, weights: Tensor, order: Sequence[int]
) -> Tensor:
    """A constant with its axes in another order, behind its ``dequantize`` too.

    Raises
    ------
    ModelError
        If it is computed.
    """
    return _changed(
        importer, node, weights, "transposed", lambda values: values.transpose(order),
        lambda axis: list(order).index(axis),
    )  # fmt: skip


def transposed_weights(importer: Importer, node: OnnxNode, weights: Tensor, groups: int) -> Tensor:
    """The constant kernel of a transposed convolution, inputs first (I, O / groups, H, W), with its
    outputs first (O, I / groups, H, W); scales of outputs are those of each group.

    Raises
    ------
    ModelError
        If it is computed.
    """

    def change(values: Array) -> Array:
        parts = np.split(values, groups)
        return np.concatenate([part.swapaxes(0, 1) for part in parts])

    return _changed(importer, node, weights, "transposed", change, (1, 0, 2, 3).index, groups)


def reshaped_weights(
    importer: Importer, node: OnnxNode, weights: Tensor, shape: Sequence[int]
) -> Tensor:
    """A constant in another shape, in which its first two axes are as before, behind its
    ``dequantize`` too.

    Raises
    ------
    ModelError
        If it is computed.
    """
    return _changed(
        importer, node, weights, "reshaped", lambda values: values.reshape(shape), lambda axis: axis
    )


def _changed(
    importer: Importer, node: OnnxNode, weights: Tensor, what: str,
    change: Callable[[Array], Array], moved_axis: Callable[[int], int], copies: int = 1,
) -> Tensor:  # fmt: skip
    """``copies``: how often scales along an axis are repeated."""
    if weights.values is not None:
        turned = np.ascontiguousarray(change(weights.values))
        return importer.add_constant(f"{weights.name}.{what}", turned)
    source = next((n for n in importer.nodes if n.outputs == (weights.name,)), None)
    stored = importer.tensors[source.inputs[0]].values if source is not None else None
    if source is None or source.operator != "dequantize" or stored is None:
        raise node.error(
            f"the weights ({importer.called(weights)}) are computed; must be constants"
        )
    turned = np.ascontiguousarray(change(stored))
    constant = importer.add_constant(f"{source.inputs[0]}.{what}", turned)
    parameters = [
        _repeated(importer, importer.tensors[name], copies).name for name in source.inputs[1:]
    ]
    return importer.add(
        node, "dequantize", [constant.name, *parameters], constant.shape,
        output=importer.unused(f"{weights.name}.{what}"), suffix=".weights",
        axis=moved_axis(source.integer("axis")),
    )  # fmt: skip


def _repeated(importer: Importer, parameter: Tensor, copies: int) -> Tensor:
    """Scales or zero points of several groups; one for all stays."""
    if copies == 1 or parameter.values is None or parameter.values.size == 1:
        return parameter
    return importer.add_constant(f"{parameter.name}.groups", np.tile(parameter.values, copies))
