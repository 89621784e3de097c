"""The interpreter of integer graphs: NumPy defines every tensor; targets equal it bit for bit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vta.compiler.graph.registry import row_of
from vta.errors import ModelError

if TYPE_CHECKING:
    from vta.compiler.graph.ir import Graph

__all__ = ["interpret"]


def interpret(graph: Graph, inputs: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """Every tensor of a graph that :func:`~vta.compiler.graph.pipeline.integer_graph` made.

    Parameters
    ----------
    graph : Graph
    inputs : mapping of str to ndarray
        Of the shapes and types of the graph's inputs.

    Returns
    -------
    dict of str to ndarray
        By name, inputs and constants included.

    Raises
    ------
    ModelError
        If an input is missing, or has another shape or type.
    """
    values: dict[str, npt.NDArray[Any]] = {
        name: tensor.values for name, tensor in graph.tensors.items() if tensor.values is not None
    }
    for name in graph.inputs:
        want, got = graph[name], np.asarray(inputs[name]) if name in inputs else None
        if got is None or got.shape != want.shape or got.dtype.name != want.dtype:
            found = "missing" if got is None else f"{got.dtype} of shape {got.shape}"
            raise ModelError(f"input {name} is {found}; must be {want.dtype} of shape {want.shape}")
        values[name] = got
    for node in graph.nodes:
        reference = row_of(node).reference
        assert reference is not None, node.operator
        values[node.output] = reference(node, graph, [values[name] for name in node.inputs])
    return values
