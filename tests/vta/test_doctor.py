"""`vta doctor`: what it finds here, what it says of things that are missing, its exit codes."""

import json
import os
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from click.testing import CliRunner

from vta import doctor
from vta.cli import main

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def run(*arguments, **environment):
    result = CliRunner().invoke(main, ["doctor", *arguments], env=environment)
    return result.exit_code, result.output


def report(*arguments, **environment):
    code, text = run("--json", *arguments, **environment)
    found = json.loads(text)
    assert found["works"] is (code == 0)
    return code, {(item["level"], item["name"]): item for item in found["findings"]}


def test_here():
    """The suite runs the simulated RTL, so all that it needs is here."""
    code, findings = report("--for", "tests")
    assert code == 0
    for name in ("C++ compiler", "make", "ar", "memory", "cache folder", "verilator", "amaranth"):
        assert findings["tsim", name]["ok"]
        assert not findings["tsim", name]["remedy"]
    assert findings["tsim", "verilator"]["found"] == metadata.version("verilator")
    assert sys.executable in findings["sim", "Python"]["found"]


def test_every_requirement_is_looked_for():
    """Every extra but `dev`, which is for those who change the project."""
    wanted = {re.split(r"[\[<>=~;]", line)[0] for line in PROJECT["dependencies"]}
    for extra, lines in PROJECT["optional-dependencies"].items():
        if extra != "dev":
            wanted |= {re.split(r"[\[<>=~;]", line)[0] for line in lines}
    wanted.discard("vta-accelerator")
    assert wanted <= {name for _, name in report()[1]}


def test_a_tool_that_is_missing(tmp_path):
    for name in ("make", "ar"):
        (tmp_path / name).symlink_to(f"/usr/bin/{name}")
    code, findings = report(PATH=str(tmp_path))
    assert code == 1
    assert findings["tsim", "make"]["ok"]
    assert findings["tsim", "C++ compiler"] == {
        "name": "C++ compiler", "ok": False, "found": "not on PATH", "level": "tsim",
        "purpose": "compiles the simulated RTL",
        "remedy": "Debian, Ubuntu: apt install build-essential",
    }  # fmt: skip
    assert run("--for", "sim", PATH=str(tmp_path))[0] == 0  # which needs no compiler
    code, text = run(PATH=str(tmp_path))
    assert code == 1
    assert "tsim: does not work without C++ compiler\n" in text
    assert re.search(
        r"MISSING C\+\+ compiler .*\n +-> Debian, Ubuntu: apt install build-essential\n", text
    )


def test_an_optional_tool_does_not_matter(tmp_path):
    """What a vendor's tool is needed for is not what the exit code is about, unless asked."""
    (tmp_path / "vivado").write_text("#!/bin/sh\necho no licence >&2; exit 3\n")
    (tmp_path / "vivado").chmod(0o755)
    path = os.pathsep.join((str(tmp_path), os.environ["PATH"]))
    code, findings = report(PATH=path)
    assert code == 0
    vivado = findings["boards", "Vivado"]
    assert not vivado["ok"]
    assert vivado["found"] == f"{tmp_path}/vivado ends with code 3 and says: no licence"
    assert run("--for", "boards", PATH=path)[0] == 1


def test_a_tool_that_hangs(tmp_path, monkeypatch):
    (tmp_path / "perl").write_text(f"#!{sys.executable}\nimport time; time.sleep(60)\n")
    (tmp_path / "perl").chmod(0o755)
    monkeypatch.setattr(doctor, "_SECONDS", 0.2)
    path = os.pathsep.join((str(tmp_path), os.environ["PATH"]))
    code, findings = report("--for", "tests", PATH=path)
    assert code == 1
    assert "perl does not start: " in findings["tests", "perl"]["found"]


@pytest.mark.parametrize(
    ("version", "said"), [(None, "not installed; "), ("0.4.0", "0.4.0; ")], ids=["none", "old"]
)
def test_a_package_that_is_missing(monkeypatch, version, said):
    installed = metadata.version

    def found(name):
        if name != "amaranth":
            return installed(name)
        if version is None:
            raise metadata.PackageNotFoundError(name)
        return version

    monkeypatch.setattr(doctor.metadata, "version", found)
    code, findings = report()
    amaranth = findings["tsim", "amaranth"]
    assert code == 1
    assert amaranth["found"].startswith(said)
    assert amaranth["found"].endswith("is needed")
    assert "[rtl]" in amaranth["remedy"]


def test_a_cache_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    code, findings = report(XDG_CACHE_HOME=str(tmp_path / "file"))
    assert code == 1
    folder = findings["tsim", "cache folder"]
    assert str(tmp_path / "file") in folder["found"]
    assert folder["remedy"] == "set XDG_CACHE_HOME"


def test_little_room(monkeypatch):
    monkeypatch.setattr(doctor, "_BUILD_DISK", 1 << 70)
    monkeypatch.setattr(doctor, "_BUILD_MEMORY", 1 << 70)
    code, findings = report()
    assert code == 1
    assert not findings["tsim", "memory"]["ok"]
    assert "XDG_CACHE_HOME" in findings["tsim", "cache folder"]["remedy"]


def test_without_the_extras():
    """As on a board with the plain installation: the command itself needs no extra."""
    blocked = ["amaranth", "amaranth_boards", "verilator", "websockets", "serial", "pytest"]
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({blocked!r})); "
        "from vta.cli import main; main(['doctor', '--for', 'sim'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("\nsim: works\n")
