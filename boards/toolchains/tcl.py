"""Runs the vendors' scripts and constraint files, which are Tcl, with their commands written down
instead of done: what cannot be parsed is found without the vendor's tool."""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from vta.boards.toolchains.toolchain import CheckError
from vta.errors import ToolError

__all__ = ["Command", "commands"]

Command = tuple[str, ...]
"""A command with its arguments, substituted."""

_RECORD = """
set vta_record {}
rename puts vta_puts
catch {rename exit {}}
proc vta_hex {words} {
    return [join [lmap word $words {
        string cat x [binary encode hex [encoding convertto utf-8 $word]]
    }] " "]
}
proc unknown {args} {
    global vta_record vta_answers
    append vta_record [vta_hex $args] "\\n"
    set name [lindex $args 0]
    return [expr {[dict exists $vta_answers $name] ? [dict get $vta_answers $name] : "vta_thing"}]
}
"""
"""``unknown`` is what Tcl calls for a command that it does not know. It notes the words of the
command, as hexadecimal digits, and gives something that loops and conditions can work with."""

_NAME = re.compile(r"[A-Za-z0-9_.]+")


def commands(folder: Path, name: str, answers: Mapping[str, str] | None = None) -> list[Command]:
    """The vendor's commands that the script ``folder/name`` runs, in their order, inner ones first.

    It runs in ``folder`` and may source others. ``answers`` says what a command gives; others give
    a word.

    Raises
    ------
    CheckError
        If Tcl cannot run the script.
    ToolError
        If there is no Tcl: neither ``tclsh`` on PATH nor Python's tkinter.
    """
    given = dict(answers or {})
    assert all(_NAME.fullmatch(word) for pair in given.items() for word in pair)
    pairs = " ".join(f"{command} {answer}" for command, answer in given.items())
    record = _run(f"{_RECORD}set vta_answers {{{pairs}}}\n", folder.resolve(), name)
    return [
        tuple(bytes.fromhex(word[1:]).decode() for word in line.split())
        for line in record.splitlines()
    ]


def _run(program: str, folder: Path, name: str) -> str:
    tclsh = shutil.which("tclsh")
    if tclsh is None:
        return _run_inside(program, folder, name)
    # As a file, not as input: there Tcl would go on after an error.
    with tempfile.NamedTemporaryFile("w", suffix=".tcl", encoding="utf-8") as file:
        file.write(f"{program}source [lindex $argv 0]\nvta_puts -nonewline $vta_record\n")
        file.flush()
        done = subprocess.run(
            [tclsh, file.name, name], cwd=folder, capture_output=True, text=True, check=False
        )
    if done.returncode != 0:
        raise CheckError(f"{folder / name} is not good Tcl: {done.stderr.splitlines()[0]}")
    return done.stdout


def _run_inside(program: str, folder: Path, name: str) -> str:
    try:
        import tkinter
    except ImportError:
        raise ToolError(
            f"{folder / name} cannot be checked: there is neither tclsh on PATH nor tkinter in "
            f"this Python (Debian: apt install tcl)"
        ) from None
    interpreter = tkinter.Tcl()
    interpreter.eval(program)
    back = Path.cwd()
    try:
        interpreter.call("cd", str(folder))
        interpreter.call("source", name)
    except tkinter.TclError as error:
        raise CheckError(f"{folder / name} is not good Tcl: {error}") from None
    finally:
        interpreter.call("cd", str(back))
    return str(interpreter.call("set", "vta_record"))
