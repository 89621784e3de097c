"""`vta doctor`: what of this computer the package can use, and what to install."""

from __future__ import annotations

import dataclasses
import json
from itertools import groupby

import click

from vta.doctor import LEVELS, Finding, examine, missing_for

__all__ = ["doctor"]

_TITLES = {
    "sim": "needed by everything",
    "tsim": "simulated RTL (make sim, --target tsim)",
    "tests": "test suite (make test)",
    "proofs": "proofs (make formal)",
    "onnx": "networks as ONNX files",
    "profile": "report of vta profile",
    "tune": "searches (vta tune, vta explore)",
    "remote": "remote sessions (vta serve, connect)",
    "uart": "boards at a serial line",
    "synthesis": "resources and open bitstreams (make synth, make bitstream)",
    "boards": "vendors' tools and board loaders (optional)",
    "waves": "viewers of waves (optional)",
    "docs": "`make docs` (optional)",
}


@click.command()
@click.option(
    "--for", "level", default="tsim", show_default=True, type=click.Choice(LEVELS),
    help="What must work for exit code 0.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def doctor(level: str, as_json: bool) -> None:
    """Report what this computer has of what the package uses, and what to install.

    The text can be pasted into a report of a fault. The exit code is 1 if something is missing
    that --for needs, else 0; what other uses need is listed only.
    """
    findings = list(examine())
    missing = missing_for(findings, level)
    if as_json:
        report = {
            "for": level,
            "works": not missing,
            "findings": [dataclasses.asdict(finding) for finding in findings],
        }
        click.echo(json.dumps(report, indent=2))
    else:
        _print(findings)
        click.echo(
            f"\n{level}: works"
            if not missing
            else f"\n{level}: does not work without {', '.join(item.name for item in missing)}"
        )
    if missing:
        raise click.exceptions.Exit(1)


def _print(findings: list[Finding]) -> None:
    width = max(len(finding.name) for finding in findings)
    ordered = sorted(findings, key=lambda finding: LEVELS.index(finding.level))
    for level, group in groupby(ordered, key=lambda finding: finding.level):
        click.echo(f"{_TITLES[level]}")
        for finding in group:
            mark = "ok     " if finding.ok else "MISSING"
            purpose = f"  ({finding.purpose})" if finding.purpose else ""
            click.echo(f"  {mark} {finding.name:{width}} {finding.found}{purpose}")
            if finding.remedy:
                click.echo(f"          {'':{width}}-> {finding.remedy}")
