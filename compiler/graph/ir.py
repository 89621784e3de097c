"""The IR of networks: a graph of tensors and nodes, which is a value.

A graph is *float* as a front end makes it: quantised models hold ``quantize`` and ``dequantize``
nodes around float operators. The pass :mod:`~vta.compiler.graph.passes.integers` makes it
*integer*: an operator then works on the stored integers, and each tensor says what they mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal

import numpy.typing as npt

from vta.compiler.graph.names import NewNames

__all__ = ["Attribute", "Graph", "Layout", "Node", "Quantisation", "Tensor"]

Attribute = int | float | str | tuple[int, ...] | tuple[float, ...]
Layout = Literal["plain", "tiles", "rows", "columns"]


@dataclass(frozen=True)
class Quantisation:
    """What stored integers mean: ``real = scale * (stored - zero)``.

    Attributes
    ----------
    scales : tuple of float
        One, or one for each index of ``axis``; positive and finite.
    zeros : tuple of int
        As many as scales.
    axis : int or None
        The axis of the tensor that the scales belong to; None: one scale for the whole tensor.
    """

    scales: tuple[float, ...]
    zeros: tuple[int, ...]
    axis: int | None = None

    @property
    def scale(self) -> float:
        """The scale of the whole tensor."""
        (scale,) = self.scales
        return scale

    @property
    def zero(self) -> int:
        """The zero point of the whole tensor."""
        (zero,) = self.zeros
        return zero

    def __str__(self) -> str:
        if self.axis is None:
            return f"scale {self.scale:.6g} zero {self.zero}"
        low, high = min(self.scales), max(self.scales)
        return f"scales {low:.6g} to {high:.6g} along axis {self.axis}"


@dataclass(frozen=True, eq=False)
class Tensor:
    """A tensor of the graph.

    Attributes
    ----------
    name : str
        Unique in the graph; that of the model file for tensors which come from there.
    shape : tuple of int
        In scalars, as the model has it, whatever the layout.
    dtype : str
        NumPy's name.
    quantisation : Quantisation or None
        Of integers that stand for real numbers.
    layout : {"plain", "tiles", "rows", "columns"}
        How it lies in memory: row-major, or in tiles of the machine (:mod:`vta.packing`) along the
        first two axes, or along the last two as the left or right operand of a matrix product.
    values : ndarray or None
        Of a constant.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    quantisation: Quantisation | None = None
    layout: Layout = "plain"
    values: npt.NDArray[Any] | None = field(default=None, repr=False)

    @property
    def is_constant(self) -> bool:
        return self.values is not None

    def __str__(self) -> str:
        shape = "x".join(map(str, self.shape)) or "scalar"
        parts = [f"{self.name}: {self.dtype}[{shape}]"]
        if self.layout != "plain":
            parts.append(self.layout)
        if self.is_constant:
            parts.append("constant")
        if self.quantisation is not None:
            parts.append(str(self.quantisation))
        return " ".join(parts)


@dataclass(frozen=True)
class Node:
    """An operation.

    Attributes
    ----------
    name : str
        That of the model file, or one made of it; for tables and errors.
    operator : str
        A row of the registry (:mod:`vta.compiler.graph.registry`).
    inputs, outputs : tuple of str
        Names of tensors. An optional input that is absent is left out at the end.
    attributes : mapping
        Plain values by name; what they mean is said with the operator.
    source : str
        The node of the model's file that it is a part of, with the operator that it has there;
        empty if there is no file.
    """

    name: str
    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    source: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "attributes", MappingProxyType(dict(self.attributes)))

    @property
    def label(self) -> str:
        """What errors call it: the node of the model's file, if there is one."""
        return self.source or f"{self.name} ({self.operator})"

    @property
    def output(self) -> str:
        """The only output."""
        (output,) = self.outputs
        return output

    def integers(self, name: str) -> tuple[int, ...]:
        """An attribute that is several integers."""
        value = self.attributes[name]
        assert isinstance(value, tuple) and all(isinstance(item, int) for item in value)
        return tuple(int(item) for item in value)

    def integer(self, name: str) -> int:
        """An attribute that is one integer."""
        value = self.attributes[name]
        assert isinstance(value, int)
        return value

    def real(self, name: str) -> float:
        """An attribute that is a number."""
        value = self.attributes[name]
        assert isinstance(value, int | float)
        return float(value)

    def with_attributes(self, **attributes: Attribute) -> Node:
        """The same node with other values of some attributes."""
        return replace(self, attributes={**self.attributes, **attributes})


@dataclass(frozen=True, eq=False)
class Graph:
    """A network.

    Attributes
    ----------
    name : str
    tensors : mapping of str to Tensor
    nodes : tuple of Node
        In an order in which they can run.
    inputs, outputs : tuple of str
        Names of tensors, in the order of the model.
    past_tensors, past_nodes : frozenset of str
        The names of this graph, and of all graphs that it was made of; of the model file, too.
    model_tensors : frozenset of str
        The tensors of the model file.
    """

    name: str
    tensors: Mapping[str, Tensor]
    nodes: tuple[Node, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    past_tensors: frozenset[str] = field(default=frozenset(), repr=False)
    past_nodes: frozenset[str] = field(default=frozenset(), repr=False)
    model_tensors: frozenset[str] = field(default=frozenset(), repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tensors", MappingProxyType(dict(self.tensors)))
        object.__setattr__(self, "past_tensors", self.past_tensors.union(self.tensors))
        nodes = self.past_nodes.union(node.name for node in self.nodes)
        object.__setattr__(self, "past_nodes", nodes)

    def __getitem__(self, name: str) -> Tensor:
        return self.tensors[name]

    def producers(self) -> dict[str, Node]:
        """The node that computes each tensor."""
        return {output: node for node in self.nodes for output in node.outputs}

    def consumers(self) -> dict[str, list[Node]]:
        """The nodes that read each tensor, in order; a node that reads it twice is there once."""
        found: dict[str, list[Node]] = {name: [] for name in self.tensors}
        for node in self.nodes:
            for name in dict.fromkeys(node.inputs):
                found[name].append(node)
        return found

    def data_inputs(self, node: Node) -> tuple[str, ...]:
        """The inputs of a node that are no constants."""
        return tuple(name for name in node.inputs if not self[name].is_constant)

    def rewritten(
        self,
        nodes: Sequence[Node],
        tensors: Iterable[Tensor] = (),
        *,
        outputs: Sequence[str] | None = None,
    ) -> Graph:
        """The graph with other nodes and with tensors added or replaced.

        Tensors that nothing uses any more are left out, and so are nodes whose results nothing
        uses. A name that two nodes have gets a number at one of them.
        """
        every = {**self.tensors, **{tensor.name: tensor for tensor in tensors}}
        results = tuple(self.outputs if outputs is None else outputs)
        needed = set(results)
        kept: list[Node] = []
        for node in reversed(nodes):
            if needed.intersection(node.outputs):
                kept.append(node)
                needed.update(node.inputs)
        used = {*needed, *self.inputs, *(name for node in kept for name in node.outputs)}
        return replace(
            self,
            tensors={name: tensor for name, tensor in every.items() if name in used},
            nodes=self._by_own_names(kept[::-1]),
            outputs=results,
        )

    def _by_own_names(self, nodes: Sequence[Node]) -> tuple[Node, ...]:
        """The nodes, each with a name of its own: that which had a name in this graph, by its
        result, keeps it, else the first."""
        before = {(node.name, node.outputs) for node in self.nodes}
        owners: dict[str, Node] = {}
        for node in nodes:
            if (node.name, node.outputs) in before:
                owners[node.name] = node
        for node in nodes:
            owners.setdefault(node.name, node)
        names, found = NewNames((), self.past_nodes.union(owners)), []
        for node in nodes:
            if owners[node.name] is not node:
                node = replace(node, name=names.node(node.name))
            found.append(node)
        return tuple(found)

    def new_names(self) -> NewNames:
        """Names for what a pass adds to this graph."""
        return NewNames(self.past_tensors, self.past_nodes)
