"""Mutation check: does differential testing notice when the RTL is wrong? `make mutation` calls
this.

python -m tests.mutation.run_all [NAME ...] [--programs N] [--hw DIR] [--keep DIR]

Every fault of mutants.py is put into a copy of hw/, the tiny machine is built from it, and random
programs run on it and on the reference model until they differ. A fault that survives is an error:
something is not tested. The unchanged machine goes first, and must survive.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.mutation.faulty_machine import faulty_machine
from tests.mutation.mutants import MUTANTS, Mutant
from vta.config import VTAConfig
from vta.sim.fuzzing.campaign import Campaign, Failure
from vta.sim.fuzzing.differential import save_case
from vta.sim.reference.model import ReferenceModel

ROOT = Path(__file__).parents[2]
CACHE = ROOT / "build" / "mutation"
MEMORIES = ("chaos", "ideal", "ddr", "far")


@dataclass(frozen=True)
class Outcome:
    """How a fault fared: after how many programs on which memory it was found, if it was."""

    mutant: Mutant
    programs: int
    memory: str | None
    text: str


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="only these faults")
    parser.add_argument("--programs", type=int, default=300, help="a memory preset, at most")
    parser.add_argument("--hw", type=Path, default=ROOT / "hw", help="the RTL to break")
    parser.add_argument("--keep", type=Path, help="write the smallest failing programs here")
    options = parser.parse_args()
    console = Console()
    chosen = [mutant for mutant in MUTANTS if not options.names or mutant.name in options.names]
    stale = [m.name for m in chosen if (options.hw / m.file).read_text().count(m.old) != 1]
    if stale:
        console.print(f"[red]The RTL has changed: {', '.join(stale)} must be written anew.")
        return 1
    same = Mutant("unchanged", "nothing is wrong", "core.py", "", "")
    survivors = []
    table = Table("fault", "what is wrong", "found after", "memory", "how")
    for number, mutant in enumerate([same, *chosen]):
        with console.status(f"{number}/{len(chosen)} {mutant.name}"):
            begin = time.monotonic()
            outcome = judge(mutant, options)
        found = "-" if outcome.memory is None else str(outcome.programs)
        console.print(f"{mutant.name}: {found} ({time.monotonic() - begin:.0f} s) {outcome.text}")
        table.add_row(mutant.name, mutant.what, found, outcome.memory, outcome.text)
        if (outcome.memory is None) != (mutant is same):
            survivors.append(mutant.name)
    console.print(table)
    if survivors:
        console.print(f"[bold red]Not as it should be: {', '.join(survivors)}")
        return 1
    console.print(f"[bold green]All {len(chosen)} faults are found.")
    return 0


def judge(mutant: Mutant, options: argparse.Namespace) -> Outcome:
    """Build a faulty machine and try programs on it."""
    cfg = VTAConfig.preset("tiny")
    for memory in MEMORIES:
        with faulty_machine(mutant, options.hw, CACHE, memory) as machine:
            campaign = Campaign(cfg, ReferenceModel(cfg), machine, seed=0)
            for trial in campaign.trials():
                if trial.failure is not None:
                    keep(mutant, campaign, trial.failure, memory, options.keep)
                    words = trial.failure.difference.splitlines()[0]
                    return Outcome(mutant, trial.number + 1, memory, words)
                if trial.number + 1 == options.programs:
                    break
    return Outcome(mutant, options.programs, None, "")


def keep(
    mutant: Mutant, campaign: Campaign, failure: Failure, memory: str, folder: Path | None
) -> None:
    """Make the failing program small and write it."""
    if folder is not None:
        small = campaign.shrink(failure, seconds=30)
        save_case(
            folder / mutant.name, small.program,
            difference=f"with the fault {mutant.name!r} ({mutant.what}): {small.difference}",
            machine_seed=small.machine_seed, memory=memory,
        )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
