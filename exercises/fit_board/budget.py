"""What a machine takes of an ECP5: block RAM and multipliers, by formulas, at once.

Yosys has the last word (`make synth`), after minutes. The formulas count the memories of the RTL:
`tests/exercises` compares them with the Verilog.
"""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vta.config import VTAConfig

__all__ = ["SHAPES", "block_rams", "memories", "multipliers", "of_memory"]

SHAPES = ((36, 512), (18, 1024), (9, 2048), (4, 4096), (2, 8192), (1, 16384))
"""A block RAM of the ECP5 as bits of a word, words."""
FLIP_FLOPS = 32
"""Memories of so many words are made of logic cells."""


def memories(cfg: VTAConfig) -> dict[str, tuple[int, int, int]]:
    """The memories of a machine: how many alike, bits of a word, words."""
    acc_bits, out_bits = 32 * cfg.batch * cfg.block_out, 8 * cfg.batch * cfg.block_out
    inp_bits, wgt_bits = 8 * cfg.batch * cfg.block_in, 8 * cfg.block_in * cfg.block_out
    return {
        "inputs": (ceil(inp_bits / 64), min(inp_bits, 64), cfg.inp_depth),
        "weights": (ceil(wgt_bits / 64), min(wgt_bits, 64), cfg.wgt_depth),
        "accumulators": (4 * (acc_bits // 64), 64, cfg.acc_depth // 4),  # four banks
        "low bytes of accumulators": (4 * (out_bits // 16), 16, cfg.acc_depth // 4),
        "micro-ops": (4, 32, cfg.uop_depth // 4),  # a word of the bus has four
        "instruction queues": (3, 128, 512),
        "prefetched instructions": (1, cfg.bus_bits, max(cfg.fetch_beats, 64)),
    }


def of_memory(bits: int, words: int) -> int:
    """The block RAMs of one memory, in the shape that takes the fewest."""
    if words <= FLIP_FLOPS:
        return 0
    return min(ceil(bits / width) * ceil(words / depth) for width, depth in SHAPES)


def block_rams(cfg: VTAConfig) -> dict[str, int]:
    """The block RAMs of each memory of a machine."""
    return {
        name: count * of_memory(bits, words) for name, (count, bits, words) in memories(cfg).items()
    }


def multipliers(cfg: VTAConfig) -> int:
    """18 x 18 multipliers: one a product of GEMM, three a lane of the ALU, four for transfers."""
    return cfg.batch * cfg.block_out * (cfg.block_in + 3) + 4
