"""Two profiles side by side: which layers got faster, by cause."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from vta.errors import VTAError
from vta.profiling.layers import TIMED_BY, heading

__all__ = ["difference", "read_profile"]


def read_profile(path: Path) -> dict[str, Any]:
    """The contents of ``profile.json``, of a folder of ``vta profile`` or of the file itself.

    Raises
    ------
    VTAError
        If there is no such file, or it is no profile.
    """
    file = path / "profile.json" if path.is_dir() else path
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise VTAError(f"cannot read {file}: {error.strerror}") from None
    except ValueError as error:
        raise VTAError(f"{file} is no profile of `vta profile`: {error}") from None
    try:
        layers = found["layers"]
        complete = (
            found["format"] == 1
            and found["target"] in TIMED_BY
            and all(
                isinstance(layer["name"], str)
                and isinstance(layer["cycles"], int)
                and isinstance(layer["causes"], dict)
                for layer in layers
            )
        )
    except (KeyError, TypeError):
        complete = False
    if not complete:
        raise VTAError(f"{file} is no profile of `vta profile`, or of another version")
    return found  # type: ignore[no-any-return]


def difference(before: dict[str, Any], after: dict[str, Any]) -> str:
    """A table: each layer's cycles in both, and the causes that changed, the largest first.

    Layers belong together by their names, those with one name in order.
    """
    lines = [
        f"A: {_titled(before)}",
        f"B: {_titled(after)}",
    ]
    if before["config"] != after["config"]:
        lines.append("The machines differ.")
    names = _numbered(before), _numbered(after)
    rows = [["layer", "A", "B", "B - A", "", "by cause"]]
    for name in dict.fromkeys([*names[0], *names[1]]):
        rows.append(_row(name[0], names[0].get(name), names[1].get(name)))
    rows.append(_row("total", _total(before), _total(after)))
    widths = [max(len(row[n]) for row in rows) for n in range(6)]
    for row in rows:
        cells = [
            cell.rjust(width) if 0 < n < 5 else cell.ljust(width)
            for n, (cell, width) in enumerate(zip(row, widths))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _titled(profile: dict[str, Any]) -> str:
    text = heading(profile["name"], profile["target"], profile["memory"])
    return text if profile["failure"] is None else f"{text} (failed: {profile['failure']})"


def _numbered(profile: dict[str, Any]) -> dict[tuple[str, int], dict[str, Any]]:
    found: dict[tuple[str, int], dict[str, Any]] = {}
    for layer in profile["layers"]:
        number = sum(name == layer["name"] for name, _ in found)
        found[layer["name"], number] = layer
    return found


def _total(profile: dict[str, Any]) -> dict[str, Any]:
    causes: dict[str, int] = {}
    for layer in profile["layers"]:
        for cause, cycles in layer["causes"].items():
            causes[cause] = causes.get(cause, 0) + cycles
    return {"cycles": sum(layer["cycles"] for layer in profile["layers"]), "causes": causes}


def _row(name: str, before: dict[str, Any] | None, after: dict[str, Any] | None) -> list[str]:
    if before is None or after is None:
        found = before or after
        assert found is not None
        cycles = f"{found['cycles']:,}"
        return [name, cycles if before else "-", cycles if after else "-", "", "", ""]
    change = after["cycles"] - before["cycles"]
    causes = {
        cause: after["causes"].get(cause, 0) - before["causes"].get(cause, 0)
        for cause in dict.fromkeys([*before["causes"], *after["causes"]])
    }
    largest = sorted(causes.items(), key=lambda item: -abs(item[1]))
    text = ", ".join(f"{cause} {cycles:+,}" for cause, cycles in largest[:4] if cycles)
    share = f"{change / max(before['cycles'], 1):+.1%}"
    return [name, f"{before['cycles']:,}", f"{after['cycles']:,}", f"{change:+,}", share, text]
