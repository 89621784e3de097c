"""A profile as tables: for the terminal, for a notebook, as CSV."""

from __future__ import annotations

import csv
import io

from vta import html_tables
from vta.profiling.causes import CycleCause
from vta.profiling.layers import ProfileData

__all__ = ["html_table", "layers_csv", "summary"]


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
    """A table for the terminal: cycles of each layer, and the share of each cause."""
    titles, rows = _rows(profile)
    widths = [max(len(row[n]) for row in [titles, *rows]) for n in range(len(titles))]
    lines = [profile.heading]
    for row in [titles, *rows]:
        cells = [
            cell.ljust(width) if n in (0, len(row) - 1) else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(row, widths))
        ]
        lines.append("  ".join(cells).rstrip())
    if profile.failure is not None:
        lines.append(f"the run failed: {profile.failure}")
    return "\n".join(lines)


def html_table(profile: ProfileData) -> str:
    """The same as an HTML table."""
    titles, rows = _rows(profile)
    return html_tables.table(titles, rows, profile.heading)


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
