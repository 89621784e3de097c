"""The verifier of graphs: what must hold after every pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vta.compiler.graph.registry import OPERATORS

if TYPE_CHECKING:
    from vta.compiler.graph.ir import Graph

__all__ = ["verify_graph"]


def verify_graph(graph: Graph) -> None:
    """Check the invariants of a graph; a violation is a fault of a pass, not of a model.

    Raises
    ------
    AssertionError
        Naming the node or the tensor.
    """
    for name, tensor in graph.tensors.items():
        assert name == tensor.name, f"tensor {tensor.name} is listed as {name}"
        if tensor.values is not None:
            assert tensor.values.shape == tensor.shape, f"{name}: values of another shape"
            assert tensor.values.dtype.name == tensor.dtype, f"{name}: values of another dtype"
        if tensor.quantisation is not None:
            axis, scales = tensor.quantisation.axis, tensor.quantisation.scales
            count = 1 if axis is None else tensor.shape[axis]
            assert len(scales) == len(tensor.quantisation.zeros) == count, f"{name}: scales"
    ready = {name for name, tensor in graph.tensors.items() if tensor.is_constant}
    assert not ready.intersection(graph.inputs), "an input is a constant"
    ready.update(graph.inputs)
    names: set[str] = set()
    for node in graph.nodes:
        assert node.operator in OPERATORS, f"{node.name}: no operator {node.operator}"
        for name in node.inputs:
            assert name in ready, f"{node.name} reads {name} before it is computed"
        for name in node.outputs:
            assert name in graph.tensors, f"{node.name}: no tensor {name}"
            assert name not in ready, f"{node.name} computes {name} again"
            ready.add(name)
        assert node.name not in names, f"two nodes are called {node.name}"
        names.add(node.name)
    for name in graph.outputs:
        assert name in ready, f"the output {name} is not computed"
