"""Whether a design fits its part: with Yosys on a small one, and the boards' own designs (slow)."""

from dataclasses import replace

import pytest

from vta.boards.bitstream import design_of
from vta.boards.board import board_names, find_board
from vta.boards.synthesis.parts import SynthesisError
from vta.boards.synthesis.resources import CACHE, resources
from vta.boards.toolchains.toolchain import TOP, Design
from vta.config import VTAConfig

BLOCK = """\
module vta_top(clk, a, q);
  input clk;
  wire clk;
  input [7:0] a;
  wire [7:0] a;
  output [7:0] q;
  reg [7:0] q;
  always @(posedge clk) q <= a + 8'd3;
endmodule
"""


@pytest.fixture
def design():
    board = find_board("pynq_z1")
    return Design(board, board.config, 100_000_000, {f"{TOP}.v": BLOCK})


def test_what_it_takes(design, tmp_path):
    text = resources(design, lambda _: None, tmp_path)
    assert "8 of 106,400 FF, 0 of 220 DSP, 0 of 140 BRAM36 (Yosys " in text


def test_what_does_not_fit(design, tmp_path):
    part = design.board.part
    small = replace(part, capacity={**part.capacity, "FF": 7, "LUT": 1})
    design = replace(design, board=replace(design.board, part=small))
    with pytest.raises(
        SynthesisError, match=r"does not fit XC7Z020: it takes \d+ of 1 LUT, 8 of 7"
    ):
        resources(design, lambda _: None, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    "name", [name for name in board_names() if find_board(name).toolchain.name == "Vivado"]
)
def test_the_tiny_machine_fits_with_its_shell(name):
    """The processing system as a black box."""
    board = find_board(name)
    cfg = VTAConfig.preset("tiny").replace(log_bus_width=board.memory.bits.bit_length() - 1)
    assert "BRAM36" in resources(design_of(board, cfg), print, CACHE)
