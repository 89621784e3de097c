"""Weights of ONNX operators in the order of axes that the graph has."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vta.compiler.frontend.onnx_import import Importer, OnnxNode
from vta.compiler.graph.ir import Tensor

__all__ = ["reordered_weights"]


def reordered_weights(
    importer: Importer, node: OnnxNode, weights: Tensor, order: Sequence[int]
) -> Tensor:
    """A constant with its axes in another order, behind its ``dequantize`` too.

    Raises
    ------
    ModelError
        If it is computed.
    """
    if weights.values is not None:
        turned = np.ascontiguousarray(weights.values.transpose(order))
        return importer.add_constant(f"{weights.name}.transposed", turned)
    source = next((n for n in importer.nodes if n.outputs == (weights.name,)), None)
    stored = importer.tensors[source.inputs[0]].values if source is not None else None
    if source is None or source.operator != "dequantize" or stored is None:
        raise node.error(f"the weights ({weights.name}) are computed; must be constants")
    turned = np.ascontiguousarray(stored.transpose(order))
    constant = importer.add_constant(f"{source.inputs[0]}.transposed", turned)
    return importer.add(
        node, "dequantize", [constant.name, *source.inputs[1:]], constant.shape,
        output=importer.unused(f"{weights.name}.transposed"), suffix=".weights",
        axis=list(order).index(source.integer("axis")),
    )  # fmt: skip
