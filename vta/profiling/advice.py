"""What to do: the largest losses of each layer, in sentences."""

from __future__ import annotations

from vta.profiling.causes import CycleCause
from vta.profiling.layers import Layer, ProfileData

__all__ = ["advice"]

LINES = 8
"""Sentences at most."""
LEAST = 0.01
"""Share of all cycles from which on a loss is worth a sentence."""

_REMEDY = {
    CycleCause.RESETS: "resets take GEMM cycles; where the machine has the extension, "
    "`tensorize(start=True)` starts a sum with its first product",
    CycleCause.BANK: "operands of the ALU are in the banks that GEMM uses; other tile sizes change "
    "the banks",
    CycleCause.ALU: "the ALU works while GEMM has nothing to do; fewer passes, or accumulator "
    "blocks in two ring slots, let both overlap",
    CycleCause.LOADER: "loads of accumulators or micro-ops are exposed; keep constants on chip, "
    "or use fewer sets of micro-ops",
    CycleCause.LOAD: "GEMM has no inputs or weights; larger blocks reuse more, and a further ring "
    "slot loads earlier",
    CycleCause.STORE: "results are not stored yet; a further accumulator slot lets the compute "
    "module go on",
    CycleCause.ISSUE: "instructions are too short to hide their issue; use larger inner loops, or "
    "avoid hazards between units",
    CycleCause.START: "the first loads are exposed; a smaller first block starts earlier",
    CycleCause.END: "the last stores are exposed; a smaller last block ends earlier",
}

_REMEDY_OF_VECTORS = {
    CycleCause.RESETS: "GEMM resets accumulators for the ALU; fewer blocks, or constants that stay "
    "on chip, need fewer resets",
    CycleCause.BANK: "operands of one ALU instruction are in the same bank; other tile sizes "
    "change the banks",
    CycleCause.ALU: "the layer has no products; fewer passes of the ALU, or its fusion with the "
    "layer that computes its input, take less",
}
"""For layers without products, where nothing is there for GEMM to do meanwhile."""

_BOUND = {"products": "its products", "ALU": "the ALU", "bus": "the bus"}


def advice(profile: ProfileData) -> list[str]:
    """Sentences on the largest losses, the largest first. PRODUCTS is no loss."""
    losses: list[tuple[int, Layer, CycleCause]] = [
        (cycles, layer, cause)
        for layer in profile.layers
        for cause, cycles in layer.by_cause.items()
        if cause is not CycleCause.PRODUCTS and cycles >= LEAST * profile.cycles
    ]
    losses.sort(key=lambda loss: -loss[0])
    lines = [
        f"{layer.name}: {cycles:,} cycles ({cycles / max(layer.cycles, 1):.0%} of the layer) on "
        f"{cause.label}; {_remedy(layer, cause)}. The layer is bound by {_BOUND[layer.bound]}."
        for cycles, layer, cause in losses[:LINES]
    ]
    return lines or ["No loss of one percent or more: GEMM works in nearly all cycles."]


def _remedy(layer: Layer, cause: CycleCause) -> str:
    if not layer.products and cause in _REMEDY_OF_VECTORS:
        return _REMEDY_OF_VECTORS[cause]
    return _REMEDY[cause]
