"""The files of a profile."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from vta.errors import VTAError
from vta.whole_files import write_all

__all__ = ["require_folder", "write_file", "write_folder"]


def require_folder(folder: Path, *, force: bool) -> None:
    """Refuse a folder that exists, unless ``force``.

    Raises
    ------
    VTAError
        If it exists and not ``force``, or is something else than a folder.
    """
    if folder.exists() and not folder.is_dir():
        raise VTAError(f"{folder} is not a folder; -o must name a folder for the profile")
    if folder.exists() and not force:
        raise VTAError(f"{folder} exists; --force replaces the profile in it")


def write_file(path: Path, content: bytes) -> None:
    """Write a file, complete or not at all.

    Raises
    ------
    VTAError
        If it cannot be written.
    """
    write_all({path: content})


def write_folder(
    folder: Path, files: Mapping[str, Callable[[], bytes]], *, force: bool
) -> list[Path]:
    """Write files into a folder, which is made if need be; all of them or none. All contents are
    computed first.

    Raises
    ------
    VTAError
        As :func:`require_folder` and :func:`write_file`; a folder that was made for the files is
        removed then.
    """
    require_folder(folder, force=force)
    contents = {folder / name: content() for name, content in files.items()}
    is_new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise VTAError(f"cannot make the folder {folder}: {error.strerror}") from None
    try:
        write_all(contents)
    except VTAError:
        if is_new:
            with suppress(OSError):
                folder.rmdir()
        raise
    return list(contents)
