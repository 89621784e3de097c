"""What a release consists of: complete, and at work outside the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import vta
from tests.pythons.run_all import VERSIONS, find
from tests.support.distributions import ROOT, Distributions, build, tracked_files

PACKAGES = ("vta", "hw", "compiler", "runtime", "sim", "boards", "tutorials")
"""Folders of the tree that are installed."""


@pytest.fixture(scope="module")
def distributions(tmp_path_factory) -> Distributions:
    return build(tmp_path_factory.mktemp("distributions"))


def test_the_version_has_one_home(distributions):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert "version" not in project and project["dynamic"] == ["version"]
    assert distributions.wheel.name.split("-")[1] == vta.__version__
    assert distributions.sdist.name == f"vta_accelerator-{vta.__version__}.tar.gz"
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {vta.__version__}\n" in citation


def test_the_source_distribution_is_the_repository(distributions):
    wanted = set(tracked_files()) - {".gitignore"}
    assert wanted <= distributions.sources
    extra = {name for name in distributions.sources - wanted if "egg-info" not in name}
    assert extra == {"PKG-INFO", "setup.cfg"}


def test_the_wheel_has_every_file_of_the_packages(distributions):
    wanted = {
        name if name.startswith("vta/") else f"vta/{name}"
        for name in tracked_files()
        if name.split("/")[0] in PACKAGES and not name.endswith(".md")
    }
    extra = {name for name in distributions.installed if ".dist-info/" not in name}
    assert extra == wanted
    assert {"vta/presets/tiny.json", "vta/tutorials/run_all.py", "vta/py.typed"} <= wanted


def run(python: str | Path, *arguments: str, cwd: Path, **environment: str | Path) -> str:
    done = subprocess.run(
        [python, *arguments], cwd=cwd, env=os.environ | environment,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_works_outside_the_checkout(distributions, tmp_path):
    """With the packages of this environment: presets, tutorials, a program on the model."""
    site, work = tmp_path / "site", tmp_path / "work"
    work.mkdir()
    with zipfile.ZipFile(distributions.wheel) as archive:
        archive.extractall(site)
    where = "import vta, vta.hw, vta.sim; print(vta.__file__, vta.hw.__file__, vta.sim.__file__)"
    for file in run(sys.executable, "-c", where, cwd=work, PYTHONPATH=str(site)).split():
        assert Path(file).is_relative_to(site)
    command, environment = (sys.executable, "-m", "vta"), {"cwd": work, "PYTHONPATH": site}
    assert "fingerprint 1x4_" in run(
        *command, "config", "--preset", "tiny", cwd=work, PYTHONPATH=str(site)
    )
    run(*command, "tutorials", "lessons", **environment)
    arguments = ("lessons/vta_get_started.py", "--target", "sim", "--preset", "tiny")
    printed = run(sys.executable, *arguments, **environment)
    assert "Execution statistics:" in printed


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", ["sdist", "wheel"])
@pytest.mark.parametrize("version", VERSIONS)
def test_an_installation(distributions, version, kind, tmp_path):
    """In an environment of its own: the tutorials on the simulated RTL of a small machine."""
    python = find(version)
    if python is None:
        pytest.skip(f"there is no Python {version}")
    run(python, "-m", "venv", "venv", cwd=tmp_path)
    own = tmp_path / "venv" / "bin" / "python"
    file = getattr(distributions, kind)
    run(own, "-m", "pip", "install", "--quiet", f"{file}[rtl]", cwd=tmp_path)
    assert "tsim: works" in run(own, "-m", "vta", "doctor", cwd=tmp_path)
    run(own, "-m", "vta", "tutorials", "lessons", cwd=tmp_path)
    arguments = ("lessons/run_all.py", "--target", "tsim", "--preset", "tiny")
    assert "the results equal NumPy's" in run(own, *arguments, cwd=tmp_path)
