"""The SDRAM as the memory of a board: programs through the pins of the FPGA and a model of the
chip, which breaks at what no real chip promises to survive."""

from dataclasses import replace

import numpy as np
import pytest
from amaranth.hdl import Cat, ClockDomain, Elaboratable, Module
from amaranth.lib import io

from tests.networks import digits
from tests.support.board_programs import leave_the_memory, matrix_product, own_machine
from tests.support.designs import shared_design
from tests.support.networks import integer
from tests.support.onnx_models import quantised
from tests.support.uart_board import SimulatedBoard
from vta.bitstream import Bitstream
from vta.boards.bitstream import build, design_of, write
from vta.boards.board import find_board
from vta.boards.shells.ecp5_pll import Ecp5Clock, Ecp5PllSettings
from vta.boards.shells.litedram import generate
from vta.boards.shells.sdram_memory import SdramMemory
from vta.boards.shells.uart_shell import MEMORY_BASE
from vta.boards.shells.ulx3s import ulx3s_shell
from vta.boards.ulx3s_85f_sdram import CHIP
from vta.compiler.graph.compile_network import compile_network
from vta.runtime.network import NetworkModule
from vta.runtime.targets import open_device
from vta.uartlink import Op

NAME = "ulx3s_85f_sdram"
SMALL = find_board("ulx3s_25f").config
"""The smallest machine, for what does not depend on it."""


# ---- the project --------------------------------------------------------------------------------


def test_the_controller_is_part_of_the_design():
    """Its pins are those of the board's schematic, and its text decides the usercode."""
    made = shared_design(NAME, SMALL)
    for port, pin in (
        ("sdram_0__clk__io", "F19"), ("sdram_0__a__io[0]", "M20"), ("sdram_0__a__io[12]", "G19"),
        ("sdram_0__dq__io[0]", "J16"), ("sdram_0__dq__io[15]", "J17"), ("sdram_0__we__io", "T20"),
    ):  # fmt: skip
        assert f'LOCATE COMP "{port}" SITE "{pin}";' in made.files["vta_top.lpf"]
    assert "read_verilog litedram_core.v; read_rtlil vta_top.il" in made.files["build_vta_top.sh"]
    assert "module litedram_core (" in made.files["litedram_core.v"]
    assert "sha256 = " in made.verilog


class Walker(Elaboratable):
    """The memory without a machine: a counter writes bytes and reads them again."""

    def __init__(self, clock_hz):
        self.clock_hz = clock_hz

    def elaborate(self, platform):
        m = Module()
        m.domains.sync = ClockDomain()
        m.submodules.clock = clock = Ecp5Clock(Ecp5PllSettings.find(25_000_000, self.clock_hz))
        m.submodules.memory = memory = SdramMemory(
            generate(CHIP, self.clock_hz), base=MEMORY_BASE, nbytes=CHIP.nbytes, addr_bits=32,
            data_bits=64,
        )  # fmt: skip
        m.submodules.clock_pin = pin = io.Buffer("i", platform.request("clk25", dir="-"))
        m.submodules.led_pin = led = io.Buffer("o", platform.request("led", 0, dir="-"))
        m.d.comb += [
            clock.clock.eq(pin.i),
            memory.host.valid.eq(1),
            memory.bus.arvalid.eq(memory.host.addr[0]),
            memory.bus.rready.eq(1),
            led.o.eq((memory.host.r_data ^ memory.bus.rdata).xor()),
        ]
        with m.If(memory.host.ready):
            address = Cat(memory.host.write, memory.host.addr)
            m.d.sync += [address.eq(address + 1), memory.host.w_data.eq(memory.host.addr)]
        return m


@pytest.mark.slow
def test_a_real_bitstream_of_the_memory(tmp_path):
    """The controller with its I/O registers and pins, through Yosys, nextpnr and the packer."""
    board = replace(find_board(NAME), shell=lambda cfg, clock_hz: Walker(clock_hz))
    made, said = design_of(board), []
    write(made, tmp_path)
    bitstream = Bitstream.load(build(made, tmp_path, said.append))
    print("\n".join(said))
    assert bitstream.data.startswith(b"\xff\x00Part: LFE5U-85F-6CABGA381\x00")
    assert any("39 of 224 IOLOGIC" in line and "41 of 365 TRELLIS_IO" in line for line in said)


# ---- through the pins ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small_board():
    board = SimulatedBoard(NAME, SMALL)
    board.run(30_000)
    return board


@pytest.mark.slow
def test_bytes_from_the_first_to_the_last(small_board):
    """Every lane, banks and rows far apart; neighbours stay as they were."""
    line = small_board.line()
    assert (line.info.memory_base, line.info.memory_bytes) == (MEMORY_BASE, 32 << 20)
    rng = np.random.default_rng(1)
    places = [0, 1021, 8 << 20, (16 << 20) + 3, (25 << 20) - 7, (32 << 20) - 200]
    data = {place: rng.integers(0, 256, 200, np.uint8).tobytes() for place in places}
    for place, written in data.items():
        line.ask(Op.WRITE_MEMORY, MEMORY_BASE + place, 200, written)
    line.ask(Op.WRITE_MEMORY, MEMORY_BASE + 1021 + 55, 3, b"~}~")
    data[1021] = data[1021][:55] + b"~}~" + data[1021][58:]
    for place, written in data.items():
        assert line.ask(Op.READ_MEMORY, MEMORY_BASE + place, 200) == written


@pytest.mark.slow
def test_products(small_board):
    ran = matrix_product(small_board.device(), SMALL, 4, 8, 8, (4, 4))
    assert ran.counters.gemm_counter == 4 * 8 * 8


@pytest.mark.slow
def test_a_program_that_leaves_the_memory(small_board):
    """The memory answers DECERR, the machine reports it, the next run works."""
    leave_the_memory(small_board.device(), SMALL, MEMORY_BASE + CHIP.nbytes)
    test_products(small_board)


@pytest.mark.slow
def test_the_boards_own_machine():
    own_machine(NAME)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_network_of_handwritten_digits(tmp_path):
    """Whole, on the board's own machine, over a line of ten times the rate."""
    images = digits.digits()[0][::1000]
    calibration = [{"data": image[None]} for image in digits.prepared(digits.digits()[0])[2::100]]
    path = quantised(digits.network(), tmp_path, calibration=calibration)
    cfg = find_board(NAME).config
    network = compile_network(integer(path), cfg)
    baud = 10_000_000
    board = SimulatedBoard(NAME, cfg, baud=baud, shell=ulx3s_shell(CHIP.nbytes, CHIP, baud))
    board.run(30_000)
    model = NetworkModule(network, open_device(cfg.replace(target="sim")))
    module = NetworkModule(network, board.device())
    for image in digits.prepared(images):
        wanted = model(image[None])["logits"]
        np.testing.assert_array_equal(module(image[None])["logits"], wanted)
