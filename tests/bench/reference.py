"""How fast this computer simulates a fixed piece of Verilog: the unit of the history's speeds."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from vta.sim.rtl.build import make_variables, verilator_command

CYCLES = 2_000_000
REPEATS = 3
HERE = Path(__file__).parent


def reference_speed():
    """Cycles of reference.v in a CPU second, the best of some runs; built with the same tools and
    options as the machine."""
    command, environment = verilator_command()
    with tempfile.TemporaryDirectory(prefix="vta-reference-") as name:
        folder = Path(name)
        for source in ("reference.v", "reference.cpp"):
            shutil.copy(HERE / source, folder)
        _run([command, "--cc", "--exe", "-O3", "--x-assign", "fast", "-Wno-fatal",
              "--top-module", "reference", "reference.v", "reference.cpp"],
             folder, environment)  # fmt: skip
        program = {**make_variables(), "LDLIBS": "-pthread -latomic"}  # no shared library
        variables = [f"{key}={value}" for key, value in program.items()]
        _run(["make", "-s", "-f", "Vreference.mk", *variables], folder / "obj_dir", environment)
        program = folder / "obj_dir" / "Vreference"
        seconds = [
            float(_run([program, str(CYCLES)], folder, dict(os.environ)).split()[0])
            for _ in range(REPEATS)
        ]
    return CYCLES / min(seconds)


def _run(command, folder, environment):
    return subprocess.run(
        command, cwd=folder, env=environment, check=True, stdout=subprocess.PIPE, text=True
    ).stdout
