"""Clients and servers that go away in the middle: the other side notices, and nothing is left."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from tests.support.serving import (
    serve_in_process,
    serving,
    still_serves,
    wait_until_free,
)
from tests.support.small_vadd import TINY, vadd_arrays, vadd_module
from vta.errors import RemoteError
from vta.runtime.remote import connection as client_side
from vta.runtime.remote import server as server_side
from vta.runtime.simulated import SimDevice

MEMORY = 1 << 26


class CountingDevice(SimDevice):
    """Knows how often it ran."""

    runs = 0

    def run(self, insn_addr, insn_count):
        self.runs += 1
        return super().run(insn_addr, insn_count)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("serve")


@pytest.fixture(scope="module")
def device():
    return CountingDevice(TINY, memory_bytes=MEMORY)


@pytest.fixture(scope="module")
def server(folder, device):
    with serving(folder, device) as server:
        yield server


MID_TRANSFER = """
import sys, time
from vta.runtime.remote import wire
from vta.runtime.remote.credentials import Token
from vta.runtime.remote.session import RemoteSession
session = RemoteSession("127.0.0.1", int(sys.argv[1]), Token.parse(sys.argv[2]))
device = session.ext_dev()
addr = device.alloc(4 << 20)
session._connection.call(wire.Upload("x", 1 << 22, 0), bytes(1 << 20))
message = wire.encode_request(wire.Write(addr), bytes(1 << 20))
stream = session._connection._socket.socket
stream.sendall(b"\\x82\\xff" + len(message).to_bytes(8, "big") + bytes(4) + message[:1000])
print("half", flush=True)
time.sleep(60)
"""


def test_a_client_killed_in_mid_transfer(server, device):
    still_serves(server)
    wait_until_free(server)
    arguments = [sys.executable, "-c", MID_TRANSFER, str(server.port), server.token.text]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout.readline() == "half\n"
        assert server.taken_bytes >= 4 << 20
        client.kill()
    wait_until_free(server, seconds=5)
    still_serves(server)


def test_a_client_that_vanishes_during_its_run(folder):
    """The run ends by itself; then all is free, and the next one runs."""
    begun, go = threading.Event(), threading.Event()

    class SlowDevice(SimDevice):
        def run(self, insn_addr, insn_count):
            begun.set()
            assert go.wait(20)
            return super().run(insn_addr, insn_count)

    device = SlowDevice(TINY, memory_bytes=MEMORY)
    with serving(folder, device) as server:
        first = server.connect()
        arrays, _ = vadd_arrays(first.ext_dev())
        placed = first.ext_dev().place(vadd_module().program)
        with server.connect():
            failures = []

            def run():
                try:
                    placed.run([item.address for item in arrays])
                except RemoteError as error:
                    failures.append(str(error))

            thread = threading.Thread(target=run)
            thread.start()
            assert begun.wait(20)
            first._connection._socket.socket.shutdown(socket.SHUT_RDWR)
            thread.join(10)
            assert len(failures) == 1 and "closed the session" in failures[0]
            go.set()
            wait_until_free(server)
        still_serves(server)


def test_a_measurement_ends_with_its_client(server, device):
    wait_until_free(server)
    with server.connect() as remote:
        arrays, _ = vadd_arrays(remote.ext_dev())
        placed = remote.ext_dev().place(vadd_module().program)
        addresses = [item.address for item in arrays]

        def measure():
            with contextlib.suppress(RemoteError):
                placed.measure(addresses, 1_000_000, 1000)

        thread = threading.Thread(target=measure)
        thread.start()
        time.sleep(0.2)
        remote._connection._socket.socket.shutdown(socket.SHUT_RDWR)
        thread.join(10)
        wait_until_free(server)
        runs = device.runs
        time.sleep(0.2)
        assert device.runs == runs > 0


def test_a_client_that_is_silent_but_connected_is_missed(folder, monkeypatch):
    """As when its machine loses power: no end of the connection is ever seen."""
    monkeypatch.setattr(server_side, "PING_SECONDS", 0.2)
    monkeypatch.setattr(server_side, "PONG_SECONDS", 0.2)
    monkeypatch.setattr(server_side, "_CLOSE_SECONDS", 0.2)
    device = SimDevice(TINY, memory_bytes=MEMORY)
    with serving(folder, device) as server:
        arguments = [sys.executable, "-c", MID_TRANSFER, str(server.port), server.token.text]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as client:
            assert client.stdout.readline() == "half\n"
            os.kill(client.pid, signal.SIGSTOP)
            wait_until_free(server, seconds=5)
            client.kill()


@pytest.mark.parametrize("how", ["killed", "stopped"])
def test_a_server_that_vanishes(folder, monkeypatch, how):
    """The client gets an error in bounded time, also where the connection never ends."""
    monkeypatch.setattr(client_side, "PING_SECONDS", 0.3)
    monkeypatch.setattr(client_side, "PONG_SECONDS", 0.3)
    with serve_in_process(folder, "--preset", "tiny", "--target", "sim") as server:
        remote = server.connect()
        device = remote.ext_dev()
        module, (arrays, _) = vadd_module(), vadd_arrays(device)
        module(*arrays)
        if how == "killed":
            server.process.kill()
        else:
            server.process.send_signal(signal.SIGSTOP)
        start = time.monotonic()
        with pytest.raises(RemoteError, match=r"closed the session|session with .* ended"):
            while True:
                module(*arrays)
        assert time.monotonic() - start < 5
        with pytest.raises(RemoteError, match="session with"):
            device.alloc(1)
        start = time.monotonic()
        remote.close()
        del arrays
        assert time.monotonic() - start < 5


def test_a_server_that_ends_says_so(folder):
    with serving(folder) as server:
        remote = server.connect()
    with pytest.raises(RemoteError, match=r"session with|closed the session"):
        remote.ext_dev().alloc(1)
    remote.close()
