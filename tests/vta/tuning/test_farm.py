"""Long jobs in parts: what fails comes back as files."""

import subprocess
import sys

import pytest
from click.testing import CliRunner

from vta.cli import main
from vta.config import VTAConfig
from vta.errors import TuningError
from vta.sim.fuzzing import campaign as campaign_module
from vta.sim.fuzzing.differential import load_case
from vta.tuning import farm as farm_module
from vta.tuning.engine import InProcess, Task
from vta.tuning.farm import checkout_tasks, farm, fuzz_tasks, run_checkout

TINY = VTAConfig.preset("tiny")


def test_the_parts_of_fuzzing_are_all_programs():
    tasks = [*fuzz_tasks(TINY, "ideal", 3, 250)]
    assert [task.arguments[3:] for task in tasks] == [(0, 100), (100, 100), (200, 50)]


def test_programs_that_agree():
    result = CliRunner().invoke(
        main, ["farm", "fuzz", "--programs", "3", "--memory", "ideal", "--workers", "0"]
    )
    assert result.exit_code == 0, result.output
    assert result.output.endswith("fuzz: 1 of 1 parts passed\n")


def test_a_failing_program_comes_back(tmp_path, monkeypatch):
    """Every third program counts as one that differs."""
    numbers = iter(range(10**9))
    monkeypatch.setattr(
        campaign_module, "difference",
        lambda *_: "a counter differs" if next(numbers) % 3 == 2 else None,
    )  # fmt: skip
    monkeypatch.setattr(farm_module, "SHRINK_SECONDS", 0.0)
    arguments = ["farm", "fuzz", "--programs", "5", "--workers", "0", "--out", str(tmp_path)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 1
    assert "fuzz: 1 of 1 parts failed: programs-0-to-4" in result.output
    program, note = load_case(tmp_path / "programs-0-to-4")
    assert program.cfg == TINY
    assert note["difference"] == "a counter differs"
    assert "a counter differs" in (tmp_path / "programs-0-to-4" / "report.txt").read_text()


def test_the_jobs_of_a_checkout():
    names = {task.tag: task for task in checkout_tasks("grid")}
    assert len(names) > 20 and all("test_configuration_grid.py::" in name for name in names)
    assert {task.tag for task in checkout_tasks("grid", ["has_every_value"])} == {
        "tests/system/test_configuration_grid.py::test_the_grid_has_every_value"
    }
    faults = checkout_tasks("mutation")
    assert len(faults) >= 20
    assert faults[0].arguments == (("-m", "tests.mutation.run_all", faults[0].tag), True)
    with pytest.raises(TuningError, match=r"formal: no test of \d+ has one of nothing-like-that"):
        checkout_tasks("formal", ["nothing-like-that"])


def test_a_failing_test_comes_back_with_its_case(tmp_path):
    code = (
        "import sys, pathlib; folder = pathlib.Path(sys.argv[2]); (folder / 'a').mkdir();"
        "(folder / 'a' / 'case.bin').write_bytes(b'xyz'); sys.exit('it differs')"
    )
    tasks = [
        Task(run_checkout, (("-c", code), True), "tests/x.py::test[a b]"),
        Task(run_checkout, (("-c", "print('good')"), False), "good"),
        Task(int, ("x",), "broken"),
    ]
    told = []
    failures = farm(tasks, InProcess(), tmp_path, told.append)
    assert [(r.name, r.passed) for r in told] == [
        ("tests/x.py::test[a b]", False), ("good", True), ("broken", False),
    ]  # fmt: skip
    assert len(failures) == 2
    folder = tmp_path / "tests-x.py--test-a-b-"
    assert (folder / "a" / "case.bin").read_bytes() == b"xyz"
    assert "it differs" in (folder / "report.txt").read_text()
    assert "ValueError" in (tmp_path / "broken" / "report.txt").read_text()


def escaping():
    return {"passed": False, "text": "", "files": {"../outside": b""}}


def test_a_worker_writes_nothing_outside(tmp_path):
    with pytest.raises(TuningError, match=r"returned a file named '\.\./outside'"):
        farm([Task(escaping, (), "bad")], InProcess(), tmp_path / "out")
    assert not (tmp_path / "outside").exists()


def test_an_installed_package_has_no_tests(monkeypatch):
    monkeypatch.setattr(farm_module, "checkout", lambda: None)
    with pytest.raises(TuningError, match="tests of a checkout of the project"):
        checkout_tasks("grid")


def test_a_word_too_many():
    done = subprocess.run(
        [sys.executable, "-m", "vta", "farm", "fuzz", "x"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "'x' is one too many" in done.stderr


@pytest.mark.parametrize("option", [("--memory", "fast"), ("--workers", "-1")])
def test_options_that_are_refused(option):
    result = CliRunner().invoke(main, ["farm", "fuzz", *option])
    assert result.exit_code == 2
    assert option[1] in result.output


def garbage():
    return {"passed": "perhaps"}


def test_garbage_of_a_worker_is_a_part_that_failed(tmp_path):
    engine = InProcess()
    (failure,) = farm([Task(garbage, (), "part")], engine, tmp_path)
    assert "returned no result of a part" in failure.text
    assert "returned no result of a part" in (tmp_path / "part" / "report.txt").read_text()
