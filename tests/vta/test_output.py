"""Standard output that cannot take what a command prints."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PRINT = "from vta.output import reported_output\nwith reported_output():\n    print({text!a})\n"


@pytest.mark.parametrize(
    "text, printed",
    [("\u00e9", b"\\xe9"), ("\u2713", b"\\u2713"), (os.fsdecode(b"\xff"), b"\\udcff")],
    ids=ascii,
)
def test_characters_outside_the_encoding_are_escapes(text, printed):
    run = subprocess.run(
        [sys.executable, "-c", PRINT.format(text=text)],
        env=os.environ | {"PYTHONIOENCODING": "ascii:strict"}, capture_output=True,
    )  # fmt: skip
    assert (run.returncode, run.stdout.rstrip(), run.stderr) == (0, printed, b"")


SCRIPT = "from vta.output import report_output_errors\nreport_output_errors()\n"
TUTORIALS = Path(__file__).parents[2] / "tutorials"
FULL = Path("/dev/full")


def run_into(target, *command):
    with open(target, "wb") as output:
        return subprocess.run(
            [sys.executable, *command], stdout=output, stderr=subprocess.PIPE, text=True
        )


@pytest.mark.skipif(not FULL.exists(), reason="no file that is always full")
@pytest.mark.parametrize("command", [
    ("-c", f"{SCRIPT}print('a line')"), (str(TUTORIALS / "vta_get_started.py"),),
], ids=["script", "tutorial"])  # fmt: skip
def test_a_script_on_a_full_disk_ends_in_one_line(command):
    run = run_into(FULL, *command)
    assert run.returncode == 1
    assert run.stderr == "Error: cannot write the output: No space left on device\n"


def test_other_errors_of_a_script_have_their_traceback():
    run = run_into(os.devnull, "-c", f"{SCRIPT}1 / 0")
    assert run.returncode == 1 and "Traceback" in run.stderr and "ZeroDivision" in run.stderr
    run = run_into(os.devnull, "-c", f"{SCRIPT}open('/nowhere/at/all')")
    assert run.stderr == "Error: cannot use /nowhere/at/all: No such file or directory\n"


@pytest.mark.parametrize("path", sorted(TUTORIALS.glob("*.py")), ids=lambda path: path.stem)
def test_every_tutorial_reports_what_it_cannot_write(path):
    text = path.read_text(encoding="utf-8")
    assert any(
        call in text
        for call in ("report_output_errors()", "open_session(", "with reported_output():")
    )
