"""Functions of activations in a few operations of the vector ALU: two slopes, hard-swish, products.

``s`` is the stored integer less its zero point. A caller gives the integers of a rule;
:mod:`vta.compiler.graph.alu_functions` finds those of a real function.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from vta.compiler.ops.alu_chain import alu_chain
from vta.compiler.ops.chain_step import Step
from vta.errors import OperatorError

if TYPE_CHECKING:
    from vta.compiler.ops.operator import Array, Operator
    from vta.config import VTAConfig

__all__ = [
    "GATE_BITS", "gated", "hard_swish", "product", "sloped", "two_slopes", "weighted_product",
]  # fmt: skip

GATE_BITS = 10
"""Binary digits behind the point of the gate of :func:`hard_swish`, which is 0 to 1."""


def sloped(
    data: Array, positive: Array, negative: Array, offset: Array,
    *, data_zero: int, shift: int, low: int, high: int,
) -> Array:  # fmt: skip
    """The rule of :func:`two_slopes`: ``clip((max(s, 0) * positive + min(s, 0) * negative + offset)
    >> shift, low, high)``; arrays of int64 that are broadcast."""
    s = data - data_zero
    rising: Array = np.maximum(s, 0) * positive
    falling: Array = np.minimum(s, 0) * negative
    return np.asarray(np.clip((rising + falling + offset) >> shift, low, high))


def two_slopes(
    shape: Sequence[int], *, cfg: VTAConfig, data_zero: int, shift: int, low: int, high: int
) -> Operator:
    """A line with a bend at the zero point, of each channel another: PReLU, leaky relu.

    Parameters
    ----------
    shape : (int, int, ...)
        Images, channels, and up to three others.
    cfg : VTAConfig
        The machine.
    data_zero, shift, low, high : int
        As in the rule, that of :func:`sloped`.

    Returns
    -------
    Operator
        Of four operands: ``data``, and ``positive``, ``negative``, ``offset`` (int32, a number a
        channel).

    Raises
    ------
    OperatorError
        If the shape is wrong, or the constants do not fit the accumulators.
    """
    steps = [
        Step("moved", "add", "data", -data_zero),
        Step("above", "max", "moved", 0),
        Step("below", "min", "moved", 0),
        Step("rising", "mul", "above", "positive"),
        Step("falling", "mul", "below", "negative"),
        Step("sum", "add", "falling", "rising"),
        Step("biased", "add", "sum", "offset"),
        Step("shifted", "shr", "biased", shift),
        Step("clipped_low", "max", "shifted", low),
        Step("clipped", "min", "clipped_low", high),
    ]

    def reference(data: Array, *rows: Array) -> Array:
        each = (row.reshape(1, -1, *(1 for _ in data.shape[2:])) for row in rows)
        return sloped(data, *each, data_zero=data_zero, shift=shift, low=low, high=high)

    return alu_chain(
        "two_slopes", shape, steps, cfg=cfg, operands=["data"],
        constants=["positive", "negative", "offset"], reference=reference,
    )  # fmt: skip


def gated(
    data: Array, gate: tuple[int, int | Array, int], multiplier: int, offset: int | Array,
    *, data_zero: int, shift: int, low: int, high: int,
) -> Array:  # fmt: skip
    """The rule of :func:`hard_swish`, of an array of int64: ``g = clip((data * gate[0] + gate[1])
    >> gate[2], 0, 2 ** GATE_BITS)``, then ``clip((s * g * multiplier + offset) >> shift, low,
    high)``."""
    factor, start, moved = gate
    opened = np.clip((data * factor + start) >> moved, 0, 1 << GATE_BITS)
    total = (data - data_zero) * opened * multiplier + offset
    return np.asarray(np.clip(total >> shift, low, high))


def hard_swish(
    shape: Sequence[int], gate: tuple[int, int], multiplier: int,
    *, cfg: VTAConfig, data_zero: int, shift: int, low: int, high: int,
) -> Operator:  # fmt: skip
    """The product of an activation with a gate that is a clipped line of the activation itself.

    Parameters
    ----------
    shape : (int, int, ...)
        Images, channels, and up to three others.
    gate : (int, int)
        Multiplier (16 bits) and shift of the gate.
    multiplier, data_zero, shift, low, high : int
        As in the rule, that of :func:`gated`; the multiplier has 16 bits.
    cfg : VTAConfig
        The machine.

    Returns
    -------
    Operator
        Of three operands: ``data``, and ``start``, ``offset`` (int32, a number a channel): the
        offset of the gate and of the result.

    Raises
    ------
    OperatorError
        If a multiplier does not have 16 bits.
    """
    factor, gate_shift = gate
    for what, value in (("gate", factor), ("multiplier", multiplier)):
        if not -(1 << 15) <= value < 1 << 15:
            raise OperatorError(f"hard_swish: {what} is {value}; must be 16 bits, signed")
    steps = [
        Step("line", "mul", "data", factor),
        Step("started", "add", "line", "start"),
        Step("gate_moved", "shr", "started", gate_shift),
        Step("gate_low", "max", "gate_moved", 0),
        Step("gate", "min", "gate_low", 1 << GATE_BITS),
        Step("moved", "add", "data", -data_zero),
        Step("product", "mul", "gate", "moved"),
        Step("scaled", "mul", "product", multiplier),
        Step("biased", "add", "scaled", "offset"),
        Step("shifted", "shr", "biased", shift),
        Step("clipped_low", "max", "shifted", low),
        Step("clipped", "min", "clipped_low", high),
    ]

    def reference(data: Array, *rows: Array) -> Array:
        start, offset = (row.reshape(1, -1, *(1 for _ in data.shape[2:])) for row in rows)
        return gated(
            data, (factor, start, gate_shift), multiplier, offset,
            data_zero=data_zero, shift=shift, low=low, high=high,
        )  # fmt: skip

    return alu_chain(
        "hard_swish", shape, steps, cfg=cfg, operands=["data"], constants=["start", "offset"],
        reference=reference,
    )  # fmt: skip


def weighted_product(
    a: Array, b: Array, multiplier: int, offset: int | Array,
    *, zeros: tuple[int, int], shift: int, low: int, high: int,
) -> Array:  # fmt: skip
    """The rule of :func:`product`: ``clip(((a - zeros[0]) * (b - zeros[1]) * multiplier + offset)
    >> shift, low, high)``; arrays of int64 that are broadcast."""
    total = (a - zeros[0]) * (b - zeros[1]) * multiplier + offset
    return np.asarray(np.clip(total >> shift, low, high))


def product(
    shape: Sequence[int], multiplier: int,
    *, cfg: VTAConfig, zeros: tuple[int, int], shift: int, low: int, high: int,
    by_channel: bool = False,
) -> Operator:  # fmt: skip
    """An image times another one, or times one activation a channel (squeeze-and-excitation).

    Parameters
    ----------
    shape : (int, int, ...)
        Of the data: images, channels, and up to three others.
    multiplier, zeros, shift, low, high : int
        As in the rule, that of :func:`weighted_product`; the multiplier has 15 bits.
    cfg : VTAConfig
        The machine.
    by_channel : bool
        Whether the second operand has the shape (images, channels, 1, ...).

    Returns
    -------
    Operator
        Of three operands: ``data``, ``factor``, and ``offset`` (int32, a number a channel).

    Raises
    ------
    OperatorError
        If the multiplier does not have 15 bits, or the factors do not fit the accumulators.
    """
    if not 0 <= multiplier < 1 << 15:
        raise OperatorError(f"product: multiplier is {multiplier}; must be 15 bits")
    steps = [
        Step("weight_moved", "add", "factor", -zeros[1]),
        Step("weight", "mul", "weight_moved", multiplier),
        Step("moved", "add", "data", -zeros[0]),
        Step("product", "mul", "moved", "weight"),
        Step("biased", "add", "product", "offset"),
        Step("shifted", "shr", "biased", shift),
        Step("clipped_low", "max", "shifted", low),
        Step("clipped", "min", "clipped_low", high),
    ]

    def reference(data: Array, factor: Array, offsets: Array) -> Array:
        offset = offsets.reshape(1, -1, *(1 for _ in data.shape[2:]))
        return weighted_product(
            data, factor, multiplier, offset, zeros=zeros, shift=shift, low=low, high=high
        )

    return alu_chain(
        "product", shape, steps, cfg=cfg,
        operands=["data"] if by_channel else ["data", "factor"],
        channels=["factor"] if by_channel else [], constants=["offset"], reference=reference,
    )  # fmt: skip
