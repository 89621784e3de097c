"""The clock of the machine on an ECP5: place and route with several seeds of the placer.

    python -m tests.bench.bench_clock [--preset NAME | --config FILE] [--part PART] [--seeds N]

The machine is synthesised flat and placed out of context, seed after seed; what counts is the best
of them. A seed takes from minutes to half an hour. Reports are kept in ``build/synth``, by the text
of the machine, so an interrupted sweep goes on where it ended.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from vta.boards.board import find_part
from vta.boards.synth import synthesise
from vta.boards.synthesis.nextpnr import Timing, route
from vta.config import PRESETS, VTAConfig
from vta.errors import VTAError

OUTPUT = Path("build/synth")


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The arguments of the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.bench_clock", description=__doc__)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--preset", choices=PRESETS, default="tiny", help="a configuration")
    which.add_argument("--config", metavar="FILE", help="a vta_config.json")
    parser.add_argument("--part", default="LFE5U-85F", help="a part that nextpnr knows, or a board")
    parser.add_argument("--seeds", metavar="N", type=int, default=5, help="seeds 1 to N")
    args = parser.parse_args(argv)
    if args.seeds < 1:
        parser.error(f"--seeds must be at least 1; got {args.seeds}")
    return args


def best_seed(timings: Mapping[int, Timing]) -> int:
    """The seed with the fastest clock; of equal ones the lowest."""
    return min(timings, key=lambda seed: (-timings[seed].mhz, seed))


def table(title: str, timings: Mapping[int, Timing]) -> Table:
    """A row for each seed, the best one marked."""
    best = best_seed(timings)
    result = Table(title=title)
    for column in ("seed", "MHz", "longest path, ns", "wires, ns", ""):
        result.add_column(column, justify="right")
    for seed, timing in timings.items():
        wires = sum(step.delay for step in timing.path if step.kind == "routing")
        total = sum(step.delay for step in timing.path)
        mark = "best" if seed == best else ""
        result.add_row(str(seed), f"{timing.mhz:.1f}", f"{total:.2f}", f"{wires:.2f}", mark)
    return result


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    args = parse(argv)
    console, errors = Console(), Console(stderr=True)

    def tell(line: str) -> None:
        errors.print(line, style="dim", highlight=False)

    try:
        cfg = VTAConfig.from_file(args.config) if args.config else VTAConfig.preset(args.preset)
        part = find_part(args.part)
        report = synthesise(cfg, part, OUTPUT.resolve(), flat=True, tell=tell)
        assert report.netlist is not None
        timings = {
            seed: route(part, report.netlist.parent, tell, seed=seed)
            for seed in range(1, args.seeds + 1)
        }
    except VTAError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    console.print(report.table())
    console.print(table(f"{cfg.fingerprint} on {part.name}", timings))
    console.print(timings[best_seed(timings)].text())
    return 0


if __name__ == "__main__":
    sys.exit(main())
