"""Activations on the vector ALU: clip, relu, relu6, leaky relu and PReLU, of quantised data.

A stored integer ``x`` stands for ``(x - zero) * scale``; operand and result have the same scale and
zero point, so that a rectifier compares stored integers with ``zero``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from vta.compiler.ops.alu_chain import alu_chain
from vta.compiler.ops.chain_step import Step
from vta.compiler.ops.geometry import integer
from vta.compiler.ops.requantise import half
from vta.errors import OperatorError

if TYPE_CHECKING:
    from vta.compiler.ops.operator import Array, Operator
    from vta.config import VTAConfig

__all__ = ["clip", "leaky_relu", "prelu", "relu", "relu6"]

SLOPE_SHIFT = 14
"""Binary digits of a slope behind the point."""


def clip(shape: Sequence[int], low: int, high: int, *, cfg: VTAConfig) -> Operator:
    """``min(max(x, low), high)`` of stored integers.

    Parameters
    ----------
    shape : (int, int, ...)
        Images, channels, and up to three others.
    low, high : int
        In the range of activations.
    cfg : VTAConfig
        The machine.

    Returns
    -------
    Operator
        Of one operand, ``data``.

    Raises
    ------
    OperatorError
        If a number is wrong.
    """
    return _clip("clip", shape, low, high, cfg)


def relu(shape: Sequence[int], *, cfg: VTAConfig, zero: int = 0) -> Operator:
    """``max(x, zero)``; see :func:`clip`."""
    return _clip("relu", shape, zero, _limits(cfg)[1], cfg)


def relu6(shape: Sequence[int], *, cfg: VTAConfig, scale: float, zero: int = 0) -> Operator:
    """Real numbers clipped to 0 to 6; ``scale`` is the step of a stored integer; see :func:`clip`.

    Raises
    ------
    OperatorError
        If a number is wrong; the scale must be positive.
    """
    if not scale > 0:
        raise OperatorError(f"relu6: scale is {scale}; must be positive")
    most = _limits(cfg)[1]
    return _clip("relu6", shape, zero, int(min(most, np.rint(6 / scale) + zero)), cfg)


def leaky_relu(shape: Sequence[int], slope: float, *, cfg: VTAConfig, zero: int = 0) -> Operator:
    """``x`` where it is positive, else ``slope * x``.

    ``y = max(x - zero, 0) + ((min(x - zero, 0) * m + half) >> 14)`` with ``m = rint(slope * 2 **
    14)``, then ``clip(y + zero)``.

    Parameters
    ----------
    shape, cfg
        As of :func:`clip`.
    slope : float
        -2 to 2, 2 excluded.
    zero : int
        The zero point.

    Returns
    -------
    Operator
        Of one operand, ``data``.

    Raises
    ------
    OperatorError
        If a number is wrong.
    """
    factor = slope_of(slope)
    return _rectifier("leaky_relu", shape, factor, zero, cfg)


def prelu(shape: Sequence[int], *, cfg: VTAConfig, zero: int = 0) -> Operator:
    """:func:`leaky_relu` with a slope a channel.

    Returns
    -------
    Operator
        Of two operands: ``data``, and ``slope`` (int32, a number a channel, by
        :func:`~vta.compiler.ops.activation.slope_of`).

    Raises
    ------
    OperatorError
        If a number is wrong.
    """
    return _rectifier("prelu", shape, "slope", zero, cfg)


def slope_of(slope: float) -> int:
    """A slope as an integer, ``rint(slope * 2 ** 14)``.

    Raises
    ------
    OperatorError
        If it is not at least -2 and below 2.
    """
    factor = float(np.rint(slope * (1 << SLOPE_SHIFT)))
    if not -(1 << 15) <= factor < 1 << 15:
        raise OperatorError(f"leaky_relu: slope is {slope}; must be at least -2 and below 2")
    return int(factor)


def _limits(cfg: VTAConfig) -> tuple[int, int]:
    return -(1 << (cfg.out_width - 1)), (1 << (cfg.out_width - 1)) - 1


def _in_range(name: str, what: str, value: int, cfg: VTAConfig) -> int:
    low, high = _limits(cfg)
    value = integer(f"{name}: {what}", value, low)
    if value > high:
        raise OperatorError(f"{name}: {what} is {value}; must be {low} to {high}")
    return value


def _clip(name: str, shape: Sequence[int], low: int, high: int, cfg: VTAConfig) -> Operator:
    low, high = _in_range(name, "low", low, cfg), _in_range(name, "high", high, cfg)
    if low > high:
        raise OperatorError(f"{name}: low is {low} and high {high}; low must not be above high")
    steps = [Step("clipped_low", "max", "data", low)]
    if high < _limits(cfg)[1]:
        steps.append(Step("clipped", "min", "clipped_low", high))
    return alu_chain(
        name, shape, steps, cfg=cfg, operands=["data"],
        reference=lambda data: np.asarray(np.clip(data, low, high)),
    )  # fmt: skip


def _rectifier(
    name: str, shape: Sequence[int], slope: int | str, zero: int, cfg: VTAConfig
) -> Operator:
    zero = _in_range(name, "zero", zero, cfg)
    low, high = _limits(cfg)
    steps = [
        Step("moved", "add", "data", -zero),
        Step("positive", "max", "moved", 0),
        Step("negative", "min", "moved", 0),
        Step("scaled", "mul", "negative", slope),
        Step("rounded", "add", "scaled", half(SLOPE_SHIFT)),
        Step("shifted", "shr", "rounded", SLOPE_SHIFT),
        Step("sum", "add", "shifted", "positive"),
        Step("back", "add", "sum", zero),
        Step("clipped_low", "max", "back", low),
        Step("clipped", "min", "clipped_low", high),
    ]

    def reference(data: Array, *slopes: Array) -> Array:
        x = data - zero
        per_channel = slopes[0].reshape(1, -1, *(1 for _ in data.shape[2:])) if slopes else slope
        scaled = np.minimum(x, 0) * per_channel + half(SLOPE_SHIFT)
        wrapped = scaled.astype(np.uint32).astype(np.int32) >> SLOPE_SHIFT
        return np.asarray(np.clip(np.maximum(x, 0) + wrapped + zero, low, high))

    return alu_chain(
        name, shape, steps, cfg=cfg, operands=["data"],
        constants=["slope"] if isinstance(slope, str) else [], reference=reference,
    )  # fmt: skip
