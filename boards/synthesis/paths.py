"""The longest paths of a mapped netlist, for parts that no open place-and-route tool knows.

Delays of cells are added up from register to register; wires are not known before placement, so
what they take is an estimate (:attr:`~vta.boards.synthesis.delays.FamilyDelays.wire` each) and is
shown apart. The list tells where to cut and how families compare, not the clock of a board.
"""

import re
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from vta.boards.synthesis.delays import DELAYS, CellDelays, FamilyDelays
from vta.boards.synthesis.parts import Family, SynthesisError

__all__ = ["LongPath", "longest_paths"]

_MAPPED = re.compile(
    r"_(?:[A-Z]+_)*(?:LUT\d|ALUT\w+|PFUMX|L6MUX21|CCU2C|CARRY4|MUXF\d|INV|FF|FD[A-Z]E|NOT)_.*$"
)
"""What Yosys appends to the name of a signal to call a cell in front of it or behind it."""
_NUMBERS = re.compile(r"\d+")


def _alike(name: str) -> str:
    """A name without numbers: lanes, banks, and entries of a queue are alike."""
    return _NUMBERS.sub("", name)


@dataclass(frozen=True)
class LongPath:
    """The longest path between two registers.

    Attributes
    ----------
    start, end : str
        The registers, by the name of their signal in the RTL (or of the memory).
    logic : float
        Nanoseconds in cells, clock to output and setup included.
    wires : int
        Wires on the way, those inside a carry chain not counted.
    estimate : float
        ``logic`` plus the family's estimate for each wire, in nanoseconds.
    through : tuple of str
        Names of the RTL that the path goes through, in order.
    """

    start: str
    end: str
    logic: float
    wires: int
    estimate: float
    through: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    def text(self) -> str:
        """For people."""
        return (
            f"{self.estimate:6.2f} ns ({self.logic:5.2f} logic, {self.wires:2} wires)  "
            f"{self.start} -> {self.end}"
        )


@dataclass(frozen=True)
class _Arrival:
    """When a net has its value, at the latest, and why."""

    time: int
    logic: int
    wires: int
    before: "_Arrival | None"
    net: int
    start: str


class _Netlist:
    """A flat netlist: its nets, what drives them, and their names."""

    def __init__(self, module: Mapping[str, Any], family: Family, delays: FamilyDelays) -> None:
        self.delays, self.family = delays, family
        self.cells = [
            (cell, self._kind(cell))
            for cell in module["cells"].values()
            if cell["type"] != "$scopeinfo"
        ]
        self.names: dict[int, str] = {}
        ranks: dict[int, tuple[bool, int]] = {}
        for name, net in module["netnames"].items():
            if net["hide_name"]:
                continue
            signal = _MAPPED.sub("", name)
            # A net has many names: best is one of the RTL, and of those the innermost module's.
            rank = (signal == name, signal.count("."))
            for bit in net["bits"]:
                if isinstance(bit, int) and rank > ranks.get(bit, (False, -1)):
                    self.names[bit], ranks[bit] = signal, rank

    def _kind(self, cell: Mapping[str, Any]) -> CellDelays:
        kind, used = cell["type"], ""
        for parameter in self.delays.registers.get(kind, ()):
            if int(cell["parameters"].get(parameter, "0"), 2):
                used = f"{used}+{parameter}"
        kind = f"{kind}{used}"
        if kind not in self.delays.cells:
            raise SynthesisError(
                f"{self.family.name}: the delays of cell {kind} are not known; known cells are "
                f"{', '.join(self.delays.cells)}"
            )
        return self.delays.cells[kind]

    def name(self, net: int) -> str:
        """A net's signal in the RTL, without the bit."""
        return self.names.get(net, "?")

    def arcs(self) -> Iterator[tuple[int, int, int, int]]:
        """(from net, to net, delay, wires) of everything without a clock in between."""
        for cell, kind in self.cells:
            for pin, outputs in kind.through.items():
                for source in _nets(cell, pin):
                    for output, delay in outputs.items():
                        wires = int(output not in self.delays.carry)
                        for target in _nets(cell, output):
                            yield source, target, delay, wires


def _nets(cell: Mapping[str, Any], pin: str) -> Iterator[int]:
    return (bit for bit in cell["connections"].get(pin, ()) if isinstance(bit, int))


def longest_paths(netlist: Mapping[str, Any], top: str, family: Family, count: int
                  ) -> tuple[LongPath, ...]:  # fmt: skip
    """The ``count`` longest paths of a flat netlist (Yosys's JSON), the longest first.

    One is listed from each register to each module, those that are numbered alike counted as one;
    none from or to the ports of ``top``.

    Raises
    ------
    SynthesisError
        For a family or a cell whose delays are not known, and for a loop without a register.
    """
    if family.name not in DELAYS:
        raise SynthesisError(
            f"the delays of {family.name} are not known; known are {', '.join(DELAYS)}"
        )
    delays = DELAYS[family.name]
    parsed = _Netlist(netlist["modules"][top.removeprefix("\\")], family, delays)
    arrivals = _arrivals(parsed)
    found: dict[tuple[str, str], tuple[int, int, _Arrival, str]] = {}
    for cell, kind in parsed.cells:
        for pin, setup in kind.setup.items():
            for net in _nets(cell, pin):
                arrival = arrivals.get(net)
                if arrival is None:
                    continue
                end = _end(parsed, cell, kind)
                time = arrival.time + setup
                alike = (_alike(arrival.start), _alike(end.rpartition(".")[0]))
                if alike not in found or time > found[alike][0]:
                    found[alike] = (time, setup, arrival, end)
    longest = sorted(found.values(), key=lambda item: -item[0])[:count]
    return tuple(_path(parsed, end, setup, arrival) for _, setup, arrival, end in longest)


def _arrivals(parsed: _Netlist) -> dict[int, _Arrival]:
    """The latest arrival at each net that depends on a register; times include wires."""
    wire = parsed.delays.wire
    arrivals: dict[int, _Arrival] = {}
    for cell, kind in parsed.cells:
        for pin, delay in kind.clocked.items():
            for net in _nets(cell, pin):
                arrivals[net] = _Arrival(delay + wire, delay, 1, None, net, parsed.name(net))
    leaving: dict[int, list[tuple[int, int, int]]] = {}
    waits: dict[int, int] = {}
    for source, target, delay, wires in parsed.arcs():
        leaving.setdefault(source, []).append((target, delay, wires))
        waits[target] = waits.get(target, 0) + 1
    ready = deque(source for source in leaving if not waits.get(source))
    while ready:
        source = ready.popleft()
        before = arrivals.get(source)
        for target, delay, wires in leaving.get(source, ()):
            if before is not None:
                time = before.time + delay + wires * wire
                if target not in arrivals or time > arrivals[target].time:
                    arrivals[target] = _Arrival(
                        time, before.logic + delay, before.wires + wires, before, target,
                        before.start,
                    )  # fmt: skip
            waits[target] -= 1
            if not waits[target]:
                ready.append(target)
    stuck = [net for net, number in waits.items() if number]
    if stuck:
        raise SynthesisError(
            f"a loop without a register goes through {parsed.name(stuck[0])}"
        )  # fmt: skip
    return arrivals


def _end(parsed: _Netlist, cell: Mapping[str, Any], kind: CellDelays) -> str:
    """The name of a register, by the signal that it drives."""
    outputs = (net for pin in kind.clocked for net in _nets(cell, pin))
    return next((parsed.names[net] for net in outputs if net in parsed.names), "?")


def _path(parsed: _Netlist, end: str, setup: int, arrival: _Arrival) -> LongPath:
    steps: list[str] = []
    at: _Arrival | None = arrival
    while at is not None:
        if at.net in parsed.names:
            steps.append(parsed.names[at.net])
        at = at.before
    logic = arrival.logic + setup
    return LongPath(
        start=arrival.start,
        end=end,
        logic=round(logic / 1000, 2),
        wires=arrival.wires,
        estimate=round((logic + arrival.wires * parsed.delays.wire) / 1000, 2),
        through=tuple(dict.fromkeys(reversed(steps))),
    )
