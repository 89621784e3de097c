"""Block sizes and ring slots of a convolution.

A closed formula ranks every tiling that fits the memories; :func:`vta.compiler.ops.cost.estimate`
plays the best of them step by step, once with a memory that answers at once and once with the
timing of a DRAM. The cheapest sum of both is taken, so that a program suits either.

Sizes that do not divide their extent leave a small last block, which shortens the end of a layer:
the ALU passes and the store of the last block overlap with nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt

from vta.compiler.ops.conv_shape import ConvShape
from vta.compiler.ops.cost import (
    GEMM_START,
    ISSUE,
    LOAD_START,
    Cost,
    Order,
    Tiling,
    beat_cycles,
    estimate,
)
from vta.errors import OperatorError
from vta.memory_timing import MemoryTiming

if TYPE_CHECKING:
    from vta.config import VTAConfig

__all__ = [
    "ConvShape",
    "Cost",
    "Tiling",
    "candidates",
    "choose",
    "estimate",
    "require_fit",
    "table",
]

DRAM = MemoryTiming.of("ddr")
MOST_SLOTS = 16
MOST_IMAGES = 8
"""Batches of images of a block."""
ACC_SLOTS = (1, 2, 3)
FINALISTS = 32
ORDERS: tuple[Order, Order] = ("yo", "oy")

_Numbers = npt.NDArray[Any]


def choose(name: str, shape: ConvShape, cfg: VTAConfig) -> Tiling:
    """The cheapest tiling that fits the memories; ``name`` is the operator's, for messages.

    Raises
    ------
    OperatorError
        If none fits: it says which memory the smallest one exceeds.
    """
    best: Tiling | None = None
    least = float("inf")
    for tiling in candidates(shape, cfg)[:FINALISTS]:
        # No memory answers earlier than the first one: half of the sum is left for it.
        quick = estimate(shape, tiling, cfg, least / 2)
        if quick is None or 2 * quick.cycles >= least:
            continue
        slow = estimate(shape, tiling, cfg, least - quick.cycles, DRAM)
        if slow is not None and quick.cycles + slow.cycles < least:
            best, least = replace(tiling, cost=quick), quick.cycles + slow.cycles
    if best is None:
        raise _too_large(name, shape, cfg)
    return best


def require_fit(name: str, shape: ConvShape, tiling: Tiling, cfg: VTAConfig) -> None:
    """Check that a tiling fits the memories of the machine.

    Raises
    ------
    OperatorError
        Naming the operator ``name``, the buffer, what it takes and what there is.
    """
    t = tiling
    tiles = t.images * t.groups * t.outputs * t.rows * t.columns
    sums = tiles * (t.acc_slots + shape.added_slots)
    pixels = t.images * shape.rows(t.rows) * shape.columns(t.columns)
    data = t.groups * t.inputs * pixels * t.inp_slots
    weights = t.groups * t.outputs * t.inputs * shape.taps
    for what, size, depth in (
        ("accumulators", sums + shape.kept, cfg.acc_depth),
        ("input memory", data, cfg.inp_depth),
        ("weight memory", weights * t.wgt_slots, cfg.wgt_depth),
        ("micro-op memory", t.images * weights, cfg.uop_depth),
    ):
        if size > depth:
            raise OperatorError(
                f"{name}: the tiling {t.to_dict()} takes {size} entries of the {what}; the machine "
                f"has {depth}"
            )
    if t.skips_columns and not shape.can_skip_columns:
        raise OperatorError(
            f"{name}: the tiling skips columns; only a kernel of one column with a stride and no "
            f"padding leaves any out"
        )
    if t.images > 1 and shape.groups > 1:
        raise OperatorError(
            f"{name}: a block has {t.images} batches of images; must be 1 with {shape.groups} "
            f"groups"
        )
    if t.groups > 1 and (t.outputs, t.inputs) != (shape.outputs, shape.inputs):
        raise OperatorError(
            f"{name}: a block of {t.groups} groups has {t.outputs} x {t.inputs} tiles of channels "
            f"of each; must have all, {shape.outputs} x {shape.inputs}"
        )


def candidates(shape: ConvShape, cfg: VTAConfig) -> Sequence[Tiling]:
    """The tilings that fit the memories, the best one by a closed formula first."""
    return _Rows(table(shape, cfg))


def table(shape: ConvShape, cfg: VTAConfig) -> npt.NDArray[np.int64]:
    """:func:`candidates` as an array, a row for each: outputs, rows, columns, inputs, index in
    :data:`ORDERS`, inp_slots, wgt_slots, acc_slots, groups, images."""
    free = cfg.acc_depth - shape.kept  # the constants of all channels stay on chip
    if free < 1:
        return np.zeros((0, 10), np.int64)
    single = shape.groups == 1
    sizes: list[Sequence[int]] = [
        _sizes(shape.outputs),
        _sizes(shape.out_height),
        _sizes(shape.out_width),
        _sizes(shape.inputs),
        (0, 1),
        ACC_SLOTS,
        _sizes(shape.groups),
        [size for size in _sizes(shape.images) if size == 1 or size <= MOST_IMAGES * single],
    ]
    grid = np.meshgrid(*(np.asarray(numbers) for numbers in sizes), indexing="ij")
    tilings = _Tilings(*(numbers.ravel() for numbers in grid))
    tilings = tilings.where(tilings.fit(shape, cfg, free))
    return tilings.where(np.argsort(tilings.rank(shape, cfg), kind="stable")).numbered(shape, cfg)


def _sizes(extent: int) -> list[int]:
    """Block sizes worth trying: for each number of blocks the even one, and the one with the
    smallest rest."""
    even = {-(-extent // count) for count in range(1, extent + 1)}
    uneven = {(extent - 1) // (count - 1) for count in range(2, extent + 1)}
    return sorted(even | uneven)


@dataclass(frozen=True)
class _Tilings:
    """Many tilings at once: an array for each attribute of :class:`Tiling`."""

    outputs: _Numbers
    rows: _Numbers
    columns: _Numbers
    inputs: _Numbers
    order: _Numbers
    acc_slots: _Numbers
    groups: _Numbers
    images: _Numbers

    def where(self, index: _Numbers) -> _Tilings:
        """Those at an index, or where a mask is true."""
        return _Tilings(*(getattr(self, field.name)[index] for field in fields(self)))

    def pixels(self, shape: ConvShape) -> _Numbers:
        """Tiles of the input for one channel of a block."""
        tiles: _Numbers = self.images * shape.rows(self.rows) * shape.columns(self.columns)
        return tiles

    def weights(self, shape: ConvShape) -> _Numbers:
        """Tiles of weights of a chunk of a block; as many micro-ops for each batch of images."""
        return self.groups * self.outputs * self.inputs * shape.taps

    def slots(self, shape: ConvShape, cfg: VTAConfig) -> tuple[_Numbers, _Numbers]:
        """Copies of the buffers of inputs and weights."""
        inp = cfg.inp_depth // (self.groups * self.inputs * self.pixels(shape))
        wgt = cfg.wgt_depth // self.weights(shape)
        return np.minimum(inp, MOST_SLOTS), np.minimum(wgt, MOST_SLOTS)

    def fit(self, shape: ConvShape, cfg: VTAConfig, free: int) -> _Numbers:
        """Whether the memories hold them, with ``free`` accumulators."""
        whole = (self.outputs == shape.outputs) & (self.inputs == shape.inputs)
        tiles = self.images * self.groups * self.outputs * self.rows * self.columns
        fits: _Numbers = (
            (tiles * (self.acc_slots + shape.added_slots) <= free)
            & (self.groups * self.inputs * self.pixels(shape) <= cfg.inp_depth)
            & (self.weights(shape) <= cfg.wgt_depth)
            & (self.images * self.weights(shape) <= cfg.uop_depth)
            & (whole | (self.groups == 1))
        )
        return fits

    def rank(self, shape: ConvShape, cfg: VTAConfig) -> _Numbers:
        """About how many cycles they take: the busiest resource, and what nothing overlaps."""
        inp_slots, wgt_slots = self.slots(shape, cfg)
        down, across = -(-shape.out_height // self.rows), -(-shape.out_width // self.columns)
        places, chunks = down * across, -(-shape.inputs // self.inputs)
        channels = -(-shape.outputs // self.outputs)
        turns = -(-shape.images // self.images)
        sets = turns * -(-shape.groups // self.groups)
        inp, wgt, out = (
            beat_cycles(size, cfg, DRAM)
            for size in (cfg.inp_elem_bytes, cfg.wgt_elem_bytes, cfg.out_elem_bytes)
        )
        # How often all inputs and all weights are loaded: once if the slots hold what comes again.
        yo = self.order == 0
        keep_inp = np.where(yo, inp_slots >= chunks, inp_slots >= chunks * places)
        keep_wgt = np.where(yo, wgt_slots >= chunks * channels, wgt_slots >= chunks)
        once = (shape.groups == 1) & (wgt_slots >= chunks * channels)
        all_inp = turns * shape.groups * shape.inputs * places * self.pixels(shape) * inp
        all_wgt = shape.groups * shape.outputs * shape.inputs * shape.taps * wgt
        blocks = sets * places * channels
        loads = blocks * np.where(chunks == 1, 1, shape.inputs) * self.groups * self.images
        read = np.where(keep_inp, 1, channels) * all_inp + loads * LOAD_START
        read = read + np.where(keep_wgt, np.where(once, 1, turns), places * turns) * all_wgt
        read = read + shape.tiles * out  # the bus of a DRAM is shared
        read = read + shape.added * (shape.tiles * inp + blocks * LOAD_START)
        block = self.images * self.groups * self.outputs * self.rows * self.columns
        bubble = np.maximum(ISSUE * shape.passes - block * self.inputs * shape.taps_of_tile, 0)
        resets = 0 if shape.starts_sums(cfg) else shape.tiles
        gemm = shape.products + resets + blocks * (chunks * GEMM_START + bubble)
        alu = shape.vectors + blocks * ISSUE * shape.passes
        last = (
            (shape.images - (turns - 1) * self.images)
            * (shape.groups - (-(-shape.groups // self.groups) - 1) * self.groups)
            * (shape.outputs - (channels - 1) * self.outputs)
            * (shape.out_height - (down - 1) * self.rows)
            * (shape.out_width - (across - 1) * self.columns)
        )
        first = self.groups * self.inputs * self.pixels(shape) * inp + self.weights(shape) * wgt
        alone = np.where(self.acc_slots > 1, 0, alu + shape.tiles * out)
        longest = np.maximum(np.maximum(gemm + alone, alu), read)
        cycles: _Numbers = longest + first + last * (shape.passes + out)
        return cycles

    def numbered(self, shape: ConvShape, cfg: VTAConfig) -> npt.NDArray[np.int64]:
        """The rows of :func:`table`."""
        slots = self.slots(shape, cfg)
        columns = (self.outputs, self.rows, self.columns, self.inputs, self.order)
        return np.stack([*columns, *slots, self.acc_slots, self.groups, self.images], axis=-1)


class _Rows(Sequence[Tiling]):
    """Tilings from rows of numbers, made when they are asked for."""

    def __init__(self, rows: _Numbers) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> Tiling: ...
    @overload
    def __getitem__(self, index: slice) -> _Rows: ...
    def __getitem__(self, index: int | slice) -> Tiling | _Rows:
        if isinstance(index, slice):
            return _Rows(self._rows[index])
        outputs, rows, columns, inputs, order, *others = map(int, self._rows[index])
        inp_slots, wgt_slots, acc_slots, groups, images = others
        return Tiling(
            outputs, rows, columns, inputs, ORDERS[order], inp_slots, wgt_slots, acc_slots, groups,
            images=images,
        )  # fmt: skip


def _too_large(name: str, shape: ConvShape, cfg: VTAConfig) -> OperatorError:
    height, width = shape.window.kernel
    inp = shape.rows(1) * shape.columns(1)
    if inp > cfg.inp_depth:
        return OperatorError(
            f"{name}: one window of {height} x {width} taps (dilation {shape.window.dilation}) "
            f"covers {inp} tiles; the input memory of the machine holds {cfg.inp_depth} "
            f"(LOG_INP_BUFF_SIZE)"
        )
    for what, depth, key in (
        ("tiles of weights; the weight memory", cfg.wgt_depth, "LOG_WGT_BUFF_SIZE"),
        ("micro-ops; the micro-op memory", cfg.uop_depth, "LOG_UOP_BUFF_SIZE"),
    ):
        if shape.taps > depth:
            return OperatorError(
                f"{name}: one window of {height} x {width} taps takes {shape.taps} {what} of the "
                f"machine holds {depth} ({key})"
            )
    return OperatorError(
        f"{name}: {shape.kept} tiles of constants (bias, multipliers) of "
        f"{shape.groups * shape.outputs} tiles of channels leaves no room for sums; the "
        f"accumulators hold {cfg.acc_depth} tiles (LOG_ACC_BUFF_SIZE)"
    )
