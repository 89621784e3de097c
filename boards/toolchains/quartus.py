"""Intel's (Altera's) Quartus Prime: bitstreams for boards with a Cyclone V and its processor.

Settings, constraints and Verilog are those of Amaranth's platform, whose pins and synchronisers are
in use on many boards. Added are what primitives of the processor need, an identity, and a script
that compiles, refuses a missed clock and packs the raw binary file:

    quartus_sh -t build.tcl

The reports are read again here, so that what was made elsewhere is held to the same rules.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vta.boards.shells.cyclonev import BORDER
from vta.boards.toolchains.quartus_checks import (
    check_clocks,
    check_flow,
    check_pins,
    check_resources,
)
from vta.boards.toolchains.quartus_reports import Fit, read_fit, read_timing, read_usercode
from vta.boards.toolchains.toolchain import TOP, Built, Design
from vta.boards.toolchains.usercode import usercode_digits
from vta.errors import ToolError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from vta.boards.board import Board
    from vta.boards.toolchains.toolchain import Check

__all__ = ["COMMANDS", "FLOW_FILE", "Quartus"]

OLDEST = (18, 1)
"""The first version whose reports have the names that are read here. No version of Quartus has
compiled the project yet."""

LOG_TAIL = 2000
"""Characters of the log that an error shows."""

FLOW_FILE = "build.tcl"
RBF_FILE = f"{TOP}.rbf"
IDENTITY_FILE = f"{TOP}_identity.tcl"
LOG_FILE = "quartus.log"
REPORTS = tuple(f"{TOP}.{name}" for name in ("fit.summary", "sta.summary", "sta.rpt", "asm.rpt"))

FLOW = f"""\
# Compiles {TOP} and packs {RBF_FILE}: quartus_sh -t {FLOW_FILE}
load_package flow
project_open -revision {TOP} {TOP}
execute_flow -compile
project_close

# A design that misses its clock is not packed.
set summary [open {TOP}.sta.summary r]
set lines [split [read $summary] "\\n"]
close $summary
set path "?"
foreach line $lines {{
    regexp {{^Type *: *(.*)$}} $line whole path
    if {{[regexp {{^Slack *: *-([0-9.]+)}} $line whole missing]}} {{
        error "timing is missed by $missing ns: $path"
    }}
}}

# The switches of the board (MSEL) tell the processor's FPGA manager to expect compressed data.
qexec "quartus_cpf -c -o bitstream_compression=on {TOP}.sof {RBF_FILE}"
"""

MOST_WORDS = 100_000
"""More than any memory of a machine has (2^16); Quartus' own limit is 5,000."""

COMMANDS = (f'{{{{invoke_tool("quartus_sh")}}}} -t {FLOW_FILE}',)
"""What Amaranth's build script runs, in place of the platform's own commands."""

SETTINGS = f"""\
set_global_assignment -name FAMILY "Cyclone V"
set_global_assignment -name NUM_PARALLEL_PROCESSORS ALL
set_global_assignment -name OPTIMIZATION_MODE "HIGH PERFORMANCE EFFORT"
# The loops that give memories their first values have a round a word.
set_global_assignment -name VERILOG_CONSTANT_LOOP_LIMIT {MOST_WORDS}
set_global_assignment -name RESERVE_ALL_UNUSED_PINS "AS INPUT TRI-STATED WITH WEAK PULL-UP"
set_global_assignment -name VERILOG_FILE {BORDER}.v
set_instance_assignment -name HPS_PARTITION ON -entity {BORDER}
# The flow script packs the file for the processor, compressed; the assembler's would not be.
set_global_assignment -name GENERATE_RBF_FILE OFF
source {IDENTITY_FILE}"""
"""Appended to the settings."""

CONSTRAINTS = """\
derive_pll_clocks
derive_clock_uncertainty
# LEDs are asynchronous outputs.
set_false_path -to [get_ports led_*]
# The reset is let go in step with the clock: the clears of those registers have no timing.
foreach instance [get_entity_instances altera_std_synchronizer] {
    foreach register {din_s1 dreg[*]} {
        set clears [get_pins -nowarn "$instance|$register|clrn"]
        if {[get_collection_size $clears] > 0} { set_false_path -to $clears }
    }
}"""
"""Appended to the constraints, which hold the clock of the pin."""


@dataclass(frozen=True)
class Quartus:
    """The toolchain, as :class:`~vta.boards.toolchains.toolchain.Toolchain` describes it."""

    name: str = "Quartus Prime (Lite or Standard)"
    program: str = "quartus_sh"
    versions: str = f"{OLDEST[0]}.{OLDEST[1]} or later"

    def overrides(self, board: Board, clock_hz: int) -> dict[str, str]:
        return {"add_settings": SETTINGS, "add_constraints": CONSTRAINTS}

    def more_files(self, board: Board, clock_hz: int, verilog: str) -> dict[str, str]:
        return {
            f"{TOP}.qpf": f'PROJECT_REVISION = "{TOP}"\n',
            f"{BORDER}.v": f"module {BORDER} ();\nendmodule\n",
            FLOW_FILE: FLOW,
            IDENTITY_FILE: (
                "set_global_assignment -name USE_CHECKSUM_AS_USERCODE OFF\n"
                f"set_global_assignment -name STRATIX_JTAG_USER_CODE {usercode_digits(verilog)}\n"
            ),
        }

    def check(self, design: Design, folder: Path, tell: Callable[[str], None]) -> Iterator[Check]:
        yield check_flow(design, FLOW_FILE)
        yield check_pins(design, folder)
        yield check_clocks(design, folder)
        yield check_resources(design, tell)

    def command(self, design: Design) -> str:
        return f"sh build_{TOP}.sh"

    def find(self) -> str | None:
        return shutil.which(self.program)

    def run(self, design: Design, folder: Path, tell: Callable[[str], None]) -> Built:
        said = subprocess.run(
            [self.program, "--version"], capture_output=True, text=True, check=False
        )
        version = self._accept(said.stdout + said.stderr, f"`{self.program} --version`")
        for old in (*REPORTS, RBF_FILE):
            (folder / old).unlink(missing_ok=True)
        tell(f"Quartus {version} in {folder}, its output in {LOG_FILE}: this takes a while")
        log = folder / LOG_FILE
        with log.open("w", encoding="utf-8") as output:
            done = subprocess.run(
                ["sh", f"build_{TOP}.sh"],
                cwd=folder, stdout=output, stderr=subprocess.STDOUT, check=False,
            )  # fmt: skip
        if done.returncode != 0:
            if (folder / f"{TOP}.sta.summary").is_file():
                read_timing(folder, f"Quartus {version}").refuse_if_missed(design)
            raise ToolError(
                f"Quartus {version} in {folder} ended with {done.returncode}; the end of what it "
                f"said:\n{log.read_text(encoding='utf-8', errors='replace')[-LOG_TAIL:].strip()}"
            )
        return self.collect(design, folder)

    def collect(self, design: Design, folder: Path) -> Built:
        fit = read_fit(folder / f"{TOP}.fit.summary")
        self._accept(f"Version {fit.version}", f"{TOP}.fit.summary")
        _refuse_another(design, fit, read_usercode(folder / f"{TOP}.asm.rpt"))
        timing = read_timing(folder, f"Quartus Prime {fit.version}")
        timing.refuse_if_missed(design)
        try:
            data = (folder / RBF_FILE).read_bytes()
        except OSError as error:
            raise ToolError(f"Quartus left no bitstream: {error}") from None
        return Built(data, "rbf", timing)

    def _accept(self, text: str, where: str) -> str:
        """The version named in a text; refuses one whose reports are not known."""
        match = re.search(r"Version (\d+)\.(\d+)", text)
        if match is None:
            raise ToolError(f"{where} names no version of Quartus: {text[:500].strip()!r}")
        if (int(match[1]), int(match[2])) < OLDEST:
            raise ToolError(
                f"{self.name} {self.versions} is needed, {where} says {match[1]}.{match[2]}"
            )
        return f"{match[1]}.{match[2]}"


def _refuse_another(design: Design, fit: Fit, code: str) -> None:
    """Refuse the results of another top, another device or another design."""
    platform = design.board.platform()
    device = f"{platform.device}{platform.package}{platform.speed}{platform.suffix}"
    for what, required, got in (
        ("top module", TOP, fit.top),
        ("device", device, fit.device),
        ("JTAG usercode", usercode_digits(design.verilog), code),
    ):
        if got != required:
            raise ToolError(
                f"Quartus' results are those of another design: the {what} must be {required}, it "
                f"is {got}"
            )
