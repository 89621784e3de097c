"""The project's own long jobs, cut into tasks for an engine: fuzzing, the grid of machines, faults
in the RTL, proofs.

Fuzzing needs the package only. The other jobs are tests of a checkout: the command and each worker
must run from one.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vta.config import VTAConfig
from vta.config_file import shown
from vta.errors import TuningError
from vta.extras import checkout
from vta.tuning.engine import Engine, Task, checked_results

if TYPE_CHECKING:
    from vta.tuning.engine import Done

__all__ = [
    "JOBS",
    "Result",
    "checkout_tasks",
    "farm",
    "folder_of",
    "fuzz_tasks",
    "run_checkout",
    "run_fuzz",
]

PROGRAMS_A_TASK = 100
SHRINK_SECONDS = 60.0
TEXT_BYTES = 1 << 16
"""Of the output of a failing test, its end."""
_MUTANTS = (
    "from tests.mutation.mutants import MUTANTS; print(*(m.name for m in MUTANTS), sep='\\n')"
)
JOBS = {
    "grid": ("tests/system/test_configuration_grid.py",),
    "formal": ("tests/formal",),
    "mutation": (),
}
"""Jobs of a checkout, and the tests that they are."""


@dataclass(frozen=True)
class Result:
    """What a task found.

    Attributes
    ----------
    name : str
    passed : bool
    text : str
        What was wrong, or the end of the output.
    files : dict of str to bytes
        The failing case.
    worker : str
    """

    name: str
    passed: bool
    text: str
    files: dict[str, bytes]
    worker: str


def run_fuzz(
    machine: dict[str, Any], memory: str, seed: int, first: int, programs: int
) -> dict[str, Any]:
    """On a worker: random programs on the model and on the RTL, until they differ.

    Returns
    -------
    dict
        ``passed``, ``text``, and ``files`` of a failing program, made small: what ``vta exec``
        runs.
    """
    from vta.sim.fuzzing.campaign import Campaign
    from vta.sim.fuzzing.differential import save_case
    from vta.sim.reference.model import ReferenceModel
    from vta.sim.rtl.machine import VerilatedMachine

    cfg = VTAConfig.from_dict(machine)
    with closing(VerilatedMachine(cfg, memory)) as rtl:
        campaign = Campaign(cfg, ReferenceModel(cfg), rtl, seed=seed)
        for trial in campaign.trials(first):
            if trial.failure is not None:
                small = campaign.shrink(trial.failure, seconds=SHRINK_SECONDS)
                with tempfile.TemporaryDirectory(prefix="vta-farm-") as name:
                    save_case(
                        Path(name), small.program, difference=small.difference, seed=seed,
                        machine_seed=small.machine_seed, memory=memory,
                    )  # fmt: skip
                    return _result(False, small.difference, Path(name))
            if trial.number + 1 == first + programs:
                break
    return {"passed": True, "text": f"{programs} programs agree", "files": {}}


def run_checkout(arguments: Sequence[str], keep: bool) -> dict[str, Any]:
    """On a worker: Python with these arguments in the folder of the checkout.

    Parameters
    ----------
    arguments : sequence of str
    keep : bool
        Whether ``--keep DIR`` is added, where the command writes a case.
    """
    root = _checkout()
    with tempfile.TemporaryDirectory(prefix="vta-farm-") as name:
        kept = ["--keep", name] if keep else []
        done = subprocess.run(
            [sys.executable, *arguments, *kept],
            cwd=root, capture_output=True, text=True, check=False,
        )  # fmt: skip
        text = (done.stdout + done.stderr)[-TEXT_BYTES:]
        return _result(done.returncode == 0, text, Path(name))


def _result(passed: bool, text: str, folder: Path) -> dict[str, Any]:
    files = {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }
    return {"passed": passed, "text": text, "files": {} if passed else files}


def _checkout() -> Path:
    root = checkout()
    if root is None:
        raise TuningError(
            "grid, mutation and formal are tests of a checkout of the project; this is an "
            "installed package (vta farm fuzz needs no checkout)"
        )
    return root


def fuzz_tasks(cfg: VTAConfig, memory: str, seed: int, programs: int) -> Iterator[Task]:
    """Fuzzing in parts."""
    for first in range(0, programs, PROGRAMS_A_TASK):
        count = min(PROGRAMS_A_TASK, programs - first)
        arguments = (cfg.to_dict(), memory, seed, first, count)
        yield Task(run_fuzz, arguments, f"programs-{first}-to-{first + count - 1}")


def checkout_tasks(job: str, only: Sequence[str] = ()) -> list[Task]:
    """A task for each test of one of :data:`JOBS`, or for each fault in the RTL.

    Parameters
    ----------
    job : str
    only : sequence of str
        Words: tests whose name has none of them are left out.

    Raises
    ------
    TuningError
        If this is no checkout, the tests cannot be listed, or none is left.
    """
    if job == "mutation":
        names = _listed(["-c", _MUTANTS])
        commands: dict[str, tuple[str, ...]] = {
            name: ("-m", "tests.mutation.run_all", name) for name in names
        }
    else:
        # An empty marker expression takes tests that the default run leaves out, too.
        found = _listed(["-m", "pytest", "--collect-only", "-q", "-m", "", *JOBS[job]])
        names = [line for line in found if "::" in line]
        commands = {name: ("-m", "pytest", "-q", "-m", "", name) for name in names}
    chosen = {
        name: command
        for name, command in commands.items()
        if not only or any(word in name for word in only)
    }
    if not chosen:
        raise TuningError(f"{job}: no test of {len(commands)} has one of {', '.join(only)}")
    return [
        Task(run_checkout, (command, job == "mutation"), name) for name, command in chosen.items()
    ]


def _listed(arguments: Sequence[str]) -> list[str]:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=_checkout(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise TuningError(f"the tests cannot be listed:\n{(done.stdout + done.stderr)[-2000:]}")
    return done.stdout.split("\n")[:-1]


def farm(
    tasks: Sequence[Task],
    engine: Engine,
    out: Path,
    report: Callable[[Result], None] = lambda result: None,
) -> list[Result]:
    """Run tasks; a failing case becomes a folder of ``out`` with its files and ``report.txt``.

    Returns the failures.

    Raises
    ------
    TuningError
        If no worker is left, or a case cannot be written.
    """
    for task in tasks:
        engine.submit(task)
    failures = []
    for done, fault in checked_results(engine, len(tasks), _fault):
        result = _of(done, fault)
        if not result.passed:
            failures.append(result)
            _write(result, out)
        report(result)
    return failures


def _fault(done: Done) -> str | None:
    """Why a worker's answer is no result of a part; None if it is one."""
    if done.error is not None:
        return f"{done.task.tag} on {done.worker}: {type(done.error).__name__}: {done.error}"
    value = done.value
    if (
        isinstance(value, dict)
        and value.keys() == {"passed", "text", "files"}
        and isinstance(value["passed"], bool)
        and isinstance(value["text"], str)
        and isinstance(value["files"], dict)
        and all(isinstance(part, kind) for file in value["files"].items()
                for part, kind in zip(file, (str, bytes)))
    ):  # fmt: skip
        return None
    return f"{done.task.tag}: worker {done.worker} returned no result of a part: {shown(value)}"


def _of(done: Done, fault: str | None) -> Result:
    name = str(done.task.tag)
    if fault is not None:
        return Result(name, False, fault, {}, done.worker)
    value = done.value
    return Result(name, value["passed"], value["text"], value["files"], done.worker)


def folder_of(result: Result, out: Path) -> Path:
    """Where a failing case is written."""
    return out / "".join(c if c.isalnum() or c in "-_." else "-" for c in result.name)


def _write(result: Result, out: Path) -> None:
    folder = folder_of(result, out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        text = f"{result.name} on {result.worker}\n{result.text}\n"
        (folder / "report.txt").write_text(text, encoding="utf-8")
        for name, content in result.files.items():
            path = (folder / name).resolve()
            if folder.resolve() not in path.parents:
                raise TuningError(f"worker {result.worker} returned a file named {name!r}")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    except OSError as error:
        raise TuningError(f"cannot write {folder}: {error.strerror}") from None
