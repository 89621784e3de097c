"""The C++ compiler of the simulated RTL, and what makefiles of Verilator must be told of it.

A recent clang makes a program that runs about a quarter faster than that of g++, in half the time;
clang 14 makes one that is no faster. So the newest clang is taken, whatever its name.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from vta.errors import ToolError

__all__ = ["Compiler", "compiler_names", "find_compiler"]

VARIABLE = "CXX"
"""The environment variable that names a compiler."""

_CLANG = re.compile(r"clang\+\+(-\d+)?")
"""Names of clang: ``clang++``, and ``clang++-19`` where a system has several versions."""

_OPTIMISES_SUMS = 19
"""The clang from which on sums of odd widths cost nothing."""

_LIBRARIES = "-shared -pthread"  # csrc/fst stands in for the libraries that Verilator would name


@dataclass(frozen=True)
class Compiler:
    """A C++ compiler.

    Attributes
    ----------
    command : str
        As it is called: a name on PATH, or a path.
    version : str
        What the compiler says of itself.
    """

    command: str
    version: str

    @property
    def is_clang(self) -> bool:
        """Whether it takes the options of clang for precompiled headers."""
        return "clang" in self.version

    @property
    def major(self) -> int:
        """The first number of its version; 0 if it says none."""
        found = re.search(r"version (\d+)", self.version)
        return int(found[1]) if found else 0

    @property
    def sums_in_words(self) -> bool:
        """Whether the simulated RTL runs faster in the forms for simulators
        (:class:`vta.hw.lib.simulated.SimulatorPlatform`): by g++ 12 and clang 14 it does, by
        clang 19 it runs slower."""
        return not (self.is_clang and self.major >= _OPTIMISES_SUMS)

    @property
    def make_variables(self) -> dict[str, str]:
        """What a makefile of Verilator must be told of this compiler."""
        if self.is_clang:
            own = {
                "CFG_CXXFLAGS_PCH_I": "-include-pch",
                "CFG_GCH_IF_CLANG": ".gch",
                "LDLIBS": f"{_LIBRARIES} -latomic",  # clang 14 calls it, later ones need not
            }
        else:
            own = {
                "CFG_CXXFLAGS_PCH_I": "-include", "CFG_GCH_IF_CLANG": "", "LDLIBS": _LIBRARIES,
            }  # fmt: skip
        return {"CXX": self.command, "LINK": self.command, **own}


def find_compiler() -> Compiler:
    """The compiler that the environment variable ``CXX`` names, else the newest clang on PATH, else
    g++.

    Raises
    ------
    ToolError
        If there is none, if ``CXX`` names none, or if it does not tell its version.
    """
    named = os.environ.get(VARIABLE, "")
    if named:
        if shutil.which(named) is None:
            raise ToolError(
                f"the C++ compiler that the environment variable {VARIABLE} names was to be "
                f"{named!r}, which is not a program"
            )
        return _ask(named, os.environ.get("PATH", ""))
    path = os.environ.get("PATH", "")
    found = [_ask(name, path) for name in compiler_names()]
    if not found:
        raise ToolError(
            "none of `clang++`, `g++` is on PATH: simulating the RTL needs a C++ compiler (Debian, "
            "Ubuntu: `apt install build-essential`)"
        )
    return max(found, key=lambda compiler: (compiler.is_clang, compiler.major))


def compiler_names() -> list[str]:
    """The compilers that are on PATH: clang by all its names, else g++."""
    folders = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    names = {
        file.name
        for folder in folders
        if folder.is_dir()
        for file in folder.glob("clang++*")
        if _CLANG.fullmatch(file.name) and shutil.which(file.name) is not None
    }
    return sorted(names) or [name for name in ("g++",) if shutil.which(name) is not None]


@lru_cache
def _ask(command: str, path: str) -> Compiler:
    """The compiler ``command``, found on PATH when that was ``path``."""
    done = subprocess.run([command, "-v"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ToolError(
            f"`{command} -v` failed with exit code {done.returncode}: {done.stderr.strip()}"
        )
    return Compiler(command, done.stdout + done.stderr)
