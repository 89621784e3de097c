"""Block sizes and ring slots of a convolution, chosen by a model of how the modules overlap.

A tiling cuts the output into blocks of channels, rows and columns, and the sum over input channels
into chunks. One step is one chunk of one block: the tiles of inputs and weights that it needs are
loaded unless a slot still holds them, then the step's products are summed; after the last chunk of
a block the ALU finishes the block and the store module writes it.

:func:`estimate` plays the steps of a tiling in order on four resources that each do one thing at a
time: the read bus, the GEMM core, the ALU, and the write bus. A load waits for the step that last
read its slot, products wait for their loads, and a block waits for the store of the block that had
its accumulators before. :func:`choose` estimates every tiling that fits the memories and takes the
cheapest.

Units: all sizes are tiles of the machine, all times are clock cycles.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Literal

from vta.compiler.codegen.rings import Ring
from vta.compiler.ops.geometry import Window
from vta.errors import OperatorError

if TYPE_CHECKING:
    from vta.config import VTAConfig

__all__ = ["ConvShape", "Cost", "Tiling", "choose", "estimate"]

Order = Literal["yo", "oy"]

READ_LATENCY = 30
"""From the request of a load to its first beat, with a memory that answers at once."""
LOAD_START = 12
"""Cycles between the last beat of a load and the first one of the next load."""
ALU_START = 20
"""Cycles between the last vector of an ALU instruction and the first one of a dependent one."""
GEMM_START = 8
"""Cycles between the last product of an instruction and the first one of the next."""
ISSUE = 18
"""Cycles from the issue of an ALU instruction to that of the instruction behind it, in order."""
MOST_SLOTS = 16
FINALISTS = 24


@dataclass(frozen=True)
class ConvShape:
    """The loops of a convolution in tiles.

    Attributes
    ----------
    images : int
        Batches of ``BATCH`` images.
    inputs, outputs : int
        Channels in tiles.
    window : Window
        Sizes of the image and the kernel in pixels.
    passes : int
        Passes of the ALU over a block.
    constants : int
        Constants of each channel, as its bias: all stay in the accumulators.
    """

    images: int
    inputs: int
    outputs: int
    window: Window
    passes: int
    constants: int = 1

    @property
    def taps(self) -> int:
        """Taps of the kernel."""
        return self.window.kernel[0] * self.window.kernel[1]

    @property
    def out_height(self) -> int:
        return self.window.out[0]

    @property
    def out_width(self) -> int:
        return self.window.out[1]

    @property
    def products(self) -> int:
        """Tile products of the whole convolution."""
        tiles = self.images * self.outputs * self.out_height * self.out_width
        return tiles * self.inputs * self.taps

    @property
    def row_step(self) -> int:
        """Input rows from one output row to the next, as they lie on chip.

        Rows that a kernel of one row never reads are not loaded, if there is no padding.
        """
        skips = self.window.kernel[0] == 1 and not any(self.window.padding)
        return 1 if skips else self.window.stride[0]

    def rows(self, height: int) -> int:
        """Input rows on chip for ``height`` output rows."""
        return (height - 1) * self.row_step + self.window.extents[0]

    def columns(self, width: int) -> int:
        """Input columns on chip for ``width`` output columns."""
        return (width - 1) * self.window.stride[1] + self.window.extents[1]


@dataclass(frozen=True)
class Cost:
    """What a tiling is estimated to take.

    Attributes
    ----------
    cycles : float
        From the first load to the last store.
    gemm, alu, read, write : float
        Busy cycles of each resource.
    """

    cycles: float
    gemm: float
    alu: float
    read: float
    write: float


@dataclass(frozen=True)
class Tiling:
    """Blocks, order and ring slots.

    Attributes
    ----------
    outputs, rows, columns : int
        Of a block of the result.
    inputs : int
        Channels of a chunk.
    order : {"yo", "oy"}
        Which blocks come next: of channels (``yo``: weights stay if all fit) or of rows.
    inp_slots, wgt_slots, acc_slots : int
        Copies of the buffers of inputs, weights and sums.
    cost : Cost or None
        The estimate, if it was made.
    """

    outputs: int
    rows: int
    columns: int
    inputs: int
    order: Order
    inp_slots: int
    wgt_slots: int
    acc_slots: int
    cost: Cost | None = None


def choose(shape: ConvShape, cfg: VTAConfig) -> Tiling:
    """The cheapest tiling that fits the memories.

    A closed formula ranks all of them; the best :data:`FINALISTS` are played step by step.

    Raises
    ------
    OperatorError
        If none fits: it says which memory the smallest one exceeds.
    """
    ranked = sorted(_candidates(shape, cfg), key=lambda tiling: _rank(shape, tiling, cfg))
    best: Tiling | None = None
    for tiling in ranked[:FINALISTS]:
        bound = best.cost.cycles if best is not None and best.cost is not None else None
        cost = estimate(shape, tiling, cfg, bound)
        if cost is not None and (bound is None or cost.cycles < bound):
            best = replace(tiling, cost=cost)
    if best is None:
        raise _too_large(shape, cfg)
    return best


def _rank(shape: ConvShape, tiling: Tiling, cfg: VTAConfig) -> float:
    """About how many cycles a tiling takes: the busiest resource, and what nothing overlaps."""
    height, width = shape.out_height, shape.out_width
    places = -(-height // tiling.rows) * -(-width // tiling.columns)
    chunks = -(-shape.inputs // tiling.inputs)
    groups = -(-shape.outputs // tiling.outputs)
    # How often all inputs and all weights are loaded: once if the slots hold what comes again.
    if tiling.order == "yo":
        inp_rounds = 1 if tiling.inp_slots >= chunks else groups
        wgt_rounds = 1 if tiling.wgt_slots >= chunks * groups else places * shape.images
    else:
        inp_rounds = 1 if tiling.inp_slots >= chunks * places else groups
        wgt_rounds = 1 if tiling.wgt_slots >= chunks else places * shape.images
    pixels = shape.rows(tiling.rows) * shape.columns(tiling.columns)
    inp_beats = shape.images * places * shape.inputs * pixels * cfg.inp_elem_bytes / cfg.bus_bytes
    wgt_beats = shape.outputs * shape.inputs * shape.taps * cfg.wgt_elem_bytes / cfg.bus_bytes
    steps = shape.images * places * groups * chunks
    insns = 1 if chunks == 1 else tiling.inputs
    read = inp_rounds * inp_beats + wgt_rounds * wgt_beats + steps * LOAD_START * insns
    tiles = shape.images * shape.outputs * height * width
    blocks = shape.images * places * groups
    gemm = shape.products + tiles + (steps + blocks) * GEMM_START + blocks * ISSUE * shape.passes
    alu = tiles * shape.passes
    block = tiling.outputs * tiling.rows * tiling.columns
    first = (inp_beats + wgt_beats) / (places * chunks * groups)
    last = block * (shape.passes + cfg.out_elem_bytes / cfg.bus_bytes)
    alone = 0 if tiling.acc_slots > 1 else alu
    return max(gemm + alone, alu, read) + first + last


def estimate(
    shape: ConvShape, tiling: Tiling, cfg: VTAConfig, bound: float | None = None
) -> Cost | None:
    """The cost of a tiling; None if it is above ``bound`` cycles."""
    return _Timeline(shape, tiling, cfg).run(bound)


# ---- candidates ----------------------------------------------------------------------------------


def _sizes(extent: int, most: int) -> list[int]:
    """Block sizes worth trying: those that give different numbers of blocks, largest first."""
    found = {-(-extent // count) for count in range(1, extent + 1)}
    return sorted((size for size in found if size <= most), reverse=True)


def _candidates(shape: ConvShape, cfg: VTAConfig) -> Iterator[Tiling]:
    free = cfg.acc_depth - shape.constants * shape.outputs  # they stay on chip
    per_chunk: Order
    for columns in _sizes(shape.out_width, shape.out_width):
        for rows in _sizes(shape.out_height, shape.out_height):
            area = rows * columns
            inp = shape.rows(rows) * shape.columns(columns)
            if area > free or inp > cfg.inp_depth:
                continue
            for outputs, inputs in product(
                _sizes(shape.outputs, min(shape.outputs, free // area)),
                _sizes(shape.inputs, min(shape.inputs, cfg.inp_depth // inp)),
            ):
                wgt = outputs * inputs * shape.taps
                micro_ops = outputs * inputs * shape.taps
                if wgt > cfg.wgt_depth or micro_ops > cfg.uop_depth:
                    continue
                for per_chunk in ("yo", "oy"):
                    tiling = Tiling(
                        outputs, rows, columns, inputs, per_chunk,
                        min(cfg.inp_depth // (inp * inputs), MOST_SLOTS),
                        min(cfg.wgt_depth // wgt, MOST_SLOTS),
                        min(free // (area * outputs), 2),
                    )  # fmt: skip
                    yield tiling
        if columns < shape.out_width and shape.out_width // columns >= 8:
            return  # narrow columns only reload their borders more often


def _too_large(shape: ConvShape, cfg: VTAConfig) -> OperatorError:
    height, width = shape.window.kernel
    inp = shape.rows(1) * shape.columns(1)
    if inp > cfg.inp_depth:
        return OperatorError(
            f"conv2d: one window of {height} x {width} taps (dilation {shape.window.dilation}) "
            f"covers {inp} tiles; the input memory of the machine holds {cfg.inp_depth} "
            f"(LOG_INP_BUFF_SIZE)"
        )
    for what, depth, key in (
        ("tiles of weights; the weight memory", cfg.wgt_depth, "LOG_WGT_BUFF_SIZE"),
        ("micro-ops; the micro-op memory", cfg.uop_depth, "LOG_UOP_BUFF_SIZE"),
    ):
        if shape.taps > depth:
            return OperatorError(
                f"conv2d: one window of {height} x {width} taps takes {shape.taps} {what} of the "
                f"machine holds {depth} ({key})"
            )
    return OperatorError(
        f"conv2d: {shape.constants * shape.outputs} tiles of constants (bias, multipliers) of "
        f"{shape.outputs} tiles of channels leaves no room for sums; the "
        f"accumulators hold {cfg.acc_depth} tiles (LOG_ACC_BUFF_SIZE)"
    )


# ---- the estimate --------------------------------------------------------------------------------


class _Timeline:
    """Plays the steps of a tiling."""

    def __init__(self, shape: ConvShape, tiling: Tiling, cfg: VTAConfig) -> None:
        self.shape, self.tiling, self.cfg = shape, tiling, cfg
        self.rings = Ring(tiling.inp_slots), Ring(tiling.wgt_slots), Ring(tiling.acc_slots)
        # When each resource is free, and when each slot's last reader is done.
        self.read = self.write = self.gemm = self.alu = 0.0
        self.free = [[0.0] * tiling.inp_slots, [0.0] * tiling.wgt_slots, [0.0] * tiling.acc_slots]
        self.filled = [[0.0] * tiling.inp_slots, [0.0] * tiling.wgt_slots]
        self.busy = {"gemm": 0.0, "alu": 0.0, "read": 0.0, "write": 0.0}
        self.kernels: set[tuple[int, ...]] = set()

    def run(self, bound: float | None) -> Cost | None:
        for block in self._blocks():
            self._block(*block)
            if bound is not None and max(self.gemm, self.read) > bound:
                return None
        return Cost(max(self.write, self.alu), **self.busy)

    def _blocks(self) -> Iterator[tuple[int, int, int, int]]:
        """(image, channel, row, column) of each block's first tile, in order."""
        shape, tiling = self.shape, self.tiling
        rows = range(0, shape.out_height, tiling.rows)
        columns = range(0, shape.out_width, tiling.columns)
        channels = range(0, shape.outputs, tiling.outputs)
        for image in range(shape.images):
            if tiling.order == "yo":
                yield from ((image, o, y, x) for y in rows for x in columns for o in channels)
            else:
                yield from ((image, o, y, x) for o in channels for y in rows for x in columns)

    def _block(self, image: int, channel: int, row: int, column: int) -> None:
        shape, tiling = self.shape, self.tiling
        outputs = min(tiling.outputs, shape.outputs - channel)
        rows = min(tiling.rows, shape.out_height - row)
        columns = min(tiling.columns, shape.out_width - column)
        tiles = outputs * rows * columns
        sums, _ = self.rings[2].take(())
        start = max(self.gemm, self.free[2][sums])
        self.gemm = start + tiles + GEMM_START  # reset
        self.busy["gemm"] += tiles
        for chunk in range(0, shape.inputs, tiling.inputs):
            inputs = min(tiling.inputs, shape.inputs - chunk)
            pixels = shape.rows(rows) * shape.columns(columns)
            inp_beats = inputs * pixels * self._beats(self.cfg.inp_elem_bytes)
            wgt_beats = outputs * inputs * shape.taps * self._beats(self.cfg.wgt_elem_bytes)
            i = self._load(0, (image, row, column, chunk), inp_beats, inputs)
            w = self._load(1, (channel, chunk), wgt_beats, 1)
            kernel = (i, w, sums, inputs, outputs)
            if kernel not in self.kernels:
                self.kernels.add(kernel)
                beats = outputs * inputs * shape.taps * self._beats(4)
                self.gemm += READ_LATENCY // 2
                self.read += beats
            ready = max(self.filled[0][i], self.filled[1][w])
            products = tiles * inputs * shape.taps
            self.gemm = max(self.gemm, ready) + products + GEMM_START
            self.busy["gemm"] += products
            self.free[0][i] = self.free[1][w] = self.gemm
        vectors = tiles * shape.passes
        self.alu = max(self.gemm, self.alu) + vectors + ALU_START * shape.passes
        self.busy["alu"] += vectors
        self.gemm += ISSUE * shape.passes
        beats = tiles * self._beats(self.cfg.out_elem_bytes)
        self.write = max(self.alu, self.write) + beats + READ_LATENCY
        self.busy["write"] += beats
        self.free[2][sums] = self.write

    def _load(self, ring: int, contents: tuple[int, ...], beats: float, insns: int) -> int:
        """The slot that holds ``contents``."""
        slot, held = self.rings[ring].take(contents)
        if not held:
            start = max(self.read, self.free[ring][slot])
            self.read = start + beats + LOAD_START * insns
            self.filled[ring][slot] = self.read + READ_LATENCY
            self.busy["read"] += beats
        return slot

    def _beats(self, size: int) -> float:
        return size / self.cfg.bus_bytes
