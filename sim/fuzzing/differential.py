"""One program on two machines: what is different afterwards. Failing programs are kept in files."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from vta.check import check_stream
from vta.config import VTAConfig
from vta.errors import DeviceError, VTAError
from vta.isa import Instruction, Isa
from vta.sim.fuzzing.lane_history import lane_history, stored_byte
from vta.sim.fuzzing.random_programs import RandomProgram

if TYPE_CHECKING:
    import numpy.typing as npt

    from vta.run_result import RunResult
    from vta.sim.memory import Memory

__all__ = ["Machine", "difference", "is_sound", "load_case", "save_case"]

_STREAM, _IMAGE, _CONFIG, _NOTE = "insns.bin", "dram.bin", "vta_config.json", "note.json"


class Machine(Protocol):
    """What can run a stream: the reference model, the simulated RTL."""

    def reset(self) -> None:
        """The state after power-up."""

    def run(self, stream: bytes | Sequence[Instruction], memory: Memory) -> RunResult:
        """Run to the end; raises a DeviceError if it cannot."""


def is_sound(program: RandomProgram) -> bool:
    """Whether the static checker proves that the program, run first after a reset, ends without an
    error and with one result whatever the timing. Tokens may be left over."""
    report = check_stream(
        program.cfg, program.stream, image=program.image, base=program.base,
        after_reset=True, leftover_tokens=True,
    )  # fmt: skip
    return report.ok and not report.limits


def difference(reference: Machine, machine: Machine, program: RandomProgram) -> str | None:
    """Run a sound program on both, after a reset, and say what differs; None if nothing does.

    Compared are all bytes of DRAM, the counters, and the tokens that are left. Of the first byte
    that differs the text has the lane of the accumulator memory that it was stored from, and the
    operations on that lane with their operands.

    Raises
    ------
    DeviceError
        If the reference cannot run the program.
    """
    expected, got = program.memory(), program.memory()
    reference.reset()
    machine.reset()
    want = reference.run(program.stream, expected)
    try:
        have = machine.run(program.stream, got)
    except DeviceError as error:
        return f"the machine stops: {error}"
    wrong = np.flatnonzero(expected.data != got.data)
    if wrong.size:
        first = int(wrong[0])
        text = (
            f"{wrong.size} bytes of DRAM differ, the first at 0x{program.base + first:x}: "
            f"must be 0x{expected.data[first]:02x}, is 0x{got.data[first]:02x}"
        )
        return "\n".join([text, *_origin(program, expected.data, got.data, first)])
    for what, right, found in (
        ("counters", want.counters.as_dict(), have.counters.as_dict()),
        ("tokens left over", want.tokens, have.tokens),
    ):
        for name, value in right.items():
            if found[name] != value:
                return f"{what} differ: {name} must be {value}, is {found[name]}"
    return None


def _origin(
    program: RandomProgram, expected: npt.NDArray[np.uint8], got: npt.NDArray[np.uint8], at: int
) -> list[str]:
    """Where the byte ``at`` of the image comes from, and what was computed there."""
    low_half_is_right = not (int(expected[at]) ^ int(got[at])) & 15
    stored = stored_byte(program, program.base + at, low_half_is_right)
    if stored is None:
        return ["no STORE writes there"]
    must, found = (stored.value(data, program.base) for data in (expected, got))
    return [
        f"instruction {stored.index} stores it from {stored.lane}, which must be {must} and is "
        f"{found}; the operands, as they must be:",
        *lane_history(program, stored),
    ]


# ---- files ---------------------------------------------------------------------------------------


def save_case(folder: Path, program: RandomProgram, **note: Any) -> None:
    """Write a program so that ``vta exec`` can run it: the stream, the image, the configuration,
    and a note with the base address, the command, and whatever else is given.

    Raises
    ------
    VTAError
        If a file cannot be written.
    """
    command = [
        "vta", "exec", _STREAM, "--dram", _IMAGE, "--base", f"0x{program.base:x}",
        "--config", _CONFIG, "--target", "tsim", "--out", "out.bin",
    ]  # fmt: skip
    if "memory" in note:
        command += ["--memory", note["memory"]]
    listing = repr(program).splitlines()[1:]
    about = {"base": program.base, **note, "command": shlex.join(command), "program": listing}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _STREAM).write_bytes(program.stream)
        (folder / _IMAGE).write_bytes(program.image.tobytes())
        (folder / _CONFIG).write_text(json.dumps(program.cfg.to_dict(), indent=1) + "\n")
        (folder / _NOTE).write_text(json.dumps(about, indent=1) + "\n")
    except OSError as error:
        raise VTAError(f"cannot write the case {folder}: {error.strerror}") from None


def load_case(folder: Path) -> tuple[RandomProgram, dict[str, Any]]:
    """A program that :func:`save_case` wrote, and its note.

    Raises
    ------
    VTAError
        If a file is missing or is not what was written.
    """
    try:
        cfg = VTAConfig.from_file(folder / _CONFIG)
        note = json.loads((folder / _NOTE).read_text())
        insns = tuple(Isa.of(cfg).decode_all((folder / _STREAM).read_bytes()))
        image = np.frombuffer((folder / _IMAGE).read_bytes(), np.uint8)
        return RandomProgram(cfg, insns, image, int(note["base"])), note
    except (OSError, ValueError, KeyError) as error:
        raise VTAError(f"the case {folder} cannot be read: {error}") from None
