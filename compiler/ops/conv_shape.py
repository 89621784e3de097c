"""The loops of a convolution, and of a transposed one, in tiles of the machine."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy.typing as npt

from vta.compiler.ops.geometry import Window

if TYPE_CHECKING:
    from vta.config import VTAConfig

__all__ = ["ADDED_SLOTS", "ConvShape", "TransposedShape"]

ADDED_SLOTS = 2
"""Blocks on chip at once of a tensor that is added to the result: one is loaded, one is added."""
Tiles = TypeVar("Tiles", int, npt.NDArray[Any])
"""One number of tiles, or an array of them."""


@dataclass(frozen=True)
class ConvShape:
    """The loops of a convolution in tiles.

    Attributes
    ----------
    images : int
        Batches of ``BATCH`` images.
    inputs, outputs : int
        Channels of a group in tiles.
    window : Window
        Sizes of the image and the kernel in pixels.
    passes : int
        Passes of the ALU over a block.
    groups : int
        Sets of channels that have nothing to do with each other.
    constants : int
        Constants of each channel, as its bias: all stay in the accumulators.
    added : int
        Tensors of the shape of the result that are added to the result.
    numbers : int
        Constants of one tile for all channels.
    product_cycles : int
        Cycles of the passes for each part of a tile beyond one a pass: operations with a product,
        on a machine whose ALU has no multipliers.
    """

    images: int
    inputs: int
    outputs: int
    window: Window
    passes: int
    groups: int = 1
    constants: int = 1
    added: int = 0
    numbers: int = 0
    product_cycles: int = 0

    @cached_property
    def kept(self) -> int:
        """Tiles of constants in the accumulators."""
        return self.constants * self.groups * self.outputs + self.numbers

    @property
    def added_slots(self) -> int:
        """Blocks in the accumulators besides those of the sums."""
        return ADDED_SLOTS * self.added

    @cached_property
    def taps(self) -> int:
        """Taps of the kernel."""
        return self.window.kernel[0] * self.window.kernel[1]

    @cached_property
    def out_height(self) -> int:
        return self.window.out[0]

    @cached_property
    def out_width(self) -> int:
        return self.window.out[1]

    @cached_property
    def tiles(self) -> int:
        """Tiles of the result."""
        return self.images * self.groups * self.outputs * self.out_height * self.out_width

    @cached_property
    def products(self) -> int:
        """Tile products of the whole convolution."""
        return round(self.tiles * self.inputs * self.taps_of_tile)

    @cached_property
    def taps_of_tile(self) -> float:
        """Products of a tile of the result for each tile of input channels, on average."""
        return self.taps

    @cached_property
    def vectors(self) -> int:
        """Vectors of the ALU of the whole convolution."""
        return self.tiles * self.passes

    @cached_property
    def pass_cycles(self) -> int:
        """Cycles of all passes of the ALU for each part of a tile."""
        return self.passes + self.product_cycles

    @cached_property
    def row_step(self) -> int:
        """Input rows from one output row to the next, as they lie on chip.

        Rows that a kernel of one row never reads are not loaded, if there is no padding.
        """
        skips = self.window.kernel[0] == 1 and not any(self.window.padding)
        return 1 if skips else self.window.stride[0]

    @property
    def can_skip_columns(self) -> bool:
        """Whether there are columns that no window reads, and loads can leave them out."""
        skips = self.window.kernel[1] == 1 and not any(self.window.padding)
        return skips and self.window.stride[1] > 1

    @property
    def read_rows(self) -> int:
        """Rows of the image that are loaded at least."""
        return self.out_height if self.row_step != self.window.stride[0] else self.window.size[0]

    def starts_sums(self, cfg: VTAConfig) -> bool:
        """Whether the first product of a sum overwrites its tile, which costs no reset."""
        return bool(cfg.extension)

    def rows(self, height: Tiles) -> Tiles:
        """Input rows on chip for ``height`` output rows."""
        return (height - 1) * self.row_step + self.window.extents[0]

    def columns(self, width: Tiles) -> Tiles:
        """Input columns on chip for ``width`` output columns."""
        return (width - 1) * self.window.stride[1] + self.window.extents[1]


@dataclass(frozen=True)
class TransposedShape(ConvShape):
    """A transposed convolution in tiles.

    The ``stride`` of the window is that of the result; padding is cut off the result.

    Attributes
    ----------
    result : (int, int)
        Height and width of the result.
    """

    result: tuple[int, int] = (1, 1)

    @property
    def can_skip_columns(self) -> bool:
        return False

    @cached_property
    def out_height(self) -> int:
        return self.result[0]

    @cached_property
    def out_width(self) -> int:
        return self.result[1]

    def starts_sums(self, cfg: VTAConfig) -> bool:
        """Never: where taps meet zeros a tile may have no product at all."""
        return False

    @cached_property
    def taps_of_tile(self) -> float:
        """Taps that meet a pixel of the data; the others would meet zeros between them."""
        hits = 1
        for size, taps, by, cut in zip(
            self.result, self.window.kernel, self.window.stride, self.window.padding
        ):
            first = taps - 1 - cut
            hits *= sum((y + tap - first) % by == 0 for y in range(size) for tap in range(taps))
        return hits / (self.result[0] * self.result[1])

    def rows(self, height: Tiles) -> Tiles:
        """Rows of the data on chip for ``height`` rows of the result, at most."""
        return (height + self.window.kernel[0] - 2) // self.window.stride[0] + 2

    def columns(self, width: Tiles) -> Tiles:
        """Columns of the data on chip for ``width`` columns of the result, at most."""
        return (width + self.window.kernel[1] - 2) // self.window.stride[1] + 2
