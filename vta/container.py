"""The container of this project's files: a ZIP archive of plain members, one of them a JSON
manifest.

The members are stored without compression, so that what is read is never larger than the file. The
same members always give the same bytes, and a reader takes no others: the CRC-32 covers the bytes
of each member, and every byte around them (headers, dates, comments, gaps, what follows the end) is
compared with what this module writes.
"""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vta.errors import VTAError
from vta.file_kinds import ANY_ARCHIVE, kind_of

__all__ = ["MANIFEST", "MAX_FILE_BYTES", "FileKind", "shown"]

MANIFEST = "manifest.json"
MAX_FILE_BYTES = 1 << 28
MAX_MANIFEST_BYTES = 1 << 20
MAX_DIGITS = 20
"""Decimal digits of an integer in a manifest: all 64-bit numbers have fewer."""
MAX_TEXT = 255
"""Characters of a key or a string in a manifest."""
_DAMAGED = (
    zipfile.BadZipFile, EOFError, ValueError, RuntimeError, OverflowError, NotImplementedError,
    struct.error,
)  # fmt: skip
"""What zipfile and json raise for bytes that are not theirs."""
_END = struct.Struct("<4s4H2LH")
"""The end of a ZIP archive: signature, disk numbers, entries on this disk and in all, size and
offset of the directory, length of the comment."""


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
    optional : tuple of str
        Names of members behind those, which a file has only if they are not empty.
    """

    format: str
    version: int
    noun: str
    members: tuple[str, ...]
    error: type[VTAError]
    optional: tuple[str, ...] = ()

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
        """The bytes of a file; ``format`` and ``version`` are put before the manifest's entries.

        Raises
        ------
        VTAError
            The kind's error, if :meth:`unpack` would refuse the file: it is too large, or the
            manifest holds a text that is too long or cannot be printed.
        """
        assert tuple(members) == self.members + self.optional
        entries = {"format": self.format, "version": self.version, **manifest}
        text = json.dumps(entries, indent=1).encode()
        if len(text) > MAX_MANIFEST_BYTES:
            raise self.error(f"{MANIFEST} has {len(text)} bytes; at most {MAX_MANIFEST_BYTES}")
        try:
            parse_json(text)
        except ValueError as error:  # what no reader would take is not written either
            raise self.error(f"{MANIFEST}: {error}") from None
        present = {k: v for k, v in members.items() if v or k not in self.optional}
        data = _archive({MANIFEST: text, **present})
        if len(data) > MAX_FILE_BYTES:
            raise self.error(f"the file would have {len(data)} bytes; at most {MAX_FILE_BYTES}")
        return data

    def unpack(self, data: bytes) -> tuple[dict[str, Any], dict[str, bytes]]:
        """The manifest, and the other members by name, each CRC verified; an optional member that
        is missing is empty.

        Raises
        ------
        VTAError
            The kind's error, if the bytes are no container, are damaged, are more than
            :data:`MAX_FILE_BYTES`, hold other members, or a member that is not stored plainly; if
            a byte outside the members is not as :meth:`pack` writes it; if the manifest is no
            object, names another format or version, has a key twice, a number that is no integer
            or has more than :data:`MAX_DIGITS` digits, or a text of more than :data:`MAX_TEXT`
            characters or with characters that cannot be printed.
        """
        if len(data) > MAX_FILE_BYTES:
            raise self.error(f"more than {MAX_FILE_BYTES} bytes")
        try:
            members = self._read_members(data)
            manifest = parse_json(members.pop(MANIFEST))
        except _DAMAGED as error:
            raise self.error(f"not a {self.noun}, or damaged: {shown(str(error), 200)}") from None
        if not isinstance(manifest, dict):
            raise self.error(f"not a {self.noun}: {MANIFEST} holds no JSON object")
        if manifest.get("format") != self.format:
            raise self.error(f"not a {self.noun}: {MANIFEST} does not say format {self.format!r}")
        version = manifest.get("version")
        if version != self.version:
            raise self.error(
                f"{self.noun} format version {shown(repr(version))}; this package reads version "
                f"{self.version}"
            )
        return manifest, members

    def claims(self, data: bytes) -> bool:
        """Whether these bytes hold the members of this kind; they may still be damaged."""
        try:
            self._require_end(data)
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                names = archive.namelist()
                return sorted(names) == sorted(self._expected(names))
        except (VTAError, *_DAMAGED):
            return False

    def _expected(self, names: Sequence[str]) -> tuple[str, ...]:
        """The members that a file with these ones must have, in order."""
        return (MANIFEST, *self.members, *(name for name in self.optional if name in names))

    def _require_end(self, data: bytes) -> None:
        """The archive ends where the file does, and has so few members that reading its directory
        is cheap."""
        at = data.rfind(b"PK\x05\x06")
        if at < 0 or len(data) < at + _END.size:
            raise self.error(
                f"not a {self.noun}, or damaged: the end of the ZIP archive is missing"
            )
        _, _, _, _, count, _, _, comment = _END.unpack_from(data, at)
        if comment or len(data) > at + _END.size:
            raise self.error(
                f"not a {self.noun}, or damaged: {len(data) - at - _END.size} bytes follow the end "
                f"of the ZIP archive; must be none, a comment neither"
            )
        if count > 64:
            raise self.error(
                f"not a {self.noun}: holds {count} members; must hold exactly "
                f"{', '.join((MANIFEST, *self.members))}"
            )

    def _read_members(self, data: bytes) -> dict[str, bytes]:
        self._require_end(data)
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = archive.infolist()
            names = [info.filename for info in infos]
            expected = self._expected(names)
            if sorted(names) != sorted(expected):
                kind = None if set(names) & set(self.members) else kind_of(data)
                if kind not in (None, ANY_ARCHIVE):
                    raise self.error(f"not a {self.noun}, but {kind}")
                listed = ", ".join(shown(name) for name in names[:8]) or "nothing"
                raise self.error(
                    f"not a {self.noun}: holds {listed}; must hold exactly {', '.join(expected)}"
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
            members = {info.filename: archive.read(info) for info in infos}
        written = _archive({name: members[name] for name in expected})
        if written != data:
            raise self.error(
                f"not a {self.noun} as this package writes it, or damaged: byte "
                f"{_first_difference(written, data)} lies outside the members' contents and is "
                f"another than it must be"
            )
        for name in self.optional:
            if name in members and not members[name]:
                raise self.error(f"member {name} is empty; must be left out then")
            members.setdefault(name, b"")
        return members

    def entry(self, values: Mapping[str, Any], key: str, kind: type) -> Any:
        """An entry of the manifest, or of an object in it, which must be of that type.

        Raises
        ------
        VTAError
            The kind's error, if it is missing or of another type.
        """
        value = values.get(key)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise self.error(
                f"manifest entry {key!r} is {shown(repr(value))}; must be {kind.__name__}"
            )
        return value


def _archive(members: Mapping[str, bytes]) -> bytes:
    """The ZIP archive of these members: the same bytes on every system."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo(name)  # of 1980-01-01
            info.create_system, info.create_version, info.extract_version = 3, 20, 20
            info.external_attr = 0o600 << 16
            archive.writestr(info, data)
    return out.getvalue()


def _first_difference(one: bytes, other: bytes) -> int:
    size = min(len(one), len(other))
    differ = np.frombuffer(one, np.uint8, size) != np.frombuffer(other, np.uint8, size)
    return int(np.argmax(differ)) if differ.any() else size


def parse_json(text: bytes) -> Any:
    """The JSON value in a member; ValueError for what is not JSON or exceeds the bounds."""
    return json.loads(
        text,
        object_pairs_hook=_object,
        parse_int=_integer,
        parse_float=_no_number,
        parse_constant=_no_number,
    )


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("an object has a key twice")
    for text in (item for pair in pairs for item in pair if isinstance(item, str)):
        if len(text) > MAX_TEXT or not text.isprintable():
            raise ValueError(
                f"the text {shown(ascii(text))} has {len(text)} characters; at most {MAX_TEXT}, "
                f"all printable"
            )
    return values


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"an integer of {len(digits)} digits; at most {MAX_DIGITS}")
    return int(digits)


def _no_number(text: str) -> Any:
    raise ValueError(f"the number {shown(text)}; must be an integer")


def shown(text: str, limit: int = 80) -> str:
    """A text from outside, for a message: not more of it than ``limit`` characters."""
    return text if len(text) <= limit else text[:limit] + " ..."
