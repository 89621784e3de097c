"""Which functions of one activation the vector ALU computes, and the integers for it.

A function is given by its values for all 256 activations. It is matched with three rules: a clipped
line (hard sigmoid, a factor, a clip), two slopes that meet at zero (PReLU, leaky relu; of each
channel others), and a product with a clipped line (hard-swish). A rule is taken if its real numbers
equal the function's, and its integers are at most one step from the rounded ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vta.compiler.ops.pointwise import GATE_BITS, gated, sloped
from vta.compiler.ops.requantise import half

if TYPE_CHECKING:
    from vta.compiler.graph.ir import Attribute

__all__ = ["Function", "alu_function"]

Reals = npt.NDArray[np.float64]

_CLOSE = 0.02
"""Steps of the result by which a rule's real numbers may differ from the function's."""
_STORED = np.arange(-128, 128)
_MOST_SHIFT = 22


@dataclass(frozen=True)
class Function:
    """A function of one activation, of each channel another or of all the same.

    Attributes
    ----------
    reals : ndarray of float64, shape (256, channels or 1)
        Of each stored integer: the result over its scale, plus its zero point, neither rounded nor
        clipped.
    table : ndarray of int8, shape (256, channels or 1)
        The stored results.
    data_zero, zero : int
        Zero points of data and result.
    ratio : float
        The scale of the data over that of the result.
    """

    reals: Reals
    table: npt.NDArray[np.int8]
    data_zero: int
    zero: int
    ratio: float

    def is_near(self, results: npt.NDArray[Any]) -> bool:
        """Whether stored results are at most one step from the function's."""
        return bool(np.abs(results.astype(np.int64) - self.table).max() <= 1)

    @property
    def limits(self) -> tuple[int, int]:
        """The least and the largest stored result."""
        return int(self.table.min()), int(self.table.max())


def alu_function(function: Function) -> tuple[str, dict[str, Attribute]] | None:
    """The operator of the graph that computes a function on the vector ALU, with its attributes.

    Returns
    -------
    (str, dict) or None
        ``line``, ``two_slopes`` or ``hard_swish`` (:mod:`vta.compiler.graph.operators.pointwise`);
        None: it is none of these.
    """
    if not np.isfinite(function.reals).all():
        return None
    for name, rule in (("line", _line), ("two_slopes", _slopes), ("hard_swish", _swish)):
        found = rule(function)
        if found is not None:
            low, high = function.limits
            return name, {**found, "low": low, "high": high}
    return None


def _clipped_line(x: Reals, y: Reals, close: float) -> tuple[float, float] | None:
    """Slope and offset of the line that ``y`` is between its least and its largest value."""
    low, high = y.min(), y.max()
    inside = np.flatnonzero((y > low + close) & (y < high - close))
    if len(inside) < 2:
        return None
    first, last = inside[0], inside[-1]
    slope = (y[last] - y[first]) / (x[last] - x[first])
    start = y[first] - slope * x[first]
    near = np.abs(np.clip(slope * x + start, low, high) - y).max() <= close
    return (float(slope), float(start)) if near else None


def _line(function: Function) -> dict[str, Attribute] | None:
    if function.reals.shape[1] != 1:
        return None
    found = _clipped_line(_STORED.astype(np.float64), function.reals[:, 0], _CLOSE)
    if found is None:
        return None
    slope, start = found
    low, high = function.limits
    for shift in range(_MOST_SHIFT, -1, -1):
        factor, offset = round(slope * 2.0**shift), round(start * 2.0**shift) + half(shift)
        if abs(factor) >= 1 << 15 or abs(factor) * 128 + abs(offset) + half(shift) >= 1 << 31:
            continue
        results = np.clip((_STORED * factor + offset) >> shift, low, high)
        if factor and function.is_near(results[:, None]):
            return {"multipliers": (factor,), "offset": offset, "shift": shift}
        return None
    return None


def _slopes(function: Function) -> dict[str, Attribute] | None:
    zero, reals = function.data_zero, function.reals
    if not -128 < zero < 127:
        return None
    start = reals[zero + 128]
    positive = (reals[-1] - start) / (127 - zero)
    negative = (start - reals[0]) / (zero + 128)
    s = (_STORED - zero)[:, None]
    exact = start + np.maximum(s, 0) * positive + np.minimum(s, 0) * negative
    if np.abs(exact - reals).max() > _CLOSE:
        return None
    low, high = function.limits
    for shift in range(_MOST_SHIFT, -1, -1):
        rows = [np.rint(row * 2.0**shift).astype(np.int64) for row in (positive, negative, start)]
        rows[2] += half(shift)
        most = 256 * (np.abs(rows[0]) + np.abs(rows[1])) + np.abs(rows[2])
        if most.max() + half(shift) >= 1 << 31:
            continue
        results = sloped(_STORED[:, None], *rows, data_zero=zero, shift=shift, low=low, high=high)
        if not function.is_near(results):
            return None
        named = dict(zip(("positive", "negative", "offset"), (tuple(map(int, r)) for r in rows)))
        return {**named, "data_zero": zero, "shift": shift}
    return None


def _swish(function: Function) -> dict[str, Attribute] | None:
    """The gate is the function over its data."""
    zero, reals, slope = function.data_zero, function.reals[:, 0], function.ratio
    if function.reals.shape[1] != 1:
        return None
    s = (_STORED - zero).astype(np.float64)
    there = np.abs(s) > 0
    gate = (reals[there] - function.zero) / (slope * s[there])
    found = _clipped_line(_STORED[there].astype(np.float64), gate, 1e-4)
    if found is None or gate.min() < -1e-4 or gate.max() > 1 + 1e-4:
        return None
    steps = [line * 2.0**GATE_BITS for line in found]
    low, high = function.limits
    for gate_shift in range(_MOST_SHIFT, -1, -1):
        factor, start = (round(step * 2.0**gate_shift) for step in steps)
        start += half(gate_shift)
        if abs(factor) < 1 << 15 and abs(factor) * 128 + abs(start) < 1 << 31:
            break
    else:
        return None
    for shift in range(_MOST_SHIFT, -1, -1):
        multiplier = round(slope * 2.0 ** (shift - GATE_BITS))
        offset = (function.zero << shift) + half(shift)
        if multiplier >= 1 << 15 or (
            (multiplier << (GATE_BITS + 8)) + abs(offset) + half(shift) >= 1 << 31
        ):
            continue
        results = gated(
            _STORED, (factor, start, gate_shift), multiplier, offset,
            data_zero=zero, shift=shift, low=low, high=high,
        )  # fmt: skip
        if not function.is_near(results[:, None]):
            return None
        return {
            "gate": (factor, start, gate_shift), "multiplier": multiplier, "offset": offset,
            "data_zero": zero, "shift": shift,
        }  # fmt: skip
    return None
