"""Where each node of a model would run: the findings behind ``vta inspect``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vta import html_tables
from vta.compiler.graph.registry import OPERATORS
from vta.errors import ModelError
from vta.host_operators import HOST_OPERATORS
from vta.networks import compile_model

if TYPE_CHECKING:
    from vta.config import VTAConfig
    from vta.network import Network

__all__ = ["Inspection", "NodeFinding", "inspect_model", "support"]


@dataclass(frozen=True)
class NodeFinding:
    """A node of the model file, or a step that the compiler adds.

    Attributes
    ----------
    name, operator : str
        Of the file; of a step that is added, of the graph.
    where : str
        ``accelerator``, ``host``, ``memory`` (nothing is moved), ``folded`` into another step, or
        ``unsupported``.
    why : str
        Why it is not on the accelerator, and what to change; may be empty.
    cycles : int or None
        Estimated by the timing model.
    products : int
    bytes : int
        Between the machine and its memory.
    """

    name: str
    operator: str
    where: str
    why: str = ""
    cycles: int | None = None
    products: int = 0
    bytes: int = 0


@dataclass(frozen=True)
class Inspection:
    """What is known of a model.

    Attributes
    ----------
    name : str
    quantised : bool
    nodes : tuple of NodeFinding
    problems : tuple of str
        Why it does not run; empty if it does.
    inputs, outputs : mapping of str to str
        Types and shapes as text.
    network : Network or None
        The compiled network; None if there is a problem.
    """

    name: str
    quantised: bool
    nodes: tuple[NodeFinding, ...]
    problems: tuple[str, ...]
    inputs: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    network: Network | None = None

    @property
    def cycles(self) -> int | None:
        """Estimated cycles of all programs; None if the model does not run."""
        if self.network is None:
            return None
        return sum(node.cycles for node in self.nodes if node.cycles is not None)

    @property
    def weights(self) -> int:
        """Bytes of constants in device memory."""
        return 0 if self.network is None else sum(
            tensor.nbytes
            for tensor in self.network.tensors.values()
            if tensor.values is not None and tensor.offset is not None
        )  # fmt: skip

    @property
    def activations(self) -> int:
        """Bytes of the other tensors in device memory, which share it."""
        return 0 if self.network is None else self.network.arena - self.weights

    def _repr_html_(self) -> str:
        rows = [
            (node.name, node.operator, node.where, node.cycles, node.products or None,
             node.bytes or None, node.why)
            for node in self.nodes
        ]  # fmt: skip
        titles = ["node", "operator", "where", "cycles", "products", "bytes", "why"]
        caption = f"{self.name}: " + (
            f"{self.cycles:,} cycles, {self.weights:,} bytes of constants, "
            f"{self.activations:,} of activations"
            if self.network is not None
            else "; ".join(self.problems)
        )
        return html_tables.table(titles, rows, caption)


def support() -> dict[str, tuple[str, int]]:
    """Of each ONNX operator that is read: where it runs, and the first opset.

    Those at which quantisation begins and ends run on the host.
    """
    return {
        kind: (row.where, opset) for row in OPERATORS.values() for kind, opset in row.onnx.items()
    }


def inspect_model(
    path: str | Path,
    cfg: VTAConfig,
    memory: str = "ideal",
    shapes: Mapping[str, Sequence[int]] | None = None,
) -> Inspection:
    """Inspect an ONNX model for a machine.

    Parameters
    ----------
    path : path
    cfg : VTAConfig
    memory : str
        The memory preset that cycles are estimated with.
    shapes : mapping of str to sequence of int
        Of inputs whose extents the file leaves open.

    Raises
    ------
    ModelError
        If the file cannot be read.
    ToolError
        If the package ``onnx``, or Amaranth for the estimates, is not installed.
    """
    from vta.compiler.frontend.onnx_constants import FOLDED, live_nodes
    from vta.compiler.frontend.onnx_model import read_model
    from vta.compiler.frontend.onnx_operators import IMPORTERS

    model = read_model(path)
    live = live_nodes(model.graph)
    kinds = {node.op_type for node in live}
    quantised = any(kind.startswith("QLinear") or kind == "QuantizeLinear" for kind in kinds)
    known = support()
    unsupported = [
        NodeFinding(
            node.name or node.op_type, node.op_type, "unsupported",
            f"no operator {node.op_type}; supported are {', '.join(sorted(known))}",
        )
        for node in live
        if (node.domain if node.domain != "ai.onnx" else "", node.op_type) not in IMPORTERS
        and node.op_type not in FOLDED
    ]  # fmt: skip
    constants = {item.name for item in model.graph.initializer}
    inputs = {v.name: _type(v) for v in model.graph.input if v.name not in constants}
    outputs = {v.name: _type(v) for v in model.graph.output}
    name = Path(path).stem
    if unsupported or not quantised:
        problems = [
            f"node {node.name}: no support for the operator {node.operator}" for node in unsupported
        ]
        if not quantised:
            problems.append("the model computes in real numbers: quantise it with `vta quantize`")
        nodes = [_expected(node, known, unsupported) for node in live]
        return Inspection(name, quantised, tuple(nodes), tuple(problems), inputs, outputs)
    try:
        network = compile_model(path, cfg=cfg, shapes=shapes)
    except ModelError as error:
        nodes = [_expected(node, known, unsupported) for node in live]
        return Inspection(name, quantised, tuple(nodes), (str(error),), inputs, outputs)
    return Inspection(name, quantised, _steps(network, memory), (), inputs, outputs, network)


def _type(value: Any) -> str:
    from onnx import helper

    tensor = value.type.tensor_type
    dims = [
        str(dim.dim_value) if dim.HasField("dim_value") else dim.dim_param or "?"
        for dim in tensor.shape.dim
    ]
    dtype = helper.tensor_dtype_to_np_dtype(tensor.elem_type).name if tensor.elem_type else "?"
    return f"{dtype} {'x'.join(dims) or 'scalar'}"


def _expected(
    node: Any, known: Mapping[str, tuple[str, int]], unsupported: Sequence[NodeFinding]
) -> NodeFinding:
    """A node of a model that cannot be compiled as it is: where its operator runs in general."""
    for finding in unsupported:
        if finding.name == (node.name or node.op_type) and finding.operator == node.op_type:
            return finding
    name = node.name or node.op_type
    where = known[node.op_type][0] if node.op_type in known else "folded"
    return NodeFinding(
        name, node.op_type, where, _why_host(node.op_type) if where == "host" else ""
    )


def _steps(network: Network, memory: str) -> tuple[NodeFinding, ...]:
    from vta.sim.timing import estimate

    found = []
    for step in network.steps:
        if step.program is None:
            why = _why_host(step.operator) if step.where == "host" else "computed in place"
            found.append(NodeFinding(step.name, step.operator, step.where, why))
            continue
        cycles = estimate(step.program, memory).cycles
        found.append(
            NodeFinding(
                step.name, step.operator, step.where, "", cycles, step.products,
                step.program.dram_bytes,
            )
        )  # fmt: skip
    return tuple(found)


_REASONS = {
    "quantize": "real numbers become integers; store the input as int8 to leave it out",
    "dequantize": "integers become real numbers",
    "pack": "layout of the machine",
    "unpack": "layout of the model",
    "pack_rows": "layout of the machine",
    "unpack_rows": "layout of the model",
    "pack_columns": "layout of the machine",
    "depth_blocks": "operands with a zero point that is not 0; symmetric activations need none",
    "im2col": "few channels: windows are gathered so that no lane is empty",
    "pad": "padding by a zero point that is not 0 needs the instruction set extension; symmetric "
    "activations need none",
    "lookup": "a table of 256 entries: the vector ALU has no operations for this function",
    "concat": "parts are no whole tiles of channels, or the batch is larger than one",
}


def _why_host(operator: str) -> str:
    if operator in _REASONS:
        return _REASONS[operator]
    row = HOST_OPERATORS.get(operator)
    if row is not None and row.real:
        return "computes with real numbers"
    return "moves data only"
