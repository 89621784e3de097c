"""The tutorial that reads a page, as people run it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.networks
def test_tutorial():
    done = subprocess.run(
        [sys.executable, str(ROOT / "tutorials" / "read_text.py")],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "cannot download" in done.stderr:
        pytest.skip(done.stderr)
    assert done.returncode == 0, done.stderr
    read = re.findall(r"^ *\d+, *\d+: (.*)$", done.stdout, re.MULTILINE)
    assert read == ["simulated RTL", "New York", "Hello World", "simulated RTL"]
