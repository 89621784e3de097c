"""Element-by-element functions of the host: of real numbers in float32, and tables of activations.

A function of one quantised tensor becomes a table of 256 entries when a network is compiled; those
of real numbers are for what is not quantised.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import erf
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["BINARY", "INTEGER_BINARY", "UNARY", "looked_up"]

Array = npt.NDArray[Any]

_erf = np.frompyfunc(erf, 1, 1)


def _sigmoid(x: Array) -> Array:
    """``1 / (1 + exp(-x))``, without an overflow."""
    small = np.exp(-np.abs(x))
    return np.asarray(np.where(x >= 0, 1 / (1 + small), small / (1 + small)))


UNARY: Mapping[str, Callable[[Array], Array]] = MappingProxyType({
    "absolute": np.abs,
    "erf": lambda x: np.asarray(_erf(x), np.float32),
    "exp": np.exp,
    "log": np.log,
    "negative": np.negative,
    "reciprocal": np.reciprocal,
    "sigmoid": _sigmoid,
    "sqrt": np.sqrt,
    "tanh": np.tanh,
})  # fmt: skip
"""Of one array."""

BINARY: Mapping[str, Callable[[Array, Array], Array]] = MappingProxyType({
    "divide": np.divide,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "power": np.power,
    "real_add": np.add,
    "real_multiply": np.multiply,
    "subtract": np.subtract,
})  # fmt: skip
"""Of two arrays, which are broadcast."""

INTEGER_BINARY = ("maximum", "minimum", "real_add", "real_multiply", "subtract")
"""Those of :data:`BINARY` that take integers of one type, too."""


def looked_up(data: Array, table: Array, axis: int) -> Array:
    """The entries of tables for stored integers.

    Parameters
    ----------
    data : ndarray of int8
    table : ndarray of int8, shape (256,) or (extent of ``axis``, 256)
        The result for each integer, that for -128 first; one table for all, or one for each index
        of an axis.
    axis : int
        Of ``data``; has no meaning with one table.
    """
    index = data.astype(np.int16) + 128
    if table.ndim == 1:
        return np.asarray(table[index])
    shape = [1] * data.ndim
    shape[axis] = len(table)
    return np.asarray(table[np.arange(len(table)).reshape(shape), index])
