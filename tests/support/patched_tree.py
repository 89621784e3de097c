"""A copy of the source tree with the changes that a documentation page asks for."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Change", "PatchedTree", "changes_of", "commands_of"]

ROOT = Path(__file__).parents[2]
FOLDERS = ("hw", "compiler", "runtime", "sim", "boards")
"""Top folders that are installed as subpackages of vta."""
DIFF = re.compile(r"^```diff\n--- (\S+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
COMMANDS = re.compile(r"^```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Change:
    """A ``diff`` block: ``old`` lines of the file ``path`` become ``new``."""

    path: str
    old: str
    new: str

    @classmethod
    def of(cls, path: str, lines: list[str]) -> Change:
        """From lines that start with a space, ``+`` or ``-``; an empty line is one of context."""
        assert all(line[:1] in {"", " ", "+", "-"} for line in lines), (path, lines)
        old, new = (
            "".join(f"{line[1:]}\n" for line in lines if line[:1] != skipped) for skipped in "+-"
        )
        return cls(path, old, new)


def changes_of(page: Path) -> list[Change]:
    """The ``diff`` blocks of a page."""
    text = page.read_text(encoding="utf-8")
    return [Change.of(match[1], match[2].splitlines()) for match in DIFF.finditer(text)]


def commands_of(page: Path) -> list[str]:
    """The lines of the ``sh`` blocks of a page, without comments."""
    text = page.read_text(encoding="utf-8")
    lines = "".join(match[1] for match in COMMANDS.finditer(text)).splitlines()
    return [line.partition("#")[0].strip() for line in lines]


class PatchedTree:
    """A copy of the tree, laid out as an installed package beside its tests."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        leave = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(ROOT / "vta", folder / "vta", ignore=leave)
        for name in FOLDERS:
            shutil.copytree(ROOT / name, folder / "vta" / name, ignore=leave)
        shutil.copytree(ROOT / "tests", folder / "tests", ignore=leave)
        shutil.copytree(ROOT / "docs", folder / "docs")
        shutil.copy(ROOT / "pyproject.toml", folder)

    def apply(self, change: Change) -> None:
        """Make a change; its old lines must be in the file, once."""
        inside = "vta" if change.path.split("/")[0] in FOLDERS else "."
        path = self.folder / inside / change.path
        text = path.read_text(encoding="utf-8")
        count = f"\n{text}".count(f"\n{change.old}")
        assert count == 1, f"{change.path} has these lines {count} times:\n{change.old}"
        path.write_text(text.replace(change.old, change.new), encoding="utf-8")

    def python(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Python in the copy."""
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(self.folder)},
            capture_output=True,
            text=True,
            check=False,
        )
