"""Functions of single activations by a table, computed by the host.

The vector ALU cannot index a table. Where no chain of its operations serves (sigmoid, tanh,
hard-swish), the host replaces each stored integer by the entry of a table of 2 ** bits entries,
which is exact for any function. A :class:`HostOperator` says so: it has no schedule and no program.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from vta.compiler.ops.geometry import checked_shape
from vta.compiler.ops.operator import Array, Operand, check_operands
from vta.errors import OperatorError

if TYPE_CHECKING:
    from vta.config import VTAConfig

__all__ = ["HostOperator", "lookup", "table_of"]


@dataclass(frozen=True, eq=False)
class HostOperator:
    """An operator that the host computes.

    Attributes
    ----------
    name : str
        Of the operator.
    cfg : VTAConfig
        The machine, for the type of activations.
    operands : tuple of Operand
        The inputs, in the layout of a framework or in tiles alike.
    table : ndarray, shape (2 ** bits,)
        The result for each stored integer, the lowest one first.
    host : True
        In every report: the host computes this.
    """

    name: str
    cfg: VTAConfig
    operands: tuple[Operand, ...]
    table: Array
    host: Literal[True] = True

    def __call__(self, data: Array) -> Array:
        """The result, of the shape of ``data``: tiles or the layout of a framework."""
        return self.table[np.asarray(data).astype(np.int64) + len(self.table) // 2]

    def reference(self, data: Array) -> Array:
        """The result value by value, of an array of the operand's shape.

        Raises
        ------
        OperatorError
            If the shape is another.
        """
        check_operands(self.name, self.operands, [data])
        middle = len(self.table) // 2
        values = [self.table[middle + int(value)] for value in np.asarray(data).ravel()]
        return np.array(values, self.table.dtype).reshape(np.shape(data))


def lookup(
    shape: Sequence[int], table: npt.ArrayLike, *, cfg: VTAConfig, name: str = "lookup"
) -> HostOperator:
    """A table of activations, on the host.

    Parameters
    ----------
    shape : sequence of int
        Of the data: one to five dimensions.
    table : array_like of int, shape (2 ** bits,)
        The result for each activation of ``bits`` bits, the lowest one first; :func:`table_of`
        makes one of a real function.
    cfg : VTAConfig
        The machine.
    name : str
        Of the operator, for reports.

    Raises
    ------
    OperatorError
        If the table has another length, or an entry is no activation.
    """
    shape = checked_shape(f"{name}: shape", shape, (1, 2, 3, 4, 5))
    values = np.asarray(table)
    count = 1 << cfg.inp_width
    if values.shape != (count,) or not np.issubdtype(values.dtype, np.integer):
        raise OperatorError(
            f"{name}: table has shape {values.shape} and dtype {values.dtype}; must be {count} "
            f"integers, one for each activation"
        )
    limit = 1 << (cfg.out_width - 1)
    if values.min() < -limit or values.max() >= limit:
        raise OperatorError(
            f"{name}: entries are {values.min()} to {values.max()}; must be {-limit} to {limit - 1}"
        )
    given = (Operand("data", shape, cfg.inp_dtype),)
    return HostOperator(name, cfg, given, values.astype(_host_dtype(cfg.out_dtype)))


def table_of(
    function: Callable[[npt.NDArray[Any]], npt.ArrayLike],
    *,
    cfg: VTAConfig,
    data_scale: float,
    scale: float,
    data_zero: int = 0,
    zero: int = 0,
) -> npt.NDArray[Any]:
    """The table of a real function: ``clip(rint(function(x) / scale) + zero)`` for ``x = (stored -
    data_zero) * data_scale``.

    Parameters
    ----------
    function : callable
        Of an array of float64, element by element.
    cfg : VTAConfig
        The machine.
    data_scale, data_zero, scale, zero : float, int
        Of the data and of the result.

    Raises
    ------
    OperatorError
        If a scale is not positive, or a result is not finite.
    """
    for what, value in (("data_scale", data_scale), ("scale", scale)):
        if not (np.isfinite(value) and value > 0):
            raise OperatorError(f"table_of: {what} is {value}; must be positive and finite")
    middle = 1 << (cfg.inp_width - 1)
    limit = 1 << (cfg.out_width - 1)
    real = (np.arange(-middle, middle) - data_zero) * float(data_scale)
    results = np.asarray(function(real), np.float64)
    if results.shape != real.shape or not np.isfinite(results).all():
        raise OperatorError(
            f"table_of: the function gives {results.shape} values; must be {real.shape}, all finite"
        )
    stored = np.rint(results / scale) + zero
    table: npt.NDArray[Any] = np.clip(stored, -limit, limit - 1).astype(np.int64)
    return table


def _host_dtype(dtype: str) -> str:
    """The NumPy type that holds the machine's type."""
    return {"int4": "int8"}.get(dtype, dtype)
