"""The file of a compiled network (``.vtanet``): data that is checked, and never executed.

The format is described in docs/networks/network-format.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from vta.config import VTAConfig
from vta.container import FileKind, shown
from vta.errors import ConfigError, NetworkError, ProgramError
from vta.host_operators import HostAttribute
from vta.network import Network, NetworkTensor, Step
from vta.network_check import check_network
from vta.preprocessing import Preprocessing, PreprocessingError
from vta.program import MAX_DIMENSIONS, MAX_TENSOR_BYTES, Program

__all__ = ["FORMAT_VERSION", "MAX_STEPS", "is_network", "load_network", "network_bytes",
           "network_from_bytes", "save_network"]  # fmt: skip

FORMAT_VERSION = 1
MAX_STEPS = 4096
MAX_ATTRIBUTE = 1 << 16
"""Integers of an attribute: a resize has one for each row and each column of its result."""
DTYPES = ("float32", "int8", "int32", "int64", "uint8", "bool")
_PROGRAMS, _CONSTANTS = "programs.bin", "constants.bin"
_PREPROCESSING, _CLASSES = "preprocessing.toml", "classes.txt"
_FILE = FileKind(
    "vta-network", FORMAT_VERSION, "VTA network",
    (_PROGRAMS, _CONSTANTS, _PREPROCESSING, _CLASSES), NetworkError,
)  # fmt: skip
_MAX_ERROR_TEXT = 1000


def is_network(data: bytes) -> bool:
    """Whether these are the bytes of a network file; they may still be damaged."""
    return _FILE.claims(data)


def save_network(network: Network, path: str | Path) -> None:
    """Write a network to a file; the same network gives the same bytes.

    Raises
    ------
    NetworkError
        If the file cannot be written, or the network is too large for one.
    """
    data = network_bytes(network)
    try:
        Path(path).write_bytes(data)
    except OSError as error:
        raise NetworkError(f"cannot write the network {path}: {error.strerror}") from None


def load_network(path: str | Path) -> Network:
    """Read and check a network file. Nothing in it is executed.

    Raises
    ------
    NetworkError
        If the file cannot be read, is truncated, foreign, newer than this version, or inconsistent.
    """
    return network_from_bytes(_FILE.read_file(path), where=str(path))


def network_bytes(network: Network) -> bytes:
    """The contents of a network file.

    Raises
    ------
    NetworkError
        If they are too large, or a name cannot be printed or is too long.
    """
    programs, constants = _Blob(), _Blob()
    tensors = [
        {
            "name": tensor.name,
            "shape": list(tensor.shape),
            "dtype": tensor.dtype,
            "logical": list(tensor.logical),
            "offset": tensor.offset,
            "values": None if tensor.values is None else constants.add(_little(tensor)),
        }
        for tensor in network.tensors.values()
    ]
    steps = [
        {
            "name": step.name,
            "operator": step.operator,
            "inputs": list(step.inputs),
            "output": step.output,
            "program": None if step.program is None else programs.add(step.program.to_bytes()),
            "attributes": {
                name: list(value) if isinstance(value, tuple) else value
                for name, value in step.attributes.items()
            },
            "products": step.products,
            "inner": list(step.inner),
            **({"tuned": True} if step.tuned else {}),
        }
        for step in network.steps
    ]
    manifest = {
        "name": network.name,
        "fingerprint": network.cfg.fingerprint,
        "config": network.cfg.to_dict(),
        "tensors": tensors,
        "steps": steps,
        "inputs": list(network.inputs),
        "outputs": list(network.outputs),
        "arena": network.arena,
    }
    members = {
        _PROGRAMS: bytes(programs.data),
        _CONSTANTS: bytes(constants.data),
        _PREPROCESSING: network.preprocessing.encode(),
        _CLASSES: "".join(f"{name}\n" for name in network.classes).encode(),
    }
    return _FILE.pack(manifest, members)


def network_from_bytes(data: bytes, *, where: str = "network") -> Network:
    """The checked network in the contents of a file; ``where`` names it in errors.

    Raises
    ------
    NetworkError
        As :func:`load_network`.
    """
    try:
        manifest, members = _FILE.unpack(data)
        network = _Reader(manifest, members).network()
        check_network(network)
    except (NetworkError, ConfigError, ProgramError, PreprocessingError) as error:
        raise NetworkError(f"{where}: {shown(str(error), _MAX_ERROR_TEXT)}") from None
    except (ValueError, OverflowError) as error:
        text = shown(str(error), _MAX_ERROR_TEXT)
        raise NetworkError(f"{where}: not a VTA network, or damaged: {text}") from None
    return network


class _Blob:
    """A member that holds parts one after the other; equal parts are stored once."""

    def __init__(self) -> None:
        self.data = bytearray()
        self._known: dict[bytes, list[int]] = {}

    def add(self, part: bytes) -> list[int]:
        """Offset and size of a part."""
        if part not in self._known:
            self._known[part] = [len(self.data), len(part)]
            self.data += part
        return self._known[part]


def _little(tensor: NetworkTensor) -> bytes:
    assert tensor.values is not None
    return np.ascontiguousarray(tensor.values, np.dtype(tensor.dtype).newbyteorder("<")).tobytes()


class _Reader:
    """The parts of a file as a network; sizes are bounded before anything is allocated."""

    def __init__(self, manifest: Mapping[str, Any], members: Mapping[str, bytes]) -> None:
        self.manifest, self.members = manifest, members
        self.programs: dict[tuple[int, int], Program] = {}

    def network(self) -> Network:
        cfg = VTAConfig.from_dict(_FILE.entry(self.manifest, "config", dict))
        fingerprint = _FILE.entry(self.manifest, "fingerprint", str)
        if fingerprint != cfg.fingerprint:
            raise NetworkError(
                f"the fingerprint says {fingerprint}, the configuration gives {cfg.fingerprint}"
            )
        tensors: dict[str, NetworkTensor] = {}
        for item in self._objects(self.manifest, "tensors", 4 * MAX_STEPS):
            tensor = self._tensor(item)
            if tensor.name in tensors:
                raise NetworkError(f"tensor {tensor.name} is there twice")
            tensors[tensor.name] = tensor
        steps = tuple(self._step(item) for item in self._objects(self.manifest, "steps", MAX_STEPS))
        preprocessing = self.members[_PREPROCESSING].decode()
        if preprocessing:
            Preprocessing.from_text(preprocessing, _PREPROCESSING)
        classes = tuple(self.members[_CLASSES].decode().splitlines())
        return Network(
            _FILE.entry(self.manifest, "name", str), cfg, tensors, steps,
            self._names(self.manifest, "inputs"), self._names(self.manifest, "outputs"),
            _FILE.entry(self.manifest, "arena", int), preprocessing, classes,
        )  # fmt: skip

    def _objects(self, values: Mapping[str, Any], key: str, most: int) -> list[Mapping[str, Any]]:
        items = _FILE.entry(values, key, list)
        if len(items) > most or not all(isinstance(item, dict) for item in items):
            raise NetworkError(f"{key} has {len(items)} entries; must be at most {most} objects")
        return list(items)

    def _names(self, values: Mapping[str, Any], key: str) -> tuple[str, ...]:
        items = _FILE.entry(values, key, list)
        if not all(isinstance(item, str) for item in items):
            raise NetworkError(f"{key} is {shown(repr(items))}; must be names")
        return tuple(items)

    def _numbers(self, where: str, values: Any, most: int = MAX_DIMENSIONS) -> tuple[int, ...]:
        good = isinstance(values, list) and len(values) <= most
        if not good or not all(type(value) is int for value in values):
            raise NetworkError(f"{where} is {shown(repr(values))}; must be at most {most} integers")
        return tuple(values)

    def _part(self, member: str, place: Any) -> bytes:
        data = self.members[member]
        where = self._numbers(f"a place in {member}", place)
        if len(where) != 2 or not (where[0] >= 0 and 0 <= where[1] <= len(data) - where[0]):
            raise NetworkError(f"{where} is no offset and size in {member}, of {len(data)} bytes")
        return data[where[0] : where[0] + where[1]]

    def _tensor(self, item: Mapping[str, Any]) -> NetworkTensor:
        name, dtype = _FILE.entry(item, "name", str), _FILE.entry(item, "dtype", str)
        if dtype not in DTYPES:
            raise NetworkError(f"tensor {name}: dtype {shown(dtype)}; must be {', '.join(DTYPES)}")
        shapes = []
        for key in ("shape", "logical"):
            shape = self._numbers(f"{key} of tensor {name}", item.get(key))
            if any(not 1 <= extent <= MAX_TENSOR_BYTES for extent in shape):
                raise NetworkError(f"tensor {name}: {key} is {shape}; extents must be positive")
            if prod(shape) * np.dtype(dtype).itemsize > MAX_TENSOR_BYTES:
                raise NetworkError(f"tensor {name}: more than {MAX_TENSOR_BYTES} bytes")
            shapes.append(shape)
        offset, values = item.get("offset"), None
        if offset is not None and type(offset) is not int:
            raise NetworkError(f"tensor {name}: offset is {shown(repr(offset))}; must be a number")
        if item.get("values") is not None:
            part = self._part(_CONSTANTS, item["values"])
            if len(part) != prod(shapes[0]) * np.dtype(dtype).itemsize:
                raise NetworkError(f"tensor {name}: {len(part)} bytes of values; not its size")
            stored = np.frombuffer(part, np.dtype(dtype).newbyteorder("<"))
            values = stored.astype(dtype).reshape(shapes[0])
        return NetworkTensor(name, shapes[0], dtype, shapes[1], values, offset)

    def _step(self, item: Mapping[str, Any]) -> Step:
        name, products = _FILE.entry(item, "name", str), _FILE.entry(item, "products", int)
        program = None
        if item.get("program") is not None:
            where = self._numbers(f"program of step {name}", item["program"])
            part = self._part(_PROGRAMS, list(where))
            if where not in self.programs:  # two steps can have the same one
                self.programs[where[0], where[1]] = Program.from_bytes(part, where=f"step {name}")
            program = self.programs[where[0], where[1]]
        attributes: dict[str, HostAttribute] = {}
        for key, value in _FILE.entry(item, "attributes", dict).items():
            whole = type(value) is int
            attributes[key] = value if whole else self._numbers(
                f"{name}: {key}", value, MAX_ATTRIBUTE
            )  # fmt: skip
        return Step(
            name, _FILE.entry(item, "operator", str), self._names(item, "inputs"),
            _FILE.entry(item, "output", str), program, attributes, products,
            self._names(item, "inner"), item.get("tuned") is True,
        )  # fmt: skip
