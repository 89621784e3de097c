"""The commands of docs/tutorials/photo.md print what the page shows."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def commands():
    """(command, lines that are shown after it) of the page, in order."""
    found = []
    for block in CONSOLE.findall(
        (ROOT / "docs" / "tutorials" / "photo.md").read_text(encoding="utf-8")
    ):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            else:
                found[-1][1].append(line)
    return found


@pytest.mark.networks
def test_page(tmp_path):
    assert len(commands()) == 7
    for command, shown in commands():
        program, *arguments = shlex.split(command)
        python = [sys.executable, *(["-m", "vta"] if program == "vta" else [])]
        done = subprocess.run(
            [*python, *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        if "cannot download" in done.stderr:
            pytest.skip(done.stderr)
        assert done.returncode == 0, done.stderr
        printed = [" ".join(line.split()) for line in done.stdout.splitlines()]
        at = 0
        for line in filter("...".__ne__, shown):
            words = " ".join(line.split())
            at = next((n for n in range(at, len(printed)) if printed[n].startswith(words)), None)
            assert at is not None, f"{command}: {line!r} in\n{done.stdout}"
