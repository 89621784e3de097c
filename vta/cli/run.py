"""`vta run`: a saved program, or a model, on arrays in files."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy.typing as npt

from vta.bitstream import Bitstream
from vta.cli.arrays import (
    NAMED_FILE,
    NamedFiles,
    files_by_name,
    npy_bytes,
    read_array,
    require_format,
)
from vta.cli.compile import (
    ModelOptions,
    compile_for,
    join_option,
    load_for,
    progress_display,
    schedules_option,
)
from vta.cli.console import report_console
from vta.cli.devices import Place, place_options
from vta.cli.options import (
    EXISTING_FILE,
    FILE,
    is_archive,
    is_model,
    is_network_file,
    machine,
    machine_options,
    read,
    require_other,
    shape_option,
)
from vta.cli.quantize import calibrate_option, classes_option, preprocess_option
from vta.cli.run_network import run_network
from vta.environment import get_env
from vta.errors import ProgramError
from vta.file_kinds import kind_of
from vta.program import Program
from vta.whole_files import write_all

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vta.program import TensorSpec
    from vta.run_result import RunResult

__all__ = ["run"]

_STDOUT = Path("-")


@dataclass(frozen=True)
class Output:
    """A tensor that was computed, and the file that it is to be written to."""

    name: str
    values: npt.NDArray[Any]
    dtype: str
    file: Path | None

    def __str__(self) -> str:
        shape = "x".join(map(str, self.values.shape))
        where = f"-> {self.file}" if self.file else f"not written (--output {self.name}=FILE.npy)"
        return f"{self.name} {self.dtype} {shape} {where}"


@dataclass(frozen=True)
class Ran:
    """What a run gave."""

    name: str
    kind: str
    device: str
    instructions: int
    outputs: tuple[Output, ...]
    result: RunResult

    def as_dict(self) -> dict[str, Any]:
        """What ``--json`` prints."""
        return {
            "name": self.name,
            "kind": self.kind,
            "device": self.device,
            "instructions": self.instructions,
            "outputs": [
                {
                    "name": output.name,
                    "dtype": output.dtype,
                    "shape": list(output.values.shape),
                    "file": str(output.file) if output.file else None,
                }
                for output in self.outputs
            ],
            "counters": self.result.as_dict(),
        }

    def __str__(self) -> str:
        counters = [f"    {name:<16} {n:>12,}" for name, n in self.result.as_dict().items()]
        head = f"{self.name} on {self.device}: {self.instructions} instructions"
        return "\n".join([head, *map(str, self.outputs), *counters])


@click.command()
@click.argument("file", type=EXISTING_FILE)
@click.option(
    "--input", "inputs", type=NAMED_FILE, metavar="NAME=FILE.npy", multiple=True,
    help="The values of a tensor that FILE reads; once for each. Without NAME= if there is one. "
    "For a model also a photo, or one .npz file with an array for each input.",
)  # fmt: skip
@click.option(
    "--output", "outputs", type=NAMED_FILE, metavar="NAME=FILE.npy", multiple=True,
    help="Where to write a tensor that FILE computes. Without NAME= if there is one. An image that "
    "a model computes can be a picture: FILE.png.",
)  # fmt: skip
@place_options
@machine_options("models: that of the environment; programs have their own")
@preprocess_option
@calibrate_option
@click.option(
    "--top",
    default=5,
    show_default=True,
    type=click.IntRange(0),
    help="Models: how many classes to print.",
)
@click.option(
    "--no-host", is_flag=True,
    help="Models: refuse nodes that the host would run, but for the borders of the network.",
)  # fmt: skip
@join_option
@shape_option
@classes_option
@schedules_option
@click.option(
    "--json", "json_file", type=FILE, is_flag=False, flag_value=_STDOUT, metavar="[FILE]",
    help="Write the report as JSON, without FILE to standard output.",
)  # fmt: skip
def run(
    file: Path,
    inputs: NamedFiles,
    outputs: NamedFiles,
    config: Path | None,
    preset: str | None,
    preprocess: str | None,
    calibration: Path | None,
    top: int,
    no_host: bool,
    join_programs: bool,
    shapes: tuple[tuple[str, tuple[int, ...]], ...],
    classes: Path | None,
    schedules: Path | None,
    json_file: Path | None,
    **place: Any,
) -> None:
    """Run FILE on arrays in .npy files: a program (.vta), a network (.vtanet) or an ONNX model.

    An input of a network can be a photo, and a float model is quantised first, with --calibrate.
    Arrays have exactly the types and shapes that the program was built for or that the model
    declares (int4 tensors are int8 in files). The report says what was computed, and the counters
    of the run; of a model also where each node ran. If the run ends in an error, no file is
    written.
    """
    for _, result in outputs:
        require_other("--output", result, file, config, classes, schedules)
    require_other(
        "--json", json_file, file, config, classes, schedules, *(path for _, path in inputs)
    )
    where = Place(**place)
    content = None if is_model(file) else read(file)
    if content is None or is_network_file(file, content):
        options = ModelOptions(
            preprocess, calibration, no_host, join_programs, shapes, classes, schedules,
            where.memory or "ideal",
        )  # fmt: skip
        with progress_display() as progress:
            if content is not None:
                _require_none(
                    file, config=config, preset=preset, calibrate=calibration,
                    join_programs=join_programs, shape=shapes, schedules=schedules,
                )  # fmt: skip
                network = load_for(file, content, options)
            else:
                cfg = get_env().cfg if not config and not preset else machine(config, preset)
                network = compile_for(file, cfg, options, progress)
            report = run_network(network, inputs, outputs, where, progress, top=top)
        _write(report.contents(), report.as_dict(), json_file)
        if json_file is None:
            report.print(report_console())
        return
    _require_none(
        file, config=config, preset=preset, no_host=no_host, preprocess=preprocess,
        calibrate=calibration, join_programs=join_programs, shape=shapes,
        classes=classes, schedules=schedules,
    )  # fmt: skip
    ran = _runner(file, content)(file, content, inputs, outputs, where)
    _write({o.file: npy_bytes(o.values) for o in ran.outputs if o.file}, ran.as_dict(), json_file)
    if json_file is None:
        click.echo(str(ran))


def _require_none(file: Path, **options: object) -> None:
    """Refuse options that are not for a file of this kind."""
    for name, given in options.items():
        if given:
            raise click.UsageError(
                f"--{name.replace('_', '-')} is for ONNX models; {file} is compiled already"
            )


def _write(files: dict[Path, bytes], report: dict[str, Any], json_file: Path | None) -> None:
    """Write all files, the report among them."""
    text = json.dumps(report, indent=2, allow_nan=False)
    if json_file is not None and json_file != _STDOUT:
        if json_file.resolve() in {path.resolve() for path in files}:
            raise click.UsageError(f"--json: {json_file} is an --output, too")
        files = {**files, json_file: f"{text}\n".encode()}
    write_all(files)
    if json_file == _STDOUT:
        click.echo(text)


Runner = Callable[[Path, bytes, NamedFiles, NamedFiles, Place], Ran]


def _runner(file: Path, content: bytes) -> Runner:
    """What runs a file of this kind.

    Raises
    ------
    ProgramError
        If nothing does.
    """
    if Bitstream.is_one(content):
        raise ProgramError(f"{file} is a bitstream; `vta program` configures a board with it")
    if is_archive(content):
        return _run_program
    kind = kind_of(content)
    raise ProgramError(
        f"{file} is {kind}; `vta run` takes a saved program, a network or an ONNX model"
        if kind is not None
        else f"{file} is no saved program, which CompiledModule.save writes, and no .onnx file (a "
        f"raw instruction stream is run by `vta exec`)"
    )


def _run_program(
    file: Path, content: bytes, inputs: NamedFiles, outputs: NamedFiles, place: Place
) -> Ran:
    from vta.runtime import CompiledModule, array, empty
    from vta.runtime.buffer import host_dtype

    program = Program.from_bytes(content, where=str(file))
    sources = files_by_name("--input", inputs, [s.name for s in program.tensors if not _made(s)])
    targets = files_by_name("--output", outputs, [s.name for s in program.tensors if s.written])
    for path in targets.values():
        require_format("--output", path, ".npy")
    _require_distinct(list(targets.values()))
    missing = [s for s in program.tensors if s.read and s.name not in sources]
    if missing:
        wanted = ", ".join(f"{s.name} ({s.dtype} of shape {s.shape})" for s in missing)
        raise click.UsageError(
            f"{file} reads {wanted}: give each as --input {missing[0].name}=FILE.npy"
        )
    values = {
        s.name: read_array(f"input {s.name}", sources[s.name], host_dtype(s.dtype), s.shape)
        for s in program.tensors
        if s.name in sources
    }
    session = place.open(program.cfg)
    try:
        device = session.ext_dev(0)
        module = CompiledModule(program, device)
        arrays = [
            array(values[s.name], device, s.dtype)
            if s.name in values
            else empty(s.shape, s.dtype, device)
            for s in program.tensors
        ]
        result = module(*arrays)
        computed = tuple(
            Output(s.name, a.numpy(), s.dtype, targets.get(s.name))
            for s, a in zip(program.tensors, arrays)
            if s.written
        )
        return Ran(
            program.name, "program", repr(device), program.instruction_count, computed, result
        )
    finally:
        session.close()


def _made(spec: TensorSpec) -> bool:
    """Whether a tensor is only written: it needs no values."""
    return spec.written and not spec.read


def _require_distinct(files: Sequence[Path]) -> None:
    if len({file.resolve() for file in files}) != len(files):
        raise click.UsageError(f"--output: two tensors into one file: {', '.join(map(str, files))}")
