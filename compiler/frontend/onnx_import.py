"""From an ONNX model to a float graph: names are kept, and so is ``quantize`` / ``dequantize``.

The QLinear operators become their float operator between ``dequantize`` and ``quantize``, so that
quantised models of both kinds are one kind from here on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from vta.compiler.frontend.onnx_constants import FOLDED, folded, live_nodes
from vta.compiler.frontend.onnx_model import completed_shapes, read_model
from vta.compiler.graph.ir import Attribute, Graph, Node, Tensor
from vta.compiler.graph.names import unused_name
from vta.compiler.graph.registry import OPERATORS, violations
from vta.compiler.graph.user_names import called
from vta.errors import ModelError
from vta.host_operators import run_host_operator

__all__ = ["Importer", "OnnxNode", "import_model", "import_onnx"]

MAX_ELEMENTS = 1 << 28
"""Of a tensor: 1 GiB of float32."""
_TYPES = ("float32", "int8", "uint8", "int32", "int64", "bool")


@dataclass(frozen=True)
class OnnxNode:
    """A node of the model file.

    Attributes
    ----------
    name : str
        Its own, or its operator and its first result.
    kind : str
        The operator.
    opset : int
        The version of the operator set.
    inputs, outputs : tuple of str
        Inputs that are absent are empty.
    attributes : mapping
    """

    name: str
    kind: str
    opset: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]

    def error(self, message: str) -> ModelError:
        return ModelError(f"node {self.label}: {message}")

    @property
    def label(self) -> str:
        """What errors call it."""
        return f"{self.name} ({self.kind})"

    def require(self, *known: str) -> None:
        """Refuse attributes that are not among ``known``."""
        for name, value in self.attributes.items():
            if name not in known:
                raise self.error(
                    f"attribute {name} is {value!r}; supported are {', '.join(known) or 'none'}"
                )

    def value(self, name: str, default: Any, *supported: Any) -> Any:
        """An attribute, which must be one of ``supported`` if any are given."""
        value = self.attributes.get(name, default)
        if supported and value not in supported:
            allowed = " or ".join(map(str, supported))
            raise self.error(f"attribute {name} is {value!r}; must be {allowed}")
        return value

    def extents(self, result: str, shape: Sequence[int]) -> tuple[int, ...]:
        """The shape of a result, whose extents must be positive, and whose elements few enough."""
        extents = tuple(int(extent) for extent in shape)
        if any(extent < 1 for extent in extents) or prod(extents) > MAX_ELEMENTS:
            raise self.error(
                f"the result {result} has shape {extents}; extents must be positive and have at "
                f"most {MAX_ELEMENTS} elements"
            )
        return extents

    def axis(self, given: int, rank: int) -> int:
        """An axis of a tensor of ``rank`` dimensions, counted from the first."""
        if not -rank <= given < rank:
            raise self.error(
                f"axis is {given}; must be {-rank} to {rank - 1}, of {rank} dimensions"
                if rank else f"axis is {given}, of a scalar"
            )  # fmt: skip
        return int(given) % rank

    def axes(self, given: Iterable[int], rank: int) -> list[int]:
        """Axes as :meth:`axis` has them, each once."""
        found = [self.axis(axis, rank) for axis in given]
        if len(set(found)) < len(found):
            raise self.error(f"axes are {found}; must have each once")
        return found


class Importer:
    """The graph under construction.

    Attributes
    ----------
    tensors : dict of str to Tensor
        Everything that is known so far; a float graph.
    masks : set of str
        Tensors of the file that may hold infinity: their readers choose, add or limit.
    results : frozenset of str
        Results of all nodes of the file, whose names :meth:`unused` leaves to them.
    own_names : frozenset of str
        Names of nodes of the file, which other nodes do not get.
    own_tensors : frozenset of str
        All tensors of the file.
    """

    def __init__(self, name: str, masks: Iterable[str] = ()) -> None:
        self.name = name
        self.masks = frozenset(masks)
        self.results: frozenset[str] = frozenset()
        self.own_names: frozenset[str] = frozenset()
        self.own_tensors: frozenset[str] = frozenset()
        self.tensors: dict[str, Tensor] = {}
        self.nodes: list[Node] = []
        self._names: set[str] = set()

    def tensor(self, node: OnnxNode, index: int) -> Tensor:
        """An input of a node, which must be there."""
        if index >= len(node.inputs) or not node.inputs[index]:
            raise node.error(f"input {index} is missing")
        return self.tensors[node.inputs[index]]

    def has(self, node: OnnxNode, index: int) -> bool:
        return index < len(node.inputs) and bool(node.inputs[index])

    def constant(self, node: OnnxNode, index: int, what: str) -> npt.NDArray[Any]:
        """The values of an input that must be a constant, or the ``dequantize`` of one."""
        tensor = self.tensor(node, index)
        values = tensor.values
        if values is None:
            values = self._dequantized(tensor)
        if values is None:
            raise node.error(f"{what} ({node.inputs[index]}) is computed; must be a constant")
        return values

    def integers(self, node: OnnxNode, index: int, what: str) -> list[int]:
        """The values of a constant input of integers: a shape, axes, pads.

        Raises
        ------
        ModelError
            If it is computed, or holds no integers.
        """
        values = self.constant(node, index, what)
        if values.dtype.kind not in "iu":
            raise node.error(f"{what} ({node.inputs[index]}) is {values.dtype}; must be integers")
        return [int(value) for value in values.reshape(-1)]

    def number(self, node: OnnxNode, index: int, what: str) -> float:
        """The value of a constant input that is one number.

        Raises
        ------
        ModelError
            If it is computed, or has not one element.
        """
        values = self.constant(node, index, what)
        if values.size != 1:
            raise node.error(
                f"{what} ({node.inputs[index]}) has shape {values.shape}; must be one number"
            )
        return float(values.reshape(-1)[0])

    def _dequantized(self, tensor: Tensor) -> npt.NDArray[Any] | None:
        source = next((node for node in self.nodes if node.outputs == (tensor.name,)), None)
        if source is None or source.operator != "dequantize":
            return None
        stored, scale, zero = (self.tensors[name].values for name in source.inputs)
        if stored is None or scale is None or zero is None:
            return None
        axis = source.integer("axis")
        return run_host_operator("dequantize", [stored, scale, zero], {"axis": axis})

    def add_constant(self, name: str, values: npt.NDArray[Any], *, of_file: bool = False) -> Tensor:
        """A constant; its name is made unique unless the file has the tensor (``of_file``). Real
        numbers must be finite, but for infinity in :attr:`masks`."""
        values = np.asarray(values)
        wrong = np.isnan if name in self.masks else lambda array: ~np.isfinite(array)
        if values.dtype.kind == "f" and wrong(values).any():
            raise ModelError(
                f"{self.name}: tensor {name} holds a value that is not finite (NaN or infinity); "
                f"all must be finite"
            )
        if values.dtype.name not in _TYPES:
            raise ModelError(
                f"{self.name}: tensor {name} is of type {values.dtype}; must be one of "
                f"{', '.join(_TYPES)}"
            )
        unique = name if of_file else self.unused(name)
        self.tensors[unique] = Tensor(unique, values.shape, values.dtype.name, values=values)
        return self.tensors[unique]

    def unused(self, wanted: str) -> str:
        """``wanted``, with a number after it if another tensor has or gets that name, or a result
        of the file has it that nothing reads."""
        return unused_name(wanted, self.tensors, self.results)

    def called(self, tensor: Tensor) -> str:
        """What errors call a tensor: an inner one by the tensor of the file that it is made of."""
        producers = {node.output: node for node in self.nodes}
        return called(tensor.name, self.own_tensors, producers)

    def add(
        self,
        node: OnnxNode,
        operator: str,
        inputs: Sequence[str],
        shape: Sequence[int],
        *,
        output: str | None = None,
        dtype: str = "float32",
        suffix: str = "",
        **attributes: Attribute,
    ) -> Tensor:
        """A node with one result: the first of ``node``'s unless ``output`` says another.

        Raises
        ------
        ModelError
            If an extent is not positive, the tensor is too large, or a constraint of the operator
            does not hold.
        """
        name = output or node.outputs[0]
        extents = node.extents(name, shape)
        own = node.name + suffix
        unique = unused_name(own, self._names, self.own_names - {node.name})
        self._names.add(unique)
        self.tensors[name] = Tensor(name, extents, dtype)
        made = Node(unique, operator, tuple(inputs), (name,), attributes, node.label)
        self.nodes.append(made)
        found = violations(made, self._graph(node_only=made))
        if found:
            raise node.error("; ".join(found))
        return self.tensors[name]

    def _graph(self, node_only: Node) -> Graph:
        """A graph that is enough for constraints: the node, and what computes its inputs."""
        near = [node for node in self.nodes if node.outputs[0] in node_only.inputs]
        return Graph(
            self.name, self.tensors, (*near, node_only), (), (), model_tensors=self.own_tensors
        )

    def graph(self, inputs: Sequence[str], outputs: Sequence[str]) -> Graph:
        whole = Graph(
            self.name, self.tensors, tuple(self.nodes), tuple(inputs), tuple(outputs),
            self.results, self.own_names, self.own_tensors,
        )  # fmt: skip
        return whole.rewritten(whole.nodes)


def import_onnx(path: str | Path, shapes: Mapping[str, Sequence[int]] | None = None) -> Graph:
    """The float graph of an ONNX file.

    Parameters
    ----------
    path : path
    shapes : mapping of str to sequence of int
        Shapes of inputs, by name; needed where the file leaves a dimension open.

    Returns
    -------
    Graph
        With the names of the file.

    Raises
    ------
    ModelError
        If the file cannot be read, or holds something that is not supported: it names the node or
        the tensor, what was found and what is supported.
    """
    return import_model(read_model(path), Path(path).stem, shapes)


def import_model(
    model: onnx.ModelProto, name: str, shapes: Mapping[str, Sequence[int]] | None = None
) -> Graph:
    """As :func:`import_onnx`, of a model in memory that was checked."""
    from vta.compiler.frontend.onnx_operators import IMPORTERS

    importer = Importer(name, _masks(model.graph))
    for initial in model.graph.initializer:
        importer.add_constant(initial.name, numpy_helper.to_array(initial), of_file=True)
    inputs = []
    given = completed_shapes(model, shapes or {})
    for value in model.graph.input:
        if value.name in importer.tensors:
            continue  # old models list their constants as inputs too
        importer.tensors[value.name] = _input(name, value, given.pop(value.name, None))
        inputs.append(value.name)
    if given:
        raise ModelError(
            f"{name}: a shape is given for {', '.join(given)}; the inputs are {', '.join(inputs)}"
        )
    versions = {item.domain: item.version for item in model.opset_import}
    default = versions.get("", versions.get("ai.onnx", 0))
    importer.results = frozenset(name for proto in model.graph.node for name in proto.output)
    importer.own_tensors = importer.results.union(importer.tensors)
    nodes = live_nodes(model.graph)
    importer.own_names = frozenset(_name_of(proto) for proto in model.graph.node if proto.output)
    for proto in nodes:
        node = OnnxNode(
            _name_of(proto),
            proto.op_type,
            versions.get(proto.domain, 0) if proto.domain else default,
            tuple(proto.input),
            tuple(proto.output),
            {item.name: _attribute(item) for item in proto.attribute},
        )
        for extra in node.inputs:
            if extra and extra not in importer.tensors:
                raise node.error(f"the input {extra} is not computed by an earlier node")
        domain = proto.domain if proto.domain != "ai.onnx" else ""
        if _fold(importer, node, proto, model.opset_import):
            continue
        handler = IMPORTERS.get((domain, node.kind))
        if handler is None:
            raise _unsupported(name, node)
        handler(importer, node)
        for result in node.outputs:
            if result and result not in importer.tensors:
                raise node.error(f"the result {result} is not supported; only the first one is")
    outputs = [value.name for value in model.graph.output]
    for wanted in outputs:
        if importer.tensors[wanted].is_constant or wanted in inputs:
            raise ModelError(f"{name}: the output {wanted} is not computed by a node")
    return importer.graph(inputs, outputs)


def _name_of(proto: onnx.NodeProto) -> str:
    return proto.name or f"{proto.op_type}_{proto.output[0]}"


_MASKING = frozenset((
    "Add", "Cast", "Clip", "ConstantOfShape", "Expand", "Gather", "Identity", "Max", "Min",
    "Reshape", "Slice", "Unsqueeze", "Where",
))  # fmt: skip
"""Operators that take infinity: as a limit, as a score that softmax ignores, or to move it."""


def _masks(graph: onnx.GraphProto) -> set[str]:
    """The tensors that only such operators read."""
    found: set[str] = set()
    others: set[str] = set()
    for node in graph.node:
        (found if node.op_type in _MASKING else others).update(node.input)
    return found - others


def _fold(
    importer: Importer, node: OnnxNode, proto: onnx.NodeProto,
    versions: Sequence[onnx.OperatorSetIdProto],
) -> bool:  # fmt: skip
    """Whether a node computes with constants alone; its results are constants then."""
    if proto.domain not in ("", "ai.onnx") or node.kind not in FOLDED:
        return False
    values = {name: importer.tensors[name].values for name in node.inputs if name}
    known = {name: array for name, array in values.items() if array is not None}
    if not values or len(known) < len(values):
        return False
    names = [result for result in node.outputs if result]
    for result, array in zip(names, folded(proto, versions, known)):
        importer.add_constant(result, array, of_file=True)
    return True


def _unsupported(model: str, node: OnnxNode) -> ModelError:
    if node.kind in FOLDED:
        return node.error("an input is computed; all inputs must be constants")
    supported = sorted({kind for row in OPERATORS.values() for kind in row.onnx})
    return ModelError(
        f"{model}: no support for node {node.label}; the operators are {', '.join(supported)}"
    )


def _input(model: str, value: onnx.ValueInfoProto, given: Sequence[int] | None) -> Tensor:
    kind = value.type.tensor_type
    dtype = onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type).name if kind.elem_type else "?"
    if dtype not in _TYPES:
        raise ModelError(
            f"{model}: input {value.name} is of type {dtype}; must be one of {', '.join(_TYPES)}"
        )
    declared = [
        dim.dim_value if dim.HasField("dim_value") else dim.dim_param or "?"
        for dim in kind.shape.dim
    ]
    shape = list(given) if given is not None else declared
    text = "x".join(map(str, declared))
    fits = len(shape) == len(declared) and all(
        isinstance(have, str) or have == want for have, want in zip(declared, shape)
    )
    if not fits:
        raise ModelError(
            f"{model}: input {value.name} is given shape {tuple(shape)}; the model has {text}"
        )
    if not shape or any(isinstance(extent, str) or extent < 1 for extent in shape):
        raise ModelError(
            f"{model}: input {value.name} has shape {text}; every extent must be a positive number "
            f"(give one: --shape {value.name}=1,...)"
        )
    return Tensor(value.name, tuple(int(extent) for extent in shape), dtype)


def _attribute(item: onnx.AttributeProto) -> Any:
    value = onnx.helper.get_attribute_value(item)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value
