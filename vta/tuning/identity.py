"""Which version of the package a process runs: cycles of another one are not comparable."""

from __future__ import annotations

import hashlib
import importlib
from functools import cache
from pathlib import Path

from vta import __version__

__all__ = ["identity"]

_PACKAGES = ("vta", "vta.boards", "vta.compiler", "vta.hw", "vta.runtime", "vta.sim")
_SUFFIXES = (".py", ".cpp", ".h")


@cache
def identity() -> str:
    """The version, and a hash of the sources that results depend on: ``0.1.0+5f0c...``."""
    digest = hashlib.sha256()
    for package in _PACKAGES:
        for folder in importlib.import_module(package).__path__:
            root = Path(folder)
            for file in sorted(root.rglob("*")):
                inner = file.relative_to(root)
                if file.suffix in _SUFFIXES and inner.parts[0] not in ("cli", "testing"):
                    digest.update(f"{package}/{inner.as_posix()}\n".encode())
                    digest.update(hashlib.sha256(file.read_bytes()).digest())
    return f"{__version__}+{digest.hexdigest()[:12]}"
