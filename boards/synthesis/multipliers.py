"""Moves the registers around a multiplier of ECP5 into its DSP block, in the mapped netlist.

A ``MULT18X18D`` has registers of its own for both factors and for the product (Lattice TN1267,
sysDSP usage guide); Yosys leaves them out, so that a product starts and ends at flip-flops
somewhere in the logic. The registers of a product move into its block if

- every bit of both factors is constant zero or comes from a register: with logic in front of the
  multiplier the longest path would begin there and end in the block,
- every bit of the product that is used goes to the input of one register and nowhere else,
- these registers have one clock and one enable and no reset, and start with zero, as those of the
  block do.

The registers of the factors move as well if the same holds for both, each with an enable of its
own, and no logic is in front of these registers either: what they take comes from memories or
other registers, whose wires may as well lead to the block. A register that something else reads
too stays beside its copy in the block. The results are the same in every cycle.

    python -m vta.boards.synthesis.multipliers NETLIST

changes a netlist (JSON of Yosys) in place.
"""

import argparse
import json
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vta.boards.synthesis.parts import SynthesisError

__all__ = ["Moved", "move_registers", "move_registers_of"]

MULTIPLIER = "MULT18X18D"
REGISTER = "TRELLIS_FF"
MEMORY = "DP16KD"
FACTOR_BITS = 18
PRODUCT_BITS = 36

_PLAIN = {"CLKMUX": "CLK", "REGSET": "RESET"}
"""Parameters of a register that the block can take: rising edge, zero at the start."""

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
    """A flat module of a mapped netlist: who reads and who drives each net."""

    def __init__(self, module: Cell) -> None:
        self.cells: dict[str, Cell] = module["cells"]
        self.readers: dict[int, list[tuple[str, str]]] = defaultdict(list)
        self.register_of: dict[int, str] = {}
        self.stored: set[int] = set()
        """Nets that come out of registers and memories."""
        for name, cell in self.cells.items():
            for port, bits in cell["connections"].items():
                for bit in bits:
                    if not isinstance(bit, int):
                        continue
                    if cell["port_directions"][port] != "output":
                        self.readers[bit].append((name, port))
                    elif cell["type"] in (REGISTER, MEMORY):
                        self.stored.add(bit)
                        if cell["type"] == REGISTER:
                            self.register_of[bit] = name
        for name, port in module["ports"].items():
            for bit in port["bits"]:
                self.readers[bit].append(("", name))
        self.multipliers = [cell for cell in self.cells.values() if cell["type"] == MULTIPLIER]
        self.behind: set[str] = set()
        """Registers behind multipliers: they do not move forwards as well."""
        for cell in self.multipliers:
            self.behind.update((self.product(cell) or {}).values())

    def net(self, cell: Cell, port: str) -> int | str | None:
        """The net of a port of one bit; None if it is not connected."""
        bits = cell["connections"].get(port, [])
        return bits[0] if bits else None

    def control(self, registers: Mapping[str, str] | None) -> _Control | None:
        """What all of some registers are controlled by, if the block can do the same."""
        controls = {self._control(self.cells[name]) for name in set((registers or {}).values())}
        return controls.pop() if len(controls) == 1 else None

    def _control(self, cell: Cell) -> _Control | None:
        parameters = {name: value.strip() for name, value in cell["parameters"].items()}
        plain = all(parameters.get(name) == value for name, value in _PLAIN.items())
        clock, reset = self.net(cell, "CLK"), self.net(cell, "LSR")
        if not plain or clock is None or reset not in (None, "0"):
            return None
        if parameters.get("CEMUX") == "1":
            return _Control(clock, "1")
        enable = self.net(cell, "CE")
        return _Control(clock, enable) if parameters.get("CEMUX") == "CE" and enable else None

    def product(self, cell: Cell) -> dict[str, str] | None:
        """The register behind each used bit of the product; None if one is not alone there."""
        registers = {}
        for index in range(PRODUCT_BITS):
            bit = self.net(cell, f"P{index}")
            readers = self.readers.get(bit, []) if isinstance(bit, int) else []
            if not readers:
                continue
            (name, port), *others = readers
            if others or port != "DI" or self.cells[name]["type"] != REGISTER:
                return None
            registers[f"P{index}"] = name
        return registers or None

    def factor(self, cell: Cell, letter: str) -> dict[str, str] | None:
        """The register in front of each bit of a factor that is not zero."""
        registers = {}
        for index in range(FACTOR_BITS):
            bit = self.net(cell, f"{letter}{index}")
            if bit == "0":
                continue
            register = self.register_of.get(bit) if isinstance(bit, int) else None
            if register is None or register in self.behind:
                return None
            registers[f"{letter}{index}"] = register
        return registers or None

    def _without_logic(self, registers: Mapping[str, str]) -> bool:
        """Whether registers take their values straight from memories and registers."""
        return all(
            self.net(self.cells[name], "DI") in self.stored for name in set(registers.values())
        )

    def fill(self, cell: Cell) -> set[str]:
        """Give a multiplier the registers around it, if it can take them; returns those behind it,
        which nothing reads any more."""
        sides = {
            "INPUTA": self.factor(cell, "A"),
            "INPUTB": self.factor(cell, "B"),
            "OUTPUT": self.product(cell),
        }
        controls = {side: self.control(registers) for side, registers in sides.items()}
        product = controls["OUTPUT"]
        if product is None or any(registers is None for registers in sides.values()):
            return set()
        moving = {
            side: control
            for side, control in controls.items()
            if control is not None
            and control.clock == product.clock
            and (side == "OUTPUT" or self._without_logic(sides[side] or {}))
        }
        if len(moving) < len(sides):
            moving = {"OUTPUT": product}
        enables = list(dict.fromkeys(control.enable for control in moving.values()))
        connections: dict[str, int | str] = {"CLK0": product.clock, "RST0": "0"}
        connections |= {f"CE{index}": enable for index, enable in enumerate(enables)}
        for side, control in moving.items():
            cell["parameters"] |= {
                f"REG_{side}_CLK": "CLK0",
                f"REG_{side}_CE": f"CE{enables.index(control.enable)}",
                f"REG_{side}_RST": "RST0",
            }
            for port, register in (sides[side] or {}).items():
                (net,) = self.cells[register]["connections"]["Q" if side == "OUTPUT" else "DI"]
                connections[port] = net
        for port, net in connections.items():
            cell["connections"][port] = [net]
            cell["port_directions"].setdefault(port, "input")
        return set((sides["OUTPUT"] or {}).values())


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
    filled = [registers for cell in flat.multipliers if (registers := flat.fill(cell))]
    behind = set().union(*filled)
    for name in behind:
        del flat.cells[name]
    return Moved(len(filled), len(behind) + _drop_unread(module))


def _drop_unread(module: Cell) -> int:
    """Take registers away whose value nothing reads any more; return how many."""
    cells = module["cells"]
    dropped = 0
    while True:
        read = Counter(bit for port in module["ports"].values() for bit in port["bits"])
        for cell in cells.values():
            for port, bits in cell["connections"].items():
                if cell["port_directions"][port] != "output":
                    read.update(bits)
        unread = [
            name
            for name, cell in cells.items()
            if cell["type"] == REGISTER and not any(read[bit] for bit in cell["connections"]["Q"])
        ]
        if not unread:
            return dropped
        dropped += len(unread)
        for name in unread:
            del cells[name]


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
