"""`vta tutorials`: the scripts of the tutorials, as files to read, run and change."""

from __future__ import annotations

from pathlib import Path

import click

import vta
from vta.errors import ToolError
from vta.extras import checkout
from vta.whole_files import write_all

__all__ = ["tutorials"]


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def tutorials(folder: Path) -> None:
    """Write the scripts of the tutorials into a FOLDER, to read, run and change.

    A file that is there already is not overwritten: the command then writes nothing, and the exit
    code is 1.
    """
    scripts = sorted(_source().glob("*.py"))
    there = [name.name for name in scripts if (folder / name.name).exists()]
    if there:
        raise ToolError(
            f"tutorials: {folder} has the files {', '.join(there)} already; "
            "a folder without them is required"
        )
    folder.mkdir(parents=True, exist_ok=True)
    write_all({folder / script.name: script.read_bytes() for script in scripts})
    for script in scripts:
        click.echo(folder / script.name)


def _source() -> Path:
    """Where the scripts are: in the checkout, or inside the installed package."""
    root = checkout() or Path(vta.__file__).parent
    if not (root / "tutorials" / "run_all.py").is_file():
        raise ToolError(f"tutorials: {root / 'tutorials'} has no scripts; installation is damaged")
    return root / "tutorials"
