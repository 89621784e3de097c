"""The ``vta`` command. An error of this package is a message on stderr and exit code 1."""

from __future__ import annotations

from typing import Any

import click

from vta.cli.check import check
from vta.cli.execute import execute
from vta.cli.fuzz import fuzz
from vta.cli.inspect import disasm, show_config
from vta.cli.program import program
from vta.cli.serve import serve
from vta.errors import VTAError

__all__ = ["main"]


class _Group(click.Group):
    """Turns this package's errors into messages."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except VTAError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_Group)
@click.version_option(package_name="vta")
def main() -> None:
    """VTA, the Versatile Tensor Accelerator: run, inspect and verify its programs."""


for _command in (execute, disasm, show_config, check, fuzz, program, serve):
    main.add_command(_command)
