"""`vta farm`: the project's own long jobs on workers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from vta.cli.compile import progress_display
from vta.cli.interrupts import interruptible
from vta.cli.options import machine, machine_options
from vta.cli.tune import engine_options
from vta.memory_timing import PRESETS

if TYPE_CHECKING:
    from vta.tuning.farm import Result

__all__ = ["farm"]

FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command()
@click.argument("job", type=click.Choice(("fuzz", "grid", "mutation", "formal")))
@click.argument("only", nargs=-1, metavar="[WORD]...")
@click.option(
    "--programs", default=1000, show_default=True, type=click.IntRange(min=1),
    help="fuzz: how many.",
)  # fmt: skip
@click.option("--seed", default=0, show_default=True, help="fuzz: of the programs.")
@click.option(
    "--memory", default="chaos", show_default=True, type=click.Choice(list(PRESETS)),
    help="fuzz: the simulated DRAM.",
)  # fmt: skip
@machine_options("fuzz: the preset `tiny`")
@click.option(
    "--out", type=FOLDER, default=Path("farm-failures"), show_default=True,
    help="The folder of failing cases.",
)  # fmt: skip
@engine_options
def farm(
    job: str,
    only: tuple[str, ...],
    programs: int,
    seed: int,
    memory: str,
    config: Path | None,
    preset: str | None,
    out: Path,
    workers: int,
    scheduler: str | None,
) -> None:
    """Run a long JOB on many workers; a failing case comes back as a folder.

    fuzz: random programs, model against RTL. grid: every machine of the configuration grid.
    mutation: faults in the RTL that tests must notice. formal: the proofs. Of the last three only
    the tests whose name has a WORD. They need a checkout of the project on each worker. The exit
    code is 1 if a case fails.
    """
    from vta.tuning.dask_engine import open_engine
    from vta.tuning.farm import checkout_tasks, folder_of, fuzz_tasks
    from vta.tuning.farm import farm as run

    if job == "fuzz":
        if only:
            raise click.UsageError(f"fuzz has no tests to choose from; {only[0]!r} is one too many")
        cfg = machine(config, preset, otherwise="tiny")
        tasks = [*fuzz_tasks(cfg, memory, seed, programs)]
    else:
        tasks = checkout_tasks(job, only)
    errors = Console(stderr=True)
    results: list[Result] = []

    def kept() -> str:
        failed = [str(folder_of(result, out)) for result in results if not result.passed]
        return (
            f"{len(results) - len(failed)} of {len(tasks)} parts passed, {len(failed)} failed"
            + (f" ({', '.join(failed)})" if failed else "")
            + "; the same command begins with the first part again"
        )

    with interruptible(kept), progress_display() as progress:
        shown = progress.add_task(job, total=len(tasks))

        def show(result: Result) -> None:
            results.append(result)
            progress.update(shown, advance=1, description=f"{job}: {result.name}")
            if not result.passed:
                where = folder_of(result, out)
                progress.console.print(f"failed: {result.name} -> {where}", markup=False)

        engine = open_engine(scheduler, workers, lambda text: errors.print(text, markup=False))
        try:
            failures = run(tasks, engine, out, show)
        finally:
            engine.close()
    if failures:
        raise click.ClickException(
            f"{job}: {len(failures)} of {len(tasks)} parts failed: "
            + ", ".join(f"{failure.name} ({folder_of(failure, out)})" for failure in failures)
        )
    click.echo(f"{job}: {len(tasks)} of {len(tasks)} parts passed")
