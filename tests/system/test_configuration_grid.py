"""Every kind of machine: its RTL is clean, and agrees with the model on random programs.

The default run takes the two smallest of the grid; `make test-configs` takes all.
"""

import random
import subprocess
from importlib import resources

import pytest

from tests.support.grid import VALUES, every_machine, pairwise
from vta.hw.emit import emit_verilog
from vta.sim.fuzzing.differential import difference
from vta.sim.fuzzing.random_programs import random_program
from vta.sim.reference.model import ReferenceModel
from vta.sim.rtl import build as verilator_build
from vta.sim.rtl.build import make_variables, verilator_command
from vta.sim.rtl.machine import VerilatedMachine

GRID = pairwise()
SAMPLE = 2
PROGRAMS = 60
MEMORIES = ("chaos", "ideal", "ddr")


def test_the_grid_has_every_value():
    """And the rest of the combinations is refused by the configuration, not by the RTL."""
    taken, refused = every_machine()
    assert refused and len(taken) > 5000
    for key, values in VALUES.items():
        for value in values:
            assert any(f"{key}={value}".replace(", ", ",") in name for name in GRID)
    assert len(GRID) < 40


def lint(text, folder):
    """What Verilator says of a machine, its waivers applied."""
    command, environment = verilator_command()
    (folder / "vta_core.v").write_text(text)
    waivers = resources.files("vta.hw") / "waivers.vlt"
    done = subprocess.run(
        [command, "--lint-only", "-Wall", "--top-module", "vta_core", str(waivers), "vta_core.v"],
        cwd=folder, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    return done.stderr


@pytest.mark.timeout(7200)  # the largest array takes ten minutes of an idle core
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if n < SAMPLE else pytest.mark.configs)
        for n, name in enumerate(GRID)
    ],
)
def test_machine(name, tmp_path, monkeypatch):
    cfg = GRID[name]
    # most of the time goes into the compiler, not into what it makes
    quick = {"OPT_FAST": "-O0", "OPT_GLOBAL": "-O0", "OPT_SLOW": "-O0"}
    monkeypatch.setattr(verilator_build, "_MAKE_VARIABLES", make_variables() | quick)
    text, _ = emit_verilog(cfg)
    assert lint(text, tmp_path) == ""
    model = ReferenceModel(cfg)
    operations = 48 >> cfg.log_block  # the model of the large arrays takes its time
    for memory in MEMORIES:
        rtl = VerilatedMachine(cfg, memory)
        for number in range(PROGRAMS // len(MEMORIES)):
            rtl.seed = number
            rng = random.Random(f"{name} {memory} {number}")
            program = random_program(cfg, rng, steps=30, max_operations=max(operations, 4))
            assert difference(model, rtl, program) is None, f"{memory} {number}: {program}"
        rtl.close()
