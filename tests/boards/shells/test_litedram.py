"""The generated controller: what is taken of it, and what is refused."""

import subprocess

import pytest

from vta.boards.shells import litedram
from vta.boards.shells.litedram import Sdram, generate
from vta.errors import ToolError

CHIP = Sdram("MT48LC16M16", "LFE5U-85F-6BG381C", 32 << 20)
make = generate.__wrapped__
"""Without the cache."""


def test_the_same_text_each_time():
    """No date is in it, the data pins go both ways, and the control registers are known."""
    first = make(CHIP, 40_000_000)
    assert first == make(CHIP, 40_000_000)
    assert "//" not in first.verilog
    assert "    inout  wire   [15:0] sdram_dq," in first.verilog
    assert first.registers["ddrctrl_init_done"] == 0
    assert {
        "sdram_dfii_control", "sdram_dfii_pi0_command", "sdram_dfii_pi0_command_issue",
        "sdram_dfii_pi0_address", "sdram_dfii_pi0_baddress",
    } <= first.registers.keys()  # fmt: skip


def test_a_missing_package(monkeypatch):
    monkeypatch.setattr(litedram, "find_spec", lambda name: None)
    with pytest.raises(ToolError, match=r"needs the Python package litedram; .*\[sdram\]"):
        make(CHIP, 40_000_000)


def test_a_chip_that_the_generator_does_not_know():
    with pytest.raises(ToolError, match=r"litedram.gen ended with 1: (.|\n)*'NoSuchChip'"):
        make(Sdram("NoSuchChip", CHIP.device, CHIP.nbytes), 40_000_000)


def test_a_core_without_the_data_pins(monkeypatch):
    """A version of the generator that names them otherwise."""
    run = subprocess.run

    def renamed(command, cwd, **options):
        done = run(command, cwd=cwd, **options)
        file = cwd / "out" / "gateware" / "litedram_core.v"
        file.write_text(file.read_text().replace("sdram_dq,", "dq,"))
        return done

    monkeypatch.setattr(litedram.subprocess, "run", renamed)
    with pytest.raises(ToolError, match="a core without the pins sdram_dq of 16 bits"):
        make(CHIP, 40_000_000)
