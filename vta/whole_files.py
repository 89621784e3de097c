"""Files that are written complete or not at all, several of them together."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from vta.errors import VTAError

__all__ = ["write_all"]


def write_all(files: Mapping[Path, bytes]) -> None:
    """Write all files or none: each is complete under another name before the first is renamed.

    Only a regular file is replaced. What else has the name of an output, as ``/dev/null``, a named
    pipe or a symbolic link, stays and is written to, before the first file is renamed.

    Raises
    ------
    VTAError
        If a file cannot be written.
    """
    parts: dict[Path, Path] = {}
    try:
        for path, content in files.items():
            if _is_replaceable(path):
                part = path.with_name(f".{path.name}.{os.getpid()}")
                with part.open("xb") as file:  # with the permissions of any new file
                    parts[path] = part
                    file.write(content)
        for path in files.keys() - parts.keys():
            with path.open("wb") as file:
                file.write(files[path])
        for path, part_path in parts.items():
            os.replace(part_path, path)
    except OSError as error:
        raise VTAError(f"cannot write {path}: {error.strerror}") from None
    finally:
        for part_path in parts.values():
            with suppress(FileNotFoundError):
                part_path.unlink()


def _is_replaceable(path: Path) -> bool:
    """Whether a rename to a path loses nothing: it names a regular file, or no file."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except FileNotFoundError:
        return True
