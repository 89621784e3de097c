"""What a person calls the tensors that passes and importers made: the names of the model's file."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vta.compiler.graph.ir import Graph, Node

__all__ = ["called", "input_name", "result_name"]


def input_name(graph: Graph, name: str) -> str:
    """The tensor of the file whose data a tensor holds, or is computed of."""
    return called(name, graph.model_tensors, graph.producers())


def result_name(graph: Graph, name: str) -> str:
    """The tensor of the file that a tensor becomes."""
    consumers = graph.consumers()
    found = name
    while graph.model_tensors and found not in graph.model_tensors and consumers[found]:
        found = consumers[found][0].output
    return found if found in graph.model_tensors else name


def called(name: str, model_tensors: Collection[str], producers: Mapping[str, Node]) -> str:
    """As :func:`input_name`, by the node that computes each tensor.

    Constants are called after that which they were made of; a graph without a file keeps its own
    names.
    """
    found = name
    while model_tensors and found not in model_tensors and found in producers:
        found = producers[found].inputs[0]
    part = found
    while model_tensors and part and part not in model_tensors:
        part = part.rpartition(".")[0]
    return part or found
