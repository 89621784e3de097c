"""Named tensors in ``.npy`` files: the arguments of the command line, reading and writing."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
import numpy.typing as npt

from vta.errors import VTAError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "NAMED_FILE",
    "NamedFiles",
    "files_by_name",
    "is_sample",
    "npy_bytes",
    "read_array",
    "read_sample",
    "require_format",
]


class _NamedFile(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.2
    """NAME=FILE, or FILE alone."""

    name = "name=file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, tuple):
            return value
        name, equals, file = str(value).partition("=")
        if equals and not (name and file):
            self.fail(f"{value!r} is not NAME=FILE.npy", param, ctx)
        return (name, Path(file)) if equals else (None, Path(str(value)))


NAMED_FILE = _NamedFile()
NamedFiles = tuple[tuple[str | None, Path], ...]
"""The values of such an option that was given several times."""


def files_by_name(
    option: str, given: Sequence[tuple[str | None, Path]], names: Sequence[str]
) -> dict[str, Path]:
    """The files of an option that was given several times.

    Parameters
    ----------
    option : str
        For messages: ``--input``.
    given : sequence of (str or None, path)
        Values of :data:`NAMED_FILE`. A file without a name is that of the only tensor.
    names : sequence of str
        The tensors that there are.

    Raises
    ------
    click.UsageError
        If a name is missing, unknown or given twice.
    """
    files: dict[str, Path] = {}
    there_are = f"there are {', '.join(names)}" if names else "there is none"
    for name, path in given:
        if name is None:
            if len(names) != 1:
                raise click.UsageError(
                    f"{option} {path}: say of which tensor, as {option} NAME={path}; {there_are}"
                )
            name = names[0]
        if name not in names:
            raise click.UsageError(f"{option} {name}={path}: no such tensor; {there_are}")
        if name in files:
            raise click.UsageError(f"{option}: {name} is given twice, {files[name]} and {path}")
        files[name] = path
    return files


_OTHERS = frozenset((
    ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".npz", ".csv",
    ".txt", ".json",
))  # fmt: skip


def require_format(option: str, path: Path, *formats: str) -> None:
    """Refuse a file whose name says that it is of another format than what is written.

    Parameters
    ----------
    option : str
        For messages.
    path : path
        A name without a known ending, as of a pipe, is taken.
    *formats : str
        The endings of what is written: ``.npy``, ``.png``.

    Raises
    ------
    click.UsageError
    """
    ending = path.suffix.lower()
    if ending in (_OTHERS | {".npy", ".png"}) - {*formats}:
        raise click.UsageError(
            f"{option} {path}: {ending} is not written; must be {' or '.join(formats)}"
        )


def read_array(what: str, path: Path, dtype: npt.DTypeLike, shape: tuple[int, ...]) -> Any:
    """The array in a ``.npy`` file; nothing of it is executed or converted, but for its byte order.

    Raises
    ------
    VTAError
        If the file is none, or holds another dtype or shape.
    """
    try:
        values = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise VTAError(f"{what}: cannot read {path}: {error}") from None
    if not isinstance(values, np.ndarray):
        values.close()
        raise VTAError(f"{what}: {path} is an archive of arrays; must be one array in a .npy file")
    return _checked(what, path, values, dtype, shape)


def is_sample(given: NamedFiles) -> bool:
    """Whether an option names one .npz file, which has the values of every input."""
    return len(given) == 1 and given[0][0] is None and given[0][1].suffix == ".npz"


def read_sample(
    path: Path, inputs: Mapping[str, tuple[npt.DTypeLike, tuple[int, ...]]]
) -> dict[str, Any]:
    """The arrays in a ``.npz`` file, one for each input by its name; nothing is executed.

    Parameters
    ----------
    path : path
    inputs : mapping of str to (dtype, shape)

    Raises
    ------
    VTAError
        If the file is none, or an array is missing, unknown, or of another dtype or shape.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            found = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise VTAError(f"cannot read {path}: {error}") from None
    if set(found) != set(inputs):
        raise VTAError(
            f"{path} has the arrays {', '.join(sorted(found)) or 'none'}; must have "
            f"{', '.join(inputs)}"
        )
    return {
        name: _checked(f"input {name}", path, found[name], dtype, shape)
        for name, (dtype, shape) in inputs.items()
    }


def _checked(
    what: str, path: Path, values: Any, dtype: npt.DTypeLike, shape: tuple[int, ...]
) -> Any:
    wanted = np.dtype(dtype)
    if values.dtype.newbyteorder("=") != wanted or values.shape != shape:
        raise VTAError(
            f"{what}: {path} holds {values.dtype} of shape {values.shape}; must be {wanted} of "
            f"shape {shape}"
        )
    return np.array(values, wanted)


def npy_bytes(values: npt.NDArray[Any]) -> bytes:
    """The contents of a ``.npy`` file."""
    out = io.BytesIO()
    np.save(out, values, allow_pickle=False)
    return out.getvalue()
