"""Standard output that cannot take what a command prints."""

import os
import subprocess
import sys

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
