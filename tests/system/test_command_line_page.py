"""The page on the command line: what its commands print (``--update-golden`` writes it)."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from vta.cli import main

PAGE = Path(__file__).parents[2] / "docs" / "tools" / "command-line.md"
CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def printed(block: str) -> str:
    """The commands of a block, each followed by what it prints."""
    lines = []
    for line in block.splitlines():
        if line.startswith("$ vta "):
            result = CliRunner().invoke(main, shlex.split(line)[2:], prog_name="vta")
            lines += [line, *result.output.splitlines()]
    return "\n".join(lines) + "\n"


def test_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.chdir(tmp_path)
    page = PAGE.read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    exec(compile(code, str(PAGE), "exec"), {})
    runs = CONSOLE.sub(lambda match: f"```console\n{printed(match[1])}```", page)
    if request.config.getoption("--update-golden"):
        PAGE.write_text(runs, encoding="utf-8")
    assert runs == PAGE.read_text(encoding="utf-8")
