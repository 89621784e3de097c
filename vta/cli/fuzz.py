"""`vta fuzz`: random programs on the reference model and on the simulated RTL."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from vta.cli.options import FiniteRange, machine, machine_options

if TYPE_CHECKING:
    from vta.sim.fuzzing.campaign import Campaign, Failure
    from vta.sim.fuzzing.random_programs import RandomProgram

__all__ = ["fuzz"]

FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command()
@click.option(
    "--minutes", default=5.0, show_default=True, type=FiniteRange(min=0),
    help="Stop after this time.",
)  # fmt: skip
@click.option("--programs", type=click.IntRange(min=1), help="Stop after so many programs.")
@click.option("--seed", default=0, show_default=True, help="Of the programs.")
@click.option("--first", default=0, show_default=True, help="Number of the first program.")
@machine_options("the preset `tiny`")
@click.option(
    "--memory", default="chaos", show_default=True, help="Behaviour of the simulated DRAM."
)
@click.option(
    "--shrink", default=2.0, show_default=True, type=FiniteRange(min=0),
    help="Minutes for making a failing program small.",
)  # fmt: skip
@click.option(
    "--out", default=Path("fuzz-failures"), show_default=True, type=FOLDER,
    help="Where a failing program is written.",
)  # fmt: skip
@click.option(
    "--coverage",
    is_flag=True,
    help="Print what the programs reached in the model and in the RTL.",
)
def fuzz(
    minutes: float,
    programs: int | None,
    seed: int,
    first: int,
    config: Path | None,
    preset: str | None,
    memory: str,
    shrink: float,
    out: Path,
    coverage: bool,
) -> None:
    """Run random programs on the reference model and on the RTL until they disagree.

    The machine is the preset `tiny` unless --config or --preset names another. Memory, counters and
    tokens must agree after every program. One with which they do not is made small and written to a
    folder that `vta exec` can run; the exit code is 1 then. The report shows the operations on the
    first lane that is wrong, with their operands. The same seed gives the same programs.
    """
    from vta.sim.fuzzing.campaign import Campaign
    from vta.sim.fuzzing.coverage import CoveredModel
    from vta.sim.fuzzing.stall_coverage import stall_table
    from vta.sim.reference.model import ReferenceModel
    from vta.sim.rtl.machine import VerilatedMachine

    cfg = machine(config, preset, otherwise="tiny")
    console = Console()
    with closing(VerilatedMachine(cfg, memory, observed=coverage)) as rtl:
        reference = CoveredModel(cfg) if coverage else ReferenceModel(cfg)
        campaign = Campaign(cfg, reference, rtl, seed=seed)
        failure = _try(campaign, console, minutes, programs, first)
        if isinstance(reference, CoveredModel):
            console.print(reference.coverage.table())
            console.print(stall_table(rtl.stalls))
        if failure is None:
            return
        failure = _make_small(campaign, console, failure, shrink)
    raise click.ClickException(_write(failure, out, seed, memory))


def _try(
    campaign: Campaign,
    console: Console,
    minutes: float,
    programs: int | None,
    first: int,
) -> Failure | None:
    """The first failure, if there is one in time."""
    begin, count, instructions = time.monotonic(), 0, 0
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("fuzzing", total=minutes * 60)
        for trial in campaign.trials(first):
            count += 1
            instructions += len(trial.program.instructions)
            if trial.failure is not None:
                console.print(
                    f"[bold red]Program {trial.number}:[/] {escape(trial.failure.difference)}",
                    highlight=False,
                )
                return trial.failure
            seconds = time.monotonic() - begin
            text = f"{count} programs, {instructions} instructions, {count / seconds:.0f} a second"
            progress.update(task, completed=seconds, description=text)
            if seconds >= minutes * 60 or count == programs:
                break
    console.print(
        f"{campaign.cfg.fingerprint}: model and RTL agree on {count} programs "
        f"({instructions} instructions) in {seconds:.0f} s, seed {campaign.seed}"
    )
    return None


def _make_small(campaign: Campaign, console: Console, failure: Failure, minutes: float) -> Failure:
    with console.status("making it small") as status:

        def show(program: RandomProgram) -> None:
            status.update(f"making it small: {len(program.instructions)} instructions")

        return campaign.shrink(failure, seconds=minutes * 60, progress=show)


def _write(failure: Failure, out: Path, seed: int, memory: str) -> str:
    """Write the case; returns the message."""
    from vta.sim.fuzzing.differential import save_case

    program = failure.program
    folder = out / f"{program.cfg.fingerprint}-{seed}-{failure.machine_seed}"
    save_case(
        folder, program,
        difference=failure.difference, seed=seed, machine_seed=failure.machine_seed, memory=memory,
    )  # fmt: skip
    return f"{failure.difference}\n{program!r}\nwritten to {folder}"
