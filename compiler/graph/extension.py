"""What a graph needs of the instruction set extension, said in the terms of the model's file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vta.compiler.graph.user_names import result_name
from vta.compiler.ops.requantise import one_pass_on
from vta.errors import ModelError
from vta.isa.capabilities import Capability, capabilities_of

if TYPE_CHECKING:
    from vta.compiler.graph.ir import Graph
    from vta.config import VTAConfig

__all__ = ["require_extension"]


def require_extension(graph: Graph, cfg: VTAConfig) -> None:
    """Refuse what only machines with the extension run.

    Raises
    ------
    ModelError
        Naming the node, and what to change: of the model, or of the configuration.
    """
    for node in graph.nodes:
        if "whole_sums" in node.attributes and Capability.STORE_ACC not in capabilities_of(cfg):
            raise ModelError(
                f"node {node.label}: its result {result_name(graph, node.output)} is not "
                f"quantised, and stores of 32-bit sums need the instruction set extension; put "
                f"QuantizeLinear and DequantizeLinear behind it (vta quantize without "
                f"--whole-sums does), or compile for a machine with EXTENSION 1, here it is "
                f"{int(cfg.extension)}"
            )
        if "scales" in node.attributes and not one_pass_on(cfg):
            raise ModelError(
                f"node {node.label}: the graph rounds sums once, which needs the instruction set "
                f"extension; make it with integer_graph(graph, one_pass=False), or compile for a "
                f"machine with EXTENSION 1, here it is {int(cfg.extension)}"
            )
