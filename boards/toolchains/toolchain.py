"""What the command ``make bitstream`` asks of a vendor's or an open toolchain, and what both know
of the design between them."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

from vta.boards.board import Board
from vta.config import VTAConfig
from vta.errors import VTAError

__all__ = ["TOP", "Built", "Check", "CheckError", "Design", "Timing", "TimingError", "Toolchain"]

TOP = "vta_top"
"""Name of the top module and of the project's files."""


class CheckError(VTAError):
    """What was written for a board is not complete, or does not fit it."""


class TimingError(VTAError):
    """A design that the toolchain built misses its clock; there is no bitstream."""


@dataclass(frozen=True)
class Design:
    """A machine in a board's shell, as written for the toolchain.

    Attributes
    ----------
    board : Board
    cfg : VTAConfig
    clock_hz : int
        The clock of the core.
    files : mapping of str to str
        The project: file name to text. ``vta_top.v`` is the Verilog of all.
    """

    board: Board
    cfg: VTAConfig
    clock_hz: int
    files: Mapping[str, str]

    @property
    def verilog(self) -> str:
        return self.files[f"{TOP}.v"]

    @cached_property
    def top_module(self) -> str:
        """The Verilog of the top module.

        Raises
        ------
        CheckError
            If there is none.
        """
        match = re.search(rf"^module {TOP} ?\(.*?^endmodule\n", self.verilog, re.M | re.S)
        if match is None:
            raise CheckError(f"{TOP}.v holds no module {TOP}")
        return match[0]

    @property
    def ports(self) -> dict[str, int]:
        """The pins: name of each port of the top module to its width in bits."""
        found = re.findall(
            r"^  (?:input|output|inout) (?:\[(\d+):0\] )?(\\\S+|\w+) ?;", self.top_module, re.M
        )
        return {name.removeprefix("\\"): int(high or 0) + 1 for high, name in found}


@dataclass(frozen=True)
class Check:
    """A check that passed: ``what`` was checked, and in ``detail`` what was found."""

    what: str
    detail: str


@dataclass(frozen=True)
class Timing:
    """The timing that a toolchain reports after place and route.

    Attributes
    ----------
    tool : str
        With its version.
    slack_ns : float
        Of the slowest path; negative if the clock is missed.
    hold_slack_ns : float or None
        The same for hold times, if the report says it.
    """

    tool: str
    slack_ns: float
    hold_slack_ns: float | None = None

    def refuse_if_missed(self, design: Design) -> None:
        """Raise unless timing is met.

        Raises
        ------
        TimingError
            If a slack is negative. The message says what clock would do.
        """
        if (self.hold_slack_ns or 0) < 0:
            raise TimingError(
                f"{self.tool} misses hold times by {-(self.hold_slack_ns or 0):.3f} ns on "
                f"{design.board.name}; no clock cures that: the design or the run is at fault"
            )
        if self.slack_ns < 0:
            period = 1e9 / design.clock_hz
            reached = 1e3 / (period - self.slack_ns)
            raise TimingError(
                f"{self.tool} misses {design.clock_hz / 1e6:g} MHz on {design.board.name} by "
                f"{-self.slack_ns:.3f} ns; the bitstream is refused. This run would carry "
                f"{reached:.1f} MHz: give a lower clock with --mhz"
            )


@dataclass(frozen=True)
class Built:
    """What a toolchain made: ``data``, a bitstream in a format of :mod:`vta.bitstream`, and the
    timing that it reports."""

    data: bytes
    data_format: str
    timing: Timing


class Toolchain(Protocol):
    """Makes a bitstream of a design.

    Attributes
    ----------
    name : str
        For people.
    program : str
        The executable that is looked for.
    versions : str
        The versions for which the project is written.
    """

    @property
    def name(self) -> str: ...
    @property
    def program(self) -> str: ...
    @property
    def versions(self) -> str: ...

    def overrides(self, board: Board, clock_hz: int) -> dict[str, str]:
        """What is given to ``prepare`` of the board's platform, beside its own templates."""
        ...

    def more_files(self, board: Board, clock_hz: int, verilog: str) -> dict[str, str]:
        """Files of the project that Amaranth's platform does not write: name to text."""
        ...

    def check(self, design: Design, folder: Path, tell: Callable[[str], None]) -> Iterator[Check]:
        """Check everything that can be checked without the vendor's tool. The project lies in
        ``folder``; ``tell`` is given a line about each longer step.

        Raises
        ------
        CheckError, SynthesisError
            For the first thing that is wrong.
        """
        ...

    def command(self, design: Design) -> str:
        """The shell command that makes the bitstream, in the project's folder."""
        ...

    def find(self) -> str | None:
        """The path of :attr:`program`, None if it is not there."""
        ...

    def run(self, design: Design, folder: Path, tell: Callable[[str], None]) -> Built:
        """Make the bitstream in ``folder``, where the project lies.

        Raises
        ------
        ToolError
            If the tool is of another version, or fails.
        TimingError
            If the design misses its clock.
        """
        ...

    def collect(self, design: Design, folder: Path) -> Built:
        """Read what the tool left in ``folder``.

        Raises
        ------
        ToolError
            If the bitstream or the timing report is missing, unreadable, or of another design.
        """
        ...
