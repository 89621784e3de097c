"""ONNX operators that are matrix products."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from vta.compiler.frontend.onnx_import import Importer, OnnxNode
from vta.compiler.frontend.onnx_stored import source_of
from vta.compiler.frontend.onnx_weights import reordered_weights
from vta.compiler.graph.ir import Node, Tensor
from vta.host_operators import run_host_operator

__all__ = ["MATRICES", "add_matmul"]

Handler = Callable[[Importer, OnnxNode], None]


def _gemm(importer: Importer, node: OnnxNode) -> None:
    """``alpha * data @ weights + beta * bias``; alpha scales the weights."""
    node.require("alpha", "beta", "transA", "transB")
    data, kernel = importer.tensor(node, 0), importer.tensor(node, 1)
    if len(data.shape) != 2 or len(kernel.shape) != 2:
        raise node.error(f"shapes are {data.shape} and {kernel.shape}; must be two matrices")
    by_columns = bool(node.value("transA", 0)), bool(node.value("transB", 0))
    alpha, beta = float(node.value("alpha", 1.0)), float(node.value("beta", 1.0))
    if not alpha > 0 or not np.isfinite(alpha * beta):
        raise node.error(f"alpha is {alpha} and beta {beta}; must be finite, and alpha positive")
    if _stored(importer, kernel) is None and kernel.values is None:
        if importer.has(node, 2) or alpha != 1:
            raise node.error(
                f"the weights ({importer.called(kernel)}) are computed; then there must be no "
                f"bias, and alpha must be 1"
            )
        _add_product(importer, node, data, kernel, by_columns, None)
        return
    kernel = _kernel(importer, node, kernel, alpha, turn=not by_columns[1])
    names = [data.name, kernel.name]
    if importer.has(node, 2) and beta:
        names.append(_bias(importer, node, importer.tensor(node, 2), beta))
    depth, rows = data.shape if by_columns[0] else data.shape[::-1]
    _require_depth(node, depth, kernel)
    if by_columns[0]:
        importer.add(node, "dense", names, (rows, kernel.shape[0]), transposed=1)
    else:
        importer.add(node, "dense", names, (rows, kernel.shape[0]))


def _matmul(importer: Importer, node: OnnxNode) -> None:
    node.require()
    importer.tensor(node, 1)
    add_matmul(importer, node, node.inputs)


def add_matmul(
    importer: Importer, node: OnnxNode, names: Sequence[str], output: str | None = None
) -> None:
    """The product of two tensors as ``numpy.matmul`` defines it, at least one of them computed.

    Raises
    ------
    ModelError
        If shapes do not fit, or a constant is not the second operand and a matrix.
    """
    data, other = importer.tensors[names[0]], importer.tensors[names[1]]
    if len(data.shape) < 2 or len(other.shape) < 2:
        raise node.error(
            f"shapes are {data.shape} and {other.shape}; must have two dimensions or more"
        )
    constant = other.values is not None or _stored(importer, other) is not None
    if not constant or len(other.shape) > 2:
        _add_product(importer, node, data, other, (False, False), output)
        return
    kernel = _kernel(importer, node, other, 1.0, turn=True)
    _require_depth(node, data.shape[-1], kernel)
    importer.add(
        node, "dense", [data.name, kernel.name], (*data.shape[:-1], kernel.shape[0]), output=output
    )


def _add_product(
    importer: Importer, node: OnnxNode, left: Tensor, right: Tensor,
    by_columns: tuple[bool, bool], output: str | None,
) -> None:  # fmt: skip
    """The product of two computed tensors; ``by_columns``: which is stored transposed."""
    *outer, rows, depth = (*left.shape[:-2], *_turned(left.shape[-2:], by_columns[0]))
    *other, inner, columns = (*right.shape[:-2], *_turned(right.shape[-2:], by_columns[1]))
    try:
        front = np.broadcast_shapes(tuple(outer), tuple(other))
    except ValueError:
        front = None
    if depth != inner or front is None:
        raise node.error(
            f"shapes {left.shape} and {right.shape}; must be (..., M, K) and (..., K, N), and in "
            f"front be broadcast to one shape"
        )
    importer.add(
        node, "matmul", [left.name, right.name], (*front, rows, columns), output=output,
        transposed=tuple(map(int, by_columns)),
    )  # fmt: skip


def _turned(shape: Sequence[int], by_columns: bool) -> Sequence[int]:
    return shape[::-1] if by_columns else shape


def _require_depth(node: OnnxNode, columns: int, kernel: Tensor) -> None:
    if kernel.shape[1] != columns:
        raise node.error(f"{columns} columns of data; the weights have {kernel.shape[1]}")


def _stored(importer: Importer, tensor: Tensor) -> Node | None:
    """The ``dequantize`` of a constant."""
    source = source_of(importer, tensor)
    known = source is not None and importer.tensors[source.inputs[0]].is_constant
    return source if known else None


def _kernel(
    importer: Importer, node: OnnxNode, kernel: Tensor, alpha: float, *, turn: bool
) -> Tensor:
    """Weights as (outputs, inputs), times ``alpha``; behind their ``dequantize`` too."""
    if turn:
        kernel = reordered_weights(importer, node, kernel, (1, 0))
    if alpha == 1:
        return kernel
    if kernel.values is not None:
        return importer.add_constant(f"{kernel.name}.alpha", kernel.values * np.float32(alpha))
    source = _stored(importer, kernel)
    assert source is not None
    stored, scale = (importer.tensors[name] for name in source.inputs[:2])
    assert scale.values is not None
    scaled = (scale.values * np.float64(alpha)).astype(np.float32)
    factors = importer.add_constant(f"{scale.name}.alpha", scaled)
    return importer.add(
        node, "dequantize", [stored.name, factors.name, source.inputs[2]], stored.shape,
        output=importer.unused(f"{kernel.name}.alpha"), suffix=".alpha",
        axis=source.integer("axis"),
    )  # fmt: skip


def _bias(importer: Importer, node: OnnxNode, bias: Tensor, beta: float) -> str:
    if beta == 1:
        return bias.name
    values = bias.values
    source = _stored(importer, bias)
    if source is not None:
        stored, scale, zero = (importer.tensors[name].values for name in source.inputs)
        assert stored is not None and scale is not None and zero is not None
        values = run_host_operator("dequantize", [stored, scale, zero], {"axis": 0})
    if values is None:
        raise node.error(f"the bias ({importer.called(bias)}) is computed; must be a constant")
    return importer.add_constant(f"{bias.name}.beta", values * np.float32(beta)).name


MATRICES: Mapping[tuple[str, str], Handler] = {
    ("", "Gemm"): _gemm,
    ("", "MatMul"): _matmul,
}
"""By domain and operator."""
