"""Ctrl-C and SIGTERM end a long command with a message that says what is kept."""

import signal

import pytest
from click.testing import CliRunner

from tests.support.onnx_models import digits, quantised
from vta.cli import main
from vta.cli.interrupts import interruptible
from vta.errors import TuningError
from vta.tuning import dask_engine
from vta.tuning.dask_engine import _interrupts_wait
from vta.tuning.engine import Done, InProcess

SPACE = "part: XC7Z020\nbase: tiny\nmachine: {EXTENSION: [0, 1]}"


@pytest.fixture(autouse=True)
def interrupts():
    """Ctrl-C raises, also in a background job of a shell, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_in_an_error(number):
    before = signal.getsignal(number)
    expected = pytest.raises(TuningError, match="interrupted; all is kept")
    with expected, interruptible(lambda: "all is kept"):
        signal.raise_signal(number)
    assert signal.getsignal(number) is before


def test_an_interrupt_waits_for_a_cluster_that_starts():
    done = []
    with pytest.raises(KeyboardInterrupt), _interrupts_wait():
        signal.raise_signal(signal.SIGINT)
        done.append("started")
    assert done == ["started"]


class Interrupted(InProcess):
    """Ctrl-C comes after one result, which has no files."""

    passed = True
    results = 0

    def next(self):
        if self.results:
            raise KeyboardInterrupt
        self.results += 1
        value = {"passed": self.passed, "text": "", "files": {}}
        return Done(self._tasks.popleft(), value)


@pytest.mark.parametrize(
    ("passed", "words"),
    [
        (True, "interrupted; 1 of 3 parts passed, 0 failed; the same command begins"),
        (False, "interrupted; 0 of 3 parts passed, 1 failed (cases/programs-0-to-99); the same"),
    ],
)
def test_farm(passed, words, tmp_path, monkeypatch):
    monkeypatch.setattr(Interrupted, "passed", passed)
    monkeypatch.setattr(dask_engine, "open_engine", lambda *_, **__: Interrupted())
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["farm", "fuzz", "--programs", "300", "--out", "cases"])
    assert result.exit_code == 1
    assert words in result.output


def test_explore(tmp_path, monkeypatch):
    monkeypatch.setattr(Interrupted, "results", 1)
    monkeypatch.setattr(dask_engine, "open_engine", lambda *_, **__: Interrupted())
    quantised(digits(size=8), tmp_path)
    (tmp_path / "space.yaml").write_text(SPACE)
    result = CliRunner().invoke(
        main,
        ["explore", str(tmp_path / "int8.onnx"), "--space", str(tmp_path / "space.yaml")],
    )  # fmt: skip
    assert result.exit_code == 1
    assert "interrupted; machines and modules that were synthesised are kept" in result.output
