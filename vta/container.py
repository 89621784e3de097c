"""The container of a program file: a ZIP archive of plain members, one of them a JSON manifest.

The members are stored without compression: the CRC-32 of each covers every byte, and what is read
is never larger than the file. The same members always give the same bytes.
"""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .errors import ProgramError

__all__ = ["MANIFEST", "MAX_FILE_BYTES", "pack_members", "read_file", "unpack_members"]

MANIFEST = "manifest.json"
MAX_FILE_BYTES = 1 << 28
MAX_MANIFEST_BYTES = 1 << 20
_DAMAGED = (zipfile.BadZipFile, EOFError, ValueError, RuntimeError, OverflowError, struct.error)
"""What zipfile and json raise for bytes that are not theirs."""


def read_file(path: str | Path) -> bytes:
    """The bytes of a file, but not more than one too many for a container.

    Raises
    ------
    ProgramError
        If it cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ProgramError(f"cannot read the program {path}: {error}") from None


def pack_members(manifest: Mapping[str, Any], members: Mapping[str, bytes]) -> bytes:
    """The bytes of a container."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, data in {MANIFEST: json.dumps(manifest, indent=1).encode(), **members}.items():
            archive.writestr(zipfile.ZipInfo(name), data)  # a fixed date: 1980-01-01
    return out.getvalue()


def unpack_members(data: bytes, names: Sequence[str]) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The manifest, and the members of these names, each CRC verified.

    Raises
    ------
    ProgramError
        If the bytes are no container, are damaged, are more than :data:`MAX_FILE_BYTES`, hold other
        members, or a member that is not stored plainly.
    """
    if len(data) > MAX_FILE_BYTES:
        raise ProgramError(f"more than {MAX_FILE_BYTES} bytes")
    try:
        members = _read_members(data, (MANIFEST, *names))
        manifest = json.loads(members.pop(MANIFEST))
    except _DAMAGED as error:
        raise ProgramError(f"not a VTA program, or damaged: {error}") from None
    if not isinstance(manifest, dict):
        raise ProgramError(f"not a VTA program: {MANIFEST} holds no JSON object")
    return manifest, members


def _read_members(data: bytes, expected: Sequence[str]) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        infos = archive.infolist()
        names = [info.filename for info in infos]
        if sorted(names) != sorted(expected):
            raise ProgramError(
                f"not a VTA program: holds {', '.join(names[:8]) or 'nothing'}; must hold exactly "
                f"{', '.join(expected)}"
            )
        for info in infos:
            limit = MAX_MANIFEST_BYTES if info.filename == MANIFEST else MAX_FILE_BYTES
            stored = info.compress_type == zipfile.ZIP_STORED
            if not stored or info.flag_bits & 1 or info.file_size != info.compress_size:
                raise ProgramError(f"member {info.filename} must be stored plainly")
            if info.file_size > limit:
                raise ProgramError(
                    f"member {info.filename} has {info.file_size} bytes; at most {limit}"
                )
        return {info.filename: archive.read(info) for info in infos}
