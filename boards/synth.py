"""Synthesises the machine for a board's part and says what it takes of it.

    python -m vta.boards.synth BOARD [--preset NAME | --config FILE] [--flat] [--route] [--paths N]

Every distinct module is synthesised once, by itself; ``--flat`` does the whole machine at once,
``--route`` (open families only) also places and routes it and reports the clock it can have,
``--paths`` lists the longest paths of the netlist, for any family.
The report is printed and written as JSON into the folder given by ``-o``.
"""

import argparse
import hashlib
import json
import sys
from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from vta.config import PRESETS, VTAConfig
from vta.errors import VTAError
from vta.extras import importing
from vta.output import reported_output

with importing("synthesis", "synth", script=__name__ == "__main__"):
    from vta.boards.board import find_part
    from vta.boards.synthesis.nextpnr import Timing, route
    from vta.boards.synthesis.parts import Part
    from vta.boards.synthesis.paths import LongPath, longest_paths
    from vta.boards.synthesis.yosys import Yosys
    from vta.hw.emit import TOP, emit_verilog

__all__ = ["Report", "synthesise"]


@dataclass(frozen=True)
class Report:
    """What a machine takes of a part.

    Attributes
    ----------
    part : Part
    fingerprint, verilog_sha256 : str
        Which machine.
    method : str
        ``"by module"`` or ``"flat"``.
    tool : str
        The synthesis tool's version.
    used : dict of str to Fraction
        Resource to amount.
    blocks : dict of str to dict of str to Fraction
        The same for each block directly below the core, with all in it; ``core`` is the wiring.
        Empty if flat.
    timing : Timing or None
        After place and route.
    paths : tuple of LongPath
        The longest paths of the netlist, before place and route.
    netlist : Path or None
        The mapped netlist, as JSON of Yosys, if flat.
    """

    part: Part
    fingerprint: str
    verilog_sha256: str
    method: str
    tool: str
    used: dict[str, Fraction]
    blocks: dict[str, dict[str, Fraction]] = field(default_factory=dict)
    timing: Timing | None = None
    paths: tuple[LongPath, ...] = ()
    netlist: Path | None = None

    @property
    def too_large(self) -> list[str]:
        """The resources of which the part has not enough."""
        return [name for name, used in self.used.items() if used > self.part.capacity[name]]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON; thirds and halves as rounded decimals."""
        return {
            "part": self.part.name,
            "fingerprint": self.fingerprint,
            "verilog_sha256": self.verilog_sha256,
            "method": self.method,
            "tool": self.tool,
            "capacity": dict(self.part.capacity),
            "used": _plain(self.used),
            "too_large": self.too_large,
            "blocks": {name: _plain(used) for name, used in self.blocks.items()},
            "timing": None if self.timing is None else self.timing.to_dict(),
            "paths": [path.to_dict() for path in self.paths],
        }

    def table(self) -> Table:
        """For people."""
        table = Table(title=f"{self.fingerprint} on {self.part.name}, {self.method}")
        table.add_column("")
        for name in self.used:
            table.add_column(name, justify="right")
        for block, used in self.blocks.items():
            table.add_row(block, *(_text(used[name]) for name in self.used))
        table.add_section()
        table.add_row("all", *(_text(used) for used in self.used.values()))
        table.add_row("of", *(_text(Fraction(self.part.capacity[name])) for name in self.used))
        shares = (used / self.part.capacity[name] for name, used in self.used.items())
        table.add_row("share", *(f"{float(share):.0%}" for share in shares))
        return table


def _plain(used: dict[str, Fraction]) -> dict[str, float]:
    return {name: round(float(amount), 2) for name, amount in used.items()}


def _text(amount: Fraction) -> str:
    return f"{float(amount):,.1f}".removesuffix(".0")


def _block(module: str) -> str:
    """The block of the core that an Amaranth module name (``\\vta_core.load.engine``) is in."""
    path = module.removeprefix("\\").split(".")
    return ".".join(path[1:3]) if path[1:2] == ["compute"] else path[1] if path[1:] else "core"


def synthesise(
    cfg: VTAConfig, part: Part, folder: Path, *, flat: bool = False, routed: bool = False,
    paths: int = 0, tell: Any = lambda _: None,
) -> Report:  # fmt: skip
    """Synthesise the machine ``cfg`` for ``part``, and list so many of its longest ``paths``. Files
    go to ``folder``; results of modules are kept in ``folder/cache``. ``tell`` is given a line
    about each longer step.

    Raises
    ------
    SynthesisError
        If a tool is missing or fails, the part has no open place-and-route tool, or the delays of
        its family are not known.
    """
    flat = flat or routed or paths > 0
    yosys = Yosys(folder / "cache")
    verilog, sidecar = emit_verilog(cfg, dsp48=part.family.dsp48, wide_luts=part.family.wide_luts)
    script = part.family.script(TOP)
    digest = hashlib.sha256(f"{yosys.version}\n{script}\n{verilog}".encode()).hexdigest()[:12]
    work = folder / f"{part.family.name.lower().replace(' ', '-')}-{digest}"
    blocks: dict[str, dict[str, Fraction]] = {}
    longest: tuple[LongPath, ...] = ()
    if flat:
        tell(f"{part.family.command} on the whole machine")
        cells = Counter(yosys.flat(verilog, TOP, part.family, work))
        if paths:
            netlist = json.loads((work / "netlist.json").read_text(encoding="utf-8"))
            longest = longest_paths(netlist, TOP, part.family, paths)
    else:
        own = yosys.cells(verilog, TOP, part.family, tell)
        cells = sum(own.values(), Counter())
        grouped: dict[str, Counter[str]] = {}
        for module, number in own.items():
            grouped.setdefault(_block(module), Counter()).update(number)
        blocks = {name: part.family.count(grouped[name]) for name in sorted(grouped)}
    return Report(
        part=part,
        fingerprint=cfg.fingerprint,
        verilog_sha256=sidecar["verilog_sha256"],
        method="flat" if flat else "by module",
        tool=yosys.version,
        used=part.family.count(cells),
        blocks=blocks,
        timing=route(part, work, tell) if routed else None,
        paths=longest,
        netlist=work / "netlist.json" if flat else None,
    )


def main(argv: list[str] | None = None) -> int:
    """The command line; returns the exit code: 1 for a mistake, 2 if the part is too small."""
    parser = argparse.ArgumentParser(prog="python -m vta.boards.synth", description=__doc__)
    parser.add_argument("board", metavar="BOARD", help="a file of boards/, or a part number")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--preset", choices=PRESETS, default="default", help="a configuration")
    which.add_argument("--config", metavar="FILE", help="a vta_config.json")
    parser.add_argument("--flat", action="store_true", help="the whole machine at once")
    parser.add_argument("--route", action="store_true", help="place and route as well")
    parser.add_argument(
        "--paths", metavar="N", type=int, default=0,
        help="list the N longest paths: cells added up, wires estimated",
    )  # fmt: skip
    parser.add_argument("-o", "--output", metavar="DIR", type=Path, default=Path("build/synth"))
    args = parser.parse_args(argv)
    console, errors = Console(), Console(stderr=True)
    try:
        cfg = VTAConfig.from_file(args.config) if args.config else VTAConfig.preset(args.preset)
        report = synthesise(
            cfg, find_part(args.board), args.output.resolve(), flat=args.flat, routed=args.route,
            paths=args.paths, tell=lambda line: errors.print(line, style="dim", highlight=False),
        )  # fmt: skip
        path = args.output / f"{args.board}-{cfg.fingerprint}.json"
        path.write_text(json.dumps(report.to_dict(), indent=2) + "\n", encoding="utf-8")
    except (VTAError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    console.print(report.table())
    if report.paths:
        console.print("the longest paths (cells added up; what wires take is an estimate):")
    for long_path in report.paths:
        console.print(long_path.text(), highlight=False, soft_wrap=True)
    if report.timing is not None:
        console.print(report.timing.text())
    for name in report.too_large:
        print(
            f"{cfg.fingerprint} does not fit {report.part.name}: {_text(report.used[name])} "
            f"{name}, the part has {report.part.capacity[name]:,}",
            file=sys.stderr,
        )
    return 2 if report.too_large else 0


if __name__ == "__main__":
    with reported_output():
        sys.exit(main())
