"""`vta serve` as people use it: the tutorials against it, and many clients at once."""

import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from tests.support.serving import serve_in_process
from tests.support.small_vadd import vadd_module
from vta import rpc
from vta.errors import RemoteError
from vta.runtime import array, empty

TUTORIALS = Path(__file__).parents[2] / "tutorials"
VTA = [sys.executable, "-c", "from vta.cli import main; main()"]


@pytest.mark.parametrize("target", ["sim", "tsim"])
def test_the_tutorials_over_loopback(tmp_path, target):
    with serve_in_process(tmp_path, "--target", target) as server:
        result = subprocess.run(
            [sys.executable, TUTORIALS / "run_all.py", "--remote", f"127.0.0.1:{server.port}"],
            env={**os.environ, "VTA_RPC_TOKEN": server.token.text},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.count(f"on {target}: the result equals NumPy's.") == 3
    assert "gemm_counter    :      451,584" in result.stdout
    assert ("cycle_count" in result.stdout) == (target == "tsim")


CLIENTS, RUNS = 50, 20


def test_fifty_clients_at_once(tmp_path):
    """1,000 runs, each with its own numbers, none with another's."""
    module = vadd_module()
    ready, wrong, finished = threading.Barrier(CLIENTS), [], []

    def client(number, server):
        with server.connect(timeout=60) as remote:
            device, rng = remote.ext_dev(), np.random.default_rng(number)
            f = type(module)(module.program, device)
            ready.wait(60)
            for _ in range(RUNS):
                a, b = rng.integers(-(2**31), 2**31, (2, 1, 8, 1, 4), dtype=np.int32)
                c = empty(a.shape, "int8", device)
                f(array(a, device), array(b, device), c)
                if not np.array_equal(c.numpy(), (a + b).astype(np.int8)):
                    wrong.append(number)
                finished.append(number)

    options = ("--preset", "tiny", "--target", "sim", "--sessions", str(CLIENTS))
    with serve_in_process(tmp_path, *options) as server:
        threads = [threading.Thread(target=client, args=(n, server)) for n in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
    assert not wrong and len(finished) == CLIENTS * RUNS


# ---- the command --------------------------------------------------------------------------------


def start(folder, *options):
    return subprocess.Popen(
        [*VTA, "serve", "--port", "0", "--preset", "tiny", "--state", str(folder), *options],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_the_token_is_printed_once_and_never_logged(tmp_path, monkeypatch):
    monkeypatch.delenv("VTA_RPC_TOKEN", raising=False)
    outputs = []
    for _ in range(2):
        with start(tmp_path) as process:
            lines = []
            for line in process.stdout:
                lines.append(line)
                if found := re.match(r"Serving sim 1x4_\S+ at 127\.0\.0\.1:(\d+)$", line):
                    break
            with rpc.connect("127.0.0.1", int(found[1]), token_file=tmp_path / "token") as remote:
                remote.ext_dev().alloc(1)
            process.terminate()
            rest, log = process.communicate(timeout=30)
            assert process.returncode == 0, log
            outputs.append("".join(lines) + rest + log)
    token = (tmp_path / "token").read_text().strip()
    secret = token.partition(".")[2]
    assert outputs[0].startswith(f"Token, shown this once:\n{token}\n")
    assert outputs[0].count(secret) == 1 and secret not in outputs[1]
    assert "session begins, 1 now" in outputs[1] and "session ended, 0 left" in outputs[1]


def test_a_port_that_is_taken(tmp_path):
    with serve_in_process(tmp_path / "a", "--preset", "tiny") as server:
        result = subprocess.run(
            [*VTA, "serve", "--port", str(server.port), "--state", str(tmp_path / "b")],
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
    assert result.returncode == 1
    assert f"Error: cannot listen on 127.0.0.1:{server.port}" in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == "" and not (tmp_path / "b" / "token").exists()


@pytest.mark.parametrize(
    "case",
    [
        ("--target", "tsim", "--memory", "none"),  # no such timing: the device cannot be opened
        ("--target", "pynq"),  # not this board
        "without websockets",
    ],
    ids=str,
)
def test_no_token_is_shown_by_a_server_that_cannot_start(tmp_path, case):
    blocked = "import sys; sys.modules['websockets'] = None; " if isinstance(case, str) else ""
    options = () if isinstance(case, str) else case
    result = subprocess.run(
        [sys.executable, "-c", f"{blocked}from vta.cli import main; main()", "serve",
         "--port", "0", "--preset", "tiny", "--state", str(tmp_path / "state"), *options],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert result.returncode == 1
    assert result.stdout == "" and not (tmp_path / "state").exists()
    assert result.stderr.count("\n") == 1 and result.stderr.startswith("Error: ")
    if blocked:
        assert "needs the Python package websockets, which is not installed" in result.stderr
        assert "[remote]" in result.stderr


def test_connect_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.delenv("VTA_RPC_TOKEN", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    for host in ("localhost", "192.0.2.1"):
        with pytest.raises(RemoteError, match=rf"no token for {host}: `vta serve` printed it"):
            rpc.connect(host, 9)
    with pytest.raises(RemoteError, match="give one of them"):
        rpc.connect("localhost", 9, "x", token_file="y")
    with pytest.raises(RemoteError, match="cannot read the token"):
        rpc.connect("localhost", 9, token_file=tmp_path / "nothing")
    with pytest.raises(RemoteError, match="is no token"):
        rpc.connect("localhost", 9, "x")
    monkeypatch.setenv("VTA_RPC_TOKEN", "y")
    with pytest.raises(RemoteError, match="is no token"):
        rpc.connect("localhost", 9)


def test_on_this_machine_the_server_s_own_token_is_found(tmp_path, monkeypatch):
    monkeypatch.delenv("VTA_RPC_TOKEN", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    folder = tmp_path / "vta" / "serve"
    with serve_in_process(folder, "--preset", "tiny") as server:
        rpc.connect("localhost", server.port).close()
