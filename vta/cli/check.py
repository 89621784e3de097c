"""`vta check`: what can be proved of a program without running it."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from vta.check import check_program, check_stream
from vta.cli.options import (
    ADDRESS,
    EXISTING_FILE,
    is_archive,
    machine,
    machine_options,
    read,
    require_stream,
)
from vta.program import Program

__all__ = ["check"]

SHOWN = 20
"""Findings that are printed unless all are asked for."""


@click.command()
@click.argument("program", type=EXISTING_FILE)
@machine_options("that of a saved program, for a raw stream the preset `default`")
@click.option("--dram", type=EXISTING_FILE, help="Raw stream: the DRAM image that it starts from.")
@click.option(
    "--base", default="0x1000", show_default=True, type=ADDRESS,
    help="Raw stream: physical address of the image's first byte.",
)  # fmt: skip
@click.option(
    "--after-reset", is_flag=True,
    help="Raw stream: on-chip memories hold zeros and may be read before they are written.",
)  # fmt: skip
@click.option(
    "--leftover-tokens", is_flag=True, help="Raw stream: tokens that nobody pops are no fault."
)
@click.option("--all", "everything", is_flag=True, help=f"Print more than {SHOWN} findings.")
def check(
    program: Path,
    config: Path | None,
    preset: str | None,
    dram: Path | None,
    base: int,
    after_reset: bool,
    leftover_tokens: bool,
    everything: bool,
) -> None:
    """Prove without running it that PROGRAM, a saved program or a raw stream, is sound.

    Every token that is popped is pushed and nothing deadlocks; what is read on the chip was written
    before; nothing is out of bounds; two modules never touch the same entry or the same bytes, one
    of them writing, without a token order between them. Exit code 1 if there are findings.

    Of a raw stream the micro-ops are known only with --dram.
    """
    content = read(program)
    if is_archive(content):
        if dram or after_reset or leftover_tokens:
            raise click.UsageError(
                f"--dram, --after-reset and --leftover-tokens are for raw streams; "
                f"{program} is a saved program"
            )
        saved = Program.from_bytes(content, where=str(program))
        if config is not None or preset is not None:
            saved.require_machine(machine(config, preset))
        report = check_program(saved)
    else:
        require_stream(program, content)
        image = None if dram is None else np.frombuffer(read(dram), np.uint8)
        report = check_stream(
            machine(config, preset), content, image=image, base=base,
            after_reset=after_reset, leftover_tokens=leftover_tokens,
        )  # fmt: skip

    shown = report.findings if everything else report.findings[:SHOWN]
    for finding in shown:
        click.echo(str(finding))
    if len(shown) < len(report.findings):
        click.echo(f"... and {len(report.findings) - len(shown)} more (--all prints them)")
    for limit in report.limits:
        click.echo(f"limit: {limit}" + ("" if dram else "; --dram gives their image"))
    if report.findings:
        count = len(report.findings)
        raise click.ClickException(f"{program}: {count} finding{'s' * (count > 1)}")
    click.echo(f"{program}: {report.instructions} instructions, no findings")
