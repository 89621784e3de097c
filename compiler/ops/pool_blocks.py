"""Blocks of pooling operators: rows and columns of windows whose tiles are on the chip together."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from vta.errors import OperatorError
from vta.isa.capabilities import Capability, capabilities_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vta.compiler.ops.geometry import Window
    from vta.config import VTAConfig

__all__ = ["Blocks", "choose_blocks", "pads_by_alu", "starts_runs"]

START_OF_BLOCK = 32
"""What a block costs besides its loads, in tiles: the start of its instructions."""


def starts_runs(cfg: VTAConfig) -> bool:
    """Whether reductions by the ALU need no start values on this machine."""
    return Capability.ALU_START in capabilities_of(cfg)


def pads_by_alu(window: Window, value: int, cfg: VTAConfig) -> bool:
    """Whether padding with ``value`` is a pass of the ALU, and not written by the load."""
    return bool(any(window.padding) and value and Capability.PAD_VALUE not in capabilities_of(cfg))


@dataclass(frozen=True)
class Blocks:
    """Rows and columns of a block of the result, and how many blocks are on the chip at once."""

    rows: int
    columns: int
    slots: int


def choose_blocks(
    name: str, window: Window, cfg: VTAConfig, *, constants: int, copies: int, results: int = 1
) -> Blocks:
    """The blocks of a pixel or more of which the fewest tiles are loaded in all; two slots, so that
    the next block loads while this one is computed, if two blocks fit.

    Parameters
    ----------
    name : str
        Of the operator, for messages.
    window : Window
        Sizes of the data and of the windows.
    cfg : VTAConfig
        The machine.
    constants : int
        Tiles that stay in the accumulators.
    copies : int
        Buffers of the data of a block: one, and one more where the ALU pads.
    results : int
        Buffers of a tile for each pixel of the result.

    Raises
    ------
    OperatorError
        If one window does not fit the accumulators.
    """
    height, width = window.out

    def loaded(block: Sequence[int]) -> int:
        return prod(
            (n - 1) * step + reach for n, step, reach in zip(block, window.stride, window.extents)
        )

    def need(block: Sequence[int], slots: int) -> int:
        of_data = loaded(block) * (slots + copies - 1)
        return of_data + prod(block) * slots * results + constants

    sizes = {
        (-(-height // down), -(-width // across))
        for down in range(1, height + 1)
        for across in range(1, width + 1)
    }

    def cost(block: tuple[int, int]) -> tuple[int, int, tuple[int, int]]:
        count = -(-height // block[0]) * -(-width // block[1])
        return count * (loaded(block) + START_OF_BLOCK), count, block

    for slots in (2, 1):
        fitting = [block for block in sizes if need(block, slots) <= cfg.acc_depth]
        if fitting:
            return Blocks(*min(fitting, key=cost), slots)
    raise OperatorError(
        f"{name}: one window takes {need((1, 1), 1)} tiles; the accumulators hold "
        f"{cfg.acc_depth} (LOG_ACC_BUFF_SIZE)"
    )
