"""Vivado: bitstreams for the Xilinx boards.

The project (Verilog, constraints, script) is that of Amaranth's ``XilinxPlatform``, whose pins, I/O
buffers, synchronisers and their timing exceptions are in use on many boards; what is added here
is the check of the version, the refusal of a design that misses its clock, and an identity in
the bitstream.
"""

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from vta.boards.board import Board
from vta.boards.synthesis.resources import resources
from vta.boards.toolchains.pins import port_bits, require_pins, require_port
from vta.boards.toolchains.tcl import Command, commands
from vta.boards.toolchains.toolchain import TOP, Built, Check, CheckError, Design, Timing
from vta.boards.toolchains.usercode import usercode_digits
from vta.errors import ToolError

__all__ = ["Vivado"]

OLDEST = (2020, 1)
"""The script uses nothing newer. No version of Vivado has run it yet."""

PERIOD_STEP = 0.0005
"""Vivado counts in picoseconds (periods here are in ns)."""

IDENTITY = f"{TOP}_identity.tcl"
"""The file that gives the bitstream the identity of the design."""

_AFTER_READ = """
scan [version -short] %d.%d major minor
if {$major < OLDEST_MAJOR} {
    error "Vivado [version -short] is too old: this project needs OLDEST_TEXT or later"
}
"""

_BEFORE_BITSTREAM = """
foreach kind {-setup -hold} {
    set slack [get_property SLACK [get_timing_paths $kind -max_paths 1]]
    if {$slack eq "" || $slack < 0} {
        error "timing is missed: the worst path ($kind) has a slack of '$slack' ns"
    }
}
source IDENTITY
"""

_CROSSINGS = """
set user [get_clocks -of_objects [get_pins -hierarchical -filter {NAME =~ *mmcm/CLKIN1}]]
set core [get_clocks -of_objects [get_pins -hierarchical -filter {NAME =~ *mmcm/CLKOUT0}]]
set_max_delay -datapath_only PERIOD -from $user -to $core
set_max_delay -datapath_only PERIOD -from $core -to $user
"""
"""Vivado knows how the two clocks of an MMCM lie to each other, and would give what crosses between
them the shortest distance of their edges. All crossings are asynchronous FIFOs and synchronisers:
data has a period of the faster clock; of synchronisers nothing is asked, as everywhere."""

_STEPS = (
    "create_project", "add_files", "read_xdc", "synth_design", "opt_design", "place_design",
    "route_design", "report_timing_summary", "write_bitstream",
)  # fmt: skip
"""What the script must do, in this order."""

_KNOWN = {
    *_STEPS, "all_fanin", "create_clock", "create_ip", "current_design", "generate_target",
    "get_cells", "get_clocks", "get_ips", "get_pin", "get_pins", "get_ports", "get_property",
    "get_timing_paths", "phys_opt_design", "quit", "report_clock_utilization",
    "report_control_sets", "report_drc", "report_io", "report_methodology", "report_power",
    "report_route_status", "report_utilization", "set_false_path", "set_max_delay", "set_property",
    "synth_ip", "version", "write_checkpoint",
}  # fmt: skip
"""The commands of Vivado that script and constraints use (UG835); another one would be a slip."""


@dataclass(frozen=True)
class Ip:
    """A block of Vivado's catalogue that the design instances.

    Attributes
    ----------
    name : str
        In the catalogue.
    module : str
        The module that the design instances.
    properties : mapping of str to str
        What is not as the catalogue has it.
    box : str
        Verilog of the module with its ports and nothing in it, for tools without the catalogue.
    """

    name: str
    module: str
    properties: Mapping[str, str]
    box: str

    @property
    def file(self) -> str:
        """The script that makes it."""
        return f"{self.module}.tcl"

    @property
    def script(self) -> str:
        lines = [
            f"create_ip -vendor xilinx.com -library ip -name {self.name} "
            f"-module_name {self.module}",
            "set_property -dict {",
        ]
        lines += [f"    CONFIG.{key} {value}" for key, value in self.properties.items()]
        lines += [
            f"}} [get_ips {self.module}]",
            f"generate_target all [get_ips {self.module}]",
            f"synth_ip -force [get_ips {self.module}]",
        ]
        return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Vivado:
    """The toolchain, as :class:`~vta.boards.toolchains.toolchain.Toolchain` describes it.

    Attributes
    ----------
    ips : tuple of Ip
        The IP of the design.
    reference_hz : int or None
        The clock at a pin, of which an MMCM makes that of the core; None: the core's clock comes
        from the processing system of a Zynq.
    user_hz : int or None
        The clock at the input of the MMCM; None with that of a Zynq.
    """

    name: str = "Vivado"
    program: str = "vivado"
    versions: str = f"{OLDEST[0]}.{OLDEST[1]} or later"
    ips: tuple[Ip, ...] = ()
    reference_hz: int | None = None
    user_hz: int | None = None

    def overrides(self, board: Board, clock_hz: int) -> dict[str, str]:
        oldest = f"{OLDEST[0]}.{OLDEST[1]}"
        after_read = [
            _AFTER_READ.strip()
            .replace("OLDEST_MAJOR", str(OLDEST[0]))
            .replace("OLDEST_TEXT", oldest),
            *(f"source {ip.file}" for ip in self.ips),
        ]
        crossings = ""
        if self.user_hz is not None:
            period = f"{1e9 / max(clock_hz, self.user_hz):.3f}"
            crossings = _CROSSINGS.strip().replace("PERIOD", period)
        return {
            "script_after_read": "\n".join(after_read),
            "script_after_synth": crossings,
            "script_before_bitstream": _BEFORE_BITSTREAM.strip().replace("IDENTITY", IDENTITY),
        }

    def more_files(self, board: Board, clock_hz: int, verilog: str) -> dict[str, str]:
        number = usercode_digits(verilog)
        return {
            IDENTITY: f"set_property BITSTREAM.CONFIG.USERID 0x{number} [current_design]\n",
            **{ip.file: ip.script for ip in self.ips},
        }

    def check(self, design: Design, folder: Path, tell: Callable[[str], None]) -> Iterator[Check]:
        yield Check("script", self._script(design, folder))
        files = [name for name in design.files if name.endswith(".xdc")]
        constraints = [command for name in files for command in _known(folder, name)]
        yield Check("pins", _pins(design, constraints))
        yield Check("clock", self._clock(design, constraints))
        for ip in self.ips:
            yield Check(ip.name, _instanced(design, ip))
        whole = "\n".join((design.verilog, *(ip.box for ip in self.ips)))
        yield Check("resources", resources(replace(design, files={f"{TOP}.v": whole}), tell))

    def _script(self, design: Design, folder: Path) -> str:
        done = _known(folder, f"{TOP}.tcl")
        rest = iter([command[0] for command in done])
        for step in _STEPS:
            if step not in rest:
                raise CheckError(
                    f"{TOP}.tcl must do {', '.join(_STEPS)}, in this order; {step} is missing"
                )
        for command in done:
            if command[0] in ("add_files", "read_xdc") and command[-1] not in design.files:
                raise CheckError(f"{TOP}.tcl reads {command[-1]}, which is not in the project")
        return f"{len(done)} commands, ran in Tcl with Vivado's replaced by notes"

    def _clock(self, design: Design, constraints: list[Command]) -> str:
        if self.reference_hz is None:
            return _processor_clock(design, constraints)
        return _reference_clock(design, constraints, self.reference_hz)

    def command(self, design: Design) -> str:
        return f"sh build_{TOP}.sh"

    def find(self) -> str | None:
        return shutil.which(self.program)

    def run(self, design: Design, folder: Path, tell: Callable[[str], None]) -> Built:
        version = self._version()
        for old in (_bitstream(folder), _report(folder)):
            old.unlink(missing_ok=True)
        tell(f"Vivado {version} in {folder}: this takes a while")
        done = subprocess.run(
            ["sh", f"build_{TOP}.sh"], cwd=folder, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            if _report(folder).is_file():
                _timing(folder).refuse_if_missed(design)
            said = (done.stdout + done.stderr)[-2000:].strip()
            raise ToolError(
                f"Vivado {version} in {folder} ended with {done.returncode}; its log is "
                f"{TOP}.log, the end of what it said:\n{said}"
            )
        return self.collect(design, folder)

    def _version(self) -> str:
        """The version of the tool on PATH."""
        done = subprocess.run(
            [self.program, "-version"], capture_output=True, text=True, check=False
        )
        match = re.search(r"\bv(\d+)\.(\d+)", done.stdout, re.IGNORECASE)
        if done.returncode != 0 or match is None:
            raise ToolError(
                f"`{self.program} -version` ended with {done.returncode} and named no version: "
                f"{(done.stdout + done.stderr)[:500].strip()}"
            )
        if (int(match[1]), int(match[2])) < OLDEST:
            raise ToolError(
                f"Vivado {self.versions} is needed, {self.find()} is {match[1]}.{match[2]}"
            )
        return f"{match[1]}.{match[2]}"

    def collect(self, design: Design, folder: Path) -> Built:
        timing = _timing(folder)
        path = _bitstream(folder)
        timing.refuse_if_missed(design)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise ToolError(f"Vivado left no bitstream: {error}") from None
        found = re.search(rb"UserID=0X([0-9A-F]{8})", data[:1024], re.IGNORECASE)
        expected = usercode_digits(design.verilog)
        if found is None or found[1].decode().upper() != expected:
            got = "none" if found is None else found[1].decode()
            raise ToolError(
                f"{path} is the bitstream of another design: its UserID must be {expected}, it "
                f"is {got}"
            )
        return Built(data, "xilinx-bit", timing)


def _bitstream(folder: Path) -> Path:
    return folder / f"{TOP}.bit"


def _report(folder: Path) -> Path:
    return folder / f"{TOP}_timing.rpt"


# ---- the timing report --------------------------------------------------------------------------


def _timing(folder: Path) -> Timing:
    """What ``report_timing_summary`` says: the row of its Design Timing Summary. A clock too fast
    for a cell (pulse width) counts as a path that is too slow.

    Raises
    ------
    ToolError
        If there is no report, or it says nothing of the slack.
    """
    path = _report(folder)
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ToolError(f"Vivado left no timing report: {error}") from None
    version = re.search(r"Vivado v\.?(\d+\.\d+)", text)
    table = re.search(r"^ *(WNS\(ns\).*)\n[ -]*\n(.*)$", text, re.MULTILINE)
    try:
        if table is None:
            raise ValueError
        heads = re.split(r"\s{2,}", table[1].strip())
        row = dict(zip(heads, table[2].split(), strict=True))
        setup, hold, pulse = (float(row[f"{kind}(ns)"]) for kind in ("WNS", "WHS", "WPWS"))
    except (ValueError, KeyError):
        raise ToolError(
            f"{path} holds no Design Timing Summary with numbers; a design without a constrained "
            f"clock has none"
        ) from None
    tool = "Vivado" + (f" {version[1]}" if version else "")
    return Timing(tool, slack_ns=min(setup, pulse), hold_slack_ns=hold)


# ---- script and constraints ---------------------------------------------------------------------


def _known(folder: Path, name: str) -> list[Command]:
    """The commands of a file, all of them known."""
    done = commands(folder, name, {"version": f"{OLDEST[0]}.{OLDEST[1]}"})
    strange = sorted({command[0] for command in done} - _KNOWN)
    if strange:
        raise CheckError(f"{name} uses {strange[0]}, which is not known to be Vivado's")
    return done


def _pins(design: Design, constraints: list[Command]) -> str:
    """Every bit of every port has a pin of its own and an I/O standard, but for the pins of
    transceivers, which have none."""
    pins: dict[str, str] = {}
    standards: set[str] = set()
    port = ""
    for command in constraints:
        if command[0] == "get_ports":
            port = command[-1]
            require_port(design, port, f"{TOP}.xdc")
        elif command[:2] == ("set_property", "LOC"):
            pins[port] = command[2]
        elif command[:2] == ("set_property", "IOSTANDARD"):
            standards.add(port)
    bits = port_bits(design)
    serial = {bit for bit in bits if _SERIAL.match(bit)}
    require_pins(design, f"{TOP}.xdc", pins, standards | serial)
    if not bits:
        return "none"
    said = f"{len(bits - serial)} ports, each with a pin and an I/O standard"
    return f"{said}; {len(serial)} of transceivers, each with a pin" if serial else said


_SERIAL = re.compile(r"pcie_\d+__(?:clock|rx|tx)__[pn]")
"""The ports at pins of transceivers."""


def _made_clock(constraints: list[Command]) -> tuple[float, Command]:
    """The period (ns) of the only clock that is created, and the command that says where."""
    made = [number for number, words in enumerate(constraints) if words[0] == "create_clock"]
    if len(made) != 1:
        raise CheckError(f"the constraints must create one clock; they create {len(made)}")
    command, place = constraints[made[0]], constraints[made[0] - 1]
    return float(command[command.index("-period") + 1]), place


def _require_period(period: float, clock_hz: int) -> None:
    if abs(period - 1e9 / clock_hz) > PERIOD_STEP:
        raise CheckError(f"the clock has {period:g} ns; must be {1e9 / clock_hz:g}")


def _processor_clock(design: Design, constraints: list[Command]) -> str:
    """The core's clock is constrained, to the period that it is to have, at a pin that exists."""
    period, place = _made_clock(constraints)
    _require_period(period, design.clock_hz)
    pin = re.fullmatch(r"(\w+)/(\w+)\[0\]", place[-1]) if place[0] == "get_pins" else None
    there = pin and re.search(
        rf"^  PS\d {pin[1]} \([^;]*^    \.{pin[2]}\(", design.top_module, re.MULTILINE
    )
    if not there:
        raise CheckError(f"the clock is at {place[-1]}, which is no pin of the processing system")
    return f"{period:g} ns at {place[-1]}"


def _reference_clock(design: Design, constraints: list[Command], reference_hz: int) -> str:
    """The reference clock is constrained at its port. That of the core follows from it, by way of
    the hard block's clock and the MMCM, whose settings must make the core's."""
    period, place = _made_clock(constraints)
    _require_period(period, reference_hz)
    if place[0] != "get_ports":
        raise CheckError(f"the clock is at {place[-1]}, which is no port of {TOP}")
    require_port(design, place[-1], "the constraints")
    mmcm = re.search(r"MMCME4_BASE #\((.*?)\n  \) ", design.verilog, re.DOTALL)
    found = dict(re.findall(r"\.(\w+)\(([\d.e+]+)\)", mmcm[1])) if mmcm else {}
    try:
        multiplier, divider, in_ns = (
            float(found[name]) for name in ("CLKFBOUT_MULT_F", "CLKOUT0_DIVIDE_F", "CLKIN1_PERIOD")
        )
    except KeyError:
        raise CheckError(f"{TOP}.v holds no MMCME4_BASE with its dividers") from None
    _require_period(in_ns * divider / multiplier, design.clock_hz)
    return (
        f"{period:g} ns at {place[-1]}; the MMCM makes {in_ns * divider / multiplier:g} ns of "
        f"{in_ns:g} ns"
    )


def _instanced(design: Design, ip: Ip) -> str:
    """The design instances the IP, once."""
    number = len(re.findall(rf"^  {ip.module} (?:#|\w)", design.verilog, re.MULTILINE))
    if number != 1:
        raise CheckError(f"{TOP}.v instances {ip.module} {number} times; must be once")
    return f"instance of {ip.module}, {len(ip.properties)} properties; not synthesised here"
