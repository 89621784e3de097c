"""A profile: what was measured, with its tables and files."""

from __future__ import annotations

import json
from pathlib import Path

from vta.profiling import tables
from vta.profiling.layers import ProfileData
from vta.profiling.output import write_file, write_folder
from vta.profiling.report import report_html
from vta.profiling.trace import trace_bytes

__all__ = ["Profile"]


class Profile(ProfileData):
    """A profile of one program or of the layers of a network."""

    def summary(self) -> str:
        """A table for people: each layer with its cycles by cause."""
        return tables.summary(self)

    def __str__(self) -> str:
        return self.summary()

    def _repr_html_(self) -> str:
        return tables.html_table(self)

    def to_perfetto(self, path: str | Path) -> None:
        """Write the events for ui.perfetto.dev, gzipped if the name ends in ``.gz``.

        Raises
        ------
        VTAError
            If the file cannot be written.
        """
        path = Path(path)
        write_file(path, trace_bytes(self, compressed=path.suffix == ".gz"))

    def write(self, folder: str | Path, *, force: bool = False) -> list[Path]:
        """Write ``trace.json.gz``, ``report.html``, ``layers.csv`` and ``profile.json``.

        Parameters
        ----------
        force : bool
            Write into a folder that exists; files of these names are replaced.

        Raises
        ------
        VTAError
            If the folder exists and not ``force``, or a file cannot be written.
        ToolError
            If a package of the extra ``profile`` is not installed.
        """
        files = {
            "trace.json.gz": lambda: trace_bytes(self, compressed=True),
            "report.html": lambda: report_html(self).encode(),
            "layers.csv": lambda: tables.layers_csv(self).encode(),
            "profile.json": lambda: f"{json.dumps(self.as_dict(), indent=2)}\n".encode(),
        }
        return write_folder(Path(folder), files, force=force)
