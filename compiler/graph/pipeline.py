"""The passes of graphs in order."""

from __future__ import annotations

from collections.abc import Callable

from vta.compiler.graph.ir import Graph
from vta.compiler.graph.passes.explicit_padding import explicit_padding
from vta.compiler.graph.passes.fold_pointwise import fold_pointwise
from vta.compiler.graph.passes.fuse_activations import fuse_activations
from vta.compiler.graph.passes.integers import integers
from vta.compiler.graph.passes.join_reshapes import join_reshapes
from vta.compiler.graph.passes.matrix_products import matrix_products
from vta.compiler.graph.passes.pads_into_convolutions import pads_into_convolutions
from vta.compiler.graph.passes.quantize_before_reshape import quantize_before_reshape
from vta.compiler.graph.passes.requantise import requantise
from vta.compiler.graph.passes.rescale_into_producer import rescale_into_producer
from vta.compiler.graph.passes.reshape_into_dense import reshape_into_dense
from vta.compiler.graph.passes.transposed_into_convolution import transposed_into_convolution

__all__ = ["PASSES", "integer_graph"]

PASSES: dict[str, Callable[[Graph], Graph]] = {
    "quantize_before_reshape": quantize_before_reshape,
    "fold_pointwise": fold_pointwise,
    "fuse_activations": fuse_activations,
    "integers": integers,
    "join_reshapes": join_reshapes,
    "pads_into_convolutions": pads_into_convolutions,
    "rescale_into_producer": rescale_into_producer,
    "matrix_products": matrix_products,
    "reshape_into_dense": reshape_into_dense,
    "transposed_into_convolution": transposed_into_convolution,
    "explicit_padding": explicit_padding,
    "requantise": requantise,
}
"""Every pass by name, in the order in which they run; the machine is not known to them."""


def integer_graph(
    graph: Graph,
    *,
    one_pass: bool = False,
    observe: Callable[[Graph, str], None] | None = None,
) -> Graph:
    """The exact integer graph of a front end's float graph, which the interpreter runs.

    With ``one_pass`` sums are rounded once, which needs a machine with the instruction set
    extension (:func:`~vta.compiler.graph.passes.requantise.requantise`). ``observe`` is called
    after each pass with the graph and the pass's name.

    Raises
    ------
    ModelError
        If the model is not quantised, or a scale is out of range.
    """
    for name, run in PASSES.items():
        graph = requantise(graph, one_pass=True) if one_pass and run is requantise else run(graph)
        if observe is not None:
            observe(graph, name)
    return graph
