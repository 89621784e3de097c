"""What can be seen of a Quartus project without Quartus: pins, clocks, script, resources."""

from __future__ import annotations

import re
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from vta.boards.shells.cyclonev import BORDER
from vta.boards.shells.hps import black_boxes
from vta.boards.synthesis.resources import resources
from vta.boards.toolchains.pins import require_pins, require_port
from vta.boards.toolchains.tcl import commands
from vta.boards.toolchains.toolchain import TOP, Check, CheckError

if TYPE_CHECKING:
    from collections.abc import Callable

    from vta.boards.toolchains.tcl import Command
    from vta.boards.toolchains.toolchain import Design

__all__ = ["check_clocks", "check_flow", "check_pins", "check_resources"]

SETTINGS_FILE = f"{TOP}.qsf"
CONSTRAINTS_FILE = f"{TOP}.sdc"

_SETTINGS = {"set_global_assignment", "set_instance_assignment", "set_location_assignment"}
_CONSTRAINTS = {
    "create_clock", "derive_clock_uncertainty", "derive_pll_clocks", "get_collection_size",
    "get_entity_instances", "get_pins", "get_ports", "set_false_path",
}  # fmt: skip
_FLOW = ("load_package", "project_open", "execute_flow", "project_close", "qexec")
"""The commands of Quartus (its scripting reference) that each file uses; another one is a slip."""

_MET = "Type  : Slow Model Setup 'clock'\nSlack : 1.0\n"
"""A timing summary for a run of the flow script."""


def _read(folder: Path, name: str, known: set[str], **answers: str) -> list[Command]:
    """The vendor's commands that a file runs, all of them known."""
    found = commands(folder, name, answers)
    strange = sorted({command[0] for command in found} - known)
    if strange:
        raise CheckError(f"{name} uses {strange[0]}, which is not known to be a command of Quartus")
    return found


def _option(command: Command, name: str) -> str:
    """The word after an option; empty if the command has it not."""
    words = command[1:-1]
    return command[command.index(name) + 1] if name in words else ""


def check_pins(design: Design, folder: Path) -> Check:
    """Every bit of every port has a pin of its own and an I/O standard, and nothing else has; the
    files that are named are there.

    Raises
    ------
    CheckError
        For the first port or file of which that is not so.
    """
    places: dict[str, str] = {}
    standards: set[str] = set()
    for command in _read(folder, SETTINGS_FILE, _SETTINGS):
        port, name = _option(command, "-to"), _option(command, "-name").upper()
        if port:
            require_port(design, port, SETTINGS_FILE)
        if command[0] == "set_location_assignment":
            places[port] = command[-1]
        elif name == "IO_STANDARD":
            standards.add(port)
        elif name == "VERILOG_FILE" and command[-1] not in design.files:
            raise CheckError(f"{SETTINGS_FILE} names {command[-1]}, which is not in the project")
    require_pins(design, SETTINGS_FILE, places, standards)
    pins = ", ".join(f"{port} {pin.removeprefix('PIN_')}" for port, pin in sorted(places.items()))
    return Check("pins", f"{pins}; each with an I/O standard")


def check_clocks(design: Design, folder: Path) -> Check:
    """The pin of the oscillator has a clock of the period that the PLL in the Verilog expects, and
    the PLL makes the clock of the core from it.

    Raises
    ------
    CheckError
        If a constraint is missing, or does not agree with the Verilog.
    """
    found = _read(folder, CONSTRAINTS_FILE, _CONSTRAINTS, get_collection_size="1")
    names = {command[0] for command in found}
    for wanted in ("create_clock", "derive_pll_clocks", "derive_clock_uncertainty"):
        if wanted not in names:
            raise CheckError(f"{CONSTRAINTS_FILE} has no {wanted}: not all would be timed")
    made = next(command for command in found if command[0] == "create_clock")
    reference = _pll_hz(design, "reference_clock_frequency")
    core = _pll_hz(design, "output_clock_frequency0")
    period = float(_option(made, "-period"))
    for what, got, required in (
        ("the clock of the pin", 1e9 / period, reference),
        ("the output of the PLL", core, design.clock_hz),
    ):
        if abs(got - required) > 1:
            raise CheckError(f"{what} is {got / 1e6:g} MHz; must be {required / 1e6:g} MHz")
    port = _option(made, "-name")
    if port not in design.ports:
        raise CheckError(f"{CONSTRAINTS_FILE}: the clock is at {port}, which is no port of {TOP}")
    return Check("clock", f"{core / 1e6:g} MHz from the PLL, {reference / 1e6:g} MHz at {port}")


def _pll_hz(design: Design, parameter: str) -> float:
    match = re.search(rf'\.{parameter}\("([0-9.]+) MHz"\)', design.verilog)
    if match is None:
        raise CheckError(f"{TOP}.v holds no PLL with {parameter}")
    return float(match[1]) * 1e6


def check_flow(design: Design, name: str) -> Check:
    """The flow script runs, and does its steps in their order when timing is met.

    Raises
    ------
    CheckError
        If it does not.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / name).write_text(design.files[name], encoding="utf-8")
        (folder / f"{TOP}.sta.summary").write_text(_MET, encoding="utf-8")
        found = _read(folder, name, set(_FLOW))
    steps = tuple(dict.fromkeys(command[0] for command in found))
    if steps != _FLOW:
        raise CheckError(f"{name} must do {', '.join(_FLOW)}; it does {', '.join(steps)}")
    return Check("script", f"{name} ran in Tcl with the commands of Quartus replaced by notes")


def check_resources(design: Design, tell: Callable[[str], None]) -> Check:
    """The design fits the part, by open synthesis; the processor's primitives are black boxes.

    Raises
    ------
    SynthesisError
        If it does not, or the synthesis tool fails.
    """
    boxes = f"{black_boxes()}\n(* blackbox *)\n{design.files[f'{BORDER}.v']}"
    whole = replace(design, files={f"{TOP}.v": f"{design.verilog}\n{boxes}"})
    return Check("resources", resources(whole, tell))
