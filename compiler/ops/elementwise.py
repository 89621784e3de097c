"""Elementwise sums: of one activation or several, each with a multiplier, requantised together.

``out = clip((sum_k data_k * multiplier[k] + offset) >> shift, low, high)``: the rule of
:mod:`vta.compiler.ops.requantise` without a shift before the multiplication. ``offset`` holds the
zero points of the operands and of the result, and the half that rounds. One operand alone is a
change of scale, or a clip. The vector ALU does it; int8 data are widened by the load.

In tiles: operands and result have the same shape, any number of tiles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vta.compiler.ops.alu_chain import alu_chain
from vta.compiler.ops.chain_step import Step
from vta.compiler.ops.geometry import checked_shape
from vta.compiler.ops.operator import require_wide_loads
from vta.compiler.ops.requantise import half
from vta.errors import OperatorError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vta.compiler.ops.operator import Array, Operator
    from vta.config import VTAConfig

__all__ = ["weighted_steps", "weighted_sum"]


def weighted_sum(
    shape: Sequence[int],
    multipliers: Sequence[int],
    *,
    cfg: VTAConfig,
    offset: int,
    shift: int,
    low: int = -128,
    high: int = 127,
    name: str = "weighted_sum",
) -> Operator:
    """A weighted sum of activations of equal shape.

    Parameters
    ----------
    shape : (int, int, ...)
        Of each operand: images, channels, and any others.
    multipliers : sequence of int
        One for each operand, 16 bits signed.
    cfg : VTAConfig
        The machine.
    offset : int
        32 bits signed; added before the shift.
    shift, low, high : int
        As in the rule.
    name : str
        Of the operator.

    Returns
    -------
    Operator
        Its ``args`` are the operands, tiles of constants and the result; ``reference`` and
        ``pack`` take the operands.

    Raises
    ------
    OperatorError
        If a number is out of its range, or a sum could exceed 32 bits.
    """
    require_wide_loads(name, cfg)
    shape = checked_shape(f"{name}: shape", shape, (2, 3, 4, 5))
    factors = tuple(int(factor) for factor in multipliers)
    keys = [f"data_{index}" for index in range(len(factors))]
    steps, narrow = weighted_steps(
        name, keys, factors, cfg, offset=offset, shift=shift, low=low, high=high
    )

    def reference(*arrays: Array) -> Array:
        total = sum((array * factor for array, factor in zip(arrays, factors)), np.int64(offset))
        return np.asarray(np.clip(total >> shift, low, high))

    return alu_chain(
        name, shape, steps, cfg=cfg, operands=keys, numbers={"offset": offset},
        narrow=narrow, reference=reference,
    )  # fmt: skip


def weighted_steps(
    name: str, keys: Sequence[str], factors: Sequence[int], cfg: VTAConfig, *, offset: int,
    shift: int, low: int, high: int,
) -> tuple[list[Step], bool]:  # fmt: skip
    """The steps of a weighted sum of the operands ``keys``, with the constant ``offset``, and
    whether half a unit of the shift may be subtracted in front without exceeding 32 bits.

    Raises
    ------
    OperatorError
        As :func:`weighted_sum`.
    """
    if not factors or any(not -(1 << 15) <= factor < 1 << 15 for factor in factors):
        raise OperatorError(f"{name}: multipliers are {factors}; must be 16 bits each, signed")
    if not 0 <= shift <= 31 or not low <= high:
        raise OperatorError(
            f"{name}: shift {shift}, low {low}, high {high}; the shift must be 0 to 31, and "
            f"low not above high"
        )
    most = sum(abs(factor) for factor in factors) * (1 << (cfg.inp_width - 1)) + abs(offset)
    if most >= 1 << 31:
        raise OperatorError(f"{name}: a sum may reach {most}; must be below 2^31")
    steps = [Step(f"scaled_{k}", "mul", key, m) for k, (key, m) in enumerate(zip(keys, factors))]
    total = steps[0].name
    for k, step in enumerate(steps[1:], 1):
        steps.append(Step(f"sum_{k}", "add", total, step.name))
        total = steps[-1].name
    steps += [
        Step("biased", "add", total, "offset"),
        Step("shifted", "shr", "biased", shift),
        Step("clipped_low", "max", "shifted", low),
        Step("clipped", "min", "clipped_low", high),
    ]
    return steps, most + half(shift) < 1 << 31
