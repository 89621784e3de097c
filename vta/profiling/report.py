"""The report of a profile: one HTML file that needs no network."""

from __future__ import annotations

from collections import defaultdict
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np

from vta.extras import importing
from vta.isa import Isa, MemId
from vta.profiling.advice import advice
from vta.profiling.causes import CycleCause, count
from vta.profiling.layers import ProfileData
from vta.profiling.occupancy import MEMORIES

if TYPE_CHECKING:
    import numpy.typing as npt

    from vta.profiling.statements import Statement

__all__ = ["report_html"]

COLOURS = {
    CycleCause.PRODUCTS: "#2a7f4f", CycleCause.RESETS: "#a5c96a", CycleCause.BANK: "#b5483a",
    CycleCause.ALU: "#3d6fb6", CycleCause.LOADER: "#8a5fb0", CycleCause.LOAD: "#e08a2e",
    CycleCause.STORE: "#d6b53c", CycleCause.ISSUE: "#7f7f7f", CycleCause.START: "#c9c9c9",
    CycleCause.END: "#a89f91",
}  # fmt: skip
UNITS = ("store", "alu", "gemm", "loader", "load")
"""The rows of the timeline, from below."""
UNIT_COLOURS = {
    "store": "#d6b53c", "alu": "#3d6fb6", "gemm": "#2a7f4f", "loader": "#8a5fb0", "load": "#e08a2e",
}  # fmt: skip
TIMES = 2000
"""Times of a row of the timeline at most; shorter gaps than this part of the run are closed."""


BUFFER_COLOURS = (
    "#3d6fb6", "#e08a2e", "#2a7f4f", "#b5483a", "#8a5fb0", "#d6b53c", "#4aa3a2", "#7f7f7f",
)  # fmt: skip
POINTS = 1000
"""Points of a curve of occupancy, about."""
LEGEND = 12
"""Buffers at most that are named beside the curves; further ones where the reader points."""
STATEMENTS = 40
"""Rows of the table of statements at most."""


def report_html(profile: ProfileData) -> str:
    """The report.

    Raises
    ------
    ToolError
        If a package of the extra ``profile`` is not installed.
    """
    with importing("the report of a profile", "profile"):
        import jinja2
        import plotly.graph_objects as go
        import plotly.io
        from plotly.offline import get_plotlyjs

    figures = {
        "timeline": _timeline(profile), "causes": _causes(profile),
        "roofline": _roofline(profile), "occupancy": _occupancy(profile),
        "traffic": _traffic(profile),
    }  # fmt: skip
    parts = {
        name: plotly.io.to_html(
            go.Figure(figure), full_html=False, include_plotlyjs=False, div_id=name,
            config={"responsive": True, "displaylogo": False, "scrollZoom": name == "timeline"},
        )
        for name, figure in figures.items()
    }  # fmt: skip
    text = resources.files("vta.profiling").joinpath("report.html.j2").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    rows = _statements(profile)
    page: str = environment.from_string(text).render(
        profile=profile, figures=parts, plotly=get_plotlyjs(), advice=advice(profile),
        layers=profile.layers, causes=[c for c in CycleCause if profile.by_cause[c]],
        colours=COLOURS, statements=rows, count=count,
        has_calls=any(row.source.call for _, row in rows),
    )  # fmt: skip
    return page


def _layout(**more: Any) -> dict[str, Any]:
    return {
        "template": "plotly_white", "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": "#999", "activecolor": "#3d6fb6"},
        "margin": {"l": 70, "r": 20, "t": 36, "b": 50},
        "legend": {"orientation": "h", "y": 1, "yanchor": "bottom"}, **more,
    }  # fmt: skip


def _timeline(profile: ProfileData) -> dict[str, Any]:
    """A row for each unit: the times in which it executes instructions."""
    begins = np.cumsum([0, *(layer.cycles for layer in profile.layers)])
    data = []
    for row, unit in enumerate(UNITS):
        times = [
            (begin + insn.start, begin + insn.end + 1)
            for begin, layer in zip(begins.tolist(), profile.layers)
            for insn in layer.timing.instructions
            if insn.unit == unit
        ]
        first, last = joined(np.array(sorted(times)).reshape(-1, 2), profile.cycles / TIMES)
        x = np.stack([first, last, np.full(len(first), np.nan)], axis=1).ravel()
        data.append({
            "type": "scatter", "mode": "lines", "name": unit, "x": _numbers(x),
            "y": [row] * len(x),
            "line": {"width": 18, "color": UNIT_COLOURS[unit], "simplify": False},
            "hovertemplate": unit + " at cycle %{x:,}<extra></extra>",
        })  # fmt: skip
    shapes = [
        {
            "type": "line", "x0": int(begin), "x1": int(begin), "y0": -0.5, "y1": len(UNITS) - 0.5,
            "line": {"width": 1, "dash": "dot", "color": "#888"},
        }
        for begin in begins[1:-1]
    ]  # fmt: skip
    axis = {"tickvals": list(range(len(UNITS))), "ticktext": list(UNITS), "fixedrange": True}
    layout = _layout(
        xaxis={"title": {"text": "cycle"}}, yaxis=axis, height=320, showlegend=False,
        dragmode="pan", shapes=shapes,
    )  # fmt: skip
    return {"data": data, "layout": layout}


def _numbers(values: npt.NDArray[np.float64]) -> list[int | None]:
    """Whole numbers, None for a gap."""
    return [None if np.isnan(value) else int(value) for value in values]


def joined(
    times: npt.NDArray[np.int64], gap: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Begins and ends of sorted times, shape (n, 2), where those are joined that overlap or have at
    most ``gap`` cycles between them."""
    if not len(times):
        return np.zeros(0), np.zeros(0)
    begins = times[:, 0].astype(np.float64)
    ends = np.maximum.accumulate(times[:, 1]).astype(np.float64)
    border = np.flatnonzero(begins[1:] - ends[:-1] > gap)
    return begins[np.concatenate([[0], border + 1])], ends[np.concatenate([border, [-1]])]


def _causes(profile: ProfileData) -> dict[str, Any]:
    """A stacked bar for each layer."""
    names = [layer.name for layer in profile.layers]
    data = [
        {
            "type": "bar", "orientation": "h", "name": cause.label, "y": names,
            "x": [layer.by_cause[cause] for layer in profile.layers],
            "marker": {"color": COLOURS[cause]},
            "hovertemplate": "%{y}<br>" + cause.label + ": %{x:,} cycles<extra></extra>",
        }
        for cause in CycleCause
        if profile.by_cause[cause]
    ]  # fmt: skip
    layout = _layout(
        barmode="stack", xaxis={"title": {"text": "cycles"}},
        yaxis={"autorange": "reversed", "automargin": True},
        height=120 + 24 * len(names), showlegend=False,
    )  # fmt: skip
    return {"data": data, "layout": layout}


def _roofline(profile: ProfileData) -> dict[str, Any]:
    """Products a cycle over products a beat of the bus."""
    layers = [layer for layer in profile.layers if layer.products]
    beats = [max(1, layer.timing.read_beats + layer.timing.write_beats) for layer in layers]
    intensity = [layer.products / count for layer, count in zip(layers, beats)]
    low, high = min([0.1, *intensity]) / 2, max([10.0, *intensity]) * 2
    roof = {
        "type": "scatter", "mode": "lines", "name": "bound", "x": [low, 1, high], "y": [low, 1, 1],
        "line": {"color": "#888"}, "hoverinfo": "skip",
    }  # fmt: skip
    points = {
        "type": "scatter", "mode": "markers", "name": "layers", "x": intensity,
        "y": [layer.utilisation for layer in layers], "text": [layer.name for layer in layers],
        "marker": {"size": 10, "color": "#2a7f4f"},
        "hovertemplate": "%{text}<br>%{x:.2f} products a beat<br>%{y:.1%} of the cycles"
        "<extra></extra>",
    }  # fmt: skip
    layout = _layout(
        xaxis={"type": "log", "title": {"text": "tile products a beat of the bus"}},
        yaxis={"type": "log", "title": {"text": "tile products a cycle"}}, height=360,
        showlegend=False,
    )  # fmt: skip
    return {"data": [roof, points], "layout": layout}


def _occupancy(profile: ProfileData) -> dict[str, Any]:
    """A panel for each on-chip memory: entries in use over time, stacked by buffer."""
    colours: dict[str, str] = {}
    data: list[dict[str, Any]] = []
    begin = 0
    curves: dict[tuple[MemId, str], tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
    for layer in profile.layers:
        bins = max(10, POINTS * layer.cycles // max(profile.cycles, 1))
        width, found = layer.occupancy(bins)
        for key, values in found.items():
            x, y = curves[key]
            if x and x[-1] < begin:  # no entry in use in the layers between
                x += [x[-1], begin]
                y += [0, 0]
            x += range(begin, begin + width * len(values), width)
            y += values.tolist()
        begin += layer.cycles
    isa = Isa.of(profile.cfg)
    panels = [memory for memory in MEMORIES if any(m is memory for m, _ in curves)]
    axes: dict[str, Any] = {}
    for number, memory in enumerate(panels):
        suffix = "" if number == 0 else str(number + 1)
        low = 1 - (number + 1) / len(panels)
        axes[f"yaxis{suffix}"] = {
            "domain": [low + 0.03, low + 1 / len(panels)], "fixedrange": True,
            "title": {"text": memory.name}, "range": [0, isa.depth(memory)], "nticks": 4,
        }  # fmt: skip
        for (other, name), (x, y) in curves.items():
            if other is memory:
                colour = colours.setdefault(
                    name, BUFFER_COLOURS[len(colours) % len(BUFFER_COLOURS)]
                )
                data.append({
                    "type": "scatter", "mode": "lines", "stackgroup": memory.name, "x": x, "y": y,
                    "name": name, "yaxis": f"y{suffix}", "line": {"width": 0, "shape": "hv"},
                    "fillcolor": colour, "hoveron": "points",
                    "hovertemplate": name + ": %{y:,} of " + f"{isa.depth(memory):,}"
                    " entries at cycle %{x:,}<extra></extra>",
                })  # fmt: skip
    layout = _layout(
        xaxis={"title": {"text": "cycle"}, "anchor": f"y{'' if len(panels) < 2 else len(panels)}"},
        # A legend has two lines on a phone.
        margin={"l": 70, "r": 20, "t": 70, "b": 50}, height=144 + 110 * len(panels),
        showlegend=len(colours) <= LEGEND, dragmode="pan", **axes,
    )  # fmt: skip
    return {"data": data, "layout": layout}


def _statements(profile: ProfileData) -> list[tuple[str, Statement]]:
    """The statements with the most busy cycles, with the name of their layer."""
    found = [
        (row.source.layer or layer.name, row)
        for layer in profile.layers
        for row in layer.statements
    ]  # fmt: skip
    return sorted(found, key=lambda item: -item[1].busy)[:STATEMENTS]


def _traffic(profile: ProfileData) -> dict[str, Any]:
    """DRAM traffic by tensor, read and written; for many layers, by layer."""
    if len(profile.layers) == 1:
        rows = profile.layers[0].traffic
    else:
        rows = {
            layer.name: (
                sum(read for read, _ in layer.traffic.values()),
                sum(written for _, written in layer.traffic.values()),
            )
            for layer in profile.layers
        }
    names = list(rows)
    tensors = {
        layer.name: "".join(
            f"<br>{tensor}: {read:,} read, {written:,} written"
            for tensor, (read, written) in layer.traffic.items()
        )
        for layer in profile.layers
    }  # fmt: skip
    data = [
        {
            "type": "bar", "orientation": "h", "name": what, "y": names,
            "x": [rows[name][n] for name in names], "marker": {"color": colour},
            "text": [tensors.get(name, "") for name in names], "textposition": "none",
            "hovertemplate": "%{y}: %{x:,} bytes " + what + "%{text}<extra></extra>",
        }
        for n, (what, colour) in enumerate((("read", "#e08a2e"), ("written", "#d6b53c")))
    ]  # fmt: skip
    layout = _layout(
        barmode="stack", xaxis={"title": {"text": "bytes"}},
        yaxis={"autorange": "reversed", "automargin": True}, height=180 + 24 * len(names),
    )  # fmt: skip
    return {"data": data, "layout": layout}
