"""The container of this project's files: a ZIP archive of plain members, one of them a JSON
manifest.

The members are stored without compression: the CRC-32 of each covers every byte, and what is read
is never larger than the file. The same members always give the same bytes.
"""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vta.errors import VTAError

__all__ = ["MANIFEST", "MAX_FILE_BYTES", "FileKind"]

MANIFEST = "manifest.json"
MAX_FILE_BYTES = 1 << 28
MAX_MANIFEST_BYTES = 1 << 20
_DAMAGED = (zipfile.BadZipFile, EOFError, ValueError, RuntimeError, OverflowError, struct.error)
"""What zipfile and json raise for bytes that are not theirs."""


@dataclass(frozen=True)
class FileKind:
    """One kind of file: what it is called, what is in it, and what is raised if it is not so.

    Attributes
    ----------
    format : str
        The manifest's entry ``format``.
    version : int
        Its entry ``version``: the one that is written and read.
    noun : str
        For messages: "VTA program".
    members : tuple of str
        Names of the members beside the manifest.
    error : type of VTAError
        Raised for everything that is wrong with a file.
    """

    format: str
    version: int
    noun: str
    members: tuple[str, ...]
    error: type[VTAError]

    def read_file(self, path: str | Path) -> bytes:
        """The bytes of a file, but not more than one too many for a container.

        Raises
        ------
        VTAError
            The kind's error, if it cannot be read.
        """
        try:
            with open(path, "rb") as file:
                return file.read(MAX_FILE_BYTES + 1)
        except OSError as error:
            raise self.error(f"cannot read the {self.noun} {path}: {error}") from None

    def pack(self, manifest: Mapping[str, Any], members: Mapping[str, bytes]) -> bytes:
        """The bytes of a file; ``format`` and ``version`` are put before the manifest's entries."""
        assert tuple(members) == self.members
        entries = {"format": self.format, "version": self.version, **manifest}
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
            for name, data in {MANIFEST: json.dumps(entries, indent=1).encode(), **members}.items():
                archive.writestr(zipfile.ZipInfo(name), data)  # a fixed date: 1980-01-01
        return out.getvalue()

    def unpack(self, data: bytes) -> tuple[dict[str, Any], dict[str, bytes]]:
        """The manifest, and the other members by name, each CRC verified.

        Raises
        ------
        VTAError
            The kind's error, if the bytes are no container, are damaged, are more than
            :data:`MAX_FILE_BYTES`, hold other members, or a member that is not stored plainly; if
            the manifest is no object or names another format or version.
        """
        if len(data) > MAX_FILE_BYTES:
            raise self.error(f"more than {MAX_FILE_BYTES} bytes")
        try:
            members = self._read_members(data)
            manifest = json.loads(members.pop(MANIFEST))
        except _DAMAGED as error:
            raise self.error(f"not a {self.noun}, or damaged: {error}") from None
        if not isinstance(manifest, dict):
            raise self.error(f"not a {self.noun}: {MANIFEST} holds no JSON object")
        if manifest.get("format") != self.format:
            raise self.error(f"not a {self.noun}: {MANIFEST} does not say format {self.format!r}")
        version = manifest.get("version")
        if version != self.version:
            raise self.error(
                f"{self.noun} format version {version!r}; this package reads version {self.version}"
            )
        return manifest, members

    def claims(self, data: bytes) -> bool:
        """Whether these bytes hold the members of this kind; they may still be damaged."""
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                return sorted(archive.namelist()) == sorted((MANIFEST, *self.members))
        except _DAMAGED:
            return False

    def _read_members(self, data: bytes) -> dict[str, bytes]:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = archive.infolist()
            names = [info.filename for info in infos]
            expected = (MANIFEST, *self.members)
            if sorted(names) != sorted(expected):
                raise self.error(
                    f"not a {self.noun}: holds {', '.join(names[:8]) or 'nothing'}; must hold "
                    f"exactly {', '.join(expected)}"
                )
            for info in infos:
                limit = MAX_MANIFEST_BYTES if info.filename == MANIFEST else MAX_FILE_BYTES
                stored = info.compress_type == zipfile.ZIP_STORED
                if not stored or info.flag_bits & 1 or info.file_size != info.compress_size:
                    raise self.error(f"member {info.filename} must be stored plainly")
                if info.file_size > limit:
                    raise self.error(
                        f"member {info.filename} has {info.file_size} bytes; at most {limit}"
                    )
            return {info.filename: archive.read(info) for info in infos}

    def entry(self, values: Mapping[str, Any], key: str, kind: type) -> Any:
        """An entry of the manifest, or of an object in it, which must be of that type.

        Raises
        ------
        VTAError
            The kind's error, if it is missing or of another type.
        """
        value = values.get(key)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise self.error(f"manifest entry {key!r} is {value!r}; must be {kind.__name__}")
        return value
