"""What the open toolchains have in common: Yosys, nextpnr and a packer, all from the package index.

The bitstream says which design it is of, and nextpnr's report which clock it carries; both are read
again from the files, so that what was made elsewhere is held to the same rules.
"""

import json
import shlex
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from vta.boards.board import Board
from vta.boards.synthesis import nextpnr
from vta.boards.synthesis.parts import SynthesisError
from vta.boards.synthesis.resources import resources_of
from vta.boards.synthesis.tools import tool
from vta.boards.synthesis.yosys import Yosys, cells_of
from vta.boards.toolchains.toolchain import TOP, Built, Check, Design, Timing
from vta.boards.toolchains.usercode import usercode
from vta.errors import ToolError
from vta.extras import install_command

__all__ = ["CELLS", "NETLIST", "REPORT", "OpenToolchain"]

NETLIST, CELLS, REPORT = f"{TOP}.json", "stat.json", "timing.json"
"""Names of files in the project's folder."""

ROUNDING = 1e-3
"""nextpnr keeps periods in whole picoseconds."""

LOG_TAIL = 2000
"""Characters of a tool's last words that an error shows."""


@dataclass(frozen=True)
class OpenToolchain(ABC):
    """A toolchain, as :class:`~vta.boards.toolchains.toolchain.Toolchain` describes it. Its
    programs are looked for beside the running Python first, where pip puts them.

    Attributes
    ----------
    name : str
        For people.
    program : str
        The nextpnr of the family.
    extra : str
        The extra of this package that brings the programs.
    bitstream : str
        The file that the packer leaves in the project's folder.
    data_format : str
        Its format, as :mod:`vta.bitstream` calls it.
    sources : tuple of str
        Files of Verilog in the project that are part of the design.
    """

    name: str
    program: str
    extra: str
    bitstream: str
    data_format: str
    sources: tuple[str, ...] = field(default=(), kw_only=True)

    @abstractmethod
    def commands(self, board: Board, clock_hz: int, verilog: str) -> list[list[str]]:
        """Program and arguments of each step after synthesis, in the project's folder; the first
        is nextpnr."""

    @abstractmethod
    def read_usercode(self, data: bytes) -> int | None:
        """The usercode in a bitstream; None if there is none."""

    @abstractmethod
    def check(self, design: Design, folder: Path, tell: Callable[[str], None]) -> Iterator[Check]:
        """As :class:`~vta.boards.toolchains.toolchain.Toolchain` describes it."""

    @property
    def versions(self) -> str:
        return f"(install them with: {install_command(self.extra)})"

    def overrides(self, board: Board, clock_hz: int) -> dict[str, str]:
        return {}

    def more_files(self, board: Board, clock_hz: int, verilog: str) -> dict[str, str]:
        lines = [shlex.join(command) for command in self._steps(board, clock_hz, verilog)]
        return {f"build_{TOP}.sh": "\n".join(("set -e", *lines)) + "\n"}

    def command(self, design: Design) -> str:
        return f"sh build_{TOP}.sh"

    def find(self) -> str | None:
        try:
            return tool(self.program, self.extra)
        except SynthesisError:
            return None

    def run(self, design: Design, folder: Path, tell: Callable[[str], None]) -> Built:
        for old in (NETLIST, CELLS, REPORT, self.bitstream):
            (folder / old).unlink(missing_ok=True)
        steps = self._steps(design.board, design.clock_hz, design.verilog)
        for program, *arguments in steps:
            tell(shlex.join((program, *arguments)))
            done = subprocess.run(
                [tool(program, self.extra), *arguments],
                cwd=folder, capture_output=True, text=True, check=False,
            )  # fmt: skip
            if done.returncode != 0:
                raise ToolError(
                    f"{program} in {folder} ended with {done.returncode}; the end of what it "
                    f"said:\n{(done.stdout + done.stderr)[-LOG_TAIL:].strip()}"
                )
            if program == Yosys.TOOL:
                tell(resources_of(design, _cells(folder), "Yosys, flat"))
            elif program == self.program:
                report = self._report(folder)
                tell(_used(report))
                tell(report.text())
                _timing(design, report).refuse_if_missed(design)
        return self.collect(design, folder)

    def collect(self, design: Design, folder: Path) -> Built:
        timing = _timing(design, self._report(folder))
        timing.refuse_if_missed(design)
        try:
            data = (folder / self.bitstream).read_bytes()
        except OSError as error:
            raise ToolError(f"there is no bitstream: {error}") from None
        wanted, found = usercode(design.verilog), self.read_usercode(data)
        if found != wanted:
            got = "none" if found is None else f"0x{found:08x}"
            raise ToolError(
                f"{folder / self.bitstream} is the bitstream of another design: its usercode must "
                f"be 0x{wanted:08x}, it is {got}"
            )
        return Built(data, self.data_format, timing)

    def _steps(self, board: Board, clock_hz: int, verilog: str) -> list[list[str]]:
        """Program and arguments of each step, in the project's folder."""
        read = "".join(f"read_verilog {name}; " for name in self.sources)
        synthesis = (
            f"{read}read_rtlil {TOP}.il; {board.part.family.script(TOP)}; "
            f"tee -q -o {CELLS} stat -json; write_json {NETLIST}"
        )
        return [
            [Yosys.TOOL, "-Q", "-q", "-l", "yosys.log", "-p", synthesis],
            *self.commands(board, clock_hz, verilog),
        ]

    def _report(self, folder: Path) -> nextpnr.Timing:
        """What nextpnr says of the design in ``folder``."""
        path = folder / REPORT
        try:
            report = json.loads(path.read_text(encoding="utf-8"))
            return nextpnr.timing_of(report, nextpnr.version(tool(self.program, self.extra)))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ToolError(f"nextpnr left no report that can be read: {path}: {error}") from None


def _cells(folder: Path) -> dict[str, int]:
    """The number of each cell of the netlist in ``folder``."""
    path = folder / CELLS
    try:
        return cells_of(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ToolError(f"Yosys left no statistics that can be read: {path}: {error}") from None


def _timing(design: Design, report: nextpnr.Timing) -> Timing:
    """The slack, if it is that of the clock that the core is to have."""
    wanted = design.clock_hz / 1e6
    if not any(abs(mhz / wanted - 1) < ROUNDING for mhz in report.constraints_mhz):
        raise ToolError(
            f"nextpnr has timed clocks of {report.constraints_mhz} MHz; that of the core must be "
            f"{wanted:g} MHz"
        )
    return Timing(tool=report.tool, slack_ns=report.slack_ns)


def _used(report: nextpnr.Timing) -> str:
    """The resources, for people: those that are used at all, but for constants, which nextpnr
    counts as cells of which the part has none."""
    return ", ".join(
        f"{used:,} of {available:,} {name} ({used / available:.0%})"
        for name, (used, available) in sorted(report.used.items())
        if used and available
    )
