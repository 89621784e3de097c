"""The kernel must compute the same with the same blocks, and overlap loads with products."""

import numpy as np
import pytest

import vta
from exercises.grading import answer_of
from vta import rpc
from vta.check import check_program
from vta.config import VTAConfig
from vta.environment import Environment
from vta.profiling import profile_program
from vta.runtime import array, empty

CFG = VTAConfig()
CYCLES = 205_000
BYTES = {"inp_load_nbytes": 4 << 15, "wgt_load_nbytes": 1 << 20, "out_store_nbytes": 1 << 15}
"""What the given kernel moves: each weight once, each input once for each block of outputs."""


@pytest.fixture(scope="module")
def module():
    with Environment(CFG):
        return vta.build(*answer_of(__file__).schedule(Environment.current), name="dense")


def test_result_and_bytes(module):
    rng = np.random.default_rng(1)
    x = rng.integers(-128, 128, (32, 1024), np.int8)
    w = rng.integers(-128, 128, (1024, 1024), np.int8)
    device = rpc.LocalSession(CFG.replace(target="sim")).ext_dev(0)
    out = empty((32, 64, 1, 16), "int8", device)
    tiles = w.reshape(64, 16, 64, 16).transpose(0, 2, 1, 3)
    result = module(array(x.reshape(32, 64, 1, 16), device), array(tiles, device), out)
    sums = x.astype(np.int32) @ w.T.astype(np.int32)
    expected = np.clip(sums >> 8, -127, 127).astype(np.int8)
    np.testing.assert_array_equal(out.numpy().reshape(32, 1024), expected)
    counters = result.counters.as_dict()
    assert {name: counters[name] for name in BYTES} == BYTES


def test_nothing_races(module):
    assert check_program(module.program).ok


def test_cycles(module):
    cycles = profile_program(module.program, memory="ddr").cycles
    assert cycles <= CYCLES, f"{cycles:,} cycles"
