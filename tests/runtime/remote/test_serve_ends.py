"""`vta serve` ends soon after SIGTERM and SIGINT, whatever it does at that moment, and the run of a
board is ended with it."""

import contextlib
import signal
import socket
import subprocess
import sys
import threading

import pytest

from tests.support.serving import serve_in_process
from tests.support.small_vadd import TINY, vadd_arrays, vadd_module
from vta.errors import DeviceError, RemoteError
from vta.isa import Finish, Gemm, Isa, Store
from vta.program import Program, Relocation, TensorSpec
from vta.runtime import empty
from vta.runtime.remote import wire

ISA = Isa.of(TINY)
SIGNALS = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda n: n.name)
END_SECONDS = 30
"""Seconds, on a machine that is busy with other tests; what is cut off takes minutes."""


def start(action):
    """Begin an action of a client, which ends with the connection."""

    def run():
        with contextlib.suppress(RemoteError, OSError):
            action()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def is_served(server):
    with server.connect() as remote:
        empty((1,), "int8", remote.ext_dev()).numpy()


@pytest.fixture
def server(tmp_path):
    options = ("--preset", "tiny", "--target", "sim", "--cycles", str(1 << 60))
    with serve_in_process(tmp_path, *options) as server:
        yield server


@SIGNALS
def test_without_clients(server, number):
    server.process.send_signal(number)
    assert server.process.wait(END_SECONDS) == 0


@SIGNALS
def test_during_a_run_of_minutes(server, number):
    """Each instruction takes 268 million products of tiles."""
    slow = Gemm(uop_bgn=0, uop_end=1, iter_out=16383, iter_in=16383)
    code = ISA.encode_all([slow] * 100 + [Finish()])
    remote = server.connect()
    device = remote.ext_dev()
    waits = threading.Event()
    addr = device.alloc(len(code))
    device.write(addr, code)
    running = start(lambda: device.run(addr, 101))
    waiting = server.connect(on_wait=lambda place: waits.set())
    other = start(lambda: waiting.ext_dev().alloc(1))
    assert waits.wait(END_SECONDS), "nothing runs"
    server.process.send_signal(number)
    assert server.process.wait(END_SECONDS) == 0
    for thread in (running, other):
        thread.join(END_SECONDS)
        assert not thread.is_alive(), "the client was not told"


@SIGNALS
def test_while_a_file_is_checked(server, number):
    """Others are answered meanwhile: the check is not in the thread that answers."""
    count = 170_000
    store = ISA.encode_all([Store(y_size=1, x_size=1, x_stride=1)])
    tensor = TensorSpec("c", (4,), "int8", written=True)
    relocations = tuple(Relocation(n, 0) for n in range(count))
    code = store * count + ISA.encode_all([Finish()])
    content = Program("x", TINY, code, b"", (tensor,), relocations).to_bytes()
    remotes = [server.connect() for _ in range(4)]
    for remote in remotes:  # one is checked, the others wait for that
        start(lambda remote=remote: remote.ext_dev().upload("x.vta", content))
    is_served(server)
    server.process.send_signal(number)
    assert server.process.wait(END_SECONDS) == 0


def test_with_a_client_that_does_not_close(server):
    remote = server.connect()
    remote.ext_dev().alloc(1)
    stream = remote._connection._socket.socket
    held = socket.socket(fileno=stream.detach())  # no thread reads it or answers
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(END_SECONDS) == 0
    held.close()


def test_two_signals(server):
    vadd_module()(*vadd_arrays(server.connect().ext_dev())[0])
    server.process.send_signal(signal.SIGTERM)
    with contextlib.suppress(ProcessLookupError):
        server.process.send_signal(signal.SIGINT)
    assert server.process.wait(END_SECONDS) == 0


def test_a_reply_that_the_client_does_not_read(server):
    """The server cannot send its reply."""
    remote = server.connect()
    connection = remote._connection
    addr = remote.ext_dev().alloc(1 << 20)
    for _ in range(16):
        connection._socket.send(wire.encode_request(wire.Read(addr, 1 << 20)))
    is_served(server)
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(END_SECONDS) == 0


# ---- a start that fails -------------------------------------------------------------------------


def test_a_token_of_a_server_that_cannot_listen_is_not_kept(tmp_path):
    """The token was never shown: the next start makes another one, and shows it."""
    command = [
        sys.executable, "-m", "vta", "serve", "--preset", "tiny", "--target", "sim",
        "--state", str(tmp_path),
    ]  # fmt: skip
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        run = subprocess.run(
            [*command, "--port", str(port)], capture_output=True, text=True, timeout=60
        )
    assert run.returncode == 1 and "Token" not in run.stdout
    assert run.stderr.startswith(f"Error: cannot listen on 127.0.0.1:{port}: ")
    assert not (tmp_path / "token").exists()
    with serve_in_process(tmp_path, "--preset", "tiny", "--target", "sim") as server:
        is_served(server)


# ---- boards -------------------------------------------------------------------------------------


def test_the_run_of_a_board_is_ended(tmp_path):
    """Otherwise the accelerator would continue, and write memory, without the process."""
    from tests.support.fake_boards import FakePynq, pynq_bitstream
    from vta.runtime.drivers.boards import open_board

    fake = FakePynq(tmp_path)
    device = open_board(TINY.replace(target="pynq"), **fake.options(bitstream=pynq_bitstream()))
    endless = Gemm(uop_bgn=0, uop_end=1, iter_out=16383, iter_in=16383, reset=True)
    code = ISA.encode_all([endless, Finish()])
    addr = device.alloc(len(code))
    device.write(addr, code)
    pause, looks = device._pause, []

    def paused(seconds):
        looks.append(seconds)
        if len(looks) == 3:
            device.interrupt()
        pause(seconds)

    device._pause = paused
    with pytest.raises(DeviceError, match="the run on pynq was interrupted"):
        device.run(addr, 2)
    assert device._get("STATUS") == 0, "the machine still runs"
    with pytest.raises(DeviceError, match="was interrupted"):
        device.run(addr, 2)
