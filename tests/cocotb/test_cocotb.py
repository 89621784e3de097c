"""Runs the cocotb test benches of this folder; each drives the pins of one top."""

import os

import pytest

from tests.support.cocotb_runs import Bench, program_key


@pytest.fixture(scope="session")
def bench(tmp_path_factory):
    """The tops, built once for all processes of a test run."""
    base = tmp_path_factory.getbasetemp()
    return Bench((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "cocotb")


@pytest.mark.parametrize(
    ("top", "module"),
    [
        ("core", "core_stalls"),
        ("core", "core_errors"),
        ("core", "core_runs"),
        ("core", "core_lite"),
        ("csr", "block_csr"),
        ("read_master", "block_read_master"),
        ("write_master", "block_write_master"),
        ("fetch", "block_fetch"),
        ("load", "block_load"),
        ("compute", "block_compute"),
        ("store", "block_store"),
        ("pcie_memory", "pcie_memory"),
        ("pcie_memory", "pcie_memory_packets"),
        ("cyclonev", "shell_cyclonev"),
        ("pcie", "shell_pcie"),
        ("zynq", "shell_zynq"),
        ("ultrascale", "shell_zynq"),
    ],
)
def test_bench(bench, top, module, tmp_path):
    bench.run(top, module, tmp_path)


@pytest.mark.parametrize(
    "cycles",
    [20_000, pytest.param(1_000_000, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])],
)
def test_soak(bench, cycles, tmp_path):
    bench.run("core", "core_soak", tmp_path, SOAK_CYCLES=str(cycles), SOAK_SEED=str(cycles))


def test_a_program_is_kept_by_what_it_is_made_of(tmp_path, monkeypatch):
    monkeypatch.setenv("MAKEFLAGS", "OPT_FAST=-O0")
    pins, source = tmp_path / "top.vlt", tmp_path / "top.v"
    pins.write_text("pins")
    source.write_text("module top; endmodule")
    first = program_key(pins, source)
    assert program_key(pins, source) == first
    source.write_text("module top; wire other; endmodule")
    second = program_key(pins, source)
    pins.write_text("other pins")
    third = program_key(pins, source)
    monkeypatch.setenv("MAKEFLAGS", "OPT_FAST=-O1")
    assert len({first, second, third, program_key(pins, source)}) == 4
