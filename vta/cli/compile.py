"""`vta compile`: an ONNX model as a file of programs; what `vta run` does to a model first."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from vta.cli.options import (
    EXISTING_FILE,
    FILE,
    machine,
    machine_options,
    require_other,
    shape_option,
)
from vta.cli.quantize import (
    calibrate_option,
    classes_option,
    preprocess_option,
    preprocessing_of,
    read_classes,
)
from vta.environment import get_env
from vta.errors import VTAError
from vta.memory_timing import PRESETS
from vta.network_file import network_bytes, network_from_bytes
from vta.preprocessing import Preprocessing
from vta.whole_files import write_all

if TYPE_CHECKING:
    from vta.config import VTAConfig
    from vta.network import Network

_USER_LOG = Path("-")

__all__ = ["ModelOptions", "compile_command", "compile_for", "join_option", "load_for",
           "progress_display", "schedules_option"]  # fmt: skip


@dataclass(frozen=True)
class ModelOptions:
    """How a model becomes a network.

    Attributes
    ----------
    preprocess : str or None
        What ``--preprocess`` says.
    calibration : Path or None
        The folder of samples for a float model.
    no_host : bool
        Whether nodes of the model that the host would run are refused.
    join_programs : bool
        Whether programs that no step of the host separates become one.
    shapes : tuple of (str, tuple of int)
        Of inputs whose extents the model leaves open.
    classes : Path or None
        A file of names of the elements of an output vector.
    schedules : Path or None
        A log of schedules.
    memory : str
        The memory preset that schedules of the log are taken for.
    """

    preprocess: str | None = None
    calibration: Path | None = None
    no_host: bool = False
    join_programs: bool = False
    shapes: tuple[tuple[str, tuple[int, ...]], ...] = ()
    classes: Path | None = None
    schedules: Path | None = None
    memory: str = "ideal"

    def named(self, network: Network) -> Network:
        """The network with the names of :attr:`classes`, if there are any.

        Raises
        ------
        VTAError
            If the file cannot be read, or no output has so many elements.
        """
        if self.classes is None:
            return network
        names = read_classes(self.classes)
        shapes = {name: network.tensors[name].shape for name in network.outputs}
        if not any(shape[-1:] == (prod(shape),) == (len(names),) for shape in shapes.values()):
            text = ", ".join(f"{name} {'x'.join(map(str, s))}" for name, s in shapes.items())
            raise VTAError(
                f"--classes: {self.classes} has {len(names)} names; must be as many as an output "
                f"vector has elements: {text}"
            )
        return replace(network, classes=names)


def compile_for(file: Path, cfg: VTAConfig, options: ModelOptions, progress: Progress) -> Network:
    """The network of an ONNX model for a machine; a float model is quantised first.

    Raises
    ------
    click.UsageError
        If a float model comes without samples, or a quantised one with samples.
    VTAError
        If the model is not supported.
    """
    from vta.calibration import calibration_inputs
    from vta.networks import compile_model, require_no_host
    from vta.quantization import is_quantised, quantise

    preprocessing = preprocessing_of(file, options.preprocess)
    schedules = None
    if options.schedules is not None:
        from vta.tuning.schedule_log import ScheduleLog

        schedules = ScheduleLog(options.schedules).tilings(cfg, options.memory)
    task = progress.add_task(f"reading {file.name}", total=None)

    def show(name: str, done: int, count: int) -> None:
        progress.update(task, completed=done, total=count, description=f"compiling {name}")

    quantised = is_quantised(file)
    if not quantised and options.calibration is None:
        raise click.UsageError(
            f"{file} computes in real numbers: give samples that show the ranges of its tensors, "
            f"as --calibrate FOLDER, or quantise it by `vta quantize`"
        )
    if quantised and options.calibration is not None:
        raise click.UsageError(f"--calibrate is for float models; {file} is quantised")
    with tempfile.TemporaryDirectory(prefix="vta-run-") as folder:
        path = file
        if options.calibration is not None:
            shapes = dict(options.shapes)
            samples = calibration_inputs(options.calibration, file, preprocessing, shapes)
            path = Path(folder) / "int8.onnx"
            quantise(
                file, path, samples, preprocessing=preprocessing, shapes=shapes,
                progress=lambda text: progress.update(task, description=text),
            )  # fmt: skip
        network = compile_model(
            path, cfg=cfg, name=file.stem, shapes=dict(options.shapes),
            join_programs=options.join_programs, cached=True, schedules=schedules,
            progress=show,
        )  # fmt: skip
    progress.update(task, completed=1, total=1, description="compiled")
    if options.no_host:
        require_no_host(network)
    if preprocessing is not None:
        network = replace(network, preprocessing=preprocessing.text())
    return options.named(network)


def load_for(file: Path, content: bytes, options: ModelOptions) -> Network:
    """The network in the contents of a .vtanet file.

    Raises
    ------
    VTAError
        If it is damaged, or the options refuse it.
    """
    from vta.networks import require_no_host

    network = network_from_bytes(content, where=str(file))
    if options.no_host:
        require_no_host(network)
    if options.preprocess is not None:
        network = replace(network, preprocessing=Preprocessing.named(options.preprocess).text())
    return options.named(network)


join_option = click.option(
    "--join-programs",
    is_flag=True,
    help="Programs that no step of the host separates become one: fewer cycles, one row of the "
    "table.",
)


def schedules_option(command: click.decorators.FC) -> click.decorators.FC:
    """--schedules: a log, or without FILE that of the user."""

    def path_of(ctx: click.Context, param: click.Parameter, value: Path | None) -> Path | None:
        if value == _USER_LOG:
            from vta.tuning.schedule_log import user_log

            return user_log()
        return value

    return click.option(
        "--schedules", type=FILE, is_flag=False, flag_value=_USER_LOG, metavar="[FILE]",
        callback=path_of,
        help="Models: layers have the schedules of this log of `vta tune`, without FILE of the "
        "user's. Results are the same, in fewer cycles.",
    )(command)  # fmt: skip


@click.command("compile")
@click.argument("model", type=EXISTING_FILE)
@click.option("-o", "--output", "result", type=FILE, required=True, help="The .vtanet file.")
@machine_options("that of the environment")
@preprocess_option
@calibrate_option
@click.option(
    "--no-host", is_flag=True,
    help="Refuse nodes that the host would run, but for the borders of the network.",
)  # fmt: skip
@join_option
@shape_option
@classes_option
@schedules_option
@click.option(
    "--memory", default="ideal", show_default=True, type=click.Choice(list(PRESETS)),
    help="The DRAM that schedules of --schedules were searched for.",
)  # fmt: skip
def compile_command(
    model: Path,
    result: Path,
    config: Path | None,
    preset: str | None,
    preprocess: str | None,
    calibration: Path | None,
    no_host: bool,
    join_programs: bool,
    shapes: tuple[tuple[str, tuple[int, ...]], ...],
    classes: Path | None,
    schedules: Path | None,
    memory: str,
) -> None:
    """Compile MODEL, an ONNX model, to a file that `vta run` and `vta.load` run.

    The file has programs for one machine, weights and the preprocessing of photos, and runs where
    no ONNX package is installed. A float model is quantised first, with --calibrate.
    """
    require_other("--output", result, model, config, classes, schedules)
    cfg = get_env().cfg if not config and not preset else machine(config, preset)
    with progress_display() as progress:
        options = ModelOptions(
            preprocess, calibration, no_host, join_programs, shapes, classes, schedules, memory
        )
        network = compile_for(model, cfg, options, progress)
    content = network_bytes(network)
    write_all({result: content})
    programs = sum(step.program is not None for step in network.steps)
    tuned = sum(step.tuned for step in network.steps)
    note = f" ({tuned} tuned)" if schedules is not None else ""
    click.echo(
        f"{network.name} for {cfg.fingerprint}: {programs} programs{note}, "
        f"{len(network.host_steps)} steps of the host, {len(content):,} bytes -> {result}"
    )
    untuned = [step.name for step in network.steps if step.products and not step.tuned]
    if schedules is not None and untuned:
        click.echo(f"no schedule in {schedules}, so with the default one: {', '.join(untuned)}")


def progress_display() -> Progress:
    """On standard error, if that is a terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, disable=not console.is_terminal)
