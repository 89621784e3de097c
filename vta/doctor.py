"""What of this computer the package can use: the findings behind ``vta doctor``.

A finding names one thing that is looked for, what was found, what needs it, and the command that
installs it where there is one. Nothing is built, and nothing is installed.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import Requirement

from vta import __version__
from vta.cache import VARIABLE, cache_folder, make_writable, temporary_root
from vta.errors import ToolError
from vta.extras import DISTRIBUTION, checkout, install_command, requirements
from vta.sim.rtl.compiler import find_compiler

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["LEVELS", "Finding", "examine", "missing_for"]

LEVELS = (
    "sim", "tsim", "tests", "proofs", "onnx", "profile", "tune", "remote", "uart", "synthesis",
    "boards", "waves", "docs",
)  # fmt: skip
"""What a finding can be needed for: the reference model, the simulated RTL, the test suite,
``make formal``, networks as ONNX files, the report of ``vta profile``, searches by ``vta tune`` and
``vta explore``, sessions over a network,
boards at a serial line, ``make synth``, the vendors' and open tools of ``make bitstream`` and of
loading a board, viewers of waves, and
``make docs``."""

_EXTRAS = {
    "rtl": "tsim", "formal": "proofs", "onnx": "onnx", "quantize": "onnx", "profile": "profile",
    "timing": "tune", "tune": "tune", "remote": "remote", "uart": "uart", "synth": "synthesis",
    "sdram": "boards", "gowin": "boards", "test": "tests", "docs": "docs",
}  # fmt: skip
"""Of each extra but `dev`: the level that its packages are for."""
_SECONDS = 20
"""How long a tool may take to tell its version."""
_BUILD_MEMORY = 1 << 30
"""Bytes. A build of the default machine runs two compilers of 380 MiB, measured on 64-bit x86."""
_BUILD_DISK = 1 << 29
"""Bytes. Its sources and objects take a few dozen MiB, and each finished build one or two."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked for.

    Attributes
    ----------
    name : str
        The thing: a program, a package, ``"memory"``.
    ok : bool
        Whether it is there, and good enough.
    found : str
        Its version, size or place; if it is not ``ok``, what is wrong.
    purpose : str
        What it is for.
    level : str
        Which of :data:`LEVELS` needs it.
    remedy : str
        A command, or what to do where no command serves; empty if it is ``ok``.
    """

    name: str
    ok: bool
    found: str
    purpose: str
    level: str
    remedy: str = ""


@dataclass(frozen=True)
class _Tool:
    """A program outside the Python packages. ``version`` are the arguments that make it print its
    version; empty if it has none, or opens a window."""

    name: str
    programs: tuple[str, ...]
    version: tuple[str, ...]
    purpose: str
    level: str
    remedy: str


_TOOLS = (
    _Tool("make", ("make",), ("--version",), "builds the simulated RTL", "tsim",
          "Debian, Ubuntu: apt install build-essential"),
    _Tool("ar", ("ar",), ("--version",), "links the simulated RTL", "tsim",
          "Debian, Ubuntu: apt install binutils"),
    _Tool("perl", ("perl",), ("-e", "print $^V"), "Verilator's wrapper, for the cocotb benches",
          "tests", "Debian, Ubuntu: apt install perl"),
    _Tool("git", ("git",), ("--version",), "tests that read the list of files", "tests",
          "Debian, Ubuntu: apt install git"),
    _Tool("openssl", ("openssl",), ("version",), "certificate of `vta serve`", "remote",
          "Debian, Ubuntu: apt install openssl"),
    _Tool("tclsh", ("tclsh",), (), "runs the vendors' scripts without the vendor's tool", "boards",
          "Debian, Ubuntu: apt install tcl"),
    _Tool("Vivado", ("vivado",), ("-version",), "bitstreams for Pynq, Ultra96, ZCU104", "boards",
          "from AMD; its settings64.sh puts it on PATH"),
    _Tool("Quartus", ("quartus_sh",), ("--version",), "bitstreams for DE10-Nano", "boards",
          "from Intel (Altera); quartus/bin must be on PATH"),
    _Tool("openFPGALoader", ("openFPGALoader",), ("--Version",), "loads a bitstream over USB",
          "boards", "Debian, Ubuntu: apt install openfpgaloader"),
    _Tool("Surfer or GTKWave", ("surfer", "gtkwave"), (), "shows waves", "waves",
          "Debian, Ubuntu: apt install gtkwave"),
)  # fmt: skip


def examine() -> Iterator[Finding]:
    """Everything that is looked for, in the order of a report: computer, packages, programs."""
    yield _python()
    yield from _computer()
    for extra, level in {"": "sim", **_EXTRAS}.items():
        yield from _packages(extra, level)
    for tool in (_compiler(), *_TOOLS):
        yield _program(tool)


def missing_for(findings: list[Finding], level: str) -> list[Finding]:
    """The findings that keep a level from working; everything needs what ``sim`` needs, and all
    but that, sessions and serial lines needs what ``tsim`` needs."""
    needed = {"sim", level}
    if level in ("tests", "proofs", "synthesis", "waves"):
        needed.add("tsim")
    return [finding for finding in findings if not finding.ok and finding.level in needed]


def _python() -> Finding:
    found = f"{platform.python_version()}, {sys.executable}"
    wanted = _wanted_python()
    ok = wanted is None or platform.python_version() in Requirement(f"python{wanted}").specifier
    return Finding(
        "Python", ok, found if ok else f"{found}; version {wanted} is needed",
        f"vta {__version__}, {checkout() or 'an installed wheel'}", "sim",
        "" if ok else "an interpreter of that version, and a virtual environment made by it",
    )  # fmt: skip


def _wanted_python() -> str | None:
    """The versions of Python that the installed metadata admit; None without metadata."""
    try:
        return metadata.distribution(DISTRIBUTION).metadata["Requires-Python"]
    except metadata.PackageNotFoundError:
        return None


def _computer() -> Iterator[Finding]:
    system = platform.freedesktop_os_release().get("PRETTY_NAME", "") if _has_os_release() else ""
    yield Finding(
        "system", True,
        ", ".join(filter(None, (system or platform.platform(), platform.machine()))),
        "", "sim",
    )  # fmt: skip
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield Finding("cores", True, f"{cores}", "of this process", "sim")
    memory = _memory()
    if memory is not None:
        enough = memory >= _BUILD_MEMORY
        yield Finding(
            "memory", enough, _size(memory), "a build of the default machine needs 1 GiB", "tsim",
            "" if enough else "a smaller machine (`--preset tiny`), or swap space",
        )  # fmt: skip
    yield _folder("cache folder", cache_folder(""), VARIABLE)
    try:
        yield _folder("temporary files", Path(temporary_root()), "TMPDIR")
    except ToolError as error:
        yield Finding("temporary files", False, str(error), "builds", "tsim", "set TMPDIR")


def _has_os_release() -> bool:
    try:
        platform.freedesktop_os_release()
    except OSError:
        return False
    return True


def _memory() -> int | None:
    """Bytes of memory; None where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return None


def _folder(name: str, folder: Path, variable: str) -> Finding:
    """A folder that must be writable and have room for a build."""
    try:
        make_writable(folder, variable)
    except ToolError as error:
        return Finding(name, False, str(error), "finished builds", "tsim", f"set {variable}")
    free = shutil.disk_usage(folder).free
    enough = free >= _BUILD_DISK
    return Finding(
        name, enough, f"{folder}, {_size(free)} free", "builds of the simulated RTL", "tsim",
        "" if enough else f"free 0.5 GiB there, or set {variable} to a folder that has them",
    )  # fmt: skip


def _size(count: int) -> str:
    return f"{count / (1 << 30):.1f} GiB"


def _packages(extra: str, level: str) -> Iterator[Finding]:
    """The Python packages of an extra, or of the plain installation; those of other extras that an
    extra includes are told there."""
    try:
        wanted = requirements(extra)
    except ToolError as error:
        yield Finding(f"extra {extra}", False, str(error), "Python packages", level)
        return
    for requirement in wanted:
        try:
            version = metadata.version(requirement.name)
            ok = requirement.specifier.contains(version, prereleases=True)
        except metadata.PackageNotFoundError:
            version, ok = "not installed", False
        found = version if ok else f"{version}; {requirement.specifier or 'any version'} is needed"
        yield Finding(
            requirement.name, ok, found, f"extra {extra}" if extra else "every use", level,
            "" if ok else install_command(extra or "rtl"),
        )  # fmt: skip


def _compiler() -> _Tool:
    """The C++ compiler that a build would take."""
    named = os.environ.get("CXX")
    try:
        programs: tuple[str, ...] = (find_compiler().command,)
    except ToolError:
        programs = (named,) if named else ("clang++", "g++")
    return _Tool(
        "C++ compiler", programs, ("--version",), "compiles the simulated RTL", "tsim",
        "Debian, Ubuntu: apt install build-essential",
    )  # fmt: skip


def _program(tool: _Tool) -> Finding:
    path = next(filter(None, (shutil.which(name) for name in tool.programs)), None)
    if path is None:
        return Finding(tool.name, False, "not on PATH", tool.purpose, tool.level, tool.remedy)
    if not tool.version:
        return Finding(tool.name, True, path, tool.purpose, tool.level)
    try:
        done = subprocess.run(
            [path, *tool.version], capture_output=True, text=True, errors="replace",
            timeout=_SECONDS, stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding(
            tool.name, False, f"{path} does not start: {error}", tool.purpose, tool.level,
            tool.remedy,
        )  # fmt: skip
    lines = (done.stdout + done.stderr).strip().splitlines()
    if done.returncode != 0:
        said = lines[-1] if lines else "nothing"
        return Finding(
            tool.name, False, f"{path} ends with code {done.returncode} and says: {said}",
            tool.purpose, tool.level, tool.remedy,
        )  # fmt: skip
    return Finding(tool.name, True, lines[0] if lines else path, tool.purpose, tool.level)
