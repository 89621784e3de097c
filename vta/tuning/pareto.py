"""The Pareto plot of an exploration, as a picture and as a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vta.extras import importing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from vta.tuning.explore import Exploration, Point

__all__ = ["plot_page", "plot_picture"]

TITLE = "cycles against the fullest resource of {part}"
X_TITLE = "share of the part's fullest resource, %"
Y_TITLE = "cycles of all models"


def _x(found: Exploration, point: Point) -> float:
    """The largest share of a resource, in per cent."""
    return max(100 * used / found.capacity[name] for name, used in point.used.items())


def _line(found: Exploration, memory: str) -> list[Point]:
    """The points of the front of the plot, from left to right."""
    line: list[Point] = []
    points = [point for point in found.points if point.memory == memory]
    for point in sorted(points, key=lambda p: (_x(found, p), p.total)):
        if not line or point.total < line[-1].total:
            line.append(point)
    return line


def _groups(found: Exploration) -> Sequence[tuple[str, list[Point]]]:
    return [
        (memory, [point for point in found.points if point.memory == memory])
        for memory in found.space.memories
    ]


def plot_picture(found: Exploration, path: Path) -> None:
    """Write a PNG.

    Raises
    ------
    ToolError
        If Matplotlib is not installed.
    OSError
        If the file cannot be written.
    """
    with importing("a picture of machines", "tune"):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for memory, points in _groups(found):
        shown = axes.scatter([_x(found, p) for p in points], [p.total for p in points])
        line = _line(found, memory)
        axes.step(
            [_x(found, p) for p in line], [p.total for p in line], where="post",
            color=shown.get_facecolor()[0], label=f"memory {memory}",
        )  # fmt: skip
        for point in line:
            axes.annotate(
                str(found.points.index(point)), (_x(found, point), point.total),
                textcoords="offset points", xytext=(4, 4), fontsize=8,
            )  # fmt: skip
    axes.set(title=TITLE.format(part=found.space.part), xlabel=X_TITLE, ylabel=Y_TITLE)
    axes.set_ylim(bottom=0)
    axes.legend()
    figure.savefig(path, format="png", dpi=120)


def plot_page(found: Exploration, path: Path) -> None:
    """Write a page of HTML whose points say what they are; it needs no network.

    Raises
    ------
    ToolError
        If Plotly is not installed.
    OSError
        If the file cannot be written.
    """
    with importing("a page of machines", "tune"):
        from plotly import graph_objects

    figure = graph_objects.Figure()
    for memory, points in _groups(found):
        figure.add_scatter(
            x=[_x(found, p) for p in points], y=[p.total for p in points], mode="markers",
            name=f"memory {memory}", text=[_text(found, p) for p in points], hoverinfo="text",
        )  # fmt: skip
        line = _line(found, memory)
        figure.add_scatter(
            x=[_x(found, p) for p in line], y=[p.total for p in line], mode="lines",
            line={"shape": "hv"}, name=f"front, {memory}", hoverinfo="skip",
        )  # fmt: skip
    figure.update_layout(
        title=TITLE.format(part=found.space.part), xaxis_title=X_TITLE, yaxis_title=Y_TITLE,
        yaxis_rangemode="tozero",
    )  # fmt: skip
    path.write_text(figure.to_html(include_plotlyjs=True), encoding="utf-8")


def _text(found: Exploration, point: Point) -> str:
    """What a point is, in lines of HTML."""
    keys = [f"{key} {value}" for key, value in found.space.varied(point.machine).items()]
    cycles = [f"{name}: {number:,} cycles" for name, number in point.cycles.items()]
    used = [
        f"{name} {amount:,.0f} of {found.capacity[name]:,}" for name, amount in point.used.items()
    ]
    head = f"<b>machine {found.points.index(point)}, memory {point.memory}</b>"
    moved = f"{point.bandwidth:.2f} bytes of DRAM a cycle"
    return "<br>".join([head, *keys, *cycles, moved, *used])
