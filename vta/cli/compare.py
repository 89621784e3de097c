"""`vta compare`: a network on a device against the interpreter and onnxruntime."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich import box
from rich.table import Table

from vta.cli.arrays import NAMED_FILE, NamedFiles, files_by_name, require_format
from vta.cli.compile import progress_display
from vta.cli.console import report_console
from vta.cli.devices import Place, place_options
from vta.cli.options import EXISTING_FILE, machine, machine_options, require_other, shape_option
from vta.cli.quantize import preprocess_option, preprocessing_of
from vta.cli.run_network import read_inputs
from vta.environment import get_env
from vta.pictures import error_picture, png_bytes
from vta.whole_files import write_all

if TYPE_CHECKING:
    from vta.comparison import Array, Difference, TensorComparison
    from vta.compiler.graph.ir import Graph

__all__ = ["compare"]


@click.command()
@click.argument("model", type=EXISTING_FILE)
@click.option(
    "--input", "inputs", type=NAMED_FILE, metavar="NAME=FILE", multiple=True,
    help="An array in a .npy file, or a photo; once for each input. Or one .npz file with an array "
    "for each.",
)  # fmt: skip
@place_options
@machine_options("that of the environment")
@preprocess_option
@shape_option
@click.option(
    "--picture", "pictures", type=NAMED_FILE, metavar="TENSOR=FILE.png", multiple=True,
    help="Write a picture of the differences of a tensor from onnxruntime's; without TENSOR= of "
    "the only output.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as JSON.")
def compare(
    model: Path,
    inputs: NamedFiles,
    config: Path | None,
    preset: str | None,
    preprocess: str | None,
    shapes: tuple[tuple[str, tuple[int, ...]], ...],
    pictures: NamedFiles,
    as_json: bool,
    **place: Any,
) -> None:
    """Run MODEL, a quantised ONNX file, and compare each tensor with two judges.

    The integer interpreter defines the result: a tensor that differs from it is a fault, and the
    exit code is 1. onnxruntime rounds in real numbers: differences from it are counted, over all
    nodes so far, and of each node alone, from onnxruntime's own tensors.
    """
    from vta.comparison import compare as compare_tensors
    from vta.comparison import graph_of

    for _, picture in pictures:
        require_other("--picture", picture, model, config)
        require_format("--picture", picture, ".png")
    where = Place(**place)
    cfg = get_env().cfg if not config and not preset else machine(config, preset)
    graph = graph_of(model, cfg, dict(shapes))
    drawn = _pictures(pictures, graph)
    contents: dict[Path, bytes] = {}

    def draw(name: str, got: Array, want: Array) -> None:
        if name in drawn:
            contents[drawn[name]] = png_bytes(error_picture(got, want))

    preprocessing = preprocessing_of(model, preprocess)
    values = read_inputs(
        model.stem, {name: (graph[name].dtype, graph[name].shape) for name in graph.inputs},
        inputs, preprocessing,
    )  # fmt: skip
    session = where.open(cfg)
    try:
        with progress_display() as progress:
            task = progress.add_task("compiling", total=len(graph.nodes))
            found = compare_tensors(
                model, graph, cfg, session.ext_dev(0), values, observe=draw,
                progress=lambda step, done: progress.update(
                    task, completed=done, description=f"running {step.name}"
                ),
            )  # fmt: skip
    finally:
        session.close()
    write_all(contents)
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(item) for item in found], indent=2))
    else:
        _print(found)
    wrong = [item for item in found if item.reference.count]
    if wrong:
        first = wrong[0]
        raise click.ClickException(
            f"{len(wrong)} tensors differ from the integer interpreter; the first is "
            f"{first.tensor} of node {first.node}, at index {first.reference.where}"
        )


def _pictures(given: NamedFiles, graph: Graph) -> dict[str, Path]:
    """The files of --picture by the names of tensors."""
    named = [
        (graph.outputs[0] if name is None and len(graph.outputs) == 1 else name, file)
        for name, file in given
    ]
    computed = [node.output for node in graph.nodes]
    return files_by_name("--picture", named, computed)


def _print(found: list[TensorComparison]) -> None:
    table = Table(box=box.SIMPLE, pad_edge=False)
    for title in ("tensor", "node", "elements", "reference", "onnxruntime", "node alone"):
        right = title == "elements"
        table.add_column(title, justify="right" if right else "left", overflow="fold")
    for item in found:
        table.add_row(
            item.tensor, item.node, f"{item.size:,}", _shown(item.reference, item.size),
            "" if item.onnxruntime is None else _shown(item.onnxruntime, item.size),
            "" if item.alone is None else _shown(item.alone, item.size),
        )  # fmt: skip
    report_console(140).print(table)
    judged = [item.onnxruntime for item in found if item.onnxruntime is not None]
    same = sum(not item.reference.count for item in found)
    click.echo(f"{same} of {len(found)} tensors equal the integer interpreter's")
    click.echo(
        f"{sum(not item.count for item in judged)} of {len(judged)} tensors equal onnxruntime's"
    )
    steps = [item.alone.largest for item in found if item.alone is not None and item.stored]
    if steps:
        click.echo(f"nodes alone differ from onnxruntime by up to {max(steps):g} steps")


def _shown(difference: Difference, size: int) -> str:
    if not difference.count:
        return "equal"
    share = difference.count / size
    return f"{difference.count:,} differ ({share:.2%}), by up to {difference.largest:.6g}"
