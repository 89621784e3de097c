"""The tutorials run as a newcomer runs them, on both simulators; the counters are known."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from docs.site.notebooks import NOTEBOOKS
from tests.support.configurations import CONFIGURATIONS
from tests.support.grid import pairwise
from vta.config import PRESETS, VTAConfig
from vta.memmap import COUNTERS

TUTORIALS = Path(__file__).parents[2] / "tutorials"
EXPECTED = {
    "vta_get_started": (0, 0, 8192, 4, 1024, 0, 64),
    "matrix_multiply_opt": (4096, 1048576, 0, 20, 1024, 4096, 192),
    "convolution_opt": (114688, 1179648, 0, 1144, 50176, 451584, 9408),
}
NEEDS_NO_TARGET = {
    "own_machine": "at most 17 (log2 depths",
    "slow_layer": "B: profile on sim (timing model), memory ddr",
    "better_schedule": "4 rows, ring buffers",
}
"""Tutorials on the timing model: something that each prints."""
NEEDS_PACKAGES = {"digits_network", "read_text"}
"""Run by `make notebooks`."""


def run(script, *options):
    result = subprocess.run(
        [sys.executable, str(TUTORIALS / script), *options],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def statistics(text):
    """The counters in a report, in its order."""
    return {
        key: int(n.replace(",", "")) for key, n in re.findall(r"^ +(\w+) *: +([\d,]+)$", text, re.M)
    }


@pytest.mark.parametrize("name", EXPECTED)
def test_on_the_reference_model(name):
    text = run(f"{name}.py", "--target", "sim")
    assert statistics(text) == dict(zip(COUNTERS, EXPECTED[name]))
    assert text.rstrip().endswith("on sim: the result equals NumPy's.")


@pytest.mark.parametrize("name", NEEDS_NO_TARGET)
def test_on_the_timing_model(name):
    assert NEEDS_NO_TARGET[name] in run(f"{name}.py")


def test_better_schedules_are_better():
    lines = [line for line in run("better_schedule.py").splitlines() if "%" in line]
    cycles = [int(re.search(r" ([\d,]+)  ", line)[1].replace(",", "")) for line in lines]
    assert len(cycles) == 7 and cycles == sorted(cycles, reverse=True)


def test_all_on_the_simulated_rtl():
    text = run("run_all.py", "--target", "tsim")
    reports = text.split("Execution statistics:")[1:]
    assert len(reports) == len(EXPECTED)
    for report, (name, counters) in zip(reports, EXPECTED.items()):
        stats = statistics(report)
        cycles = stats.pop("cycle_count")
        assert stats == dict(zip(COUNTERS, counters)), name
        assert cycles >= stats["gemm_counter"] + stats["alu_counter"]
        assert "on tsim: the result equals NumPy's." in report
    assert "All 3 tutorials: the results equal NumPy's." in text


MACHINES = {
    **{name: VTAConfig.preset(name) for name in PRESETS},
    **CONFIGURATIONS,  # two of the presets are among them
    **pairwise(),
}


@pytest.mark.parametrize("name", MACHINES)
def test_on_every_kind_of_machine(name, tmp_path):
    """Each tutorial takes layer and blocks from the machine, down to memories of two entries."""
    path = tmp_path / "my machine.json"
    path.write_text(json.dumps(MACHINES[name].to_dict()))
    text = run("run_all.py", "--target", "sim", "--config", str(path))
    assert "All 3 tutorials: the results equal NumPy's." in text
    _, product, convolution = map(statistics, text.split("Execution statistics:")[1:])
    side, taps = product["gemm_counter"] ** 0.5, 9
    assert side in (16, 32, 64)
    assert convolution["gemm_counter"] in (4**4 * taps, 14**2 * 16**2 * taps)


def test_presets_by_name():
    text = run("run_all.py", "--target", "sim", "--preset", "tiny")
    assert "All 3 tutorials: the results equal NumPy's." in text
    path = TUTORIALS / "run_all.py"
    both = [sys.executable, str(path), "--preset", "tiny", "--config", "tiny.json"]
    done = subprocess.run(both, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "not allowed with argument --preset" in done.stderr


def test_every_tutorial_is_run_and_is_a_notebook():
    scripts = {path.stem for path in TUTORIALS.glob("*.py")}
    assert scripts == {*EXPECTED, *NEEDS_NO_TARGET, *NEEDS_PACKAGES, "run_all", "tutorial_session"}
    assert {*NOTEBOOKS} == scripts - {"run_all", "tutorial_session"}


def test_a_mistake_on_the_command_line_is_told():
    result = subprocess.run(
        [sys.executable, str(TUTORIALS / "run_all.py"), "--config", "nothing.json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert "cannot read the configuration nothing.json" in result.stdout
    assert "Traceback" not in result.stdout + result.stderr
