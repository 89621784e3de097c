"""Pictures of runs, drawn anew for each build of the site: the timing model counts the cycles."""

from __future__ import annotations

from collections.abc import Sequence
from math import log10
from typing import TYPE_CHECKING

from docs.pictures.drawing import THEMES, Drawing, Theme
from vta import ops
from vta.build_module import build
from vta.config import VTAConfig
from vta.environment import Environment
from vta.profiling import profile_program

if TYPE_CHECKING:
    from vta.profiling import Layer

__all__ = ["measured", "roofline", "timeline"]

MEMORY = "ddr"
LEFT, TOP, WIDE, HIGH = 90, 40, 780, 300
UNITS = {
    "load": ("loads of inputs, weights", "module"), "loader": ("loads of sums, micro-ops", "plain"),
    "gemm": ("GEMM", "dram"), "alu": ("ALU", "memory"), "store": ("stores", "store"),
}  # fmt: skip
"""The units of the timing model: their names on the picture, the kind of their boxes."""


def measured() -> dict[str, str]:
    """The pictures in both themes, by file name."""
    layers = _layers()
    return {
        f"{name}{theme.suffix}.svg": draw(theme, layers)
        for name, draw in (("timeline", timeline), ("roofline", roofline))
        for theme in THEMES
    }


def _layers() -> list[Layer]:
    """Layers of different kinds on the default machine. The first is the one of the timeline."""
    quantise = ops.Requantise(8, low=0)
    with Environment(VTAConfig()):
        made = {
            "3x3, 32 to 64": ops.conv2d((1, 32, 14, 14), 64, 3, padding=1, requantise=quantise),
            "3x3, 64 to 64": ops.conv2d((1, 64, 28, 28), 64, 3, padding=1, requantise=quantise),
            "1x1, 64 to 32": ops.conv2d((1, 64, 28, 28), 32, 1, requantise=quantise),
            "first, 3 to 32": ops.conv2d(
                (1, 3, 56, 56), 32, 3, stride=2, padding=1, requantise=quantise
            ),
            "dense, 1024 to 256": ops.dense((1, 1024), 256, requantise=ops.Requantise(8)),
        }
        return [
            profile_program(build(op.schedule, op.args, name=name).program, memory=MEMORY).layers[0]
            for name, op in made.items()
        ]


def timeline(theme: Theme, layers: Sequence[Layer]) -> str:
    """What each unit does in each cycle of a layer."""
    layer = layers[0]
    d = Drawing(900, 300, "A layer's timeline: what each unit does in each cycle", theme)
    title = (
        f"A convolution ({layer.name} channels, 14 x 14 pixels): {layer.cycles:,} cycles, "
        f"{layer.utilisation:.0%} of them with a product"
    )
    d.text(20, 26, title, 13, anchor="start", bold=True)
    left, wide = 190, 690
    for number, (unit, (name, kind)) in enumerate(UNITS.items()):
        y = 52 + 40 * number
        d.text(20, y + 20, name, 12, anchor="start")
        d.line([(left, y + 32), (left + wide, y + 32)], colour=theme.kinds["plain"][0], width=1)
        for insn in layer.timing.instructions:
            if insn.unit == unit and insn.end > insn.start:
                x = left + wide * insn.start / layer.cycles
                d.rect(x, y, max(wide * (insn.end - insn.start) / layer.cycles, 0.8), 28, kind)
    step = 10 ** int(log10(layer.cycles))
    for cycle in range(0, layer.cycles + 1, step // (2 if layer.cycles < 5 * step else 1)):
        x = left + wide * cycle / layer.cycles
        d.line([(x, 252), (x, 258)])
        d.text(x, 272, f"{cycle:,}", 10.5, colour=theme.faint)
    d.text(left + wide / 2, 292, "cycle", 11)
    return d.svg()


def roofline(theme: Theme, layers: Sequence[Layer]) -> str:
    """Products a cycle over products a beat: the layer's distance from what the machine can do."""
    d = Drawing(
        900, 400, "Roofline: products in a cycle over products for each beat of the bus", theme
    )
    low, high, least = 0.02, 20.0, 0.02

    def x_of(intensity: float) -> float:
        return LEFT + WIDE * log10(intensity / low) / log10(high / low)

    def y_of(rate: float) -> float:
        return TOP + HIGH * (1 - log10(rate / least) / log10(1.25 / least))

    for value in (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20):
        d.line([(x_of(value), TOP), (x_of(value), TOP + HIGH)], colour=theme.kinds["plain"][0])
        d.text(x_of(value), TOP + HIGH + 18, f"{value:g}", 10.5, colour=theme.faint)
    for value in (0.02, 0.05, 0.1, 0.2, 0.5, 1):
        d.line([(LEFT, y_of(value)), (LEFT + WIDE, y_of(value))], colour=theme.kinds["plain"][0])
        d.text(LEFT - 8, y_of(value) + 4, f"{value:g}", 10.5, anchor="end", colour=theme.faint)
    d.line([(x_of(low), y_of(least)), (x_of(1), y_of(1)), (x_of(high), y_of(1))], width=2.5)
    d.text(x_of(2), y_of(1) - 8, "a product in every cycle", 11, anchor="start")
    d.text(x_of(0.1) + 4, y_of(0.1) - 26, "a beat in every cycle", 11, anchor="end")
    for layer in layers:
        beats = layer.timing.read_beats + layer.timing.write_beats
        x, y = x_of(layer.products / beats), y_of(layer.utilisation)
        d.rect(x - 5, y - 5, 10, 10, "hot", radius=5)
        d.text(x + 10, y + 14, f"{layer.name}: {layer.utilisation:.0%}", 11, anchor="start")
    d.text(LEFT + WIDE / 2, TOP + HIGH + 40, "products for each beat of the bus", 12)
    d.text(24, TOP + HIGH / 2, "products in a cycle", 12, turn=-90)
    return d.svg()
