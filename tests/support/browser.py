"""A headless Chromium, for tests of pages; such tests are skipped where there is none."""

import re
import shutil
import subprocess

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
    "--virtual-time-budget=10000",  # the page's own clock: its scripts have run
)  # fmt: skip


def browser() -> str:
    """The command; skips the test if none of :data:`NAMES` is installed."""
    found = next((path for path in map(shutil.which, NAMES) if path), None)
    if found is None:
        pytest.skip(f"no browser: install one of {', '.join(NAMES)} to check pages")
    return found


def run(page, *flags, dark=False):
    """Load a page (a path); returns what the browser prints and its log."""
    command = [browser(), *FLAGS, "--enable-logging=stderr", *flags]
    command += ["--force-dark-mode"] if dark else []
    done = subprocess.run(
        [*command, page.as_uri()], capture_output=True, text=True, timeout=300, errors="replace"
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout, done.stderr


def console(log):
    """The messages of the page's console in the browser's log."""
    return re.findall(r"CONSOLE[^\]]*\] (.*)", log)
