"""From an integer graph to a network: a program for each operator of the accelerator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from vta.compiler.driver import compile_func
from vta.compiler.graph.launches import grouped, launches
from vta.compiler.graph.pipeline import machine_graph
from vta.compiler.graph.placement import joined, placed
from vta.compiler.graph.registry import row_of
from vta.compiler.lower.lower import lower
from vta.compiler.ops.tiling_source import Noting, tilings_from
from vta.errors import CompileError, ModelError
from vta.network import Network, NetworkTensor, Step
from vta.packing import packed_columns_shape, packed_rows_shape, packed_shape

if TYPE_CHECKING:
    from vta.compiler.graph.ir import Graph, Node, Tensor
    from vta.compiler.graph.names import NewNames
    from vta.compiler.ops.tiling_source import TilingSource
    from vta.config import VTAConfig

__all__ = ["compile_network"]


def compile_network(
    graph: Graph,
    cfg: VTAConfig,
    *,
    join_programs: bool = False,
    tilings: TilingSource | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Network:
    """The network of a graph that :func:`~vta.compiler.graph.pipeline.integer_graph` made.

    Parameters
    ----------
    graph : Graph
    cfg : VTAConfig
        The machine.
    join_programs : bool
        Programs that no step of the host separates become one: fewer cycles, but the counters of a
        run are those of all its nodes together.
    tilings : TilingSource or None
        Tilings of operators on GEMM instead of the tiler's; steps that have one are ``tuned``.
    progress : callable or None
        ``progress(name, number, count)`` is called before each node is compiled.

    Raises
    ------
    ModelError
        If a node does not fit the machine; the message names the node.
    """
    if cfg.block_in != cfg.block_out or cfg.inp_width != 8 or cfg.out_width != 8:
        raise ModelError(
            f"networks need a machine with int8 activations and equal blocks; this one has "
            f"{cfg.block_in} and {cfg.block_out} lanes, {cfg.inp_width} and {cfg.out_width} bits"
        )
    graph = machine_graph(graph, cfg)
    tensors: dict[str, NetworkTensor] = {}
    for tensor in graph.tensors.values():
        tensors[tensor.name] = _tensor(tensor, cfg)
    steps: list[Step] = []
    names = graph.new_names()
    for number, node in enumerate(graph.nodes):
        if progress is not None:
            progress(node.name, number, len(graph.nodes))
        step, constants = _step(node, graph, cfg, tilings, names)
        steps.append(step)
        tensors.update(constants)
    steps = joined(steps, tensors, graph.outputs)
    if join_programs:
        steps = grouped(steps)
    used = {name for step in steps for name in (*step.inputs, step.output)}
    used |= {*graph.inputs, *graph.outputs}
    tensors = {name: tensor for name, tensor in tensors.items() if name in used}
    tensors, arena = placed(tensors, steps)
    if join_programs:
        steps = launches(steps, tensors, arena, cfg)
    return Network(graph.name, cfg, tensors, tuple(steps), graph.inputs, graph.outputs, arena)


def _tensor(tensor: Tensor, cfg: VTAConfig) -> NetworkTensor:
    shape = tensor.shape
    if tensor.layout == "tiles":
        shape = packed_shape(shape, (cfg.batch, cfg.block_out))
    elif tensor.layout == "rows":
        shape = packed_rows_shape(shape, (cfg.batch, cfg.block_in))
    elif tensor.layout == "columns":
        shape = packed_columns_shape(shape, (cfg.block_out, cfg.block_in))
    return NetworkTensor(tensor.name, shape, tensor.dtype, tensor.shape, tensor.values)


def _step(
    node: Node, graph: Graph, cfg: VTAConfig, tilings: TilingSource | None, names: NewNames
) -> tuple[Step, dict[str, NetworkTensor]]:
    """The step of a node, and the constants of its program in tiles."""
    row = row_of(node)
    if row.lower is None:
        assert row.host is not None, node.operator
        attributes = row.host(node, graph)
        return Step(node.name, node.operator, node.inputs, node.output, None, attributes), {}
    source = Noting(tilings)
    try:
        with tilings_from(source):
            lowered = row.lower(node, graph, cfg)
        operator = lowered.operator
        func = lower(operator.schedule, operator.args, operator.name)
        program = compile_func(func, cfg)
        # What people know of a network is its nodes, not the lines that compile it.
        program = replace(program, sources=program.sources.without_calls())
    except CompileError as error:
        raise ModelError(f"node {node.label}: {error}") from error
    data = graph.data_inputs(node)
    blank = [np.zeros(graph[name].shape, np.int8) for name in data]
    if lowered.data_shape is not None:
        blank = [blank[0].reshape(lowered.data_shape)]
    packed = operator.pack(*blank, *lowered.constants)[len(data) :]
    constants = {}
    for arg, values in zip(operator.args[len(data) :], packed):
        name = names.tensor(f"{node.name}:{arg.name}")
        constants[name] = NetworkTensor(name, values.shape, values.dtype.name, values.shape, values)
    step = Step(
        node.name, node.operator, (*data, *constants), node.output, program,
        products=operator.products, tuned=source.gave,
    )  # fmt: skip
    return step, constants
