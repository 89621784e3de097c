"""Operators that the vector ALU computes element by element, in a chain of operations.

Operands and result have the same shape: images, channels, and any others. In tiles they are
``(images, channels, pixels, n, c)`` (BATCH x BLOCK); a constant of each channel is one tile for
each BLOCK of channels, and an operand with one value a channel one tile for each image besides.
int8 operands are widened by the load, the result is narrowed by the store.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from vta.compiler.ops.chain_step import Step
from vta.compiler.ops.geometry import checked_shape
from vta.compiler.ops.narrowing import narrowed
from vta.compiler.ops.operator import Array, Operand, Operator, check_operands, require_wide_loads
from vta.compiler.schedule.schedule import create_schedule
from vta.compiler.target import ACC_SCOPE
from vta.compiler.te.tensor import Tensor, compute, placeholder
from vta.errors import OperatorError
from vta.packing import pack, unpack

if TYPE_CHECKING:
    from vta.compiler.schedule.schedule import Schedule
    from vta.compiler.te.expr import Expr
    from vta.config import VTAConfig

__all__ = ["alu_chain", "blocks_of", "needed"]
SLOTS = 3
"""Blocks on chip at once: one is loaded, one is worked on, one is stored."""
BLOCKS = 8
"""Blocks of a small tensor: the first load and the last store overlap with nothing."""
LEAST = 64
"""Tiles of a block of a small tensor: a block has a few dozen cycles of its own."""


def alu_chain(
    name: str,
    shape: Sequence[int],
    steps: Sequence[Step],
    *,
    cfg: VTAConfig,
    operands: Sequence[str],
    channels: Sequence[str] = (),
    constants: Sequence[str] = (),
    numbers: Mapping[str, int] = MappingProxyType({}),
    narrow: bool = True,
    reference: Callable[..., Array],
) -> Operator:
    """An operator from its steps; the last one is the result.

    On a machine with REQUANTISE the last steps become one (:mod:`vta.compiler.ops.narrowing`).

    Parameters
    ----------
    name : str
        Of the operator.
    shape : (int, int, ...)
        Of each operand: images, channels, and up to three others.
    steps : sequence of Step
        In order. One that changes nothing (plus 0, times 1, shifted by 0) is left out.
    cfg : VTAConfig
        The machine.
    operands, channels, constants : sequence of str
        Names of activations; of activations with one value for each image and channel, of shape
        (images, channels, 1, ...); of numbers of 32 bits a channel.
    numbers : mapping of str to int
        Constants of 32 bits that are one number for all channels; not operands.
    narrow : bool
        Whether half a unit of the last shift may be subtracted from what is shifted without
        exceeding 32 bits.
    reference : callable
        The result by NumPy, of operands, channels and constants; not checked, not narrowed.

    Raises
    ------
    OperatorError
        If the shape is wrong.
    """
    require_wide_loads(name, cfg)
    shape = checked_shape(f"{name}: shape", shape, (2, 3, 4, 5))
    tile = cfg.batch, cfg.block_out
    tiles = -(-shape[0] // tile[0]), -(-shape[1] // tile[1]), prod(shape[2:])
    given = (
        *(Operand(operand, shape, cfg.inp_dtype) for operand in operands),
        *(Operand(row, (*shape[:2], *(1 for _ in shape[2:])), cfg.inp_dtype) for row in channels),
        *(Operand(constant, (shape[1],), cfg.acc_dtype) for constant in constants),
    )
    steps, added = needed(steps), dict[str, int]()
    if narrow:
        chain = narrowed(steps, numbers, constants, cfg)
        steps, numbers, added = chain.steps, chain.numbers, chain.added
    stages = _stages(steps, tiles, operands, channels, constants, numbers, cfg)
    small = _small(steps, channels)

    def packed(*arrays: Array) -> list[Array]:
        check_operands(name, given, arrays)
        count = len(operands) + len(channels)
        images = [pack(array, tile) for array in arrays[: len(operands)]]
        singles = [pack(array, tile) for array in arrays[len(operands) : count]]
        rows = [
            np.broadcast_to(np.asarray(row, np.int64) + added.get(constant, 0), (tile[0], shape[1]))
            for constant, row in zip(constants, arrays[count:])
        ]
        return [
            *(image.reshape(*tiles, *tile) for image in images),
            *(single.reshape(*tiles[:2], *tile) for single in singles),
            *(pack(row.astype(np.int32), tile)[0] for row in rows),
            *(np.full((1, *tile), value, np.int32) for value in numbers.values()),
        ]

    def checked(*arrays: Array) -> Array:
        check_operands(name, given, arrays)
        return reference(*(np.asarray(array, np.int64) for array in arrays)).astype(cfg.out_dtype)

    inner = (*tiles[:2], *shape[2:], *tile)
    return Operator(
        name=name,
        cfg=cfg,
        args=tuple(stages[key] for key in (*operands, *channels, *constants, *numbers, "result")),
        stages=MappingProxyType(stages),
        schedule=_schedule(
            stages, steps, tiles, operands, small, (*constants, *numbers), cfg, name
        ),
        tiling=None,
        products=0,
        pack=packed,
        unpack=lambda array: unpack(array.reshape(inner), shape),
        reference=checked,
        operands=given,
        vectors=prod(tiles) * sum(step.name not in small for step in steps)
        + prod(tiles[:2]) * sum(step.name in small for step in steps),
    )


def _small(steps: Sequence[Step], channels: Sequence[str]) -> tuple[str, ...]:
    """The operands and steps that have one value a channel, in order."""
    found = list(channels)
    for step in steps:
        if step.first in found:
            found.append(step.name)
    return tuple(found)


def needed(steps: Sequence[Step]) -> list[Step]:
    """``steps`` without those that change nothing."""
    same: dict[str | int, str] = {}
    needed = []
    for step in steps:
        first, second = same.get(step.first, step.first), same.get(step.second, step.second)
        if (step.operation, second) in {("add", 0), ("shr", 0), ("mul", 1)}:
            same[step.name] = first
        else:
            needed.append(Step(step.name, step.operation, first, second))
    return needed


def _stages(
    steps: Sequence[Step], tiles: Sequence[int], operands: Sequence[str],
    channels: Sequence[str], constants: Sequence[str], numbers: Mapping[str, int], cfg: VTAConfig,
) -> dict[str, Tensor]:  # fmt: skip
    shape = (*tiles, cfg.batch, cfg.block_out)
    single = shape[:2] + shape[3:]
    small = _small(steps, channels)
    named: dict[str, Tensor] = {}
    values: dict[str, Tensor] = {}
    for operand in (*operands, *channels):
        extents = single if operand in channels else shape
        data = named[operand] = placeholder(extents, cfg.inp_dtype, operand)
        values[operand] = compute(
            extents, lambda *at, data=data: data(*at).astype(cfg.acc_dtype), name=f"{operand}_wide"
        )
    rows: dict[str, Tensor] = {}
    for constant in (*constants, *numbers):
        rows_of = (1,) if constant in numbers else shape[1:2]
        row = named[constant] = placeholder((*rows_of, *shape[3:]), cfg.acc_dtype, constant)
        rows[constant] = compute(row.shape, lambda *at, row=row: row(*at), name=f"{constant}_buf")
    loaded = [*rows.values(), *values.values()]
    chain = []
    for step in steps:

        def element(*at: Expr, step: Step = step) -> Expr:
            second: Expr | int = step.second if isinstance(step.second, int) else 0
            if isinstance(step.second, str):
                n, c, *_, b, i = at
                if step.second in rows:
                    second = rows[step.second][0 if step.second in numbers else c, b, i]
                elif step.second in small:
                    second = values[step.second][n, c, b, i]
                else:
                    second = values[step.second](*at)
            return step.apply(values[step.first](*at), second)

        extents = single if step.name in small else shape
        values[step.name] = compute(extents, element, name=step.name)
        chain.append(values[step.name])
    last = chain[-1]
    result = compute(shape, lambda *at: last(*at).astype(cfg.out_dtype), name="result")
    return named | {tensor.name: tensor for tensor in (*loaded, *chain, result)}


def blocks_of(channels: int, pixels: int, most: int) -> tuple[int, int]:
    """Channels and pixels of a block of at most ``most`` tiles, all blocks about equal."""
    if pixels <= most:
        channels_at_once = most // pixels
        return -(-channels // -(-channels // channels_at_once)), pixels
    return 1, -(-pixels // -(-pixels // most))


def _live(steps: Sequence[Step], operands: Sequence[str], small: Sequence[str]) -> int:
    """Buffers of whole blocks: one for each operand, and one for each step that cannot overwrite
    its first operand, because a later step reads that again."""
    buffers = len(operands)
    for at, step in enumerate(steps):
        later = {name for other in steps[at + 1 :] for name in (other.first, other.second)}
        if step.name not in small and step.first in later:
            buffers += 1
    return buffers


def _schedule(
    stages: dict[str, Tensor], steps: Sequence[Step], tiles: Sequence[int], operands: Sequence[str],
    small: Sequence[str], constants: Sequence[str], cfg: VTAConfig, name: str,
) -> Schedule:  # fmt: skip
    """Blocks in rings: while the ALU works on a block, the next one is loaded and the one in front
    is stored. What has one value a channel stays on chip."""
    kept = sum(stages[row].shape[0] for row in constants) + len(small) * tiles[0] * tiles[1]
    buffers = _live(steps, operands, small)
    most = (cfg.acc_depth - kept) // (SLOTS * buffers)
    if most < 1:
        raise OperatorError(
            f"{name}: constants and values of one a channel take {kept} tiles; the accumulators "
            f"hold {cfg.acc_depth} (LOG_ACC_BUFF_SIZE), of which a block needs "
            f"{SLOTS * buffers}"
        )
    wanted = max(-(-prod(tiles) // BLOCKS), LEAST)
    channels, pixels = blocks_of(tiles[1], tiles[2], min(most, wanted))
    result = stages["result"]
    s = create_schedule(result.op)
    n, c, p, b, i = s[result].op.axis
    c_block, c = s[result].split(c, factor=channels)
    p_block, p = s[result].split(p, factor=pixels)
    s[result].reorder(n, c_block, p_block, c, p, b, i)
    loads = [f"{operand}_wide" for operand in operands]
    for key in list(stages)[list(stages).index(loads[0]) : -1]:
        source = key.removesuffix("_wide")
        s[stages[key]].set_scope(ACC_SCOPE)
        if key in small or source in small:
            request = "alu" if key in small else "dma_copy"
        else:
            s[stages[key]].compute_at(s[result], p_block)
            s[stages[key]].ring(SLOTS)
            request = "dma_copy" if key in loads else "alu"
        s[stages[key]].pragma(s[stages[key]].op.axis[0], request)
    for constant in constants:
        row = s[stages[f"{constant}_buf"]]
        row.set_scope(ACC_SCOPE)
        row.pragma(row.op.axis[0], "dma_copy")
    s[result].pragma(c, "dma_copy")
    return s
