"""What a micro-op does in each cycle: the stages of GEMM and of the ALU, forwarding paths."""

from __future__ import annotations

from collections.abc import Sequence

from docs.pictures.drawing import Drawing, Theme

__all__ = ["pipelines"]

TITLE = "Pipelines of GEMM and ALU: a new micro-op enters in every cycle"
GEMM = (
    "issue", "fetch", "multiply", "add, read", "add, fetch", "accumulate", "hold", "write",
)  # fmt: skip
"""Of a block of 16: while the tree adds, the accumulator is read and fetched."""
ALU = ("hazard", "read", "op", "EX1", "EX2", "WB")
W, H, GAP = 84, 24, 14


def pipelines(theme: Theme) -> str:
    """Three micro-ops in each pipeline, one cycle apart."""
    d = Drawing(960, 500, TITLE, theme)
    d.text(20, 28, "GEMM", 15, anchor="start", bold=True)
    d.text(90, 28, "acc[d] += inp[s] * wgt[w], for a block of 16", 11, anchor="start")
    _staircase(d, 20, 60, GEMM, "module")
    for row in range(2):
        y, x = 60 + row * (H + GAP) + H, 20 + (6 + row) * W
        d.arrow([(x - 14, y), (x + 14, y + GAP)])
    d.text(
        20 + W, 60 + 3 * (H + GAP) + 12, "a sum is forwarded to the next micro-ops, at distances "
        "1 to 4: no stall", 11, anchor="start",
    )  # fmt: skip
    d.text(20, 236, "ALU", 15, anchor="start", bold=True)
    d.text(90, 236, "acc[d] = op(acc[d], acc[s] or an immediate)", 11, anchor="start")
    _staircase(d, 20, 268, ALU, "store")
    _forwarding(d, 20, 268)
    return d.svg()


def _staircase(d: Drawing, x: float, y: float, stages: Sequence[str], kind: str) -> None:
    for cycle in range(len(stages) + 2):
        d.text(x + cycle * W + W / 2, y - 6, f"cycle {cycle}", 10, colour=d.theme.faint)
    for row in range(3):
        for number, stage in enumerate(stages):
            left = x + (number + row) * W
            if left + W <= d.width:
                d.box(left + 1, y + row * (H + GAP), W - 2, H, kind, stage, size=11)


def _forwarding(d: Drawing, x: float, y: float) -> None:
    """From the stages behind OP to OP."""
    base = y + 3 * (H + GAP) + 28
    for number, stage in enumerate(ALU):
        d.box(x + number * W + 1, base, W - 2, H, "store", stage, size=11)
    d.box(x + 6 * W + 1, base, W + 20, H, "queue", "after WB", size=11)
    target = x + 2.5 * W
    for step, number in enumerate((3, 4, 5, 6)):
        centre = x + number * W + W / 2
        low = base + H + 12 + 9 * step
        d.arrow([(centre, base + H), (centre, low), (target + 6 * (1.5 - step), low),
                 (target + 6 * (1.5 - step), base + H)])  # fmt: skip
    d.text(x + 8.3 * W, base + 12, "four forwarding paths:", 11, anchor="start")
    d.text(x + 8.3 * W, base + 28, "OP takes what any of the four", 11, anchor="start")
    d.text(x + 8.3 * W, base + 44, "older micro-ops writes", 11, anchor="start")
