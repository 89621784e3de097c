"""The open toolchain of the ECP5 on a small design, and what is checked of a project."""

import hashlib
import subprocess
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
from vta.boards.synthesis.tools import tool
from vta.boards.toolchains.toolchain import CheckError
from vta.config import VTAConfig
from vta.errors import ToolError

TINY = VTAConfig.preset("tiny")
BOARD, MHZ = "ulx3s_85f", 40


@pytest.fixture
def made():
    return shared_design(BOARD, TINY)


@pytest.fixture
def project(made, tmp_path):
    folder = tmp_path / "project"
    write(made, folder)
    return folder


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
