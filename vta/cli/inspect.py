"""`vta disasm` prints a stream, `vta config` the sizes of a machine."""

from __future__ import annotations

from pathlib import Path

import click
from rich import box
from rich.console import Console
from rich.table import Table

from vta.cli.options import (
    EXISTING_FILE,
    is_archive,
    machine,
    machine_options,
    read,
    require_stream,
)
from vta.config import INSN_BYTES, PRESETS
from vta.errors import ProgramError
from vta.isa import IllegalEncodingError, Isa, TokenCounts, disassemble
from vta.listing import HEADER, instruction_line
from vta.program import Program

__all__ = ["disasm", "show_config"]


@click.command()
@click.argument("insns", type=EXISTING_FILE)
@machine_options("that of a saved program, for a raw stream the preset `default`")
def disasm(insns: Path, config: Path | None, preset: str | None) -> None:
    """Print INSNS, a raw stream or a saved program, one instruction a line.

    A line has the instruction's number, the tokens in the queues l2g, g2l, g2s and s2g after it (in
    the order of the stream: negative where it pops what a later one pushes), and the instruction.
    """
    cfg = machine(config, preset)
    content = read(insns)
    if is_archive(content):  # a saved program, not a raw stream
        program = Program.from_bytes(content, where=str(insns))
        if config is not None or preset is not None:
            program.require_machine(cfg)
        cfg, content = program.cfg, program.code
    else:
        require_stream(insns, content)
    isa, counts, illegal = Isa.of(cfg), TokenCounts(), 0
    click.echo(HEADER)
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
        click.echo(instruction_line(offset // INSN_BYTES, counts, text))
    if illegal:
        raise ProgramError(f"{insns}: {illegal} of the words are no legal instructions")


@click.command("config")
@click.argument("file", required=False, type=EXISTING_FILE)
@click.option("--preset", type=click.Choice(PRESETS), help="Show this machine instead of a file's.")
def show_config(file: Path | None, preset: str | None) -> None:
    """Print every size of the machine in FILE, a vta_config.json. Default: the preset `default`."""
    cfg = machine(file, preset)
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
