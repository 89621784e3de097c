"""The Pareto plot of an exploration, as a picture and as a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vta.extras import importing

if TYPE_CHECKING:
    from pathlib import Path

    from vta.tuning.explore import Exploration, Point

__all__ = ["plot_page", "plot_picture"]

TITLE = "cycles and resources of machines on {part}"
X_TITLE = "{resource}, % of {capacity:,}"
Y_TITLE = "cycles of all models"
PANEL = (3.4, 4.2)
"""Width and height of the panel of a resource, in inches."""
LABEL = 0.06
"""How far apart labels are at least, as a share of the panel."""


def _share(found: Exploration, point: Point, resource: str) -> float:
    """How much of a resource a point takes, in per cent of the part."""
    return 100 * point.used[resource] / found.capacity[resource]


def _front(found: Exploration, memory: str, resource: str) -> list[Point]:
    """The points with the fewest cycles for their share of a resource, from left to right."""
    front: list[Point] = []
    for point in sorted(
        found.of_memory(memory), key=lambda p: (_share(found, p, resource), p.total)
    ):
        if not front or point.total < front[-1].total:
            front.append(point)
    return front


def _apart(found: Exploration, front: list[Point], resource: str) -> list[Point]:
    """The points of a front whose labels do not cover each other, from the fastest one on."""
    shares = [_share(found, point, resource) for point in found.points]
    wide, high = max(shares) - min(shares), max(point.total for point in found.points)
    labelled: list[Point] = []
    for point in reversed(front):
        if not any(
            abs(_share(found, point, resource) - _share(found, other, resource)) < LABEL * wide
            and abs(point.total - other.total) < LABEL * high
            for other in labelled
        ):
            labelled.append(point)
    return labelled


def _titles(found: Exploration) -> dict[str, str]:
    """The title of the axis of each resource."""
    return {
        name: X_TITLE.format(resource=name, capacity=found.capacity[name])
        for name in found.points[0].used
    }


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

    titles = _titles(found)
    figure = Figure(figsize=(PANEL[0] * len(titles), PANEL[1]), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(titles), sharey=True, squeeze=False)[0]
    for axes, (resource, title) in zip(panels, titles.items()):
        for memory in found.space.memories:
            points = found.of_memory(memory)
            shown = axes.scatter(
                [_share(found, p, resource) for p in points], [p.total for p in points],
                label=f"memory {memory}",
            )  # fmt: skip
            front = _front(found, memory, resource)
            axes.step(
                [_share(found, p, resource) for p in front], [p.total for p in front],
                where="post", color=shown.get_facecolor()[0],
            )  # fmt: skip
            for point in _apart(found, front, resource):
                axes.annotate(
                    str(point.number), (_share(found, point, resource), point.total),
                    textcoords="offset points", xytext=(4, 4), fontsize=8,
                )  # fmt: skip
        axes.set(xlabel=title)
    panels[0].set(ylabel=Y_TITLE)
    panels[0].set_ylim(0, 1.08 * max(point.total for point in found.points))
    panels[-1].legend()
    figure.suptitle(TITLE.format(part=found.space.part))
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
        from plotly.colors import qualitative
        from plotly.subplots import make_subplots

    titles = _titles(found)
    figure = make_subplots(rows=1, cols=len(titles), shared_yaxes=True, horizontal_spacing=0.02)
    for column, (resource, title) in enumerate(titles.items(), 1):
        for memory, color in zip(found.space.memories, qualitative.Plotly):
            points, front = found.of_memory(memory), _front(found, memory, resource)
            figure.add_scatter(
                x=[_share(found, p, resource) for p in points], y=[p.total for p in points],
                mode="markers", marker={"color": color, "size": 9}, name=f"memory {memory}",
                legendgroup=memory, showlegend=column == 1, text=[_text(found, p) for p in points],
                hoverinfo="text", row=1, col=column,
            )  # fmt: skip
            figure.add_scatter(
                x=[_share(found, p, resource) for p in front], y=[p.total for p in front],
                mode="lines", line={"shape": "hv", "color": color}, legendgroup=memory,
                showlegend=False, hoverinfo="skip", row=1, col=column,
            )  # fmt: skip
        figure.update_xaxes(title_text=title, row=1, col=column)
    figure.update_yaxes(rangemode="tozero")
    figure.update_yaxes(title_text=Y_TITLE, row=1, col=1)
    figure.update_layout(title=TITLE.format(part=found.space.part))
    path.write_text(figure.to_html(include_plotlyjs=True), encoding="utf-8")


def _text(found: Exploration, point: Point) -> str:
    """What a point is, in lines of HTML."""
    keys = [f"{key} {value}" for key, value in found.space.varied(point.machine).items()]
    cycles = [f"{name}: {number:,} cycles" for name, number in point.cycles.items()]
    used = [
        f"{name} {amount:,.0f} of {found.capacity[name]:,}" for name, amount in point.used.items()
    ]
    head = f"<b>machine {point.number}, memory {point.memory}</b>"
    moved = f"{point.bandwidth:.2f} bytes of DRAM a cycle"
    return "<br>".join([head, *keys, *cycles, moved, *used])
