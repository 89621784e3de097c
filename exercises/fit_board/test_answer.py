"""The machine must exist, fit, and be fast enough."""

import pytest

import vta
from exercises.fit_board.budget import block_rams, multipliers
from exercises.grading import answer_of
from vta import ops
from vta.config import VTAConfig
from vta.environment import Environment
from vta.profiling import profile_program

BLOCK_RAMS, MULTIPLIERS, CYCLES = 90, 156, 460_000
LAYERS = {
    "256 channels of 7 x 7": ((1, 256, 7, 7), 256),
    "32 channels of 56 x 56": ((1, 32, 56, 56), 32),
}


@pytest.fixture(scope="module")
def cfg():
    """The machine; keys that no machine has are an error that says what is allowed."""
    return VTAConfig.preset("ulx3s_85f").replace(**answer_of(__file__).KEYS)


def test_block_rams(cfg):
    used = block_rams(cfg)
    assert sum(used.values()) <= BLOCK_RAMS, used


def test_multipliers(cfg):
    assert multipliers(cfg) <= MULTIPLIERS


@pytest.mark.parametrize("layer", LAYERS)
def test_cycles(cfg, layer):
    shape, channels = LAYERS[layer]
    with Environment(cfg):
        rule = ops.Requantise(8, low=0)
        op = ops.conv2d(shape, channels, 3, padding=1, requantise=rule)
        program = vta.build(op.schedule, op.args, name="layer").program
    assert profile_program(program, memory="ddr").cycles <= CYCLES
