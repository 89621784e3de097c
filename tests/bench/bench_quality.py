"""The quality of results in a line: cycles, shares, speed of the simulation; compared with the
lines before. :mod:`tests.bench.bench_area` adds lines of area and paths.

    python -m tests.bench.bench_quality [--quick] [--accept] [--dry] [--history FILE]

``--quick`` leaves out networks and speeds (a minute). The line is appended to docs/history.jsonl
unless a figure got worse by more than its kind allows, or ``--dry`` is given; the exit code is 1 if
one did.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from tests.bench import bench_machine, bench_networks, bench_tsim
from tests.bench.history import HISTORY, KINDS, Run, append, changes, read
from tests.bench.reference import reference_speed
from vta.config import VTAConfig
from vta.sim.memory import Memory
from vta.sim.rtl.machine import VerilatedMachine

ROOT = Path(__file__).parents[2]
MEMORIES = ("ideal", "ddr")
NETWORKS = ("resnet18", "squeezenet", "mobilenet", "digits")


def tutorials():
    """Cycles of the tutorials, and shares of the bound."""
    found = {"cycles": {}, "share": {}}
    for name, row in bench_machine.TUTORIAL_ROWS.items():
        for memory in MEMORIES:
            cycles = bench_machine.tutorial_cycles(name, memory)
            found["cycles"][f"{row.work}, {memory}"] = cycles
            found["share"][f"{row.work}, {memory}"] = round(100 * row.bound / cycles, 2)
    return found


def networks():
    """Cycles of whole networks, and shares of products."""
    found = {"cycles": {}, "share": {}}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "networks.json"
        options = [f"--network={name}" for name in NETWORKS]
        command = [sys.executable, "-m", "tests.bench.bench_networks", *options, f"--json={path}"]
        subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
        rows = json.loads(path.read_text())
    for name, row in rows.items():
        title = bench_networks.NETWORKS[name][0]
        products = sum(layer["products"] for layer in row["layers"]["ideal"])
        for memory in MEMORIES:
            cycles = row[f"{memory} cycles"]
            found["cycles"][f"{title}, {memory}"] = cycles
            found["share"][f"{title}, {memory}"] = round(100 * products / cycles, 2)
    return found


def speeds():
    """Cycles of the default machine in a second, over those of a fixed piece of Verilog."""
    cfg = VTAConfig.preset("default")
    machine = VerilatedMachine(cfg, "ideal")
    found = {}
    for name, program in (("products", bench_tsim.gemm_bound), ("bus", bench_tsim.bus_bound)):
        insns = program(cfg)
        memory = Memory(bench_tsim.BASE, np.zeros(1 << 21, np.uint8))
        seconds = []
        for _ in range(bench_tsim.REPEATS):
            machine.reset()
            begin = time.process_time()
            machine.run(insns, memory)
            seconds.append(time.process_time() - begin)
        found[name] = round(machine.bus.cycles / min(seconds) / reference_speed(), 5)
    machine.close()
    return {"speed": found}


def merged(*parts):
    figures = {}
    for part in parts:
        for kind, values in part.items():
            figures.setdefault(kind, {}).update(values)
    return figures


def commit():
    """The commit of the checkout, with ``+`` if it has changes besides the history."""

    def git(*arguments):
        return subprocess.run(
            ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout

    changed = [line for line in git("status", "--porcelain").splitlines()
               if not line.endswith(HISTORY.name)]  # fmt: skip
    return git("rev-parse", "--short", "HEAD").strip() + "+" * bool(changed)


def table(found):
    made = Table("kind", "figure", "before", "now", "change", "")
    for change in found:
        made.add_row(
            change.kind, change.name, f"{change.before:,}", f"{change.now:,}",
            f"{change.share:+.2%}", "worse than allowed" if change.regression else "",
        )  # fmt: skip
    return made


def add_options(parser):
    """Of a command that records figures."""
    parser.add_argument("--accept", action="store_true", help="append worse figures too")
    parser.add_argument("--dry", action="store_true", help="compare, and append nothing")
    parser.add_argument("--history", type=Path, default=HISTORY, metavar="FILE")


def record(parts, options):
    """Compare figures with the history and append them; the exit code."""
    before = read(options.history)
    run = Run(f"{datetime.now(UTC):%Y-%m-%dT%H:%MZ}", commit(), merged(*parts))
    found = changes(before, run)
    console = Console(width=110)
    if found:
        console.print(table(found))
    else:
        console.print("no figure differs from the last run that has it")
    worse = [change for change in found if change.regression]
    if worse and not options.accept:
        limits = ", ".join(
            f"{kind} {row.allowed:.0%}" for kind, row in KINDS.items() if row.allowed is not None
        )
        print(f"worse than the last run by more than is allowed ({limits}): not appended")
        return 1
    if not options.dry:
        append(run, options.history)
        print(f"{sum(map(len, run.figures.values()))} figures appended to {options.history}")
    return 0


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="tutorials only")
    add_options(parser)
    options = parser.parse_args(arguments)
    parts = [tutorials()]
    if not options.quick:
        parts += [networks(), speeds()]
    return record(parts, options)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
