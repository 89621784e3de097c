"""`vta inspect`: where each node of a model runs, before anything runs."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich import box
from rich.table import Table
from rich.text import Text

from vta.cli.console import report_console
from vta.cli.options import EXISTING_FILE, machine, machine_options, shape_option
from vta.environment import get_env

if TYPE_CHECKING:
    from vta.inspection import Inspection

__all__ = ["inspect"]


@click.command()
@click.argument("model", type=EXISTING_FILE)
@machine_options("that of the environment")
@click.option(
    "--memory", default="ideal", show_default=True, type=click.Choice(("ideal", "ddr")),
    help="The DRAM that cycles are estimated with.",
)  # fmt: skip
@shape_option
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def inspect(
    model: Path,
    config: Path | None,
    preset: str | None,
    memory: str,
    shapes: tuple[tuple[str, tuple[int, ...]], ...],
    as_json: bool,
) -> None:
    """Report which nodes of MODEL, an ONNX file, run on the accelerator, and which on the host.

    Of a quantised model that is supported also the cycles, estimated by the timing model, and the
    memory that it takes. Exit code 1 means that the model does not run as it is; the reasons are
    listed.
    """
    from vta.inspection import inspect_model

    cfg = get_env().cfg if not config and not preset else machine(config, preset)
    with report_console(stderr=True).status(Text(f"inspecting {model.name}")):
        found = inspect_model(model, cfg, memory, dict(shapes))
    if as_json:
        click.echo(json.dumps(_as_dict(found), indent=2))
    else:
        _print(found, cfg.fingerprint)
    if found.problems:
        raise click.exceptions.Exit(1)


def _as_dict(found: Inspection) -> dict[str, Any]:
    return {
        "name": found.name,
        "runs": not found.problems,
        "problems": list(found.problems),
        "quantised": found.quantised,
        "inputs": dict(found.inputs),
        "outputs": dict(found.outputs),
        "cycles": found.cycles,
        "weights": found.weights,
        "activations": found.activations,
        "nodes": [dataclasses.asdict(node) for node in found.nodes],
    }


def _print(found: Inspection, fingerprint: str) -> None:
    for title, tensors in (("input", found.inputs), ("output", found.outputs)):
        for name, kind in tensors.items():
            click.echo(f"{title} {name}: {kind}")
    table = Table(box=box.SIMPLE, pad_edge=False)
    for title in ("node", "operator", "where", "cycles", "products", "bytes", "note"):
        number = title in ("cycles", "products", "bytes")
        table.add_column(
            title, justify="right" if number else "left", no_wrap=number, overflow="fold"
        )
    for node in found.nodes:
        table.add_row(
            node.name, node.operator, node.where,
            "" if node.cycles is None else f"{node.cycles:,}",
            f"{node.products:,}" if node.products else "",
            f"{node.bytes:,}" if node.bytes else "", node.why,
        )  # fmt: skip
    report_console(140).print(table)
    if found.network is not None:
        click.echo(
            f"{found.name} on {fingerprint}: about {found.cycles:,} cycles; device memory "
            f"{found.weights:,} bytes of weights, {found.activations:,} of activations"
        )
    for problem in found.problems:
        click.echo(f"does not run: {problem}")
