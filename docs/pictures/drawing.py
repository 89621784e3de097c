"""Boxes, arrows and text as SVG, in a light and a dark theme."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import hypot

__all__ = ["DARK", "LIGHT", "THEMES", "Drawing", "Theme"]

Point = tuple[float, float]
FONT = "DejaVu Sans, Verdana, Helvetica, Arial, sans-serif"


@dataclass(frozen=True)
class Theme:
    """Colours: of the paper, of text, and (fill, outline) of each kind of box."""

    suffix: str
    """Of the file's name."""
    paper: str
    ink: str
    faint: str
    token: str
    kinds: dict[str, tuple[str, str]]


LIGHT = Theme(
    "", "#ffffff", "#1c1c1c", "#5c5c5c", "#b3261e",
    {
        "plain": ("#f3f3f3", "#666666"), "queue": ("#ffffff", "#666666"),
        "module": ("#e8f0fe", "#3b5b92"), "unit": ("#ffffff", "#3b5b92"),
        "memory": ("#fff4d6", "#a67c00"), "dram": ("#e6f4ea", "#2e7d4f"),
        "store": ("#f3e8fd", "#7b4ba8"), "hot": ("#fde7e5", "#b3261e"), "none": ("none", "none"),
    },
)  # fmt: skip
DARK = Theme(
    "-dark", "#131416", "#e6e6e6", "#a8a8a8", "#ff8a80",
    {
        "plain": ("#2a2a2c", "#8a8a8a"), "queue": ("#1d1e20", "#8a8a8a"),
        "module": ("#1d2b45", "#7ea3e0"), "unit": ("#131c2e", "#7ea3e0"),
        "memory": ("#3a2f0d", "#d9a900"), "dram": ("#16301f", "#66b98a"),
        "store": ("#2e1f40", "#b48ad9"), "hot": ("#40201d", "#ff8a80"), "none": ("none", "none"),
    },
)  # fmt: skip
THEMES = (LIGHT, DARK)


class Drawing:
    """A picture that grows by calls. Coordinates are pixels from the upper left corner.

    Parameters
    ----------
    width, height : float
    title : str
        What a screen reader says.
    theme : Theme
    """

    def __init__(self, width: float, height: float, title: str, theme: Theme) -> None:
        self.width, self.height, self.title, self.theme = width, height, title, theme
        self._parts: list[str] = []

    def box(
        self, x: float, y: float, w: float, h: float, kind: str, *lines: str, size: float = 13
    ) -> None:
        """A box with lines of text in its middle: the first is larger than the others."""
        self.rect(x, y, w, h, kind, radius=6)
        heights = [size + 4, *(13.0 for _ in lines[1:])]
        base = y + h / 2 - sum(heights[: len(lines)]) / 2
        for number, line in enumerate(lines):
            base += heights[number]
            colour = self.theme.ink if number == 0 else self.theme.faint
            self.text(x + w / 2, base - 4, line, size if number == 0 else 10.5, colour=colour)

    def rect(
        self, x: float, y: float, w: float, h: float, kind: str, *, radius: float = 0,
        outline: bool = True,
    ) -> None:  # fmt: skip
        """A rectangle in the colours of a kind."""
        fill, stroke = self.theme.kinds[kind]
        stroke = stroke if outline else "none"
        self._parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{w:g}" height="{h:g}" rx="{radius:g}" '
            f'fill="{fill}" stroke="{stroke}" stroke-width="1.3"/>'
        )

    def text(
        self, x: float, y: float, text: str, size: float = 11, *, anchor: str = "middle",
        colour: str | None = None, turn: float = 0, bold: bool = False,
    ) -> None:  # fmt: skip
        """One line of text; ``y`` is its base line, ``anchor`` start, middle or end."""
        turned = f' transform="rotate({turn:g} {x:g} {y:g})"' if turn else ""
        weight = ' font-weight="bold"' if bold else ""
        self._parts.append(
            f'<text x="{x:g}" y="{y:g}" font-size="{size:g}" text-anchor="{anchor}" '
            f'fill="{colour or self.theme.ink}"{weight}{turned}>{escape(text)}</text>'
        )

    def line(
        self, points: Sequence[Point], *, token: bool = False, dashed: bool = False,
        colour: str | None = None, width: float = 1.4,
    ) -> None:  # fmt: skip
        """Straight pieces through points. Those of tokens are red and dashed."""
        path = " ".join(f"{'L' if n else 'M'}{x:g} {y:g}" for n, (x, y) in enumerate(points))
        colour = colour or (self.theme.token if token else self.theme.faint)
        dash = ' stroke-dasharray="5 3"' if token or dashed else ""
        self._parts.append(
            f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{width:g}"{dash}/>'
        )

    def arrow(self, points: Sequence[Point], *, token: bool = False, both: bool = False) -> None:
        """As :meth:`line`, with a head at the end, or at both ends."""
        self.line(points, token=token)
        self._head(points[-2], points[-1], token)
        if both:
            self._head(points[1], points[0], token)

    def _head(self, begin: Point, end: Point, token: bool) -> None:
        (x0, y0), (x, y) = begin, end
        length = hypot(x - x0, y - y0) or 1
        dx, dy = (x - x0) / length, (y - y0) / length
        corners = [(x, y)] + [(x - 8 * dx + s * 4 * dy, y - 8 * dy - s * 4 * dx) for s in (-1, 1)]
        shape = " ".join(f"{a:g},{b:g}" for a, b in corners)
        colour = self.theme.token if token else self.theme.faint
        self._parts.append(f'<polygon points="{shape}" fill="{colour}"/>')

    def svg(self) -> str:
        """The file."""
        return "\n".join([
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width:g} {self.height:g}" '
            f'font-family="{FONT}">',
            f"<title>{escape(self.title)}</title>",
            f'<rect width="{self.width:g}" height="{self.height:g}" fill="{self.theme.paper}"/>',
            *self._parts,
            "</svg>",
            "",
        ])  # fmt: skip
