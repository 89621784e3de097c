"""The passes of graphs in order."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from vta.compiler.graph.extension import require_extension
from vta.compiler.graph.ir import Graph
from vta.compiler.graph.passes.adds_into_convolutions import adds_into_convolutions
from vta.compiler.graph.passes.explicit_padding import explicit_padding
from vta.compiler.graph.passes.fold_pointwise import fold_pointwise
from vta.compiler.graph.passes.fuse_activations import fuse_activations
from vta.compiler.graph.passes.gather_windows import gather_windows
from vta.compiler.graph.passes.integers import integers
from vta.compiler.graph.passes.join_reshapes import join_reshapes
from vta.compiler.graph.passes.layouts import layouts
from vta.compiler.graph.passes.matrix_products import matrix_products
from vta.compiler.graph.passes.padding_into_loads import padding_into_loads
from vta.compiler.graph.passes.pads_into_convolutions import pads_into_convolutions
from vta.compiler.graph.passes.quantize_before_reshape import quantize_before_reshape
from vta.compiler.graph.passes.requantise import requantise
from vta.compiler.graph.passes.rescale_into_producer import rescale_into_producer
from vta.compiler.graph.passes.reshape_into_dense import reshape_into_dense
from vta.compiler.graph.passes.split_channels import split_channels
from vta.compiler.graph.passes.transposed_into_convolution import transposed_into_convolution

if TYPE_CHECKING:
    from vta.config import VTAConfig

__all__ = ["MACHINE_PASSES", "PASSES", "integer_graph", "machine_graph"]

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

MACHINE_PASSES: dict[str, Callable[[Graph, VTAConfig], Graph]] = {
    "padding_into_loads": padding_into_loads,
    "gather_windows": gather_windows,
    "split_channels": split_channels,
    "adds_into_convolutions": adds_into_convolutions,
    "layouts": layouts,
}
"""The passes that follow for one machine, by name, in the order in which they run."""


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


def machine_graph(graph: Graph, cfg: VTAConfig) -> Graph:
    """The graph of :func:`integer_graph` for one machine: each node is an operator of the library
    or a step of the host.

    Raises
    ------
    ModelError
        If a node does not fit the machine.
    """
    require_extension(graph, cfg)
    for run in MACHINE_PASSES.values():
        graph = run(graph, cfg)
    return graph
