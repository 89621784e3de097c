"""Softmax and its logarithm, of each version of ONNX: on the host, in real numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod

from vta.compiler.frontend.onnx_elementwise import elementwise
from vta.compiler.frontend.onnx_import import Importer, OnnxNode
from vta.compiler.graph.ir import Tensor

__all__ = ["SOFTMAX"]

Handler = Callable[[Importer, OnnxNode], None]


def _softmax(importer: Importer, node: OnnxNode, data: Tensor, axis: int, output: str) -> None:
    importer.add(node, "softmax", [data.name], data.shape, axis=axis, output=output)


def _log_softmax(importer: Importer, node: OnnxNode, data: Tensor, axis: int, output: str) -> None:
    """``d - log(sum(exp(d)))`` with ``d = data - max(data)``, which does not overflow."""
    shape = [1 if n == axis else extent for n, extent in enumerate(data.shape)]

    def reduced(kind: str, of: Tensor) -> Tensor:
        return importer.add(
            node, kind, [of.name], shape, suffix=f".{kind}", axes=(axis,),
            output=importer.unused(f"{output}.{kind}"),
        )  # fmt: skip

    less = elementwise(importer, node, "subtract", data, reduced("reduce_max", data))
    total = reduced("reduce_sum", elementwise(importer, node, "exp", less))
    logarithm = elementwise(importer, node, "log", total)
    elementwise(importer, node, "subtract", less, logarithm, output=output)


def _along_axis(run: Callable[[Importer, OnnxNode, Tensor, int, str], None]) -> Handler:
    """Before opset 13 all axes from ``axis`` are one, and the default is axis 1."""

    def handler(importer: Importer, node: OnnxNode) -> None:
        node.require("axis")
        data, output = importer.tensor(node, 0), node.outputs[0]
        if data.dtype != "float32":
            raise node.error(f"{data.name} is {data.dtype}; must be float32")
        rank = len(data.shape)
        axis = node.axis(node.value("axis", -1 if node.opset >= 13 else 1), rank)
        if node.opset >= 13 or axis == rank - 1:
            run(importer, node, data, axis, output)
            return
        rows = importer.add(
            node, "reshape", [data.name], (prod(data.shape[:axis]), prod(data.shape[axis:])),
            output=importer.unused(f"{output}.rows"), suffix=".rows",
        )  # fmt: skip
        found = importer.unused(f"{output}.found")
        run(importer, node, rows, 1, found)
        importer.add(node, "reshape", [found], data.shape, output=output, suffix=".shape")

    return handler


SOFTMAX: Mapping[tuple[str, str], Handler] = {
    ("", "LogSoftmax"): _along_axis(_log_softmax),
    ("", "Softmax"): _along_axis(_softmax),
}
"""By domain and operator."""
