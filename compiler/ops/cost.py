"""How many cycles a tiling of a convolution takes: a model of how the modules overlap.

A tiling cuts the result into blocks of channels, rows and columns, and the sum over input channels
into chunks. One step is one chunk of one block: the tiles of inputs and weights that it needs are
loaded unless a slot still holds them, then the products of the step are summed; after the last
chunk of a block the ALU finishes the block and the store module writes it.

:func:`estimate` plays the steps of a tiling in order on four resources that each do one thing at a
time: the read bus, the GEMM core, the ALU, and the write bus. A load waits for the step that last
read its slot, products wait for their loads, and a block waits for the store of the block that had
its accumulators before. The compute module issues in order: the ALU instructions of a block issue
behind the first products of the next block, or, if these are few, of the next two blocks
(:mod:`vta.compiler.codegen.pipelined_stream`).

Micro-ops of the ALU passes are loaded behind the products of their block. Where the products of a
step are few, these loads come often, and are played there: they wait together, while products are
summed. For larger steps each is played in front of the ALU passes and waits alone, which stands for
waits of the issue that are not played. On a machine that issues one instruction at a time all is
played as for larger steps, with one block ahead.

Units: all sizes are tiles of the machine, all times are clock cycles.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from itertools import product
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar, get_args

import numpy.typing as npt

from vta.compiler.codegen.pipelined_stream import HIDING_PRODUCTS, MAX_GEMMS
from vta.compiler.codegen.rings import Ring
from vta.compiler.codegen.uop_cache import Kernel, UopCache
from vta.compiler.ops.geometry import integer
from vta.errors import OperatorError
from vta.memory_timing import MemoryTiming

if TYPE_CHECKING:
    from vta.compiler.ops.conv_shape import ConvShape
    from vta.config import VTAConfig

__all__ = [
    "ALU_START", "CONFLICTS", "GEMM_START", "IDEAL", "ISSUE", "LOAD_START", "PIPELINE",
    "PRODUCT_PERIODS", "UOP_QUEUED", "UOP_START", "Cost", "Order", "Tiling", "beat_cycles",
    "estimate", "product_cycles", "row_cycles", "store_cycles",
]  # fmt: skip

Order = Literal["yo", "oy"]

PIPELINE = 20
"""From the request of a load to the use of its data, apart from the latency of the memory."""
LOAD_START = 6
"""Cycles between the last beat of a load and the first beat of the next load."""
ALU_START = 5
"""Cycles between the last vector of an ALU instruction and the first one of a dependent one."""
PRODUCT_PERIODS = {"mul": 22, "shr": 15, "requantise": 15}
"""Cycles of an operation with a product for each part of a tile, where the ALU has no multipliers:
it passes the pipeline twice."""
GEMM_START = 6
"""Cycles between the last product of an instruction and the first one of the next."""
ISSUE = 8
"""Cycles from the issue of an instruction to that of the instruction behind it, in order."""
UOP_START = 20
"""Cycles from the issue of a load of micro-ops to that of an instruction that reads them, apart
from their beats."""
UOP_QUEUED = 220
"""Cycles that the same load waits for bursts of other loads, if the bus is busy all the time."""
STORE_ROW = 3
"""Cycles of the shortest row of a store, a burst of its own, with a memory that answers at once."""
STORE_BURST = 1.2
"""Cycles that a burst of a store takes of a bus that loads share, apart from its beats."""
CONFLICTS = 0.5
"""Cycles that the ALU loses to the GEMM core for each accumulator that GEMM writes, at most: both
use a bank of four for the time of one access, however many passes the ALU makes."""
FEW_PRODUCTS = 4
"""Products into one tile by one instruction, below which a conflict of banks costs the ALU much."""
ACC_BANKS = 4
"""Banks of the accumulators: tiles that are a multiple of them apart share a bank."""
IDEAL = MemoryTiming.of("ideal")
Tiles = TypeVar("Tiles", float, npt.NDArray[Any])
"""One number, or an array of them."""


@dataclass(frozen=True)
class Cost:
    """What a tiling is estimated to take.

    Attributes
    ----------
    cycles : int
        From the first load to the last store.
    gemm, alu, read, write : int
        Busy cycles of each resource.
    """

    cycles: int
    gemm: int
    alu: int
    read: int
    write: int


@dataclass(frozen=True)
class Tiling:
    """Blocks, order and ring slots.

    Attributes
    ----------
    outputs, rows, columns : int
        Of a block of the result; the last one of each is smaller if they do not divide.
    inputs : int
        Channels of a chunk.
    order : {"yo", "oy"}
        Which blocks come next: of channels (``yo``: weights stay if all fit) or of rows.
    inp_slots, wgt_slots, acc_slots : int
        Copies of the buffers of inputs, weights and sums.
    groups : int
        Groups of a block; more than one only if a block has all channels of a group.
    columns_first : bool or None
        Whether products pass along columns first, not along channels; None: as
        :meth:`walks_columns` finds best.
    start_parts, start_steps, start_rows : int
        Parts of the first products and their weights, how many steps come in parts, and shares of
        rows of which the first part begins with one
        (:meth:`~vta.compiler.schedule.schedule.Schedule.early_start`).
    late_constants : bool
        Whether constants are loaded behind the first products.
    skips_columns : bool
        Whether columns of the data that no window reads are not loaded, which takes a load for each
        row; only for kernels of one column with a stride and no padding.
    images : int
        Batches of images of a block; its weights are loaded once for all of them. More than one
        only without groups.
    cost : Cost or None
        The estimate for a memory that answers at once, if it was made.
    """

    outputs: int
    rows: int
    columns: int
    inputs: int
    order: Order
    inp_slots: int
    wgt_slots: int
    acc_slots: int
    groups: int = 1
    columns_first: bool | None = None
    start_parts: int = 1
    start_steps: int = 1
    start_rows: int = 1
    late_constants: bool = False
    skips_columns: bool = False
    images: int = 1
    cost: Cost | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without the cost."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "cost"}

    _START: ClassVar[Mapping[str, Any]] = {
        "start_parts": 1, "start_steps": 1, "start_rows": 1, "late_constants": False,
        "skips_columns": False, "images": 1,
    }  # fmt: skip
    """Values that tilings of older logs leave out."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Tiling:
        """The tiling of :meth:`to_dict`.

        Raises
        ------
        OperatorError
            Naming what is missing, unknown or no positive integer.
        """
        known = {f.name for f in fields(cls)} - {"cost"}
        values = {**cls._START, **values}
        if values.keys() != known:
            wrong = ", ".join(sorted(values.keys() ^ known))
            raise OperatorError(f"tiling: missing or unknown: {wrong}")
        if values["order"] not in get_args(Order):
            raise OperatorError(f"tiling: order is {values['order']!r}; must be 'yo' or 'oy'")
        if values["columns_first"] not in (None, True, False):
            raise OperatorError(
                f"tiling: columns_first is {values['columns_first']!r}; must be true, false or null"
            )
        for name in ("late_constants", "skips_columns"):
            if not isinstance(values[name], bool):
                raise OperatorError(f"tiling: {name} is {values[name]!r}; must be true or false")
        for name in known - {"order", "columns_first", "late_constants", "skips_columns"}:
            integer(f"tiling: {name}", values[name], 1)
        return cls(**values)

    def products(self, shape: ConvShape) -> float:
        """Products of a whole chunk of a whole block."""
        tiles = self.images * self.groups * self.outputs * self.rows * self.columns
        return tiles * self.inputs * shape.taps_of_tile

    def walks_columns(self, taps: int) -> bool:
        """Whether products pass along columns first, not along channels.

        Channels of a block are ``rows * columns`` tiles apart. If that is a multiple of the banks
        of the accumulators, and each tile gets few products at a time, GEMM stays in one bank for
        so long that the ALU waits for it.
        """
        if self.columns_first is not None:
            return self.columns_first
        apart = self.rows * self.columns
        few = self.inputs * taps < FEW_PRODUCTS
        return few and self.groups * self.outputs > 1 and apart % ACC_BANKS == 0


def beat_cycles(size: int, cfg: VTAConfig, timing: MemoryTiming) -> float:
    """Cycles of the bus for an element of ``size`` bytes."""
    return size / cfg.bus_bytes / timing.beat_rate


def store_cycles(cfg: VTAConfig, timing: MemoryTiming, tiles: Tiles, bursts: Tiles) -> Tiles:
    """Cycles of the bus for a store of ``tiles`` tiles of the result in so many bursts."""
    cycles = tiles * beat_cycles(cfg.out_elem_bytes, cfg, timing)
    return cycles + bursts * STORE_BURST if timing.shared_bus else cycles


def product_cycles(operations: Iterable[str], cfg: VTAConfig) -> int:
    """Cycles of operations for each part of a tile, beyond one each."""
    if cfg.alu_multiplier:
        return 0
    return sum(PRODUCT_PERIODS.get(operation, 1) - 1 for operation in operations)


def row_cycles(timing: MemoryTiming) -> float:
    """Cycles of a row of a store that is a burst of its own, of which several are in flight."""
    return max(STORE_ROW, (PIPELINE + timing.write_latency) / timing.outstanding_writes)


def estimate(
    shape: ConvShape,
    tiling: Tiling,
    cfg: VTAConfig,
    bound: float | None = None,
    timing: MemoryTiming = IDEAL,
) -> Cost | None:
    """The cost of a tiling with a memory; None if it is above ``bound`` cycles."""
    return _Timeline(shape, tiling, cfg, timing).run(bound)


@dataclass
class _End:
    """The end of a block that has not issued yet: ALU passes and the store.

    Attributes
    ----------
    ready : float
        When its sums are complete, and the micro-ops that are loaded behind its products.
    tiles, bursts : int
        Of the store.
    slot : int
        That of its sums.
    kernels : list
        Micro-ops that are loaded in front of the ALU passes.
    """

    ready: float
    tiles: int
    bursts: int
    slot: int
    kernels: list[tuple[int | str, ...]]


class _Timeline:
    """Plays the steps of a tiling."""

    def __init__(
        self, shape: ConvShape, tiling: Tiling, cfg: VTAConfig, timing: MemoryTiming
    ) -> None:
        self.shape, self.tiling, self.cfg, self.timing = shape, tiling, cfg, timing
        self.rings = Ring(tiling.inp_slots), Ring(tiling.wgt_slots), Ring(tiling.acc_slots)
        self.inp, self.wgt, self.out, self.uop = (
            beat_cycles(size, cfg, timing)
            for size in (cfg.inp_elem_bytes, cfg.wgt_elem_bytes, cfg.out_elem_bytes, 4)
        )
        self.latency = PIPELINE + timing.read_latency
        self.row_write = row_cycles(timing)
        self.issues_ahead = cfg.issue_depth > 1
        # When each resource is free, and when each slot's last reader is done.
        self.issue = self.read = self.write = self.gemm = self.alu = 0.0
        self.free = [[0.0] * tiling.inp_slots, [0.0] * tiling.wgt_slots, [0.0] * tiling.acc_slots]
        self.filled = [[0.0] * tiling.inp_slots, [0.0] * tiling.wgt_slots]
        self.busy = {"gemm": 0.0, "alu": 0.0, "read": 0.0, "write": 0.0}
        self.micro_ops = UopCache(cfg.uop_depth)
        self.kernels: dict[tuple[int | str, ...], Kernel] = {}
        self.loaded: dict[Kernel, float] = {}  # when
        self.ends: list[_End] = []
        # GEMM instructions, and their products, since the first of the ends was deferred.
        self.gemms, self.products = 0, 0.0

    def run(self, bound: float | None) -> Cost | None:
        tile = beat_cycles(self.cfg.acc_elem_bytes, self.cfg, self.timing)
        self.read = self.shape.kept * tile
        for block in self._blocks():
            self._block(*block)
            if bound is not None and self._at_least() > bound:
                return None
        self._finish()
        busy = {name: round(value) for name, value in self.busy.items()}
        return Cost(round(max(self.write, self.alu)), **busy)

    def _at_least(self) -> float:
        """Cycles in the end at least: each resource has the rest of its work before it."""
        shape, busy = self.shape, self.busy
        return max(
            self.read,
            self.gemm + shape.products - busy["gemm"],
            self.alu + shape.tiles * shape.pass_cycles * self.cfg.alu_beats - busy["alu"],
            self.write + shape.tiles * self.out - busy["write"],
        )

    def _blocks(self) -> Iterator[tuple[int, int, int, int, int]]:
        """(image, group, channel, row, column) of each block's first tile, in order."""
        shape, tiling = self.shape, self.tiling
        rows = range(0, shape.out_height, tiling.rows)
        columns = range(0, shape.out_width, tiling.columns)
        channels = range(0, shape.outputs, tiling.outputs)
        images = range(0, shape.images, tiling.images)
        for image, g in product(images, range(0, shape.groups, tiling.groups)):
            if tiling.order == "yo":
                yield from ((image, g, o, y, x) for y in rows for x in columns for o in channels)
            else:
                yield from ((image, g, o, y, x) for o in channels for y in rows for x in columns)

    def _block(self, image: int, group: int, channel: int, row: int, column: int) -> None:
        shape, tiling = self.shape, self.tiling
        groups = min(tiling.groups, shape.groups - group)
        outputs = groups * min(tiling.outputs, shape.outputs - channel)
        rows = min(tiling.rows, shape.out_height - row)
        columns = min(tiling.columns, shape.out_width - column)
        images = min(tiling.images, shape.images - image)
        tiles = images * outputs * rows * columns
        sums, _ = self.rings[2].take(())
        if any(end.slot == sums for end in self.ends):
            self._finish()
        if shape.added:
            beats = shape.added * tiles * self.inp
            self.read += beats + LOAD_START
            self.busy["read"] += beats
        if shape.starts_sums(self.cfg):
            self.issue = max(self.issue, self.free[2][sums])
        else:
            loaded = self._micro_ops(("reset", sums, rows, columns, outputs, images), 1)
            self.issue = max(max(self.issue, loaded) + ISSUE, self.free[2][sums])
            self.gemm = max(self.gemm, self.issue) + tiles + GEMM_START
            self.busy["gemm"] += tiles
        for chunk in range(0, shape.inputs, tiling.inputs):
            inputs = min(tiling.inputs, shape.inputs - chunk)
            pixels = shape.rows(rows) * shape.columns(columns)
            inp_beats = images * groups * inputs * pixels * self.inp
            wgt_beats = outputs * inputs * shape.taps * self.wgt
            loads = images * groups * inputs
            i = self._load(0, (image, group, row, column, chunk), inp_beats, loads)
            w = self._load(1, (group, channel, chunk), wgt_beats, 1)
            kernel = (i, w, sums, rows, columns, outputs, inputs, images)
            depth = images * inputs * shape.taps
            walks_columns = tiling.walks_columns(shape.taps)
            loaded = self._micro_ops(kernel, depth * (columns if walks_columns else outputs))
            self.issue = max(max(self.issue, loaded) + ISSUE, self.filled[0][i], self.filled[1][w])
            products = tiles * inputs * shape.taps_of_tile
            self.gemm = max(self.gemm, self.issue) + products + GEMM_START
            self.busy["gemm"] += products
            self.free[0][i] = self.free[1][w] = self.gemm
            if self.ends:
                self.gemms += 1
                self.products += products
                hidden = self.gemms >= MAX_GEMMS or self.products >= HIDING_PRODUCTS
                if hidden or not self.issues_ahead:
                    self._finish()
        bursts = images * outputs * (rows if columns < shape.out_width else 1)
        kernels = [("bias", sums, group, channel, tiles), ("alu", sums, tiles)]
        ready = self.gemm
        if self.issues_ahead and tiling.products(shape) < HIDING_PRODUCTS:
            ready = max(ready, *(self._micro_ops(kernel, 1) for kernel in kernels))
            kernels = []
        self.ends.append(_End(ready, tiles, bursts, sums, kernels))

    def _finish(self) -> None:
        """The ALU passes and the stores of the blocks before."""
        for end in self.ends:
            self._finish_block(end)
        self.ends.clear()
        self.gemms, self.products = 0, 0.0

    def _finish_block(self, end: _End) -> None:
        """The ALU passes and the store of a block."""
        passes, tiles = self.shape.passes, end.tiles
        for kernel in end.kernels:
            self.issue = max(self.issue, self._micro_ops(kernel, 1))
        self.issue = max(self.issue + ISSUE, end.ready)
        writes = tiles * -(-self.shape.inputs // self.tiling.inputs)
        lost = CONFLICTS * writes if self.gemm > self.issue else 0
        cycles = tiles * self.shape.pass_cycles * self.cfg.alu_beats
        self.alu = max(self.issue, self.alu) + cycles + passes * ALU_START + lost
        self.issue += ISSUE * (passes - 1)
        self.busy["alu"] += cycles
        beats = store_cycles(self.cfg, self.timing, tiles, end.bursts)
        # In-order retirement: the store waits for the products that were issued ahead as well.
        self.write = max(self.alu, self.gemm, self.write) + max(beats, self.row_write * end.bursts)
        if self.timing.shared_bus:
            self.read += beats
        self.busy["write"] += beats
        self.free[2][end.slot] = self.write + PIPELINE + self.timing.write_latency

    def _micro_ops(self, key: tuple[int | str, ...], size: int) -> float:
        """When a kernel is in the micro-op memory; if it is not, its load is issued."""
        kernel = self.kernels.get(key)
        if kernel is None:
            size = min(size, self.cfg.uop_depth)
            kernel = self.kernels[key] = Kernel(len(self.kernels), size)
        _, missing = self.micro_ops.place(kernel)
        if missing:
            beats = size * self.uop
            self.read += beats
            busy = min(self.busy["read"] / max(self.gemm, 1), 1)  # the share of the bus so far
            start = UOP_START + self.timing.read_latency + beats + UOP_QUEUED * busy
            self.loaded[kernel] = self.issue + start
        return self.loaded[kernel]

    def _load(self, ring: int, contents: tuple[int, ...], beats: float, insns: int) -> int:
        """The slot that holds ``contents``."""
        slot, held = self.rings[ring].take(contents)
        if not held:
            start = max(self.read, self.free[ring][slot])
            self.read = start + beats + LOAD_START * insns
            self.filled[ring][slot] = self.read + self.latency
            self.busy["read"] += beats
        return slot
