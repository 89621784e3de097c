"""The plot of docs/history.jsonl: figures over the runs of `make bench`, the first one as 100 %."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from docs.pictures.drawing import THEMES, Theme
from tests.bench.history import KINDS, Run, read

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["history", "pictures"]

TITLES = {
    "cycles": "cycles, % of the first run", "area": "area, % of the first run",
    "path": "longest path, % of the first run",
    "speed": "speed of the simulation, % of the first run",
}  # fmt: skip
COLOURS = ("#3b7dd8", "#d9822b", "#2e9d5f", "#b3261e", "#8e57c2", "#7a7a7a", "#17a2b8", "#c2a000")
LABELS = 8
"""So many runs have room for their date and commit."""


def pictures() -> dict[str, str]:
    """The picture in both themes, by file name; an empty plot says that there is no run yet."""
    runs = read()
    return {f"history{theme.suffix}.svg": history(theme, runs) for theme in THEMES}


def history(theme: Theme, runs: Sequence[Run]) -> str:
    """One plot a kind that has figures, one above the other."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    kinds = [kind for kind in TITLES if any(kind in run.figures for run in runs)] or ["cycles"]
    with rc_context({"svg.hashsalt": "vta", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=(9, 3 * len(kinds)), layout="constrained", facecolor=theme.paper)
        FigureCanvasSVG(figure)
        for axes, kind in zip(figure.subplots(len(kinds), squeeze=False)[:, 0], kinds):
            _plot(axes, theme, kind, runs)
        content = io.StringIO()
        figure.savefig(content, format="svg", metadata={"Date": None})
    return content.getvalue()


def _plot(axes: Any, theme: Theme, kind: str, runs: Sequence[Run]) -> None:
    axes.set_title(TITLES[kind], color=theme.ink, loc="left")
    axes.set_facecolor(theme.paper)
    axes.tick_params(colors=theme.faint)
    axes.grid(color=theme.faint, alpha=0.25)
    for spine in axes.spines.values():
        spine.set_color(theme.faint)
    runs = [run for run in runs if kind in run.figures]
    names = dict.fromkeys(name for run in runs for name in run.figures.get(kind, {}))
    for number, name in enumerate(names):
        points = [
            (place, run.figures[kind][name])
            for place, run in enumerate(runs)
            if name in run.figures.get(kind, {})
        ]
        places, values = zip(*points)
        axes.plot(
            places, [100 * value / values[0] for value in values], label=name, marker="o",
            markersize=4, color=COLOURS[number % len(COLOURS)], alpha=0.85,
            linestyle=("-", "--", ":")[number // len(COLOURS) % 3],
        )  # fmt: skip
    shown = range(0, len(runs), 1 + len(runs) // (LABELS + 1))
    axes.set_xticks(shown, [f"{runs[at].date[:10]}\n{runs[at].commit}" for at in shown])
    axes.set_xlim(-0.5, max(len(runs), 1) - 0.5)
    allowed = KINDS[kind].allowed
    if allowed is not None:
        axes.set_xlabel(f"a step up of more than {allowed:.0%} is an error", color=theme.faint)
    axes.legend(
        loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, labelcolor=theme.ink, fontsize=7
    )
