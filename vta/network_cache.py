"""Compiled networks that are kept in the user's cache folder, so that a model is compiled once.

The name of a file is a hash of everything that the network depends on: the model with its data, the
machine, the options, and the sources of the compiler. The newest :data:`MOST_FILES` are kept.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import vta
from vta import compiler
from vta.cache import cache_folder
from vta.errors import NetworkError
from vta.network_file import network_bytes, network_from_bytes

if TYPE_CHECKING:
    from vta.config import VTAConfig
    from vta.network import Network

__all__ = ["MOST_FILES", "cached_network", "key_of"]

MOST_FILES = 32


def key_of(model: bytes, cfg: VTAConfig, options: Mapping[str, Any]) -> str:
    """The name of a network: a hash of the model, the machine, the options and the compiler.

    Parameters
    ----------
    model : bytes
        With all data.
    cfg : VTAConfig
    options : mapping of str to JSON values
        Whatever else the network depends on.
    """
    digest = hashlib.sha256(_sources())
    for part in (model, json.dumps([cfg.to_dict(), dict(options)], sort_keys=True).encode()):
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()


def cached_network(key: str, make: Callable[[], Network]) -> Network:
    """The network of a key: from the cache, or made and kept.

    A damaged file is made anew. Where the folder cannot be written, nothing is kept.
    """
    folder = cache_folder("networks")
    path = folder / f"{key}.vtanet"
    with suppress(OSError, NetworkError):
        found = network_from_bytes(path.read_bytes(), where=str(path))
        path.touch()
        return found
    network = make()
    with suppress(OSError, NetworkError):  # NetworkError: too large for a file
        _keep(path, network_bytes(network))
    return network


def _keep(path: Path, content: bytes) -> None:
    """Write a file at once, and remove the oldest beyond those that are kept."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
    others = (file for file in path.parent.glob("*.vtanet") if file != path)
    files = sorted(others, key=lambda file: file.stat().st_mtime, reverse=True)
    for old in files[MOST_FILES - 1 :]:
        old.unlink(missing_ok=True)


@cache
def _sources() -> bytes:
    """A hash of the sources that programs and network files depend on."""
    digest = hashlib.sha256()
    own = Path(vta.__file__).parent
    files = [*own.glob("*.py"), *(own / "isa").rglob("*.py")]
    files += [file for folder in compiler.__path__ for file in Path(folder).rglob("*.py")]
    for file in sorted(files):
        digest.update(f"{file.name}\n".encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.digest()
