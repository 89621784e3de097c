"""A compiled network: programs of the accelerator and operators of the host, in order, as data.

Tensors that a program reads or writes lie in one range of device memory, the arena; each has an
offset there, and tensors whose live ranges do not overlap share memory. Weights lie behind them.
The tensors that a concatenation joins lie where its result lies, if the layout admits that.
A launch runs the programs of several nodes as one.
Tensors that only the host uses have no offset.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vta.errors import NetworkError
from vta.host_operators import HostAttribute

if TYPE_CHECKING:
    from vta.config import VTAConfig
    from vta.program import Program

__all__ = ["JOIN", "LAUNCH", "PAGE", "Network", "NetworkTensor", "Step"]

PAGE = 4096
"""Bytes: a tensor on the device starts at a multiple, where each machine can address it."""

JOIN = "join"
"""The operator of a step that nothing runs: its inputs lie one after the other where its output
lies, and what computed them has computed it."""

LAUNCH = "launch"
"""The operator of a step whose program is that of several nodes. The program's only parameter is
the arena."""


@dataclass(frozen=True)
class NetworkTensor:
    """A tensor of a compiled network.

    Attributes
    ----------
    name : str
        Unique in the network.
    shape : tuple of int
        As it lies in memory: in tiles, the axes of the tiles are the last two.
    dtype : str
        NumPy's name.
    logical : tuple of int
        In scalars, as the model has it.
    values : ndarray or None
        Of a constant, of ``shape`` and ``dtype``.
    offset : int or None
        Bytes from the start of the arena; None: only the host uses it.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    logical: tuple[int, ...]
    values: npt.NDArray[Any] | None = field(default=None, repr=False)
    offset: int | None = None

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return prod(self.shape) * np.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class Step:
    """One node of the network: a program of the accelerator, or an operator of the host.

    Attributes
    ----------
    name : str
        That of the model's node, or one made of it.
    operator : str
        Of the graph; for a host step, of :mod:`vta.host_operators`; :data:`JOIN` or
        :data:`LAUNCH`.
    inputs : tuple of str
        Tensors. Those of a program are its arguments in order, but for the result.
    output : str
        The tensor that is computed; the last argument of a program.
    program : Program or None
        None: the host runs the operator, or nothing does.
    attributes : mapping
        Of a host operator.
    products : int
        Tile products that a program issues at least.
    inner : tuple of str
        Of a :data:`LAUNCH`: the tensors besides ``output`` that it computes. Later steps can read
        those that share no memory with a tensor computed after them.
    tuned : bool
        Whether the program has a schedule of a log, and not the default one. Its results are the
        same.
    """

    name: str
    operator: str
    inputs: tuple[str, ...]
    output: str
    program: Program | None = None
    attributes: Mapping[str, HostAttribute] = field(default_factory=dict)
    products: int = 0
    inner: tuple[str, ...] = ()
    tuned: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "attributes", MappingProxyType(dict(self.attributes)))

    @property
    def where(self) -> str:
        """``accelerator``, ``host``, or ``memory`` for what nothing runs."""
        if self.operator == JOIN:
            return "memory"
        return "host" if self.program is None else "accelerator"


@dataclass(frozen=True)
class Network:
    """A compiled network.

    Attributes
    ----------
    name : str
        Of the model.
    cfg : VTAConfig
        The machine that its programs were compiled for.
    tensors : mapping of str to NetworkTensor
        Inputs, constants and results of steps.
    steps : tuple of Step
        In the order in which they run.
    inputs, outputs : tuple of str
        Names of tensors, in the order of the model.
    arena : int
        Bytes of device memory for the tensors with an offset.
    preprocessing : str
        How an input is made of a photo, as TOML (:mod:`vta.preprocessing`); empty if unknown.
    classes : tuple of str
        What the elements of an output vector stand for; empty if unknown.
    """

    name: str
    cfg: VTAConfig
    tensors: Mapping[str, NetworkTensor]
    steps: tuple[Step, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    arena: int
    preprocessing: str = ""
    classes: tuple[str, ...] = ()

    def require_machine(self, cfg: VTAConfig) -> None:
        """Refuse a machine that this network was not compiled for.

        Raises
        ------
        NetworkError
            Naming both configurations and the keys in which they differ.
        """
        if self.cfg.fingerprint != cfg.fingerprint:
            raise NetworkError(
                f"network {self.name}: compiled for {self.cfg.fingerprint}, but the machine is "
                f"{cfg.fingerprint} (they differ in: {self.cfg.differences(cfg)})"
            )

    @property
    def host_steps(self) -> tuple[Step, ...]:
        """The steps that the host runs."""
        return tuple(step for step in self.steps if step.where == "host")
