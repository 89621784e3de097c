"""A profile as tables: for the terminal, for a notebook, as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from vta import html_tables
from vta.profiling.causes import CycleCause
from vta.profiling.layers import ProfileData
from vta.profiling.statements import schedule_lines

__all__ = ["html_table", "layers_csv", "summary"]

LINES = 12
"""Lines of the schedule in a summary at most."""
TEXT = 72
"""Characters of such a line that are shown at most."""
NOTE = "Waits of different units overlap in time."


def _shown(profile: ProfileData) -> list[CycleCause]:
    """The causes that have cycles."""
    return [cause for cause, cycles in profile.by_cause.items() if cycles]


def _rows(profile: ProfileData) -> tuple[list[str], list[list[str]]]:
    """Titles and rows: each layer, then the total."""
    causes = _shown(profile)
    titles = ["layer", "cycles", "products", *(cause.label for cause in causes), "bound"]
    rows = []
    for layer in profile.layers:
        shares = [f"{layer.by_cause[cause] / max(layer.cycles, 1):.1%}" for cause in causes]
        rows.append(
            [layer.name, f"{layer.cycles:,}", f"{layer.utilisation:.1%}", *shares, layer.bound]
        )
    total = max(profile.cycles, 1)
    products = sum(layer.products for layer in profile.layers)
    shares = [f"{profile.by_cause[cause] / total:.1%}" for cause in causes]
    rows.append(["total", f"{profile.cycles:,}", f"{products / total:.1%}", *shares, ""])
    # The first column of shares would be called `products` twice: one is issue, one is execution.
    titles[2] = "utilisation"
    return titles, rows


def summary(profile: ProfileData) -> str:
    """Tables for the terminal: cycles of each layer with the share of each cause; below it, where
    programs know them, the lines of the schedule with the most busy cycles."""
    titles, rows = _rows(profile)
    lines = [profile.heading, *_aligned([titles, *rows], left=(0, len(titles) - 1))]
    if profile.failure is not None:
        lines.append(f"the run failed: {profile.failure}")
    titles, rows = _line_rows(profile)
    if rows:
        lines += ["", *_aligned([titles, *rows], left=(0, 1, 5)), NOTE]
    return "\n".join(lines)


def _line_rows(profile: ProfileData) -> tuple[list[str], list[list[str]]]:
    """Titles and rows: the lines of the user's script with the most busy cycles."""
    found = schedule_lines(row for layer in profile.layers for row in layer.statements)
    titles = ["line of the schedule", "unit", "instructions", "busy", "waited", ""]
    rows = [
        [
            str(line.call), line.unit, f"{line.instructions:,}", f"{line.busy:,}",
            f"{line.waited:,}", _cut(line.call.text),
        ]
        for line in found[:LINES]
    ]  # fmt: skip
    return titles, rows


def _cut(text: str) -> str:
    return text if len(text) <= TEXT else f"{text[: TEXT - 4]} ..."


def _aligned(rows: list[list[str]], left: tuple[int, ...]) -> Iterator[str]:
    """The rows as lines; the columns ``left`` are aligned there."""
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    for row in rows:
        cells = [
            cell.ljust(width) if n in left else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(row, widths))
        ]
        yield "  ".join(cells).rstrip()


def html_table(profile: ProfileData) -> str:
    """The same as HTML tables."""
    layers = html_tables.table(*_rows(profile), profile.heading)
    titles, rows = _line_rows(profile)
    return layers + html_tables.table(titles, rows, NOTE) if rows else layers


def layers_csv(profile: ProfileData) -> str:
    """One row a layer: cycles, work, traffic, and the cycles of each cause."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([
        "layer", "operator", "cycles", "network_share", "products", "utilisation", "alu_vectors",
        "instructions", "dram_read_bytes", "dram_written_bytes", "read_beats", "write_beats",
        "bound", *(cause.name.lower() + "_cycles" for cause in CycleCause),
    ])  # fmt: skip
    total = max(profile.cycles, 1)
    for layer in profile.layers:
        traffic = layer.traffic.values()
        writer.writerow([
            layer.name, layer.operator, layer.cycles, f"{layer.cycles / total:.4f}",
            layer.products, f"{layer.utilisation:.4f}", layer.vectors,
            layer.program.instruction_count, sum(r for r, _ in traffic), sum(w for _, w in traffic),
            layer.timing.read_beats, layer.timing.write_beats, layer.bound,
            *layer.by_cause.values(),
        ])  # fmt: skip
    return out.getvalue()
