"""Sessions with boards: in the board's own process, and over the network through its server."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import vta
from tests.support.fake_boards import FakeDe10Nano, FakePynq, de10_bitstream, pynq_bitstream
from tests.support.serving import serving
from tests.support.small_vadd import COUNTERS, TINY, vadd_arrays, vadd_module
from vta import rpc
from vta.config import VTAConfig
from vta.environment import Environment
from vta.errors import DeviceError
from vta.runtime.drivers.boards import open_board
from vta.testing import simulator

TUTORIALS = Path(__file__).parents[3] / "tutorials"


@pytest.fixture(params=["pynq", "de10nano"])
def board(request, tmp_path):
    """A fake board with an empty FPGA, its configuration, and the file of a bitstream."""
    fake = {"pynq": FakePynq, "de10nano": FakeDe10Nano}[request.param](tmp_path / "root")
    bitstream = {"pynq": pynq_bitstream, "de10nano": de10_bitstream}[request.param]()
    bitstream.save(tmp_path / "tiny.vtabit")
    return fake, TINY.replace(target=request.param), tmp_path / "tiny.vtabit"


def run_uploaded(remote, tmp_path):
    """A module goes the way of the tutorials, to the session's device."""
    vadd_module().save(tmp_path / "vadd.vta")
    remote.upload(tmp_path / "vadd.vta")
    module = remote.load_module("vadd.vta")
    arrays, expected = vadd_arrays(remote.ext_dev(0))
    module(*arrays)
    np.testing.assert_array_equal(arrays[2].numpy(), expected)


def test_on_the_board_itself(board, tmp_path):
    fake, cfg, file = board
    with Environment(cfg):
        remote = rpc.LocalSession(**fake.options())
        vta.reconfig_runtime(remote)
        vta.program_fpga(remote, file)
        simulator.clear_stats()
        run_uploaded(remote, tmp_path)
        assert {key: simulator.stats()[key] for key in COUNTERS} == COUNTERS
        remote.close()


def test_through_the_boards_server(board, tmp_path):
    fake, cfg, file = board
    device = open_board(cfg, **fake.options())
    with serving(tmp_path / "state", device) as server, server.connect() as remote:
        with pytest.raises(DeviceError, match="its FPGA is not configured; vta"):
            run_uploaded(remote, tmp_path)
        remote.program_fpga(file)
        run_uploaded(remote, tmp_path)


def test_the_server_hands_the_device_over_wiped(board, tmp_path):
    """What one session leaves on chip the next one does not find: the run that wipes goes through
    the driver too."""
    fake, cfg, file = board
    device = open_board(cfg, **fake.options(bitstream=file))
    with serving(tmp_path / "state", device) as server:
        for _ in range(2):
            with server.connect() as remote:
                run_uploaded(remote, tmp_path)


def test_the_server_refuses_wrong_bitstreams(board, tmp_path):
    fake, cfg, file = board
    device = open_board(cfg, **fake.options())
    (tmp_path / "cut.vtabit").write_bytes(file.read_bytes()[:-10])
    other = pynq_bitstream(board="zcu104")
    other.save(tmp_path / "other.vtabit")
    with serving(tmp_path / "state", device) as server, server.connect() as remote:
        with pytest.raises(DeviceError, match="is for the board zcu104; this is one of"):
            remote.program_fpga(tmp_path / "other.vtabit")
        with pytest.raises(vta.errors.VTAError, match="damaged"):
            remote.program_fpga(tmp_path / "cut.vtabit")
        assert fake.rtl is None


@pytest.mark.parametrize(
    ("kind", "bitstream", "target"),
    [(FakePynq, pynq_bitstream, "pynq"), (FakeDe10Nano, de10_bitstream, "de10nano")],
)
def test_the_tutorials(tmp_path, kind, bitstream, target):
    """As people run them, on the original's configuration."""
    cfg = VTAConfig.preset("default").replace(target=target)
    fake = kind(tmp_path / "root", preset="default", nbytes=1 << 24, clock_hz=bitstream().clock_hz)
    device = open_board(cfg, **fake.options(bitstream=bitstream(cfg=cfg)))
    with serving(tmp_path / "state", device) as server:
        result = subprocess.run(
            [sys.executable, TUTORIALS / "run_all.py", "--remote", f"127.0.0.1:{server.port}"],
            env={**os.environ, "VTA_RPC_TOKEN": server.token.text, "VTA_TARGET": target},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.count(f"on {target}: the result equals NumPy's.") == 3
    assert "cycle_count" in result.stdout
