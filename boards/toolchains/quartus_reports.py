"""Reads what Quartus reports of a compiled design: the fitter's summary, the timing analyser's."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vta.boards.toolchains.toolchain import TOP, Timing
from vta.errors import ToolError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["Fit", "read_fit", "read_timing", "read_usercode"]

_ENTRY = re.compile(r"^([A-Z][^:\n]*?) *: (.*)$", re.MULTILINE)
_SLACK = re.compile(r"^Type *: (.*)\nSlack *: (\S+)", re.MULTILINE)
_TYPE = re.compile(r".* Model (Setup|Hold|Recovery|Removal|Minimum Pulse Width) '(.*)'")
_USERCODE = re.compile(r"^; JTAG usercode +; 0x([0-9A-Fa-f]{8}) +;", re.MULTILINE)
_UNCONSTRAINED = re.compile(r"^; (Illegal|Unconstrained) Clocks +; (\d+) +; (\d+) +;", re.MULTILINE)

_AGAINST_SLOWER_CLOCK = ("Setup", "Recovery", "Minimum Pulse Width")
"""What a slower clock would cure; the other two it would not."""


@dataclass(frozen=True)
class Fit:
    """What the fitter says of itself and of the design.

    Attributes
    ----------
    version : str
        Of Quartus, as ``23.1std.0 Build 991 11/28/2023 SC Lite Edition``.
    top, device : str
        The top module and the full part number.
    used : mapping of str to str
        Resources as they are printed: ``Total RAM Blocks`` to ``468 / 553 ( 85 % )``.
    """

    version: str
    top: str
    device: str
    used: Mapping[str, str]


def read_fit(path: Path) -> Fit:
    """Read ``vta_top.fit.summary``.

    Raises
    ------
    ToolError
        If there is none, it is not whole, or the fitter failed.
    """
    entries = dict(_ENTRY.findall(_text(path)))
    status = entries.get("Fitter Status", "")
    if not status.startswith("Successful"):
        raise ToolError(f"{path} does not say that the fitter was successful: {status!r}")
    try:
        return Fit(
            version=entries["Quartus Prime Version"],
            top=entries["Top-level Entity Name"],
            device=entries["Device"],
            used={k: v for k, v in entries.items() if k.startswith(("Logic util", "Total "))},
        )
    except KeyError as missing:
        raise ToolError(f"{path} has no line {missing}") from None


def read_timing(folder: Path, tool: str) -> Timing:
    """Read ``vta_top.sta.summary`` and, of ``vta_top.sta.rpt``, whether every clock is known.

    The slack is the worst of all corners. Recovery (of resets) and the width of pulses count with
    setup, removal with hold.

    Raises
    ------
    ToolError
        If a report is missing, a clock has no constraint, or the clock of the core (it comes from
        the PLL) was not analysed.
    """
    path = folder / f"{TOP}.sta.summary"
    found = [
        (match[1], match[2], _number(slack, path))
        for kind, slack in _SLACK.findall(_text(path))
        if (match := _TYPE.fullmatch(kind.strip()))
    ]
    if not any(kind == "Setup" and "pll" in clock.lower() for kind, clock, _ in found):
        raise ToolError(f"{path} holds no setup analysis of the core's clock, which the PLL makes")
    _refuse_unknown_clocks(folder / f"{TOP}.sta.rpt")
    return Timing(
        tool=tool,
        slack_ns=min(slack for kind, _, slack in found if kind in _AGAINST_SLOWER_CLOCK),
        hold_slack_ns=min(
            (slack for kind, _, slack in found if kind not in _AGAINST_SLOWER_CLOCK), default=None
        ),
    )


def read_usercode(path: Path) -> str:
    """The JTAG usercode, 8 digits, that ``vta_top.asm.rpt`` says is in the bitstream.

    Raises
    ------
    ToolError
        If there is no report, or no usercode in it.
    """
    match = _USERCODE.search(_text(path))
    if match is None:
        raise ToolError(f"{path} names no JTAG usercode")
    return match[1].upper()


def _refuse_unknown_clocks(path: Path) -> None:
    counts = {kind: max(int(a), int(b)) for kind, a, b in _UNCONSTRAINED.findall(_text(path))}
    for kind in ("Illegal", "Unconstrained"):
        if counts.get(kind) != 0:
            raise ToolError(f"{path}: {kind} Clocks must be 0, got {counts.get(kind)}")


def _number(text: str, path: Path) -> float:
    try:
        return float(text)
    except ValueError:
        raise ToolError(f"{path}: a slack is {text!r}, not a number") from None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ToolError(f"Quartus left no {path.name}: {error}") from None
