"""Elementwise sums: of one activation or several, each with a multiplier, requantised together.

``out = clip((sum_k data_k * multiplier[k] + offset) >> shift, low, high)``: the rule of
:mod:`vta.compiler.ops.requantise` without a shift before the multiplication. ``offset`` holds the
zero points of the operands and of the result, and the half that rounds. One operand alone is a
change of scale, or a clip. The vector ALU does it; int8 data are widened by the load.

In tiles: operands and result have the same shape, any number of tiles.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from vta.compiler.ops.geometry import numbers
from vta.compiler.ops.operator import Array, Operator, require_wide_loads
from vta.compiler.schedule.schedule import create_schedule
from vta.compiler.target import ACC_SCOPE
from vta.compiler.te.expr import maximum, minimum
from vta.compiler.te.tensor import Tensor, compute, placeholder
from vta.errors import OperatorError
from vta.packing import pack, unpack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vta.compiler.schedule.schedule import Schedule
    from vta.config import VTAConfig

__all__ = ["weighted_sum"]


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
        Its ``args`` are the operands, a tile of the offset and the result; ``reference`` and
        ``pack`` take the operands.

    Raises
    ------
    OperatorError
        If a number is out of its range, or a sum could exceed 32 bits.
    """
    require_wide_loads(name, cfg)
    shape = numbers(f"{name}: shape", shape, (2, 3, 4, 5), 1)
    factors = tuple(int(factor) for factor in multipliers)
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
    outer = (-(-shape[0] // cfg.batch), -(-shape[1] // cfg.block_out), *shape[2:])
    count = int(np.prod(outer))
    stages = _stages(count, factors, shift, low, high, cfg)

    def check(*arrays: Array) -> None:
        if len(arrays) != len(factors) or any(np.shape(array) != shape for array in arrays):
            shapes = ", ".join(str(np.shape(array)) for array in arrays)
            raise OperatorError(f"{name}: operands {shapes}; must be {len(factors)} x {shape}")

    def packed(*arrays: Array) -> list[Array]:
        check(*arrays)
        tile = np.full((1, cfg.batch, cfg.block_out), offset, np.int32)
        flat = (pack(array, (cfg.batch, cfg.block_out)) for array in arrays)
        return [*(tiles.reshape(count, *tiles.shape[-2:]) for tiles in flat), tile]

    def reference(*arrays: Array) -> Array:
        check(*arrays)
        total = sum(
            (np.asarray(array, np.int64) * factor for array, factor in zip(arrays, factors)),
            np.int64(offset),
        )
        clipped = np.asarray(np.clip(total >> shift, low, high))
        return clipped.astype(cfg.out_dtype)

    keys = [f"data_{index}" for index in range(len(factors))]
    return Operator(
        name=name,
        cfg=cfg,
        args=tuple(stages[key] for key in (*keys, "offset", "result")),
        stages=MappingProxyType(stages),
        schedule=_schedule(stages, count, len(factors), cfg),
        tiling=None,
        products=0,
        pack=packed,
        unpack=lambda tiles: unpack(tiles.reshape(*outer, *tiles.shape[-2:]), shape),
        reference=reference,
    )


def _stages(
    count: int, factors: Sequence[int], shift: int, low: int, high: int, cfg: VTAConfig
) -> dict[str, Tensor]:
    shape = (count, cfg.batch, cfg.block_out)
    data = [placeholder(shape, cfg.inp_dtype, f"data_{k}") for k in range(len(factors))]
    offset = placeholder((1, *shape[1:]), cfg.acc_dtype, "offset")
    offset_buf = compute(offset.shape, lambda *at: offset(*at), name="offset_buf")
    wide = [
        compute(shape, lambda *at, a=a: a(*at).astype(cfg.acc_dtype), name=f"wide_{k}")
        for k, a in enumerate(data)
    ]
    on_alu: list[Tensor] = []

    def step(name: str, body) -> Tensor:  # type: ignore[no-untyped-def]
        on_alu.append(compute(shape, body, name=name))
        return on_alu[-1]

    terms = [
        step(f"scaled_{k}", lambda *at, a=a, m=m: a(*at) * m) if m != 1 else a
        for k, (a, m) in enumerate(zip(wide, factors))
    ]
    total = terms[0]
    for k, term in enumerate(terms[1:], 1):
        total = step(f"sum_{k}", lambda *at, a=total, b=term: a(*at) + b(*at))
    total = step("biased", lambda t, b, i, a=total: a[t, b, i] + offset_buf[0, b, i])
    if shift:
        total = step("shifted", lambda *at, a=total: a(*at) >> shift)
    total = step("clipped_low", lambda *at, a=total: maximum(a(*at), low))
    total = step("clipped", lambda *at, a=total: minimum(a(*at), high))
    result = compute(shape, lambda *at: total(*at).astype(cfg.out_dtype), name="result")
    named = (*data, offset, offset_buf, *wide, *on_alu, result)
    return {tensor.name: tensor for tensor in named}


def _schedule(stages: dict[str, Tensor], count: int, operands: int, cfg: VTAConfig) -> Schedule:
    """Blocks of as many tiles as the accumulators hold of all operands and results at once."""
    result = stages["result"]
    s = create_schedule(result.op)
    most = (cfg.acc_depth - 1) // (2 * operands + 1)
    block, t = s[result].split(s[result].op.axis[0], factor=-(-count // -(-count // most)))
    names = list(stages)
    for name in names[names.index("wide_0") : -1]:
        s[stages[name]].set_scope(ACC_SCOPE)
        s[stages[name]].compute_at(s[result], block)
        key = "dma_copy" if name.startswith("wide") else "alu"
        s[stages[name]].pragma(s[stages[name]].op.axis[0], key)
    s[stages["offset_buf"]].set_scope(ACC_SCOPE)
    s[stages["offset_buf"]].pragma(s[stages["offset_buf"]].op.axis[0], "dma_copy")
    s[result].pragma(t, "dma_copy")
    return s
