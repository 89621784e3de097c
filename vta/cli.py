"""The ``vta`` command. An error of this package is a message on stderr and exit code 1."""

from __future__ import annotations

import json
import os
import tempfile
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from .config import INSN_BYTES, PRESETS, VTAConfig
from .errors import ProgramError, VTAError
from .isa import IllegalEncodingError, Isa, TokenCounts, disassemble
from .program import Program

if TYPE_CHECKING:
    from collections.abc import Callable

    from vta.sim.memory import Memory
    from vta.sim.stats import RunResult

__all__ = ["main"]

FILE = click.Path(dir_okay=False, path_type=Path)
EXISTING_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


class _Group(click.Group):
    """Turns this package's errors into messages."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except VTAError as error:
            raise click.ClickException(str(error)) from error


class _Address(click.ParamType):
    """A byte address, decimal or with 0x."""

    name = "address"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            address = int(str(value), 0)
        except ValueError:
            self.fail(f"{value!r} is not an address (write 4096 or 0x1000)", param, ctx)
        if address < 0:
            self.fail(f"{value} is negative", param, ctx)
        return address


def _machine_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """--config and --preset, which choose the machine."""
    command = click.option(
        "--preset", type=click.Choice(PRESETS), help="A machine that comes with the package."
    )(command)
    return click.option(
        "--config",
        type=EXISTING_FILE,
        help="The machine: a vta_config.json. Default: the preset `default`.",
    )(command)


def _machine(config: Path | None, preset: str | None) -> VTAConfig:
    if config is not None and preset is not None:
        raise click.UsageError("give a configuration file or --preset, not both")
    return VTAConfig.preset(preset or "default") if config is None else VTAConfig.from_file(config)


@click.group(cls=_Group)
@click.version_option(package_name="vta")
def main() -> None:
    """VTA, the Versatile Tensor Accelerator: run and inspect its programs."""


# ---- exec ---------------------------------------------------------------------------------------


@main.command("exec")
@click.argument("insns", type=EXISTING_FILE)
@click.option("--dram", required=True, type=EXISTING_FILE, help="The DRAM image before the run.")
@click.option(
    "--base", default="0x1000", show_default=True, type=_Address(),
    help="Physical address of the image's first byte.",
)  # fmt: skip
@_machine_options
@click.option(
    "--target", type=click.Choice(["sim", "tsim"]),
    help="The reference model, or the RTL in Verilator. Default: the configuration's TARGET, "
         "sim where that is a board.",
)  # fmt: skip
@click.option("--memory", help="tsim: behaviour of the simulated DRAM, as `ideal` or `ddr`.")
@click.option("--trace", type=FILE, help="tsim: write waves to this FST file.")
@click.option("--out", type=FILE, help="Write the DRAM image after the run.")
@click.option("--stats", type=FILE, help="Write the counters as JSON; without it they are printed.")
def execute(
    insns: Path,
    dram: Path,
    base: int,
    config: Path | None,
    preset: str | None,
    target: str | None,
    memory: str | None,
    trace: Path | None,
    out: Path | None,
    stats: Path | None,
) -> None:
    """Run the raw instruction stream INSNS (16-byte little-endian words) on a DRAM image.

    Nothing outside the image is touched. If the run ends in an error, no file is written.
    """
    from vta.sim.memory import Memory

    cfg = _machine(config, preset)
    target = target or ("tsim" if cfg.target == "tsim" else "sim")
    if target == "sim" and (memory or trace):
        option = "--memory" if memory else "--trace"
        raise click.UsageError(f"{option} is for --target tsim: the reference model has no bus")
    image = Memory(base, np.frombuffer(bytearray(_read(dram)), np.uint8))
    result = _run(cfg, target, _read(insns), image, memory, trace)
    report = json.dumps(result.as_dict(), indent=2) + "\n"
    files = {}
    if out is not None:
        files[out] = image.data.tobytes()
    if stats is not None:
        files[stats] = report.encode()
    else:
        click.echo(report, nl=False)
    _write_all(files)


def _run(
    cfg: VTAConfig,
    target: str,
    stream: bytes,
    image: Memory,
    memory: str | None,
    trace: Path | None,
) -> RunResult:
    if target == "sim":
        from vta.sim.model import ReferenceModel

        return ReferenceModel(cfg).run(stream, image)
    from vta.sim.verilator import VerilatedMachine

    machine = VerilatedMachine(cfg, memory_preset=memory or "ideal", trace=trace)
    result: RunResult = machine.run(stream, image)
    return result


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise VTAError(f"cannot read {path}: {error.strerror}") from None


def _write_all(files: dict[Path, bytes]) -> None:
    """Write all files or none: each is complete under another name before the first is renamed."""
    parts: dict[Path, Path] = {}
    try:
        for path, content in files.items():
            handle, part = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
            parts[path] = Path(part)
            with open(handle, "wb") as file:
                file.write(content)
        for path, part_path in parts.items():
            os.replace(part_path, path)
    except OSError as error:
        raise VTAError(f"cannot write {path}: {error.strerror}") from None
    finally:
        for part_path in parts.values():
            with suppress(FileNotFoundError):
                part_path.unlink()


# ---- disasm -------------------------------------------------------------------------------------


@main.command()
@click.argument("insns", type=EXISTING_FILE)
@_machine_options
def disasm(insns: Path, config: Path | None, preset: str | None) -> None:
    """Print INSNS, a raw stream or a saved program, one instruction a line.

    A line has the instruction's number, the tokens in the queues l2g, g2l, g2s and s2g after it (in
    the order of the stream: negative where it pops what a later one pushes), and the instruction.
    """
    cfg = _machine(config, preset)
    content = _read(insns)
    if zipfile.is_zipfile(insns):  # a saved program, not a raw stream
        program = Program.from_bytes(content, where=str(insns))
        if config is not None or preset is not None:
            program.require_machine(cfg)
        cfg, content = program.cfg, program.code
    if len(content) % INSN_BYTES:
        raise ProgramError(
            f"{insns}: an instruction stream is a multiple of {INSN_BYTES} bytes; "
            f"got {len(content)}"
        )
    isa, counts, illegal = Isa.of(cfg), TokenCounts(), 0
    click.echo("    #  l2g g2l g2s s2g")
    for offset in range(0, len(content), INSN_BYTES):
        try:
            insn = isa.decode(content[offset : offset + INSN_BYTES])
        except IllegalEncodingError as error:
            text, illegal = f"[illegal: {error}]", illegal + 1
        else:
            text = disassemble(insn)
            if reason := isa.why_illegal(insn):
                text, illegal = f"{text}  [illegal: {reason}]", illegal + 1
            else:
                counts.pop(insn)
                counts.push(insn)
        columns = " ".join(f"{count:3}" for count in counts.as_dict().values())
        click.echo(f"{offset // INSN_BYTES:5}  {columns}  {text}")
    if illegal:
        raise ProgramError(f"{insns}: {illegal} of the words are no legal instructions")


# ---- config -------------------------------------------------------------------------------------


@main.command("config")
@click.argument("file", required=False, type=EXISTING_FILE)
@click.option("--preset", type=click.Choice(PRESETS), help="Show this machine instead of a file's.")
def show_config(file: Path | None, preset: str | None) -> None:
    """Print every size of the machine in FILE, a vta_config.json. Default: the preset `default`."""
    cfg = _machine(file, preset)
    console = Console()
    given = Table(
        "key", "value", title="vta_config.json", box=box.SIMPLE_HEAD, title_justify="left"
    )
    for key, value in cfg.to_dict().items():
        given.add_row(key, str(value))
    derived = Table("size", "value", title="derived", box=box.SIMPLE_HEAD, title_justify="left")
    for name, value in cfg.derived().items():
        if name != "fingerprint":
            derived.add_row(name, str(value))
    console.print(given, derived)
    console.print(f"fingerprint {cfg.fingerprint}", highlight=False)
