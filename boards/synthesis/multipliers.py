"""Moves the registers behind the multipliers of ECP5 into their DSP blocks, in the mapped netlist.

A ``MULT18X18D`` has a register of its own for the product (Lattice TN1267, sysDSP usage guide);
Yosys leaves it out, so that a product ends at flip-flops somewhere in the logic. The registers of
a product move into the block if

- every bit of both factors is constant zero or comes from a register: with logic in front of the
  multiplier the longest path would begin there and end in the block,
- every bit of the product that is used goes to the input of one register and nowhere else,
- these registers have one clock and one enable and no reset, and start with zero, as those of the
  block do.

The results are the same in every cycle. The block has registers for the factors too. These stay
in the logic: what comes out of a block RAM late wants its register near by.

    python -m vta.boards.synthesis.multipliers NETLIST

changes a netlist (JSON of Yosys) in place.
"""

import argparse
import json
import os
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vta.boards.synthesis.parts import SynthesisError

__all__ = ["Moved", "move_registers", "move_registers_of"]

MULTIPLIER = "MULT18X18D"
REGISTER = "TRELLIS_FF"
FACTOR_BITS = 18
PRODUCT_BITS = 36

_PLAIN = {"CLKMUX": "CLK", "REGSET": "RESET"}
"""Parameters of a register that the block can take: rising edge, zero at the start."""

_USED = {"REG_OUTPUT_CLK": "CLK0", "REG_OUTPUT_CE": "CE0", "REG_OUTPUT_RST": "RST0"}

Cell = dict[str, Any]


@dataclass(frozen=True)
class Moved:
    """How many ``multipliers`` took registers, and how many ``registers`` the netlist lost."""

    multipliers: int = 0
    registers: int = 0

    def text(self) -> str:
        """For people."""
        return f"{self.registers} registers moved into {self.multipliers} multipliers"


@dataclass(frozen=True)
class _Control:
    """The nets of the clock and of the enable of a register; the enable may be constant one."""

    clock: int | str
    enable: int | str


class _Netlist:
    """A flat module of a mapped netlist: who reads each net, and which come from registers."""

    def __init__(self, module: Cell) -> None:
        self.cells: dict[str, Cell] = module["cells"]
        self.readers: dict[int, list[tuple[str, str]]] = defaultdict(list)
        self.registered: set[int | str] = {"0"}
        for name, cell in self.cells.items():
            for port, bits in cell["connections"].items():
                if cell["port_directions"][port] != "output":
                    for bit in bits:
                        self.readers[bit].append((name, port))
                elif cell["type"] == REGISTER:
                    self.registered.update(bits)
        for name, port in module["ports"].items():
            for bit in port["bits"]:
                self.readers[bit].append(("", name))

    def net(self, cell: Cell, port: str) -> int | str | None:
        """The net of a port of one bit; None if it is not connected."""
        bits = cell["connections"].get(port, [])
        return bits[0] if bits else None

    def control(self, register: str) -> _Control | None:
        """What a register is controlled by, if a block can do the same."""
        cell = self.cells[register]
        parameters = {name: value.strip() for name, value in cell["parameters"].items()}
        plain = all(parameters.get(name) == value for name, value in _PLAIN.items())
        clock, reset = self.net(cell, "CLK"), self.net(cell, "LSR")
        if not plain or clock is None or reset not in (None, "0"):
            return None
        if parameters.get("CEMUX") == "1":
            return _Control(clock, "1")
        enable = self.net(cell, "CE")
        return _Control(clock, enable) if parameters.get("CEMUX") == "CE" and enable else None

    def behind(self, multiplier: Cell) -> dict[str, str] | None:
        """The register behind each used bit of the product; None if one is not alone there."""
        registers = {}
        for index in range(PRODUCT_BITS):
            bit = self.net(multiplier, f"P{index}")
            readers = self.readers.get(bit, []) if isinstance(bit, int) else []
            if not readers:
                continue
            (name, port), *others = readers
            if others or port != "DI" or self.cells[name]["type"] != REGISTER:
                return None
            registers[f"P{index}"] = name
        return registers or None

    def fill(self, multiplier: Cell) -> set[str]:
        """Give a multiplier the registers behind it, if it can take them; returns their names.
        Nothing reads them any more."""
        factors = (f"{letter}{index}" for letter in "AB" for index in range(FACTOR_BITS))
        registers = self.behind(multiplier)
        if not registers or any(
            self.net(multiplier, factor) not in self.registered for factor in factors
        ):
            return set()
        controls = {self.control(name) for name in registers.values()}
        control = controls.pop()
        if control is None or controls:
            return set()
        multiplier["parameters"] |= _USED
        connections = {"CLK0": control.clock, "CE0": control.enable, "RST0": "0"}
        for port, name in registers.items():
            (connections[port],) = self.cells[name]["connections"]["Q"]
        for port, net in connections.items():
            multiplier["connections"][port] = [net]
            multiplier["port_directions"].setdefault(port, "input")
        return set(registers.values())


def move_registers(netlist: dict[str, Any], top: str) -> Moved:
    """Change the flat module ``top`` of a mapped netlist (as Yosys writes it as JSON).

    Raises
    ------
    SynthesisError
        If the netlist has no such module.
    """
    if top not in netlist.get("modules", {}):
        raise SynthesisError(f"the netlist holds no module {top}")
    module = netlist["modules"][top]
    flat = _Netlist(module)
    multipliers = [cell for cell in flat.cells.values() if cell["type"] == MULTIPLIER]
    filled = [registers for cell in multipliers if (registers := flat.fill(cell))]
    for name in set().union(*filled):
        del flat.cells[name]
    return Moved(len(filled), sum(map(len, filled)))


def move_registers_of(path: Path, top: str, output: Path | None = None) -> Moved:
    """:func:`move_registers` on a file; the result replaces it, or goes to ``output``.

    Raises
    ------
    SynthesisError
        If the file is no netlist of Yosys, or holds no module ``top``.
    OSError
        If it cannot be read or written.
    """
    try:
        netlist = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise SynthesisError(f"{path} is no netlist of Yosys: {error}") from None
    moved = move_registers(netlist, top)
    output = output or path
    unfinished = output.with_name(f"{output.name}.{os.getpid()}.tmp")
    unfinished.write_text(json.dumps(netlist), encoding="utf-8")
    unfinished.replace(output)
    return moved


def main(argv: list[str] | None = None) -> int:
    """The command line; returns the exit code: 1 for a mistake."""
    parser = argparse.ArgumentParser(
        prog="python -m vta.boards.synthesis.multipliers", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("netlist", metavar="NETLIST", type=Path)
    parser.add_argument("--top", required=True, metavar="MODULE", help="the module in it")
    args = parser.parse_args(argv)
    try:
        moved = move_registers_of(args.netlist, args.top)
    except (SynthesisError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(moved.text())
    return 0


if __name__ == "__main__":
    sys.exit(main())
