"""From a model file to a compiled network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vta.compiler.graph.compile_network import compile_network
from vta.compiler.graph.passes import RUN_BY_HOST_ALWAYS
from vta.compiler.graph.pipeline import integer_graph
from vta.environment import get_env
from vta.errors import ModelError

if TYPE_CHECKING:
    from vta.config import VTAConfig
    from vta.network import Network

__all__ = ["compile_model", "require_no_host"]


def compile_model(
    path: str | Path,
    *,
    cfg: VTAConfig | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Network:
    """The network of a quantised ONNX model.

    Parameters
    ----------
    path : path
        An ONNX file, quantised to int8 (QuantizeLinear and DequantizeLinear, or QLinear operators).
    cfg : VTAConfig or None
        The machine; None: that of :func:`vta.get_env`.
    shapes : mapping of str to sequence of int
        Shapes of inputs that the file leaves open.
    progress : callable or None
        ``progress(name, number, count)`` is called before each node is compiled.

    Raises
    ------
    ModelError
        If the model cannot be read, is not quantised, or has a node that is not supported or does
        not fit the machine.
    ToolError
        If the package ``onnx`` is not installed.
    """
    from vta.compiler.frontend.onnx_import import import_onnx

    graph = integer_graph(import_onnx(path, shapes))
    return compile_network(graph, cfg or get_env().cfg, progress=progress)


def require_no_host(network: Network) -> None:
    """Refuse a network of which the host computes more than its borders: the change between real
    numbers and integers, and between the layouts of the host and of the machine.

    Raises
    ------
    ModelError
        Naming the nodes.
    """
    found = [
        f"{step.name} ({step.operator})"
        for step in network.host_steps
        if step.operator not in RUN_BY_HOST_ALWAYS
    ]
    if found:
        raise ModelError(f"{network.name}: the host would run {', '.join(found)}")
