"""`vta ops`: the ONNX operators that are supported."""

from __future__ import annotations

import click
from rich import box
from rich.table import Table

from vta.cli.console import report_console

__all__ = ["ops"]


@click.command()
@click.option(
    "--markdown", is_flag=True, help="Print the page docs/networks/supported-operators.md."
)
def ops(markdown: bool) -> None:
    """List the ONNX operators that networks can have, where each runs, and its constraints."""
    from vta.operator_page import operators_as_markdown, supported_operators

    if markdown:
        click.echo(operators_as_markdown(), nl=False)
        return
    table = Table(box=box.SIMPLE, pad_edge=False)
    for title in ("operator", "from opset", "runs on", "constraints"):
        table.add_column(title, justify="right" if title == "from opset" else "left")
    for operator in supported_operators():
        constraints = "; ".join(operator.constraints)
        table.add_row(operator.name, str(operator.opset), operator.where, constraints)
    report_console().print(table)
