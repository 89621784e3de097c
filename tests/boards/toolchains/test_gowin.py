"""The open toolchain of Gowin's FPGAs on a small design, and what is checked of a project."""

import hashlib
from dataclasses import replace

import pytest
from amaranth.build import Attrs, Clock, Pins, Resource
from amaranth.hdl import ClockDomain, Elaboratable, Module, Signal
from amaranth.lib import io
from amaranth.lib.memory import Memory
from amaranth.vendor import GowinPlatform
from apycula.bslib import read_bitstream

from tests.support.designs import shared_design
from vta.bitstream import Bitstream
from vta.boards.bitstream import build, check, design_of, main, write
from vta.boards.board import find_board
from vta.boards.shells.pin_clock import PinClock
from vta.boards.synthesis.parts import PARTS
from vta.boards.toolchains.gowin import GowinProject, GowinToolchain
from vta.boards.toolchains.toolchain import CheckError

BOARD = "tang_mega_138k"


class SmallPlatform(GowinProject, GowinPlatform):
    """A die whose database is small: that of the board takes the tools a minute."""

    part, family, device, default_clk = (
        "GW2AR-LV18QN88C8/I7", "GW2AR-18C", "GW2AR-18C", "clk27"
    )  # fmt: skip
    resources = (
        Resource("clk27", 0, Pins("4", dir="i"), Clock(27e6), Attrs(IO_TYPE="LVCMOS33")),
        Resource("button", 0, Pins("88", dir="i"), Attrs(IO_TYPE="LVCMOS33")),
        Resource("led", 0, Pins("15", dir="o"), Attrs(IO_TYPE="LVCMOS33")),
    )
    connectors = ()


SMALL = replace(
    find_board(BOARD),
    part=PARTS["GW2AR-18C"],
    platform=SmallPlatform,
    clock_hz=27_000_000,
    shell=lambda cfg, clock_hz: Blinker(),
    toolchain=GowinToolchain(device=SmallPlatform.part, die="GW2A-18C"),
)


class Blinker(Elaboratable):
    """A counter at the clock of a pin, a memory that has contents, and an LED."""

    def elaborate(self, platform):
        m = Module()
        m.domains.sync = ClockDomain()
        m.submodules.clock = clock = PinClock()
        m.submodules.clock_pin = pin = io.Buffer("i", platform.request("clk27", dir="-"))
        m.submodules.reset_pin = button = io.Buffer("i", platform.request("button", dir="-"))
        m.submodules.led_pin = led = io.Buffer("o", platform.request("led", 0, dir="-"))
        count = Signal(24)
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


def test_a_real_bitstream(tmp_path):
    """Synthesis, placement, routing, packing; Apicula's own reader checks the CRC of each frame."""
    made = design_of(SMALL)
    said = []
    write(made, tmp_path)
    bitstream = Bitstream.load(build(made, tmp_path, said.append))
    digest = hashlib.sha256(made.files["vta_top.v"].encode()).hexdigest()
    comment, frames = bitstream.data.split(b"\n", 1)
    assert comment == f"//UserCode: 0x{digest[:8]}".encode()
    assert frames == (tmp_path / "vta_top.packed.fs").read_bytes()
    assert bitstream.tool.startswith("nextpnr-") and bitstream.clock_hz == 27_000_000
    assert any("1 of 46 BSRAM (2%)" in line for line in said)
    assert any("MHz after place and route" in line for line in said)
    bits, header, _, _ = read_bitstream(str(tmp_path / "vta_top.fs"))
    assert bytes(header[3]) == bytes.fromhex("060000000000081b"), "the ID of the GW2A-18"
    assert sum(map(sum, bits)) > 100


# ---- the project --------------------------------------------------------------------------------


def test_the_checks_of_a_project(tmp_path):
    made = shared_design(BOARD)
    write(made, tmp_path)
    seen = {item.what: item.detail for item in check(made, tmp_path)}
    assert seen["pins"] == "8 ports, each with a pin and an I/O standard"
    assert seen["clock"] == "50 MHz from a pin, given to nextpnr"
    assert "--freq 50 " in made.files["build_vta_top.sh"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('IO_LOC "led_0__io" R26;', "", "vta_top.cst: led_0__io has no pin"),
        ('"led_0__io" IO_TYPE=LVCMOS33', '"led_0__io" DRIVE=8',
         "vta_top.cst: led_0__io has no I/O standard"),
        ('IO_LOC "led_0__io" R26;', 'IO_LOC "led_0__io" J14;', "two ports are at J14"),
        ('IO_LOC "led_1__io"', 'IO_LOC "led_9__io"', "led_9__io is no port"),
    ],
)  # fmt: skip
def test_constraints_that_are_not_complete(old, new, message, tmp_path):
    made = shared_design(BOARD)
    text = made.files["vta_top.cst"]
    assert old in text
    made = replace(made, files={**made.files, "vta_top.cst": text.replace(old, new)})
    with pytest.raises(CheckError, match=message):
        list(check(made, tmp_path))


def test_another_clock_than_the_crystals(capsys, tmp_path):
    assert main([BOARD, "--mhz", "40", "-o", str(tmp_path)]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == (
        "error: the clock is 40 MHz; must be that of the board's crystal, 50 MHz: the shell has no "
        "PLL"
    )
