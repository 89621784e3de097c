"""`vta profile`: where the cycles of a program, a network or the programs of a script went."""

from __future__ import annotations

import runpy
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from vta.cli.compile import ModelOptions, compile_for, load_for, progress_display
from vta.cli.options import (
    EXISTING_FILE,
    is_archive,
    is_model,
    is_network_file,
    machine,
    machine_options,
    read,
    target_option,
)
from vta.cli.quantize import calibrate_option, preprocess_option
from vta.environment import Environment, get_env
from vta.errors import ProgramError, VTAError

if TYPE_CHECKING:
    from rich.progress import Progress

    from vta.config import VTAConfig
    from vta.network import Network
    from vta.profiling import Profile
    from vta.program import Program

__all__ = ["profile"]

FOLDER = click.Path(path_type=Path)


@click.command()
@click.argument("file", type=EXISTING_FILE, required=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[-- ARGUMENT...]")
@target_option(
    ("sim", "tsim"), default="sim", show_default=True,
    help="The timing model, or the RTL in Verilator with probes.",
)  # fmt: skip
@click.option(
    "--memory", default="ideal", show_default=True,
    help="Timing of the DRAM, as `ideal` or `ddr`.",
)  # fmt: skip
@click.option("-o", "--output", "folder", type=FOLDER, help="The folder for the files. Required.")
@click.option("--force", is_flag=True, help="Replace the profile in a folder that exists.")
@click.option(
    "--diff", type=FOLDER, nargs=2, metavar="A B",
    help="Compare two profiles, by their folders, instead.",
)  # fmt: skip
@machine_options("models: that of the environment; programs have their own")
@preprocess_option
@calibrate_option
def profile(
    file: Path | None,
    arguments: tuple[str, ...],
    target: str,
    memory: str,
    folder: Path | None,
    force: bool,
    diff: tuple[Path, Path] | None,
    config: Path | None,
    preset: str | None,
    preprocess: str | None,
    calibration: Path | None,
) -> None:
    """Write a profile of FILE: a program (.vta), a network (.vtanet), a model (.onnx), or a Python
    script (.py), which is run with the ARGUMENTs: of the programs that it runs.

    The folder gets trace.json.gz for ui.perfetto.dev, report.html, layers.csv, and profile.json for
    --diff. Data decides no cycle, so FILE needs no inputs. If the run fails, the profile holds what
    came before, and the exit code is 1.
    """
    if diff:
        from vta.profiling.difference import difference, read_profile

        if file is not None or folder is not None:
            raise click.UsageError("--diff compares two folders; it takes no FILE and no -o")
        click.echo(difference(*map(read_profile, diff)))
        return
    if file is None or folder is None:
        raise click.UsageError(
            "give FILE, a program or a model, and -o FOLDER (or two profiles to --diff)"
        )
    is_script = file.suffix == ".py"
    if arguments and not is_script:
        raise click.UsageError(f"{file} takes no arguments; got {' '.join(arguments)}")
    if is_script and (config or preset):
        raise click.UsageError(
            "a script chooses its machine itself, by vta.get_env() and VTA_CONFIG for example; it "
            "takes no --config and no --preset"
        )
    from vta import profiling
    from vta.memory_timing import MemoryTiming
    from vta.profiling.output import require_folder

    require_folder(folder, force=force)
    MemoryTiming.of(memory)
    place = folder.absolute()  # a script may change the working directory
    error: BaseException | None = None
    if is_script:
        programs, error = _run_script(file, arguments)
        if error is not None and not programs:
            _end_as(error, file)
        found = profiling.profile_programs(file.name, programs, target=target, memory=memory)
    else:
        chosen = machine(config, preset) if config or preset else None
        options = ModelOptions(preprocess, calibration)
        found = _profile(file, target, memory, chosen, options)
    paths = found.write(place, force=force)
    click.echo(found.summary())
    click.echo(f"{', '.join(path.name for path in paths)} -> {folder}")
    if error is not None:
        click.echo(f"{file} failed; the profile has the programs that ran before", err=True)
        _end_as(error, file)
    if found.failure is not None:
        raise VTAError(f"{found.name}: the run failed: {found.failure}")


def _run_script(
    file: Path, arguments: tuple[str, ...]
) -> tuple[list[Program], BaseException | None]:
    """The programs that a script runs, as ``python FILE ARGUMENT...``, and what ended it early: an
    error, Ctrl-C, or an exit with a code."""
    from vta import profiling

    argv, path, environment = sys.argv, list(sys.path), Environment.current
    sys.argv = [str(file), *arguments]
    sys.path.insert(0, str(file.resolve().parent))
    error: BaseException | None = None
    with profiling.profile() as recorder:
        try:
            runpy.run_path(str(file), run_name="__main__")
        except SystemExit as ended:
            error = ended if ended.code else None
        except BaseException as raised:  # the profile has what ran before, then it is raised again
            error = raised
        finally:
            sys.argv, sys.path[:], Environment.current = argv, path, environment
    return recorder.programs, error


def _end_as(error: BaseException, file: Path) -> NoReturn:
    """End as the script did: with its exit code, or with its own part of the traceback."""
    if not isinstance(error, Exception):
        raise error
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename != str(file):
        frames = frames.tb_next
    traceback.print_exception(error.with_traceback(frames or error.__traceback__))
    raise SystemExit(1)


def _profile(
    file: Path, target: str, memory: str, cfg: VTAConfig | None, options: ModelOptions
) -> Profile:
    from vta.profiling import profile_network, profile_program

    content = None if is_model(file) else read(file)
    if content is not None and not is_network_file(file, content):
        from vta.program import Program

        if not is_archive(content):
            raise ProgramError(
                f"{file} is no saved program (.vta), no network (.vtanet) and no model (.onnx)"
            )
        program = Program.from_bytes(content, where=str(file))
        return profile_program(program, target=target, memory=memory, cfg=cfg)
    with progress_display() as progress:
        network = _network(file, content, cfg, options, progress)
        task = progress.add_task("profiling", total=len(network.steps))
        return profile_network(
            network, target=target, memory=memory,
            progress=lambda name, number: progress.update(
                task, completed=number, description=f"profiling {name}"
            ),
        )  # fmt: skip


def _network(
    file: Path, content: bytes | None, cfg: VTAConfig | None, options: ModelOptions,
    progress: Progress,
) -> Network:  # fmt: skip
    if content is None:
        return compile_for(file, cfg or get_env().cfg, options, progress)
    network = load_for(file, content, options)
    if cfg is not None:
        for step in network.steps:
            if step.program is not None:
                step.program.require_machine(cfg)
    return network
