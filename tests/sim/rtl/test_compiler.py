"""The choice of the C++ compiler, and what makefiles are told of it."""

import os

import pytest

from vta.errors import ToolError
from vta.sim.rtl.build import Build
from vta.sim.rtl.compiler import find_compiler


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """A function that puts a compiler on PATH, which then holds only those."""
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))

    def add(name, version, code=0):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\necho '{version}' >&2\nexit {code}\n")
        program.chmod(0o755)
        return str(program)

    return add


def test_clang_is_preferred(programs):
    programs("g++", "gcc version 12.2.0")
    assert find_compiler().command == "g++"
    programs("clang++", "Debian clang version 19.1.7")
    found = find_compiler()
    assert found.command == "clang++" and found.is_clang
    assert found.make_variables["CXX"] == found.make_variables["LINK"] == "clang++"
    assert found.make_variables["CFG_CXXFLAGS_PCH_I"] == "-include-pch"


def test_the_newest_clang_is_preferred(programs):
    programs("clang++-19", "Debian clang version 19.1.7")
    assert find_compiler().command == "clang++-19"
    programs("clang++", "Debian clang version 14.0.6")
    programs("clang++-9", "clang version 9.0.1")
    programs("clang++-19-wrapper", "Debian clang version 99.0.0")
    assert find_compiler().command == "clang++-19"


@pytest.mark.parametrize(
    ("name", "version", "words"),
    [
        ("g++", "gcc version 12.2.0", True),
        ("clang++", "Debian clang version 14.0.6", True),
        ("clang++", "Debian clang version 19.1.7", False),
    ],
)
def test_the_form_that_a_compiler_makes_fast(programs, name, version, words):
    programs(name, version)
    assert find_compiler().sums_in_words is words


def test_the_newest_clang_may_have_the_plain_name(programs):
    programs("clang++-19", "Debian clang version 19.1.7")
    programs("clang++", "clang version 20.1.0")
    assert find_compiler().command == "clang++"


def test_the_environment_names_one(programs, monkeypatch):
    programs("clang++", "Debian clang version 19.1.7")
    monkeypatch.setenv("CXX", programs("mine", "gcc version 12.2.0"))
    found = find_compiler()
    assert os.path.basename(found.command) == "mine" and not found.is_clang
    assert found.make_variables["CFG_CXXFLAGS_PCH_I"] == "-include"


def test_one_that_is_not_there(programs, monkeypatch):
    programs("g++", "gcc version 12.2.0")
    monkeypatch.setenv("CXX", "nothere")
    with pytest.raises(ToolError, match="variable CXX names was to be 'nothere', which is not a"):
        find_compiler()


def test_one_that_fails(programs):
    programs("g++", "no licence", code=3)
    with pytest.raises(ToolError, match=r"`g\+\+ -v` failed with exit code 3: no licence"):
        find_compiler()


def test_a_library_of_one_compiler_is_not_that_of_another(programs, monkeypatch):
    one = programs("one", "gcc version 12.2.0")
    two = programs("two", "Debian clang version 19.1.7")
    keys = set()
    for command in (one, two):
        monkeypatch.setenv("CXX", command)
        keys.add(Build("module vta_core; endmodule", bus_bytes=8).key)
    assert len(keys) == 2
