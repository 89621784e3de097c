"""Data that a node moves without computing with them: what is stored in 8 bits stays so."""

from __future__ import annotations

from collections.abc import Sequence

from vta.compiler.frontend.onnx_import import Importer, OnnxNode
from vta.compiler.graph.ir import Attribute, Node, Tensor

__all__ = ["moved", "source_of"]


def source_of(importer: Importer, tensor: Tensor) -> Node | None:
    """The ``dequantize`` that computes a tensor."""
    found = next((node for node in importer.nodes if node.outputs == (tensor.name,)), None)
    return found if found is not None and found.operator == "dequantize" else None


def moved(
    importer: Importer,
    node: OnnxNode,
    operator: str,
    data: Tensor,
    shape: Sequence[int],
    *,
    suffix: str,
    output: str | None = None,
    **attributes: Attribute,
) -> Tensor:
    """A node that moves data, as one of several that an ONNX node becomes.

    Behind a ``dequantize`` with one scale the result is quantised and dequantised again with the
    same scale, so that stored integers are moved, and what reads the result finds it quantised.

    Parameters
    ----------
    importer : Importer
    node : OnnxNode
    operator : str
        Of the graph; moves elements, or copies them.
    data : Tensor
    shape : sequence of int
        Of the result.
    suffix : str
        Of the name of the node.
    output : str or None
        The name of the result; None: an inner tensor.
    attributes
        Of the node.

    Raises
    ------
    ModelError
        As :meth:`Importer.add`.
    """
    name = output or importer.unused(f"{node.outputs[0]}{suffix}")
    source = source_of(importer, data)
    if source is None or importer.tensors[source.inputs[1]].shape not in ((), (1,)):
        return importer.add(
            node, operator, [data.name], shape, output=name, suffix=suffix, dtype=data.dtype,
            **attributes,
        )  # fmt: skip
    inner = importer.add(
        node, operator, [data.name], shape, output=importer.unused(f"{name}.real"), suffix=suffix,
        dtype=data.dtype, **attributes,
    )  # fmt: skip
    parameters = source.inputs[1:]
    stored = importer.add(
        node, "quantize", [inner.name, *parameters], shape,
        output=importer.unused(f"{name}.stored"), suffix=f"{suffix}.quantize",
        dtype=importer.tensors[parameters[1]].dtype, axis=0,
    )  # fmt: skip
    return importer.add(
        node, "dequantize", [stored.name, *parameters], shape, output=name,
        suffix=f"{suffix}.dequantize", axis=0,
    )  # fmt: skip
