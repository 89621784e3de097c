"""Servers for tests: one in a thread of this process, or `vta serve` in a process that can die."""

from __future__ import annotations

import asyncio
import contextlib
import re
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.support.small_vadd import TINY, vadd_arrays, vadd_module
from vta.runtime.remote.credentials import Token, open_credentials
from vta.runtime.remote.limits import Limits
from vta.runtime.remote.server import running
from vta.runtime.remote.session import RemoteSession
from vta.runtime.simulated import SimDevice

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


__all__ = [
    "Serving",
    "serve_in_process",
    "serving",
    "still_serves",
    "wait_until_free",
]


@dataclass
class Serving:
    """A server that runs: where it listens, and what it asks for."""

    port: int
    token: Token
    device: SimDevice | None = None
    process: subprocess.Popen[str] | None = None
    free_at_start: int = 0

    @property
    def taken_bytes(self) -> int:
        """Bytes of device memory that the sessions have."""
        return self.free_at_start - self.device._allocator.free_bytes

    def connect(self, **options: Any) -> RemoteSession:
        return RemoteSession("127.0.0.1", self.port, self.token, **options)


@contextlib.contextmanager
def serving(
    folder: Path, device: SimDevice | None = None, limits: Limits | None = None
) -> Iterator[Serving]:
    """A server in a thread; ``folder`` keeps its credentials, made when they are missing."""
    device = device or SimDevice(TINY, memory_bytes=1 << 26)
    granted = limits or Limits(sessions=8)
    credentials = open_credentials(folder)
    started, loops, stops, ports = threading.Event(), [], [], []

    async def main() -> None:
        loops.append(asyncio.get_running_loop())
        stops.append(asyncio.Event())
        try:
            async with running(device, credentials, port=0, limits=granted) as port:
                ports.append(port)
                started.set()
                await stops[0].wait()
        finally:
            started.set()

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    started.wait(20)
    assert ports, "the server did not start"
    try:
        free = device._allocator.free_bytes
        yield Serving(ports[0], credentials.token, device, free_at_start=free)
    finally:
        loops[0].call_soon_threadsafe(stops[0].set)
        thread.join(30)
        assert not thread.is_alive(), "the server did not end"


@contextlib.contextmanager
def serve_in_process(folder: Path, *options: str) -> Iterator[Serving]:
    """`vta serve` as people start it."""
    command = [
        sys.executable, "-c", "from vta.cli import main; main()", "serve",
        "--port", "0", "--state", str(folder), *options,
    ]  # fmt: skip
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if found := re.search(r"^Serving .* at 127\.0\.0\.1:(\d+)$", line):
                    break
            assert found, "the server did not start"
            token = Token.parse((folder / "token").read_text())
            yield Serving(int(found[1]), token, process=process)
        finally:
            process.kill()


def wait_until_free(server: Serving, seconds: float = 10) -> None:
    """Wait until the server has taken back all memory that its sessions had."""
    end = time.monotonic() + seconds
    while taken := server.taken_bytes:
        assert time.monotonic() < end, f"{taken} bytes are still taken"
        time.sleep(0.02)


def still_serves(server: Serving) -> None:
    """A new session gets the right result."""
    with server.connect() as remote:
        arrays, expected = vadd_arrays(remote.ext_dev())
        vadd_module()(*arrays)
        np.testing.assert_array_equal(arrays[2].numpy(), expected)
