"""What a file is that was given in place of another: for messages."""

from __future__ import annotations

import io
import struct
import zipfile

__all__ = ["ANY_ARCHIVE", "kind_of"]

ANY_ARCHIVE = "a ZIP archive"

_HEADS = (
    (0, b"\x93NUMPY", "an array in a .npy file"),
    (0, b"\x89HDF\r\n", "an HDF5 file, as Keras writes it"),
    (4, b"TFL3", "a model of TensorFlow Lite"),
    (0, b"\x80\x02", "a Python pickle, as older versions of PyTorch write it"),
    (0, b"\x89PNG\r\n", "a picture"),
    (0, b"\xff\xd8\xff", "a picture"),
    (0, b"version https://git-lfs", "a pointer of Git LFS: `git lfs pull` gets the file itself"),
)
"""Offset and bytes of what begins so."""
_MEMBERS = (
    ("programs.bin", "a compiled network (.vtanet)"),
    ("instructions.bin", "a saved program (.vta)"),
    ("bitstream.bin", "a bitstream (.vtabit)"),
)
"""Members of the archives of this package that only one kind has."""


def kind_of(data: bytes) -> str | None:
    """What a file with these bytes is, as "a compiled network (.vtanet)"; None if it has none of
    the known beginnings. It may be damaged."""
    for offset, head, kind in _HEADS:
        if data[offset : offset + len(head)] == head:
            return kind
    if not data.startswith(b"PK\x03\x04"):
        return None
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, OSError, struct.error, NotImplementedError):
        return "a damaged ZIP archive"
    for member, kind in _MEMBERS:
        if member in names and "manifest.json" in names:
            return kind
    if any(name.endswith("/data.pkl") for name in names):
        return "a model or weights of PyTorch; torch.onnx.export writes ONNX"
    return ANY_ARCHIVE
