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


CLOSED = """
import os, sys
from vta.output import reported_output
with reported_output():
    from vta.cli.console import report_console
    for stderr in (False, True):
        report_console(stderr=stderr).print("a line")
    sys.stdin.read()
    with open(sys.argv[1], "w") as file:
        file.write(str(file.fileno()))
        os.system("echo what another program prints")
"""


@pytest.mark.skipif(os.name != "posix", reason="`>&-` is of a POSIX shell")
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams(closed, tmp_path):
    result = tmp_path / "result"
    line = f'exec "$0" -c "$1" "$2" {closed}'
    run = subprocess.run(["sh", "-c", line, sys.executable, CLOSED, result], input="", text=True)
    assert run.returncode == 0
    assert int(result.read_text()) > 2  # and nothing of the other program
