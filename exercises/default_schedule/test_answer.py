"""The layer must be the same, its result right, and its cycles few."""

import numpy as np
import pytest

import vta
from exercises.grading import answer_of
from vta import ops, rpc
from vta.config import VTAConfig
from vta.environment import Environment
from vta.profiling import profile_program
from vta.runtime import array, empty

CFG = VTAConfig.preset("tiny")
CYCLES = 45_600
"""A tenth below the default schedule when the exercise was written (50,675)."""


@pytest.fixture(scope="module")
def operator():
    with Environment(CFG):
        return answer_of(__file__).layer()


@pytest.fixture(scope="module")
def module(operator):
    with Environment(CFG):
        return vta.build(operator.schedule, operator.args, name="layer")


def convolution(data, kernel, bias):
    """The layer in NumPy, from its definition."""
    sums = np.einsum("nchw,oc->nohw", data.astype(np.int64), kernel[:, :, 0, 0].astype(np.int64))
    rounded = (sums + bias[:, None, None] + 128) >> 8
    return np.clip(rounded, 0, 127).astype(np.int8)


def test_result(operator, module):
    rng = np.random.default_rng(1)
    data = rng.integers(-128, 128, (1, 32, 14, 14), np.int8)
    kernel = rng.integers(-128, 128, (64, 32, 1, 1), np.int8)
    bias = rng.integers(-10_000, 10_000, 64, np.int32)
    device = rpc.LocalSession(CFG.replace(target="sim")).ext_dev(0)
    out = empty(operator.args[-1].shape, operator.args[-1].dtype, device)
    module(*(array(value, device) for value in operator.pack(data, kernel, bias)), out)
    np.testing.assert_array_equal(operator.unpack(out.numpy()), convolution(data, kernel, bias))


def test_cycles(module):
    cycles = profile_program(module.program, memory="ddr").cycles
    with Environment(CFG):
        op = ops.conv2d((1, 32, 14, 14), 64, 1, requantise=ops.Requantise(8, low=0))
        default = profile_program(vta.build(op.schedule, op.args, name="x").program, memory="ddr")
    assert cycles <= CYCLES, f"{cycles:,} cycles; the default schedule takes {default.cycles:,}"
