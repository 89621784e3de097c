"""The sweep over seeds of the placer: its arguments, and which seed is the best."""

import pytest
from rich.console import Console

from tests.bench.bench_clock import best_seed, parse, table
from vta.boards.synthesis.nextpnr import PathSegment, Timing


def timing(mhz):
    path = (PathSegment("logic", 2.0, "a"), PathSegment("routing", 6.5, "b"))
    return Timing(tool="nextpnr-9.9", mhz=mhz, path=path)


def test_the_default_is_five_seeds_of_tiny():
    args = parse([])
    assert (args.preset, args.config, args.part, args.seeds) == ("tiny", None, "LFE5U-85F", 5)


def test_a_sweep_without_seeds_is_refused(capsys):
    with pytest.raises(SystemExit):
        parse(["--seeds", "0"])
    assert "--seeds must be at least 1; got 0" in capsys.readouterr().err


def test_the_best_seed_is_the_fastest_and_of_equal_ones_the_first():
    timings = {1: timing(70.0), 2: timing(80.0), 3: timing(80.0)}
    assert best_seed(timings) == 2


def test_the_best_seed_is_marked():
    console = Console(width=80)
    with console.capture() as capture:
        console.print(table("tiny", {1: timing(70.0), 2: timing(80.25)}))
    lines = [line.split() for line in capture.get().splitlines() if "8.50" in line]
    assert [[cell for cell in line if cell not in "│┃"] for line in lines] == [
        ["1", "70.0", "8.50", "6.50"],
        ["2", "80.2", "8.50", "6.50", "best"],
    ]
