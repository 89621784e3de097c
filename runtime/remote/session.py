"""A session with a device on another machine: the same objects as with one in this process."""

from __future__ import annotations

import hashlib
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vta.config import VTAConfig
from vta.errors import DeviceError, RemoteError
from vta.program import Program
from vta.runtime.module import CompiledModule
from vta.runtime.remote import wire
from vta.runtime.remote.connection import Connection
from vta.runtime.session import (
    TvmSessionNames,
    no_fpga,
    not_uploaded,
    require_bitstream,
    require_ext_dev,
    require_index,
    require_plain_name,
    require_same,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vta.run_result import RunResult
    from vta.runtime.remote.credentials import Token

__all__ = ["RemoteDevice", "RemoteSession"]


class RemoteDevice:
    """The server's device; implements :class:`~vta.runtime.device.Device` and ``PlacesPrograms``.

    Addresses are the server's. What an address may be, and what an instruction stream may touch, is
    checked there: only this session's buffers.
    """

    def __init__(
        self, connection: Connection, on_run: Callable[[RunResult], None] | None = None
    ) -> None:
        greeting = connection.greeting
        try:
            self.name = str(greeting["device"])
            self.cfg = VTAConfig.from_dict(greeting["config"], where=connection.name)
        except (KeyError, TypeError, AttributeError):
            raise RemoteError(f"{connection.name} did not say what it is") from None
        self._connection = connection
        self._on_run = on_run
        self._files: dict[str, str] = {}  # digest of what was uploaded: its name

    def __repr__(self) -> str:
        return f"{self.name}({self.cfg.fingerprint}) at {self._connection.name}"

    def alloc(self, nbytes: int) -> int:
        return _number(self._connection.call(wire.Alloc(nbytes)), "addr")

    def free(self, addr: int) -> None:
        """Free a buffer, with the next request."""
        self._connection.later(wire.Free([addr], []))

    def write(self, addr: int, data: bytes) -> None:
        view = memoryview(data)
        self._connection.call_all(
            (wire.Write(addr + at), view[at : at + wire.CHUNK_BYTES])
            for at in range(0, len(data), wire.CHUNK_BYTES)
        )

    def read(self, addr: int, nbytes: int) -> bytes:
        replies = self._connection.call_all(
            (wire.Read(addr + at, min(wire.CHUNK_BYTES, nbytes - at)), b"")
            for at in range(0, nbytes, wire.CHUNK_BYTES)
        )
        data = b"".join(reply.payload for reply in replies)
        if len(data) != nbytes:
            raise RemoteError(f"{self._connection.name} sent {len(data)} bytes; asked for {nbytes}")
        return data

    def run(self, insn_addr: int, insn_count: int) -> RunResult:
        return self._ran(self._connection.call(wire.Execute(insn_addr, insn_count)))

    def place(self, program: Program) -> RemotePlacement:
        """Put a program into the server's memory; it is sent unless it was uploaded before."""
        content = program.to_bytes()
        digest = hashlib.sha256(content).hexdigest()
        if digest not in self._files:
            self.upload(f"{digest}.vta", content)
        reply = self._connection.call(wire.Place(self._files[digest]))
        return RemotePlacement(self, _number(reply, "placement"))

    def upload(self, name: str, content: bytes) -> None:
        """Send a file, which the server checks."""
        if not content:
            raise DeviceError(f"{name!r} is empty; there is nothing to upload")
        view = memoryview(content)
        self._connection.call_all(
            (wire.Upload(name, len(content), at), view[at : at + wire.CHUNK_BYTES])
            for at in range(0, len(content), wire.CHUNK_BYTES)
        )
        self._files = {key: old for key, old in self._files.items() if old != name}
        self._files[hashlib.sha256(content).hexdigest()] = name

    def close(self) -> None:
        self._connection.close()

    def _ran(self, reply: wire.Reply) -> RunResult:
        result = wire.result_from_wire(reply.values.get("result"))
        if self._on_run is not None:
            self._on_run(result)
        return result


class RemotePlacement:
    """A program in the server's memory: a run is one request."""

    def __init__(self, device: RemoteDevice, number: int) -> None:
        self._device, self._number = device, number
        weakref.finalize(self, device._connection.later, wire.Free([], [number]))

    def run(self, addresses: Sequence[int]) -> RunResult:
        request = wire.Run(self._number, list(addresses))
        return self._device._ran(self._device._connection.call(request))

    def measure(self, addresses: Sequence[int], number: int, repeat: int) -> tuple[float, ...]:
        """Measured by the server: without the network, and without waiting for others."""
        request = wire.Measure(self._number, list(addresses), number, repeat)
        reply = self._device._connection.call(request)
        self._device._ran(reply)
        seconds = reply.values.get("seconds")
        if not isinstance(seconds, list) or not all(isinstance(s, float) for s in seconds):
            raise RemoteError("the server sent no measurement")
        return tuple(seconds)


class RemoteSession(TvmSessionNames):
    """A session with a server; :class:`vta.runtime.session.Session` says what it does.

    Parameters
    ----------
    host, port, token, **options
        See :class:`~.connection.Connection`.
    on_run : callable or None
        Called with the result of every run.
    """

    def __init__(
        self,
        host: str,
        port: int,
        token: Token,
        *,
        on_run: Callable[[RunResult], None] | None = None,
        **options: Any,
    ) -> None:
        self._connection = Connection(host, port, token, **options)
        self._device = RemoteDevice(self._connection, on_run)
        self._programs: dict[str, bytes] = {}

    def __repr__(self) -> str:
        return f"RemoteSession({self._device!r})"

    def __enter__(self) -> RemoteSession:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def cfg(self) -> VTAConfig:
        """The configuration of the server's device."""
        return self._device.cfg

    def upload(self, path: str | Path, name: str | None = None) -> None:
        """Send a file as ``name`` (its own name if None); the server checks it at once.

        Raises
        ------
        DeviceError
            If the file cannot be read or the name is no plain file name.
        ProgramError
            If it is no program.
        RemoteError
            If it is larger than the server takes, or the connection is lost.
        """
        name = require_plain_name(Path(path).name if name is None else name)
        try:
            content = Path(path).read_bytes()
        except OSError as error:
            raise DeviceError(f"cannot upload {path}: {error}") from None
        self._device.upload(name, content)
        self._programs[name] = content

    def load_module(self, name: str) -> CompiledModule:
        """The uploaded program, bound to the server's device.

        Raises
        ------
        DeviceError
            If nothing of that name was uploaded.
        ProgramError
            If it is no program, or one for another configuration.
        """
        require_plain_name(name)
        if name not in self._programs:
            raise not_uploaded(name)
        return CompiledModule(Program.from_bytes(self._programs[name], where=name), self._device)

    def ext_dev(self, index: int = 0) -> RemoteDevice:
        """The accelerator. There is one: ``index`` is 0."""
        require_index(index)
        return self._device

    def device(self, name: str = "ext_dev", index: int = 0) -> RemoteDevice:
        """:meth:`ext_dev`; see :meth:`vta.runtime.session.LocalSession.device`."""
        require_ext_dev(name)
        return self.ext_dev(index)

    def require_config(self, cfg: VTAConfig) -> None:
        """Refuse a configuration that the server's device does not have.

        Raises
        ------
        ConfigError
            Naming both.
        """
        require_same(cfg, self.cfg, f"the server {self._connection.name}")

    def program_fpga(self, bitstream: str | Path | None) -> None:
        """Configure the server's FPGA with a file of this machine.

        Raises
        ------
        DeviceError
            If the device is a simulator, the file cannot be read, or the device refuses it.
        """
        if not self._connection.greeting.get("has_fpga"):
            raise no_fpga(self._device)
        path = require_bitstream(bitstream)
        self.upload(path)
        self._connection.call(wire.ProgramFpga(path.name))

    def close(self) -> None:
        """End the session; the server frees all it had."""
        self._connection.close()


def _number(reply: wire.Reply, key: str) -> int:
    value = reply.values.get(key)
    if not isinstance(value, int):
        raise RemoteError(f"the server's reply has no {key}: {value!r}")
    return value
