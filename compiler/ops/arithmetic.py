"""Sums and products of two activations, each with a scale and a zero point of its own.

A stored integer ``x`` stands for ``(x - zero) * scale``. The scales become integers: a multiplier
and a shift, chosen so that no operation exceeds 32 bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from vta.compiler.ops.alu_chain import alu_chain
from vta.compiler.ops.chain_step import Step
from vta.compiler.ops.elementwise import weighted_sum
from vta.compiler.ops.requantise import half
from vta.errors import OperatorError

if TYPE_CHECKING:
    from vta.compiler.ops.operator import Array, Operator
    from vta.config import VTAConfig

__all__ = ["add", "multiply"]

MOST = (1 << 15) - 1
"""The largest multiplier: an immediate of the ALU."""
MOST_SHIFT = 30


def add(
    shape: Sequence[int],
    scales: Sequence[float],
    scale: float,
    *,
    cfg: VTAConfig,
    zeros: Sequence[int] | None = None,
    zero: int = 0,
    low: int | None = None,
    high: int | None = None,
) -> Operator:
    """The sum of activations of equal shape, e.g. of a residual connection.

    Parameters
    ----------
    shape : (int, int, ...)
        Of each operand: images, channels, and up to three others.
    scales, zeros : sequences, one for each operand
        Of the stored integers; ``zeros`` are 0 without.
    scale, zero : float, int
        Of the result.
    cfg : VTAConfig
        The machine.
    low, high : int or None
        The range of the result, e.g. ``low=zero`` for a rectifier; None: that of activations.

    Returns
    -------
    Operator
        Of as many operands as ``scales``.

    Raises
    ------
    OperatorError
        If a scale is not positive, or the operands' scales differ too much for multipliers of 16
        bits.
    """
    ratios = _ratios("add", [*scales], scale)
    given = tuple(zeros) if zeros is not None else (0,) * len(scales)
    if len(given) != len(scales):
        raise OperatorError(f"add: {len(given)} zeros; must be {len(scales)}, as many as scales")
    reach = sum(ratios) * (1 << cfg.inp_width) + abs(zero) + 1
    shift = _shift("add", max(ratios), reach)
    factors = [round(ratio * 2**shift) for ratio in ratios]
    offset = half(shift) + (zero << shift)
    offset -= sum(factor * point for factor, point in zip(factors, given))
    bottom, top = _range("add", low, high, cfg)
    return weighted_sum(
        shape, factors, cfg=cfg, offset=offset, shift=shift, low=bottom, high=top, name="add"
    )


def multiply(
    shape: Sequence[int],
    scales: Sequence[float],
    scale: float,
    *,
    cfg: VTAConfig,
    zeros: Sequence[int] = (0, 0),
    zero: int = 0,
    low: int | None = None,
    high: int | None = None,
) -> Operator:
    """The product of two activations of equal shape.

    ``clip((((a - zeros[0]) * (b - zeros[1]) * m + half) >> shift) + zero)``.

    Parameters
    ----------
    shape, scales, scale, cfg, zeros, zero, low, high
        As of :func:`add`, for two operands.

    Returns
    -------
    Operator
        Of two operands.

    Raises
    ------
    OperatorError
        If a scale is not positive, or there are not two.
    """
    if len(scales) != 2 or len(zeros) != 2:
        raise OperatorError(
            f"multiply: scales {list(scales)}, zeros {list(zeros)}; must be two each"
        )
    first, second = _ratios("multiply", [*scales], 1.0)
    ratio = first * second / _ratios("multiply", [scale], 1.0)[0]
    reach = ratio * (1 << 2 * cfg.inp_width) + 1
    shift = _shift("multiply", ratio, reach)
    factor = round(ratio * 2**shift)
    bottom, top = _range("multiply", low, high, cfg)
    names = ["a", "b"]
    steps = [
        *(Step(f"moved_{at}", "add", at, -point) for at, point in zip(names, zeros)),
        Step("product", "mul", "moved_a", "moved_b"),
        Step("scaled", "mul", "product", factor),
        Step("rounded", "add", "scaled", half(shift)),
        Step("shifted", "shr", "rounded", shift),
        Step("moved", "add", "shifted", zero),
        Step("clipped_low", "max", "moved", bottom),
        Step("clipped", "min", "clipped_low", top),
    ]

    def reference(a: Array, b: Array) -> Array:
        product = (a - zeros[0]) * (b - zeros[1]) * factor + half(shift)
        return np.asarray(np.clip((product >> shift) + zero, bottom, top))

    return alu_chain("multiply", shape, steps, cfg=cfg, operands=["a", "b"], reference=reference)


def _ratios(name: str, scales: Sequence[float], scale: float) -> list[float]:
    for value in (*scales, scale):
        if not (np.isfinite(value) and value > 0):
            raise OperatorError(f"{name}: a scale is {value}; must be positive and finite")
    return [value / scale for value in scales]


def _shift(name: str, ratio: float, reach: float) -> int:
    """The largest shift with which multipliers and sums fit; ``reach`` is the largest result."""
    for shift in range(MOST_SHIFT, -1, -1):
        if ratio * 2**shift <= MOST and (reach + 1) * 2**shift < 2**31:
            return shift
    raise OperatorError(
        f"{name}: a scale is {ratio:g} times that of the result, before clipping results reach "
        f"{reach:g}; multipliers must fit 16 bits and sums 32"
    )


def _range(name: str, low: int | None, high: int | None, cfg: VTAConfig) -> tuple[int, int]:
    lowest, highest = -(1 << (cfg.out_width - 1)), (1 << (cfg.out_width - 1)) - 1
    bottom, top = lowest if low is None else low, highest if high is None else high
    if not lowest <= bottom <= top <= highest:
        raise OperatorError(
            f"{name}: low is {bottom} and high {top}; must be {lowest} to {highest}, low not above"
        )
    return bottom, top
