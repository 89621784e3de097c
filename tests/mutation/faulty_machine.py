"""A simulated machine whose RTL has a fault."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

from vta.config import VTAConfig
from vta.sim.rtl import build as verilator_build
from vta.sim.rtl import machine as verilator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.mutation.mutants import Mutant

__all__ = ["emit", "faulty_machine"]

EMIT = """
import sys, vta.hw
vta.hw.__path__[:] = [sys.argv[1]]
from vta.config import VTAConfig
from vta.hw.emit import emit_verilog
text, _ = emit_verilog(VTAConfig.preset("tiny"))
sys.stdout.write(text)
"""
QUICK = {"OPT_FAST": "-O0", "OPT_GLOBAL": "-O1", "OPT_SLOW": "-O0"}
"""Of a machine that runs few programs: the build takes longer than they do."""


def emit(mutant: Mutant, source: Path) -> str:
    """The Verilog of the tiny machine, made of the RTL in the folder ``source`` with a fault in
    it. Text that is empty changes nothing.

    Raises
    ------
    SystemExit
        If the faulty RTL cannot be written.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "hw"
        shutil.copytree(source, folder, ignore=shutil.ignore_patterns("__pycache__"))
        path = folder / mutant.file
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace(mutant.old, mutant.new) if mutant.old else text)
        done = subprocess.run(
            [sys.executable, "-c", EMIT, str(folder)], capture_output=True, text=True, check=False
        )
    if done.returncode:
        raise SystemExit(f"{mutant.name}: the RTL cannot be written:\n{done.stderr}")
    return done.stdout


@contextmanager
def faulty_machine(
    mutant: Mutant, source: Path, cache: Path, memory: str
) -> Iterator[verilator.VerilatedMachine]:
    """The tiny machine with a fault, built for a short life.

    Parameters
    ----------
    mutant : Mutant
    source : Path
        The folder of the RTL.
    cache : Path
        Where the build is kept; not with builds that last.
    memory : str
        Memory preset.
    """
    text = emit(mutant, source)
    with (
        mock.patch.dict("os.environ", {"XDG_CACHE_HOME": str(cache)}),
        mock.patch.object(verilator, "_verilog", lambda cfg, probes, traced, report: text),
        mock.patch.dict(verilator_build._MAKE_VARIABLES, QUICK),
        closing(verilator.VerilatedMachine(VTAConfig.preset("tiny"), memory)) as machine,
    ):
        yield machine
