"""`vta tune`: schedules for the layers of models, and the log that has them."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from vta.cli.console import report_console
from vta.cli.interrupts import interruptible
from vta.cli.options import (
    FILE,
    FiniteRange,
    TargetName,
    machine,
    machine_options,
    require_other,
    shape_option,
)
from vta.environment import get_env
from vta.memory_timing import PRESETS
from vta.targets import TARGETS
from vta.whole_files import write_all

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vta.config import VTAConfig
    from vta.tuning import Workload
    from vta.tuning.search import Layer

__all__ = ["engine_options", "tune"]


def engine_options(command: click.decorators.FC) -> click.decorators.FC:
    """--workers and --scheduler: where the work is done."""
    command = click.option(
        "--scheduler", metavar="ADDRESS",
        help="A Dask scheduler with workers (`vta worker`), as tcp://host:8786. Default: worker "
        "processes on this computer.",
    )(command)  # fmt: skip
    return click.option(
        "--workers", type=click.IntRange(min=0), default=os.cpu_count() or 1,
        show_default="one a core",
        help="Worker processes on this computer; 0: none, all in this process.",
    )(command)  # fmt: skip


@click.command()
@click.argument("what", nargs=-1, metavar="[MODEL.onnx | OPERATOR]...")
@machine_options("that of the environment")
@click.option(
    "--memory", default="ideal", show_default=True, type=click.Choice(list(PRESETS)),
    help="The DRAM that schedules are for.",
)  # fmt: skip
@click.option(
    "--trials", default=64, show_default=True, type=click.IntRange(min=1),
    help="Schedules of each layer.",
)  # fmt: skip
@click.option("--minutes", type=FiniteRange(min=0), help="Begin no trials after this time.")
@click.option(
    "--seed", default=0, show_default=True, type=click.IntRange(min=0),
    help="The same seed gives the same log.",
)  # fmt: skip
@engine_options
@click.option(
    "--log", "log_file", type=FILE, help="The log of schedules. Default: that of the user."
)
@click.option(
    "--measure-on", default="tsim", show_default=True, metavar="TARGET",
    type=TargetName([name for name in TARGETS if name != "sim"]),  # which counts no cycles
    help="What the best schedules are measured on: tsim, or the board of a worker that was started "
    "with --board.",
)  # fmt: skip
@shape_option
@click.option("--export", type=FILE, help="Write the log as JSON, a line for each schedule.")
@click.option(
    "--import", "--merge", "imports", type=FILE, multiple=True,
    help="Add the schedules of another log, or of a file of --export.",
)  # fmt: skip
def tune(
    what: tuple[str, ...],
    config: Path | None,
    preset: str | None,
    memory: str,
    trials: int,
    minutes: float | None,
    seed: int,
    workers: int,
    scheduler: str | None,
    log_file: Path | None,
    measure_on: str,
    shapes: tuple[tuple[str, tuple[int, ...]], ...],
    export: Path | None,
    imports: tuple[Path, ...],
) -> None:
    """Search schedules for each distinct layer of quantised ONNX models, or for operators.

    An operator is a call of vta.ops: "conv2d((1, 64, 56, 56), 64, 3, padding=1)". The timing model
    judges each schedule; the best ones, and the default one, are measured, and their results
    compared with NumPy. The fastest is stored in the log, which `vta run --schedules` and `vta
    compile --schedules` take. The default schedule is always among them, so that no layer gets
    slower. An interrupted search goes on when the same command is given again.
    """
    from vta.tuning import ScheduleLog, user_log

    if not what and not imports and export is None:
        raise click.UsageError("give models or operators, --import or --export")
    models = [Path(text) for text in what if _names_file(text)]
    require_other("--export", export, log_file or user_log(), config, *imports, *models)
    cfg = get_env().cfg if not config and not preset else machine(config, preset)
    wanted = _workloads(what, cfg, dict(shapes))  # a name that is none makes no log
    log = ScheduleLog(log_file or user_log(), create=bool(what or imports))
    for path in imports:
        click.echo(f"{path}: new or faster schedules: {log.merge(path)}")
    if what:
        log.entries(cfg, memory)  # a damaged log is an error before the search, not after
        kept = f"{log.path} has the trials so far, and the same command goes on"
        with interruptible(lambda: kept), _Display(cfg, trials) as display:
            from vta.tuning.dask_engine import open_engine
            from vta.tuning.search import Search

            engine = open_engine(scheduler, workers, display.warn, estimates=True)
            try:
                if measure_on != "tsim":
                    engine.require_board()
                search = Search(
                    log, cfg, wanted, engine, memory=memory, trials=trials, seed=seed,
                    seconds=None if minutes is None else 60 * minutes, target=measure_on,
                    report=display.show, warn=display.warn,
                )  # fmt: skip
                display.begin(search.layers)
                layers = search.run()
            finally:
                engine.close()
        _print(layers, cfg, memory, log.path)
    if export is not None:
        write_all({export: log.export().encode()})
        count = len(log.entries())
        click.echo(f"{count} schedule{'s' * (count != 1)} of {log.path} -> {export}")


def _names_file(text: str) -> bool:
    """Whether there is a file of that name; False for what is too long for one."""
    return os.path.exists(text)  # Path.exists raises


def _workloads(
    what: Iterable[str], cfg: VTAConfig, shapes: dict[str, tuple[int, ...]]
) -> Counter[Workload]:
    from vta.tuning import parse_workload
    from vta.tuning.model_workloads import model_workloads

    found: Counter[Workload] = Counter()
    for text in what:
        if Path(text).suffix == ".onnx" or _names_file(text):
            found.update(model_workloads(text, cfg, shapes))
        else:
            found[parse_workload(text, cfg)] += 1
    return found


class _Display:
    """Progress on a terminal: a line for each layer that is searched, and the total. Elsewhere a
    line for each layer that is done."""

    def __init__(self, cfg: VTAConfig, trials: int) -> None:
        self._cfg, self._trials = cfg, trials
        self._console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(bar_width=20),
            TextColumn("{task.fields[best]}"), TimeElapsedColumn(),
            console=self._console, disable=not self._console.is_terminal,
        )  # fmt: skip
        self._tasks: dict[int, TaskID] = {}
        self._layers: list[Layer] = []

    def __enter__(self) -> _Display:
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def begin(self, layers: list[Layer]) -> None:
        self._layers = layers
        for layer in layers:
            self._tasks[id(layer)] = self._progress.add_task(
                layer.workload.title(self._cfg), total=self._trials, best=""
            )
        self._total = self._progress.add_task("total", total=len(layers), best="")

    def warn(self, text: str) -> None:
        self._console.print(f"warning: {text}", highlight=False, markup=False)

    def show(self, layer: Layer) -> None:
        from vta.tuning.search import total

        done = len(layer.study.trials)
        self._progress.update(
            self._tasks[id(layer)], completed=self._trials if layer.entry else done,
            best=_change(layer.default_cycles, layer.best_cycles),
        )  # fmt: skip
        finished = sum(each.entry is not None for each in self._layers)
        self._progress.update(self._total, completed=finished, best=_change(*total(self._layers)))
        if layer.entry is not None and not self._console.is_terminal:
            change = _change(layer.default_cycles, layer.best_cycles)
            self._console.print(
                f"[{finished}/{len(self._layers)}] {layer.workload.title(self._cfg)}: {change}, "
                f"{done} trials",
                highlight=False, markup=False,
            )  # fmt: skip


def _change(before: int | None, after: int | None) -> str:
    if not before or not after:
        return ""
    return f"{before:,} -> {after:,} cycles ({after / before - 1:+.1%})"


def _print(layers: list[Layer], cfg: VTAConfig, memory: str, path: Path) -> None:
    from vta.tuning.search import total

    before, after = total(layers)
    device = next(layer.entry.device for layer in layers if layer.entry is not None)
    table = Table(box=box.SIMPLE, show_footer=True, pad_edge=False)
    for title, footer in (
        ("layer", "total"), ("times", f"{sum(layer.count for layer in layers)}"), ("trials", ""),
        ("default", f"{before:,}"), ("tuned", f"{after:,}"),
        ("change", f"{after / before - 1:+.1%}"),
    ):  # fmt: skip
        table.add_column(title, footer, justify="left" if title == "layer" else "right")
    for layer in layers:
        entry = layer.entry
        assert entry is not None
        table.add_row(
            layer.workload.title(cfg), str(layer.count), str(entry.trials),
            f"{entry.default_cycles:,}", f"{entry.cycles:,}",
            f"{entry.cycles / entry.default_cycles - 1:+.1%}",
        )  # fmt: skip
    console = report_console()
    console.print(f"cycles on {device}, {cfg.fingerprint}, memory {memory}", highlight=False)
    console.print(table)
    console.print(f"schedules -> {path}", highlight=False, soft_wrap=True)
