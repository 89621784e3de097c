"""The ``vta`` command. An error of this package is a message on stderr and exit code 1."""

from __future__ import annotations

from typing import Any

import click

from vta import __version__
from vta.cli.check import check
from vta.cli.compare import compare
from vta.cli.compile import compile_command
from vta.cli.doctor import doctor
from vta.cli.execute import execute
from vta.cli.explore import explore
from vta.cli.farm import farm
from vta.cli.fuzz import fuzz
from vta.cli.inspect import disasm, show_config
from vta.cli.inspect_model import inspect
from vta.cli.ops import ops
from vta.cli.profile import profile
from vta.cli.program import program
from vta.cli.quantize import quantize
from vta.cli.run import run
from vta.cli.serve import serve
from vta.cli.tune import tune
from vta.cli.tutorials import tutorials
from vta.cli.worker import worker
from vta.errors import VTAError
from vta.output import reported_output

__all__ = ["main"]


class _Group(click.Group):
    """Turns errors of this package and of the system into messages; its help shows the whole first
    sentence of each command."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, c.get_short_help_str(limit=1000)) for name, c in self.commands.items()]
        with formatter.section("Commands"):
            formatter.write_dl(sorted(rows))

    def main(self, *args: Any, **kwargs: Any) -> Any:
        with reported_output():
            return super().main(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except VTAError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """VTA, the Versatile Tensor Accelerator: run, inspect and verify its programs."""


_COMMANDS = (
    run, execute, disasm, show_config, check, fuzz, program, serve, doctor, quantize,
    compile_command, inspect, compare, ops, profile, tune, explore, farm, worker, tutorials,
)  # fmt: skip
for _command in _COMMANDS:
    main.add_command(_command)
