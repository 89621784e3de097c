"""The versions that are stated are those that are run."""

import re
import sys
import tomllib

from tests.pythons.run_all import ROOT, VERSIONS, find


def test_the_classifiers_are_the_versions():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    stated = [re.fullmatch(r".*:: Python :: (\d\.\d+)", line) for line in project["classifiers"]]
    assert [match[1] for match in stated if match] == list(VERSIONS)
    assert project["requires-python"] == f">={VERSIONS[0]}"


def test_an_interpreter_is_found_by_version():
    assert find(f"{sys.version_info.major}.{sys.version_info.minor}") == sys.executable
    assert find("2.99") is None
