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
from functools import lru_cache
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt

from vta.compiler.ops.conv_shape import ConvShape
from vta.compiler.ops.cost import (
    ALU_START,
    CONFLICTS,
    GEMM_START,
    IDEAL,
    ISSUE,
    LOAD_START,
    PIPELINE,
    UOP_QUEUED,
    UOP_START,
    Cost,
    Order,
    Tiling,
    beat_cycles,
    estimate,
    row_cycles,
    store_cycles,
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
FINALISTS = 64
ORDERS: tuple[Order, Order] = ("yo", "oy")

_Numbers = npt.NDArray[Any]


def choose(name: str, shape: ConvShape, cfg: VTAConfig) -> Tiling:
    """The cheapest tiling that fits the memories; ``name`` is the operator's, for messages.

    Raises
    ------
    OperatorError
        If none fits: it says which memory the smallest one exceeds.
    """
    best = _cheapest(shape, cfg)
    if best is None:
        raise _too_large(name, shape, cfg)
    return best


@lru_cache(maxsize=256)
def _cheapest(shape: ConvShape, cfg: VTAConfig) -> Tiling | None:
    """The tiling of :func:`choose`, which networks ask for many times; None if none fits."""
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
            & ((self.order == 0) | self._has_orders(shape))
        )
        return fits

    def _has_orders(self, shape: ConvShape) -> _Numbers:
        """Whether the orders differ: blocks have neighbours in channels and in the image."""
        one_place = (self.rows == shape.out_height) & (self.columns == shape.out_width)
        differ: _Numbers = (self.outputs < shape.outputs) & ~one_place
        return differ

    def rank(self, shape: ConvShape, cfg: VTAConfig) -> _Numbers:
        """About how many cycles they take with a memory that answers at once, and with a DRAM,
        together."""
        return self._cycles(shape, cfg, IDEAL) + self._cycles(shape, cfg, DRAM)

    def _cycles(self, shape: ConvShape, cfg: VTAConfig, timing: MemoryTiming) -> _Numbers:
        """About how many cycles they take with a memory: the time of the busiest resource, or of
        the longest wait for a slot, and what nothing overlaps."""
        inp_slots, wgt_slots = self.slots(shape, cfg)
        down, across = -(-shape.out_height // self.rows), -(-shape.out_width // self.columns)
        places, chunks = down * across, -(-shape.inputs // self.inputs)
        channels = -(-shape.outputs // self.outputs)
        turns = -(-shape.images // self.images)
        sets = turns * -(-shape.groups // self.groups)
        inp, wgt, out, uop = (
            beat_cycles(size, cfg, timing)
            for size in (cfg.inp_elem_bytes, cfg.wgt_elem_bytes, cfg.out_elem_bytes, 4)
        )
        blocks = sets * places * channels
        steps = blocks * chunks
        # How often all inputs and all weights are loaded: once if the slots hold what comes again.
        yo = self.order == 0
        keep_inp = np.where(yo, inp_slots >= chunks, inp_slots >= chunks * places)
        keep_wgt = np.where(yo, wgt_slots >= chunks * channels, wgt_slots >= chunks)
        once = (shape.groups == 1) & (wgt_slots >= chunks * channels)
        inp_times = np.where(keep_inp, 1, channels)
        wgt_times = np.where(keep_wgt, np.where(once, 1, turns), places * turns)
        all_inp = turns * shape.groups * shape.inputs * places * self.pixels(shape) * inp
        all_wgt = shape.groups * shape.outputs * shape.inputs * shape.taps * wgt
        data_loads = turns * shape.groups * places * shape.inputs * self.images * inp_times
        wgt_loads = -(-shape.groups // self.groups) * channels * chunks * wgt_times
        read = inp_times * all_inp + wgt_times * all_wgt + (data_loads + wgt_loads) * LOAD_START
        read = read + shape.added * (shape.tiles * inp + blocks * LOAD_START)
        rows = np.where(self.columns < shape.out_width, self.rows, 1)
        bursts = blocks * self.images * self.groups * self.outputs * rows
        stored = store_cycles(cfg, timing, shape.tiles, bursts)
        if timing.shared_bus:
            read = read + stored
        write = np.maximum(stored, bursts * row_cycles(timing))
        resets = 0 if shape.starts_sums(cfg) else shape.tiles
        gemm = shape.products + resets + steps * GEMM_START
        alu = shape.tiles * shape.pass_cycles * cfg.alu_beats + blocks * shape.passes * ALU_START
        alu = alu + CONFLICTS * shape.tiles * chunks
        kernels, misses = self._kernels(shape, cfg, (places, channels, chunks, steps))
        busy = np.minimum(read / gemm, 1)
        issue = steps * ISSUE + blocks * shape.passes * ISSUE
        issue = issue + misses * (
            UOP_START + timing.read_latency + kernels * uop + UOP_QUEUED * busy
        )
        # What holds back a block or a step: the slot that one before it still has.
        held = blocks * (PIPELINE + timing.write_latency)
        after_store = (gemm + alu + write + held) / self.acc_slots
        after_next = (gemm + write + held) / np.maximum(self.acc_slots - 1, 1)
        held = inp_times * blocks // channels * chunks * (PIPELINE + timing.read_latency)
        after_load = (inp_times * all_inp + gemm + held) / inp_slots
        # What the inner loop holds stays until its last turn: with few slots, the loads for the
        # next turn of the outer loop overlap with two turns of the inner one only.
        slots = np.where(yo, inp_slots, wgt_slots)
        again = np.where(yo, channels, places) > 1
        load = np.where(
            yo, self.groups * shape.inputs * self.pixels(shape) * inp,
            self.groups * self.outputs * shape.inputs * shape.taps * wgt,
        )  # fmt: skip
        share = np.clip(2 - slots / chunks, 0, 1) * again
        reloads = sets * np.where(yo, places, channels)
        gemm = gemm + reloads * np.maximum(load * share - 2 * gemm / blocks, 0)
        in_step = self._in_step(shape, cfg, timing)
        longest = np.maximum.reduce([
            gemm, in_step, read, issue, after_store, after_next, after_load
        ])  # fmt: skip
        last = (
            (shape.images - (turns - 1) * self.images)
            * (shape.groups - (-(-shape.groups // self.groups) - 1) * self.groups)
            * (shape.outputs - (channels - 1) * self.outputs)
            * (shape.out_height - (down - 1) * self.rows)
            * (shape.out_width - (across - 1) * self.columns)
        )
        first = self.groups * self.inputs * self.pixels(shape) * inp + self.weights(shape) * wgt
        cycles: _Numbers = longest + first + last * (shape.pass_cycles * cfg.alu_beats + out)
        return cycles

    def _in_step(self, shape: ConvShape, cfg: VTAConfig, timing: MemoryTiming) -> _Numbers:
        """Cycles of products, ALU and stores, of which one has a block, the next one the block
        before, and the last one the block before that.

        Where blocks of the inner loop are not equal, a small one in one of them waits for a large
        one in another.
        """
        down, across = -(-shape.out_height // self.rows), -(-shape.out_width // self.columns)
        channels, chunks = -(-shape.outputs // self.outputs), -(-shape.inputs // self.inputs)
        tiles = self.images * self.groups * self.outputs * self.rows * self.columns
        resets = 0 if shape.starts_sums(cfg) else tiles
        gemm = tiles * shape.inputs * shape.taps_of_tile + resets + chunks * GEMM_START
        alu = tiles * shape.pass_cycles * cfg.alu_beats + shape.passes * ALU_START
        alu = alu + CONFLICTS * tiles * chunks
        rows = np.where(self.columns < shape.out_width, self.rows, 1)
        bursts = self.images * self.groups * self.outputs * rows
        store = np.maximum(store_cycles(cfg, timing, tiles, bursts), bursts * row_cycles(timing))
        by_channel = (self.order == 0) & (channels > 1)
        by_column = ~by_channel & (across > 1)
        by_row = ~by_channel & ~by_column & (down > 1)
        count = np.select([by_channel, by_column, by_row], [channels, across, down], channels)
        left = np.select(
            [by_channel, by_column, by_row],
            [
                shape.outputs / self.outputs - (channels - 1),
                shape.out_width / self.columns - (across - 1),
                shape.out_height / self.rows - (down - 1),
            ],
            shape.outputs / self.outputs - (channels - 1),
        )

        def slowest(*parts: _Numbers) -> _Numbers:
            longest: _Numbers = np.maximum.reduce(parts)
            return longest

        equal = slowest(gemm, alu, store)
        two = slowest(gemm * left, alu, store * left) + slowest(gemm, alu * left, store)
        more = (
            slowest(gemm * left, alu, store)
            + slowest(gemm, alu * left, store)
            + slowest(gemm, alu, store * left)
            + (count - 3) * equal
        )
        round_of_blocks = np.select([count == 1, count == 2], [equal * left, two], more)
        cycles: _Numbers = shape.tiles / (tiles * (count - 1 + left)) * round_of_blocks
        return cycles

    def _kernels(
        self,
        shape: ConvShape,
        cfg: VTAConfig,
        counts: tuple[_Numbers, _Numbers, _Numbers, _Numbers],
    ) -> tuple[_Numbers, _Numbers]:
        """Micro-ops of the kernel of a step, and how often such a kernel is loaded: once for each
        combination of slots, if the memory holds these kernels."""
        places, channels, chunks, steps = counts
        inp_slots, wgt_slots = self.slots(shape, cfg)
        size = self.images * self.inputs * shape.taps * self.groups * self.outputs
        yo = self.order == 0
        # The ring that turns while the other one holds what comes again.
        outer, inner = np.where(yo, places, channels), np.where(yo, channels, places)
        ring = np.where(yo, inp_slots, wgt_slots)
        turns = np.lcm(
            ring // np.gcd(ring, chunks), self.acc_slots // np.gcd(self.acc_slots, inner)
        )
        distinct = np.minimum(outer, turns) * inner * chunks
        distinct = np.minimum(distinct, steps)
        return size, np.where(distinct * size <= cfg.uop_depth, distinct, steps)

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
