"""The row of an operator in the registry: everything that the compiler knows about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

if TYPE_CHECKING:
    from vta.compiler.graph.ir import Graph, Layout, Node
    from vta.compiler.ops.operator import Operator
    from vta.config import VTAConfig

__all__ = ["Constraint", "Lowered", "OperatorRow"]

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Constraint:
    """Something that must hold of a node.

    Attributes
    ----------
    sentence : str
        What must hold, for people: a line of ``vta ops`` and of errors.
    found : callable
        ``found(node, graph)``: what was found instead; None if the constraint holds. Called with
        the graph as a front end made it.
    """

    sentence: str
    found: Callable[[Node, Graph], str | None]


@dataclass(frozen=True)
class Lowered:
    """A node as an operator of the library.

    Attributes
    ----------
    operator : Operator
        Its first arguments are the node's data.
    constants : sequence of ndarray
        What the operator's ``pack`` takes after the data.
    data_shape : tuple of int or None
        The shape in which ``pack`` takes the only tensor of data, if it is not the node's.
    """

    operator: Operator
    constants: Sequence[Array] = ()
    data_shape: tuple[int, ...] | None = None


@dataclass(frozen=True)
class OperatorRow:
    """An operator of the graph.

    Attributes
    ----------
    name : str
        In the graph.
    onnx : mapping of str to int
        The operators of ONNX that become this one, each with the first opset that is supported.
    reference : callable or None
        ``reference(node, graph, arrays)``: the stored integers of the result, which define what
        every target computes, from those of all inputs. None: it exists in float graphs only.
    lower : callable or None
        ``lower(node, graph, cfg)``: the operator of the library that the accelerator runs; None:
        the host does it.
    host : callable or None
        ``host(node, graph)``: the attributes of the host operator of the same name.
    constraints : tuple of Constraint
    on_tiles : callable or None
        Of a host operator: ``on_tiles(node, graph, cfg)`` says whether it gives the right result
        on tensors in tiles too.
    layouts : callable or None
        Of an operator of the accelerator: ``layouts(node, graph)`` are the layouts of its data and
        that of its result; None: all are tiles.
    accumulates : bool
        Whether an activation (``clip``) can become part of it.
    limits : mapping of str to tuple of str
        By operator of ONNX: sentences on what the front end checks before there is a node.
    """

    name: str
    onnx: dict[str, int]
    reference: Callable[[Node, Graph, Sequence[Array]], Array] | None = None
    lower: Callable[[Node, Graph, VTAConfig], Lowered] | None = None
    host: Callable[[Node, Graph], dict[str, int | tuple[int, ...]]] | None = None
    constraints: tuple[Constraint, ...] = ()
    on_tiles: Callable[[Node, Graph, VTAConfig], bool] | None = None
    layouts: Callable[[Node, Graph], tuple[tuple[Layout, ...], Layout]] | None = None
    accumulates: bool = False
    limits: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def where(self) -> str:
        """What runs it. An operator of float graphs only becomes one of the accelerator, or part of
        one."""
        float_only = self.reference is None and self.host is None
        return "accelerator" if self.lower is not None or float_only else "host"
