"""The SDRAM controller of LiteDRAM, as Verilog of its own generator.

The generator runs as a program in a folder of its own. Its core has two ports, an AXI4 slave for
the accelerator and a Wishbone slave for the host, and a Wishbone slave with the control registers
through which the memory is initialised.
"""

import csv
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from vta.errors import ToolError
from vta.extras import install_command

__all__ = ["CORE", "Controller", "Sdram", "generate"]

CORE = "litedram_core"
"""The name of the module and of its file."""

_COMMENTS = re.compile(r"^[ \t]*//[^\n]*\n|/\*.*?\*/\n?", re.MULTILINE | re.DOTALL)
"""Some say when the file was made, some list instances in the order of a set: the same design
must have the same text."""

_DQ = re.compile(r"^    input( +wire +\[15:0\] sdram_dq,)$", re.MULTILINE)
"""The generator declares these pins as inputs, though its I/O buffers drive them."""


@dataclass(frozen=True)
class Sdram:
    """An SDRAM of 16 data pins.

    Attributes
    ----------
    chip : str
        Its class in ``litedram.modules``.
    device : str
        The FPGA, as LiteX names it: the I/O registers are those of its family.
    nbytes : int
    """

    chip: str
    device: str
    nbytes: int


@dataclass(frozen=True)
class Controller:
    """The generated core: its Verilog, and the byte addresses of its control registers."""

    verilog: str
    registers: Mapping[str, int]


@cache
def generate(sdram: Sdram, clock_hz: int) -> Controller:
    """The controller of a memory at a clock: that decides how often it is refreshed.

    Raises
    ------
    ToolError
        If LiteDRAM is not installed, fails, or writes something else than is expected.
    """
    if find_spec("litedram") is None:
        raise ToolError(
            f"the controller of the SDRAM needs the Python package litedram; install it with: "
            f"{install_command('sdram')}"
        )
    settings = {
        "cpu": "None", "uart": "rs232", "memtype": "SDR", "speedgrade": -1,
        "device": sdram.device, "sdram_phy": "GENSDRPHY",
        "sdram_module": sdram.chip, "sdram_module_nb": 2, "sdram_rank_nb": 1,
        "input_clk_freq": clock_hz, "sys_clk_freq": clock_hz, "init_clk_freq": clock_hz,
        "cmd_buffer_depth": 8,
        "user_ports": {
            "core": {"type": "axi", "data_width": 64, "id_width": 1},
            "host": {"type": "wishbone", "data_width": 64},
        },
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "core.yml").write_text(json.dumps(settings), encoding="utf-8")
        done = subprocess.run(
            [
                sys.executable, "-m", "litedram.gen", "core.yml", "--name", CORE,
                "--output-dir", "out", "--no-compile", "--csr-csv", "csr.csv",
            ],
            cwd=folder, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            said = (done.stdout + done.stderr)[-2000:].strip()
            raise ToolError(f"litedram.gen ended with {done.returncode}: {said}")
        verilog = (folder / "out" / "gateware" / f"{CORE}.v").read_text(encoding="utf-8")
        rows = list(csv.reader((folder / "csr.csv").read_text(encoding="utf-8").splitlines()))
    verilog, found = _DQ.subn(r"    inout\1", _COMMENTS.sub("", verilog))
    if found != 1:
        raise ToolError("litedram.gen has written a core without the pins sdram_dq of 16 bits")
    registers = {row[1]: int(row[2], 16) for row in rows if row[:1] == ["csr_register"]}
    return Controller(verilog, registers)
