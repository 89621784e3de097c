"""ONNX operators with windows on signals (N, C, L): these are images of height 1."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from vta.compiler.frontend.onnx_import import Importer, OnnxNode
from vta.compiler.frontend.onnx_stored import moved
from vta.compiler.frontend.onnx_weights import reshaped_weights

__all__ = ["on_signals"]

Run = Callable[[Importer, OnnxNode, Sequence[str], str], None]

_HEIGHT: dict[str, int] = {
    "dilations": 1, "kernel_shape": 1, "output_padding": 0, "strides": 1,
}  # fmt: skip
"""Attributes with one value an axis, and their value for the height."""


def on_signals(run: Run) -> Run:
    """An importer of images that takes signals too.

    Parameters
    ----------
    run : callable
        ``run(importer, node, names, output)``: nodes for an ONNX node on the tensors ``names``
        (data of shape (N, C, H, W), weights if it has any, bias) whose result is ``output``.

    Returns
    -------
    callable
        The same, which gives data of shape (N, C, L) and weights of three dimensions a height of 1,
        and takes it from the result.
    """

    def both(importer: Importer, node: OnnxNode, names: Sequence[str], output: str) -> None:
        data = importer.tensors[names[0]]
        if len(data.shape) != 3:
            run(importer, node, names, output)
            return
        n, c, length = data.shape
        image = moved(importer, node, "reshape", data, (n, c, 1, length), suffix=".image")
        inputs = [image.name, *names[1:]]
        if len(inputs) > 1:
            weights = importer.tensors[names[1]]
            if len(weights.shape) != 3:
                raise node.error(
                    f"the kernel {importer.called(weights)} has shape {weights.shape}; must have "
                    f"three dimensions, as the data"
                )
            first, second, taps = weights.shape
            inputs[1] = reshaped_weights(importer, node, weights, (first, second, 1, taps)).name
        inner = replace(node, attributes=_with_height(node))
        result = importer.unused(f"{output}.image")
        run(importer, inner, inputs, result)
        n, c, _, length = importer.tensors[result].shape
        importer.add(
            node, "reshape", [result], (n, c, length), output=output, suffix=".signal"
        )  # fmt: skip

    return both


def _with_height(node: OnnxNode) -> dict[str, Any]:
    """Attributes of a node on signals, for images of height 1.

    Raises
    ------
    ModelError
        If one that has a value an axis does not have one value, or pads not two.
    """
    found = dict(node.attributes)
    for name, value in node.attributes.items():
        wanted = 2 if name == "pads" else 1
        if name in _HEIGHT or name == "pads":
            if len(value) != wanted:
                raise node.error(f"attribute {name} is {value}; must have length {wanted}")
            found[name] = [0, value[0], 0, value[1]] if name == "pads" else [_HEIGHT[name], *value]
    return found
