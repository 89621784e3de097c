"""An operator of the library: what it computes, how, and what the result must be."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from vta.compiler.ops.tiling import Tiling
    from vta.compiler.schedule.schedule import Schedule
    from vta.compiler.te.tensor import Tensor
    from vta.config import VTAConfig

from vta.dtypes import bits
from vta.errors import OperatorError

__all__ = ["Array", "Operand", "Operator", "check_operands", "require_wide_loads"]

Array = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Operand:
    """An input in the layout of a framework.

    Attributes
    ----------
    name : str
    shape : tuple of int
        E.g. NCHW of an image, OIHW of a kernel.
    dtype : str
        ``int8``, ``int32``, ...; values of ``int4`` are kept in int8.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str


def check_operands(operator: str, operands: Sequence[Operand], arrays: Sequence[Array]) -> None:
    """Check the number and the shapes of arrays, and that operands can hold their values.

    Raises
    ------
    OperatorError
        Naming the operator, the operand, what was given and what is required.
    """
    if len(arrays) != len(operands):
        names = ", ".join(operand.name for operand in operands)
        raise OperatorError(f"{operator}: {len(arrays)} arrays; must be {len(operands)}: {names}")
    for operand, array in zip(operands, arrays):
        if np.shape(array) != operand.shape:
            raise OperatorError(
                f"{operator}: {operand.name} has shape {np.shape(array)}; must be {operand.shape}"
            )
        _check_values(operator, operand, np.asarray(array))


def _check_values(operator: str, operand: Operand, values: npt.NDArray[Any]) -> None:
    if values.dtype.name == operand.dtype:
        return
    if values.dtype.kind not in "iu":
        raise OperatorError(
            f"{operator}: {operand.name} is {values.dtype}; must be integers that {operand.dtype} "
            f"holds"
        )
    limit = 1 << bits(operand.dtype) - 1
    low, high = int(values.min(initial=0)), int(values.max(initial=0))
    if low < -limit or high >= limit:
        raise OperatorError(
            f"{operator}: {operand.name} holds {low} to {high}; {operand.dtype} holds {-limit} to "
            f"{limit - 1}"
        )


def require_wide_loads(operator: str, cfg: VTAConfig) -> None:
    """Check that the machine can load activations into accumulators: only int8 is widened.

    Raises
    ------
    OperatorError
        If activations have another type.
    """
    if cfg.inp_dtype != "int8":
        raise OperatorError(
            f"{operator}: activations are {cfg.inp_dtype}; must be int8, since the vector ALU "
            f"works on accumulators, into which only int8 is loaded (LOG_INP_WIDTH is "
            f"{cfg.log_inp_width}; 3 is int8)"
        )


@dataclass(frozen=True)
class Operator:
    """The tensors of an operator, its default schedule, and its reference.

    ``vta.build(op.schedule, op.args)`` compiles it. The schedule is an ordinary one: print it with
    ``vta.lower``, or make another of ``op.args[-1]`` and ``op.stages``.

    Attributes
    ----------
    name : str
        Of the operator, e.g. ``conv2d``.
    cfg : VTAConfig
        The machine that the schedule is made for.
    args : tuple of Tensor
        The parameters of the program in tiles: the inputs, then the result.
    stages : mapping of str to Tensor
        Every stage of the computation by its name, in order.
    schedule : Schedule
        The default schedule.
    tiling : Tiling or None
        Block sizes and ring slots of the default schedule, and their estimated cost; None for an
        operator without products.
    products : int
        Tile products (GEMM cycles) that the operator needs at least.
    pack : callable
        ``pack(*arrays)``: the inputs in the layout of a framework (NCHW, OIHW, one bias a channel)
        as a list of arrays in tiles, for ``args[:-1]``.
    unpack : callable
        ``unpack(array)``: a result in tiles in the layout of a framework.
    reference : callable
        ``reference(*arrays)``: the result by NumPy integers, in the layout of a framework. Exact:
        every target equals it bit for bit.
    operands : tuple of Operand
        The inputs as ``pack`` and ``reference`` take them.
    vectors : int
        Tiles that pass through the ALU, counted once a pass.
    """

    name: str
    cfg: VTAConfig
    args: tuple[Tensor, ...]
    stages: Mapping[str, Tensor]
    schedule: Schedule
    tiling: Tiling | None
    products: int
    pack: Callable[..., list[Array]]
    unpack: Callable[[Array], Array]
    reference: Callable[..., Array]
    operands: tuple[Operand, ...] = ()
    vectors: int = 0
