"""A network on a device against its two judges, tensor by tensor: behind ``vta compare``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vta.compiler.graph.compile_network import compile_network
from vta.compiler.graph.interpreter import interpret
from vta.compiler.graph.pipeline import integer_graph
from vta.compiler.graph.registry import row_of
from vta.compiler.ops.requantise import one_pass_on
from vta.extras import importing
from vta.packing import unpack, unpack_rows
from vta.runtime.network import NetworkModule

if TYPE_CHECKING:
    from vta.compiler.graph.ir import Graph, Tensor
    from vta.config import VTAConfig
    from vta.network import Network, Step
    from vta.runtime.device import Device

__all__ = ["Difference", "TensorComparison", "compare", "graph_of", "node_differences"]

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Difference:
    """How two tensors differ.

    Attributes
    ----------
    count : int
        Elements that differ.
    largest : float
        The largest difference: of stored integers in steps, of real numbers as it is.
    where : tuple of int
        The index of the first element that differs; empty if none does.
    """

    count: int
    largest: float
    where: tuple[int, ...]

    @classmethod
    def between(cls, got: Array, want: Array) -> Difference:
        """Of arrays of one shape."""
        apart = np.abs(got.astype(np.float64) - want.astype(np.float64))
        places = np.argwhere(apart > 0)
        where = tuple(int(index) for index in places[0]) if len(places) else ()
        return cls(len(places), float(apart.max(initial=0)), where)


@dataclass(frozen=True)
class TensorComparison:
    """A tensor of a run.

    Attributes
    ----------
    tensor, node : str
    size : int
        Elements.
    stored : bool
        Whether elements are stored integers, whose differences are steps; else they are real.
    reference : Difference
        From the integer interpreter; a fault, if there is any.
    onnxruntime : Difference or None
        From onnxruntime on the same model, whose rounding is another one; None where it has no such
        tensor.
    alone : Difference or None
        As ``onnxruntime``, of this node alone: the interpreter's result of the tensors that
        onnxruntime has computed. Differences of earlier nodes are not part of it, unless
        onnxruntime has not the tensor between.
    """

    tensor: str
    node: str
    size: int
    stored: bool
    reference: Difference
    onnxruntime: Difference | None
    alone: Difference | None


def graph_of(
    path: str | Path, cfg: VTAConfig, shapes: Mapping[str, Sequence[int]] | None = None
) -> Graph:
    """The integer graph of a quantised ONNX model, with the rounding of a machine; ``shapes`` are
    those of inputs that the file leaves open.

    Raises
    ------
    ModelError
        As :func:`vta.networks.compile_model`.
    """
    from vta.compiler.frontend.onnx_import import import_onnx

    return integer_graph(import_onnx(path, shapes), one_pass=one_pass_on(cfg))


def compare(
    path: str | Path,
    graph: Graph,
    cfg: VTAConfig,
    device: Device,
    inputs: Mapping[str, Array],
    *,
    observe: Callable[[str, Array, Array], None] | None = None,
    progress: Callable[[Step, int], None] | None = None,
) -> list[TensorComparison]:
    """Run a model on a device, and compare every tensor that the host can name.

    Parameters
    ----------
    path : path
        The model, for onnxruntime.
    graph : Graph
        Of :func:`graph_of`.
    cfg : VTAConfig
        The machine.
    device : Device
    inputs : mapping of str to ndarray
    observe : callable or None
        ``observe(name, got, want)`` is called with each tensor and onnxruntime's, or the
        interpreter's if that has none.
    progress : callable or None
        As :meth:`vta.runtime.network.NetworkModule.run`.

    Raises
    ------
    ModelError, NetworkError, DeviceError
        As compiling and running.
    ToolError
        If onnxruntime is not installed.
    """
    network = compile_network(graph, cfg)
    wanted = interpret(graph, inputs)
    judged = _by_onnxruntime(path, graph, inputs)
    alone = _alone(graph, inputs, judged)
    nodes = {node.output: node.name for node in graph.nodes}
    found: list[TensorComparison] = []

    def look(name: str, values: Array) -> None:
        if name not in wanted:
            return
        got = values if values.shape == wanted[name].shape else _plain(network, name, values)
        other = judged.get(name)
        found.append(
            TensorComparison(
                name, nodes.get(name, name), got.size, got.dtype.kind != "f",
                Difference.between(got, wanted[name]),
                None if other is None else Difference.between(got, other), alone.get(name),
            )
        )  # fmt: skip
        if observe is not None:
            observe(name, got, wanted[name] if other is None else other)

    NetworkModule(network, device).run(inputs, observe=look, progress=progress)
    return found


def _plain(network: Network, name: str, values: Array) -> Array:
    logical = network.tensors[name].logical
    if values.ndim == len(logical) + 2:
        return unpack(values, logical)
    return unpack_rows(values, logical)


def node_differences(
    path: str | Path, graph: Graph, inputs: Mapping[str, Array]
) -> dict[str, Difference]:
    """The differences of single nodes from onnxruntime, by their results; no device runs.

    Parameters
    ----------
    path : path
        The model.
    graph : Graph
        Of :func:`graph_of`.
    inputs : mapping of str to ndarray

    Raises
    ------
    ToolError
        If onnxruntime is not installed.
    """
    return _alone(graph, inputs, _by_onnxruntime(path, graph, inputs))


def _alone(
    graph: Graph, inputs: Mapping[str, Array], judged: Mapping[str, Array]
) -> dict[str, Difference]:
    """Of each tensor that onnxruntime has: the difference of the node that computes it, from data
    of onnxruntime."""
    values = {
        name: tensor.values for name, tensor in graph.tensors.items() if tensor.values is not None
    }
    values.update(inputs)
    found = {}
    for node in graph.nodes:
        reference = row_of(node).reference
        assert reference is not None, node.operator
        own = reference(node, graph, [values[name] for name in node.inputs])
        other = judged.get(node.output)
        if other is not None:
            found[node.output] = Difference.between(own, other)
        values[node.output] = own if other is None else other
    return found


def _by_onnxruntime(
    path: str | Path, graph: Graph, inputs: Mapping[str, Array]
) -> dict[str, Array]:
    """The tensors of the graph that onnxruntime computes too, as the graph stores them."""
    with importing("comparing with onnxruntime", "quantize"):
        import onnxruntime

    from vta.compiler.frontend.onnx_model import read_model

    model = read_model(path)
    made = {output for node in model.graph.node for output in node.output}
    results = {value.name for value in model.graph.output}
    names = [name for name in graph.tensors if name in made]
    for name in names:
        if name not in results:
            model.graph.output.add().name = name
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    values = session.run(names, dict(inputs))
    return {name: _stored(graph[name], value) for name, value in zip(names, values)}


def _stored(tensor: Tensor, values: Array) -> Array:
    """uint8 of the file is int8 in the graph, 128 less."""
    if values.dtype == np.uint8 and tensor.dtype == "int8":
        return (values.astype(np.int16) - 128).astype(np.int8)
    return values
