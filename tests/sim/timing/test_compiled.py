"""The compiled kernel: one process compiles it, others load what it kept."""

import filelock
import pytest

from tests.sim.timing.test_timing import compiled as program_of
from vta.config import VTAConfig
from vta.errors import DeadlockError
from vta.sim.timing import compiled, estimate, prepare

TINY = VTAConfig.preset("tiny")


@pytest.fixture
def kernels(tmp_path, monkeypatch):
    """An empty cache, and how often the kernel was run compiled; compiling itself takes 15 s."""
    found = []
    monkeypatch.setattr(compiled, "_folder", lambda: tmp_path)
    monkeypatch.setattr(compiled, "_compiled", lambda: lambda s: found.append(s))
    monkeypatch.setattr(compiled, "has_compiler", lambda: True)
    return found


def test_the_kernel_is_compiled_by_one_process_at_a_time(kernels, tmp_path, monkeypatch):
    """While another process compiles, estimates are interpreted."""
    monkeypatch.setattr(compiled, "_estimated", 10 * compiled.INTERPRETED_INSTRUCTIONS)
    with filelock.FileLock(tmp_path / "lock"):
        assert estimate(program_of("vadd", TINY)).cycles > 0
        assert not kernels
    prepare()
    assert len(kernels) == 1


def test_a_kept_kernel_is_loaded_without_the_lock(kernels, tmp_path):
    prepare()
    with filelock.FileLock(tmp_path / "lock"):
        prepare()
    assert len(kernels) == 2


def test_a_kept_kernel_is_loaded_early(kernels, monkeypatch):
    monkeypatch.setattr(compiled, "_estimated", compiled.LOADED_INSTRUCTIONS)
    estimate(program_of("vadd", TINY))
    assert not kernels
    prepare()
    with pytest.raises(DeadlockError):  # the kernel of this test does nothing
        estimate(program_of("vadd", TINY))
    assert len(kernels) == 2


def test_nothing_is_prepared_without_numba(kernels, monkeypatch):
    monkeypatch.setattr(compiled, "has_compiler", lambda: False)
    prepare()
    assert not kernels
