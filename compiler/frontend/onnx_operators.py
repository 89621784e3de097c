"""One function for each ONNX operator: from a node of the file to nodes of the graph."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from onnx import numpy_helper

from vta.compiler.frontend.onnx_activations import ACTIVATIONS
from vta.compiler.frontend.onnx_elementwise import ELEMENTWISE
from vta.compiler.frontend.onnx_images import IMAGES
from vta.compiler.frontend.onnx_import import Importer, OnnxNode
from vta.compiler.frontend.onnx_matrices import MATRICES
from vta.compiler.frontend.onnx_movement import MOVEMENT
from vta.compiler.frontend.onnx_norms import NORMS
from vta.compiler.frontend.onnx_qlinear import QLINEAR
from vta.compiler.frontend.onnx_quantisation import QUANTISATION
from vta.compiler.frontend.onnx_rearrangement import REARRANGEMENTS
from vta.compiler.frontend.onnx_reductions import REDUCTIONS
from vta.compiler.frontend.onnx_sequences import SEQUENCES
from vta.compiler.frontend.onnx_slices import SLICES
from vta.compiler.frontend.onnx_softmax import SOFTMAX
from vta.compiler.frontend.onnx_windows import WINDOWS
from vta.compiler.graph.ir import Tensor

__all__ = ["IMPORTERS"]

Handler = Callable[[Importer, OnnxNode], None]


# ---- clips ---------------------------------------------------------------------------------------


def _relu(importer: Importer, node: OnnxNode) -> None:
    node.require()
    data = importer.tensor(node, 0)
    importer.add(node, "clip", [data.name], data.shape, real_low=0.0, real_high=float("inf"))


def _clip(importer: Importer, node: OnnxNode) -> None:
    node.require()
    data = importer.tensor(node, 0)
    low, high = (
        importer.number(node, index, what) if importer.has(node, index) else default
        for index, what, default in ((1, "min", -float("inf")), (2, "max", float("inf")))
    )  # fmt: skip
    importer.add(node, "clip", [data.name], data.shape, real_low=low, real_high=high)


def _same(importer: Importer, node: OnnxNode) -> None:
    """Identity, and Dropout at inference: the result is a reshape to the same shape."""
    node.require("seed", "ratio")
    if len([name for name in node.outputs if name]) > 1:
        raise node.error("has a second result (mask); only the values are supported")
    if importer.has(node, 2) and importer.constant(node, 2, "training_mode").any():
        raise node.error("input training_mode is true; must be false")
    data = importer.tensor(node, 0)
    if data.values is not None:
        importer.tensors[node.outputs[0]] = Tensor(
            node.outputs[0], data.shape, data.dtype, values=data.values
        )
        return
    importer.add(node, "reshape", [data.name], data.shape, dtype=data.dtype)


def _constant(importer: Importer, node: OnnxNode) -> None:
    node.require("value", "value_int", "value_ints", "value_float", "value_floats")
    if len(node.attributes) != 1:
        raise node.error(f"has {len(node.attributes)} values; must have one")
    ((kind, value),) = node.attributes.items()
    if kind == "value":
        values = numpy_helper.to_array(value)
    else:
        values = np.array(value, np.int64 if kind.startswith("value_int") else np.float32)
    importer.add_constant(node.outputs[0], values, of_file=True)


IMPORTERS: dict[tuple[str, str], Handler] = {
    **ACTIVATIONS,
    **ELEMENTWISE,
    **IMAGES,
    **MATRICES,
    **MOVEMENT,
    **NORMS,
    **QLINEAR,
    **QUANTISATION,
    **REARRANGEMENTS,
    **REDUCTIONS,
    **SEQUENCES,
    **SLICES,
    **SOFTMAX,
    **WINDOWS,
    ("", "Clip"): _clip,
    ("", "Constant"): _constant,
    ("", "Dropout"): _same,
    ("", "Identity"): _same,
    ("", "Relu"): _relu,
}
"""By domain and operator."""
