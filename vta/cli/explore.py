"""`vta explore`: machines compared on models and on a part."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich import box
from rich.console import Console
from rich.table import Table

from vta.cli.compile import progress_display
from vta.cli.console import report_console
from vta.cli.interrupts import interruptible
from vta.cli.options import EXISTING_FILE, read
from vta.cli.tune import engine_options
from vta.errors import VTAError

if TYPE_CHECKING:
    from vta.tuning.explore import Exploration

__all__ = ["explore"]

FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command()
@click.argument("models", type=EXISTING_FILE, nargs=-1, required=True, metavar="MODEL.onnx...")
@click.option(
    "--space", "space_file", type=EXISTING_FILE, required=True,
    help="A YAML file: part, base, memory, and lists of values of keys of vta_config.json.",
)  # fmt: skip
@click.option(
    "-o", "--output", "folder", type=FOLDER, default=Path("explored"), show_default=True,
    help="The folder of the results.",
)  # fmt: skip
@engine_options
def explore(
    models: tuple[Path, ...], space_file: Path, folder: Path, workers: int, scheduler: str | None
) -> None:
    """Compare machines: cycles of quantised models, and what each machine takes of a part.

    Cycles are those of the timing model, resources those of Yosys, which keeps each module that it
    has synthesised. Machines that do not fit the part are refused. The folder gets machines.json,
    pareto.png, pareto.html, and for each machine the vta_config.json to go on with.
    """
    from vta.tuning.dask_engine import open_engine
    from vta.tuning.explore import explore as compare
    from vta.tuning.machine_space import MachineSpace

    space = MachineSpace.from_file(space_file)
    contents = {path.stem: read(path) for path in models}
    if len(contents) < len(models):
        raise click.UsageError("two models have the same name")
    _make(folder)
    warnings = Console(stderr=True)
    kept = (
        "machines and modules that were synthesised are kept in the cache, and the same command "
        "does the rest"
    )
    with interruptible(lambda: kept), progress_display() as progress:
        task = progress.add_task(f"{len(space)} machines", total=None)

        def show(done: int, count: int, what: str) -> None:
            progress.update(task, completed=done, total=count, description=what)

        engine = open_engine(
            scheduler, workers, lambda text: warnings.print(text, markup=False), estimates=True
        )
        try:
            found = compare(contents, space, engine, show)
        finally:
            engine.close()
    _write(found, folder)
    _print(found)
    click.echo(f"plots, machines.json and a vta_config.json for each machine -> {folder}")


def _make(folder: Path) -> None:
    """The folder is tried before minutes of work, not after."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise VTAError(f"cannot write into {folder}: {error.strerror}") from None


def _write(found: Exploration, folder: Path) -> None:
    from vta.tuning.pareto import plot_page, plot_picture

    front = found.pareto
    rows = [
        {
            "machine": point.number,
            "config": point.machine.to_dict(),
            "memory": point.memory,
            "cycles": point.cycles,
            "bytes_a_cycle": round(point.bandwidth, 3),
            "used": point.used,
            "pareto": point in front,
        }
        for point in found.points
    ]
    refused = [{"keys": dict(each.keys), "why": each.why} for each in found.refused]
    report: dict[str, Any] = {
        "part": found.space.part,
        "capacity": dict(found.capacity),
        "machines": rows,
        "refused": refused,
    }
    try:
        (folder / "machines.json").write_text(json.dumps(report, indent=2) + "\n")
        for point in found.of_memory(found.space.memories[0]):
            own = folder / f"machine-{point.number}"
            own.mkdir(exist_ok=True)
            text = json.dumps(point.machine.to_dict(), indent=2)
            (own / "vta_config.json").write_text(text + "\n")
        plot_picture(found, folder / "pareto.png")
        plot_page(found, folder / "pareto.html")
    except OSError as error:
        raise VTAError(f"cannot write into {folder}: {error.strerror}") from None


def _print(found: Exploration) -> None:
    console = report_console(160)
    console.print(f"machines on {found.space.part}; * on the Pareto front", highlight=False)
    for memory in found.space.memories:
        console.print(f"\nmemory {memory}", highlight=False)
        console.print(_table(found, memory))
    for each in found.refused:
        named = ", ".join(f"{key} {value}" for key, value in each.keys.items())
        console.print(f"refused: {named}: {each.why}", highlight=False, markup=False)


def _table(found: Exploration, memory: str) -> Table:
    """The machines with a memory preset, the fastest one first."""
    front = [point for point in found.pareto if point.memory == memory]
    points = sorted(found.of_memory(memory), key=lambda point: point.total)
    table = Table(box=box.SIMPLE, pad_edge=False)
    for title in ("", "", *found.space.varied_keys, *points[0].cycles, "B/cycle"):
        table.add_column(title, justify="right", overflow="fold")
    for title in points[0].used:
        table.add_column(title, justify="right", no_wrap=True)
    for point in points:
        keys = found.space.varied(point.machine)
        used = [
            f"{amount:,.0f} ({amount / found.capacity[name]:.0%})"
            for name, amount in point.used.items()
        ]
        table.add_row(
            str(point.number), "*" if point in front else "",
            *(str(keys[key]) for key in found.space.varied_keys),
            *(f"{cycles:,}" for cycles in point.cycles.values()), f"{point.bandwidth:.2f}", *used,
        )  # fmt: skip
    return table
