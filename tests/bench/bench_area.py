"""What machines take of a part, and their longest paths: a line of docs/history.jsonl.

    python -m tests.bench.bench_area [--machine NAME]... [--accept] [--dry] [--history FILE]

``make bench-area`` calls this. Yosys synthesises each machine; what it made is kept in build/synth
by a hash of the Verilog, so that a run without a change of the RTL takes seconds, and one with a
change minutes (tiny ones) to half an hour (``default``). As bench_quality, it appends nothing and
ends with exit code 1 if a figure got worse by more than its kind allows.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.bench.bench_quality import add_options, record
from vta.boards.board import find_part
from vta.boards.synth import synthesise
from vta.config import VTAConfig

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Machine:
    """A machine on a part, and what is measured of it.

    Attributes
    ----------
    preset, board : str
    resources : tuple of str
        Of the part's family.
    flat : bool
        The whole machine at once: fewer cells, and the longest path. Otherwise module by module.
    """

    preset: str
    board: str
    resources: tuple[str, ...]
    flat: bool

    def figures(self, folder: Path) -> dict[str, dict[str, float]]:
        """``area`` in cells, and ``path`` in nanoseconds if flat, by name."""
        part, cfg = find_part(self.board), VTAConfig.preset(self.preset)
        report = synthesise(
            cfg, part, folder, flat=self.flat, paths=1 if self.flat else 0,
            tell=lambda line: print(line, file=sys.stderr),
        )  # fmt: skip
        name = f"{self.preset} on {part.name}"
        found: dict[str, dict[str, float]] = {
            "area": {f"{name}, {one}": round(float(report.used[one]), 1) for one in self.resources}
        }
        if report.paths:
            found["path"] = {name: round(report.paths[0].estimate, 2)}
        return found


MACHINES = {
    "tiny": Machine("tiny", "ulx3s_85f", ("LUT4",), flat=True),
    "tiny_small": Machine("tiny_small", "ulx3s_85f", ("LUT4",), flat=True),
    "default": Machine("default", "pynq_z1", ("LUT", "FF", "DSP", "BRAM36"), flat=False),
}
"""By the name of the preset."""


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--machine", action="append", choices=MACHINES, help="default: all")
    add_options(parser)
    options = parser.parse_args(arguments)
    folder = ROOT / "build" / "synth"
    parts = [MACHINES[name].figures(folder) for name in options.machine or MACHINES]
    return record(parts, options)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
