"""The commands of the pages about networks, and what the pages show of their output."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PHOTO_PAGE = ROOT / "docs" / "tutorials" / "photo.md"
NETWORKS_PAGE = ROOT / "docs" / "networks" / "networks.md"
BLOCK = re.compile(r"^```(console|sh)\n(.*?)^```$", re.DOTALL | re.MULTILINE)

pytestmark = pytest.mark.networks


def blocks(text, kind):
    """The contents of the blocks of one kind."""
    return [content for found, content in BLOCK.findall(text) if found == kind]


def commands(text):
    """(command, lines that are shown after it) of all console blocks, in order."""
    found = []
    for line in "".join(blocks(text, "console")).splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        else:
            found[-1][1].append(line)
    return found


def run(command, folder):
    """What a command prints, as lines with single spaces."""
    program, *arguments = shlex.split(command)
    python = [sys.executable, *(["-m", "vta"] if program == "vta" else [])]
    done = subprocess.run(
        [*python, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    if "cannot download" in done.stderr:
        pytest.skip(done.stderr)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return [" ".join(line.split()) for line in done.stdout.splitlines()]


def require_shown(command, shown, printed):
    """The lines of a page are in the output, in order; ``...`` stands for any."""
    at = 0
    for line in filter("...".__ne__, shown):
        words = " ".join(line.split())
        at = next((n for n in range(at, len(printed)) if printed[n].startswith(words)), None)
        assert at is not None, f"{command}: {line!r} in\n" + "\n".join(printed)


def test_photo_page(tmp_path):
    found = commands(PHOTO_PAGE.read_text(encoding="utf-8"))
    assert len(found) == 7
    for command, shown in found:
        require_shown(command, shown, run(command, tmp_path))


def test_readme_shows_what_make_photo_prints(tmp_path):
    """The recipe of the Makefile with its defaults."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (recipe,) = re.findall(r"^photo: .*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    for name in ("PHOTO", "MEMORY"):
        (default,) = re.findall(rf"^{name} *\?= (.*)$", makefile, re.MULTILINE)
        recipe = recipe.replace(f"$${name}", default).replace(f"$({name})", default)
    recipe = recipe.replace("$(BIN)/", "").replace("$(CONFIG_OPTION)", "")
    assert "$" not in recipe
    ((command, shown),) = commands((ROOT / "README.md").read_text(encoding="utf-8"))
    assert command == "make photo" and len(shown) > 5
    printed = [line for step in recipe.splitlines() for line in run(step, tmp_path)]
    require_shown(command, shown, printed)


@pytest.mark.parametrize(
    "section", ["Models that read sequences", "Networks that TensorFlow Lite quantised"]
)
def test_sections_of_the_networks_page(section, tmp_path):
    text = NETWORKS_PAGE.read_text(encoding="utf-8")
    (own,) = re.findall(rf"^###? {section}\n(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL)
    steps = "".join(blocks(own, "sh")).replace("\\\n", "").splitlines()
    steps = [step for step in steps if not step.startswith("pip ")]
    assert len(steps) >= 2
    for step in steps:
        printed = run(step, tmp_path)
    assert any(re.match(r"(embedding float32 1x384|probability uint8 1x1: 249)", line)
               for line in printed)  # fmt: skip
