"""The workloads of a quantised ONNX model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vta.compiler.graph.pipeline import integer_graph, machine_graph
from vta.compiler.graph.registry import row_of
from vta.compiler.ops.requantise import one_pass_on
from vta.errors import CompileError, ModelError, TuningError
from vta.tuning.workload import recorded

if TYPE_CHECKING:
    from vta.config import VTAConfig
    from vta.tuning.workload import Workload

__all__ = ["model_workloads"]


def model_workloads(
    path: str | Path, cfg: VTAConfig, shapes: Mapping[str, Sequence[int]] | None = None
) -> Counter[Workload]:
    """How often a model has each workload, in the order of its nodes.

    Raises
    ------
    ModelError
        If the model cannot be read, is not supported, or does not fit the machine.
    TuningError
        If no node has a schedule to search for.
    ToolError
        If the package ``onnx`` is not installed.
    """
    from vta.compiler.frontend.onnx_import import import_model
    from vta.compiler.frontend.onnx_model import read_model

    floats = import_model(read_model(path), Path(path).stem, shapes)
    graph = integer_graph(floats, one_pass=one_pass_on(cfg))
    graph = machine_graph(graph, cfg)
    with recorded() as found:
        for node in graph.nodes:
            lower = row_of(node).lower
            if lower is not None:
                try:
                    lower(node, graph, cfg)
                except CompileError as error:
                    raise ModelError(f"node {node.name} ({node.operator}): {error}") from error
    if not found:
        raise TuningError(f"{path}: no node of the model is an operator with a schedule to search")
    return Counter(found)
