"""Each level must know the operation, and all must agree."""

import random

import numpy as np
import pytest

from tests.hw.compute.test_alu_lane import Operation, compute
from tests.support import slow_model
from tests.support.verilated import verilated
from vta.config import VTAConfig
from vta.isa import AluOpcode
from vta.sim.fuzzing.coverage import OPERAND_CLASSES, CoveredModel
from vta.sim.fuzzing.differential import difference
from vta.sim.fuzzing.random_programs import random_program
from vta.sim.reference.alu import OPERATIONS

HIGH, LOW = 2**31 - 1, -(2**31)
CASES = [
    (40, 2, 42), (-40, 2, -38), (HIGH, 1, HIGH), (HIGH, HIGH, HIGH), (LOW, -1, LOW),
    (LOW, LOW, LOW), (HIGH, LOW, -1), (LOW, HIGH, -1), (HIGH - 5, 5, HIGH), (LOW + 5, -5, LOW),
]  # fmt: skip
PROGRAMS = 200


@pytest.fixture(scope="module")
def operation():
    assert "SATADD" in AluOpcode.__members__, "vta/isa/alu_operations.py has no row SATADD"
    return AluOpcode["SATADD"]


def test_the_row(operation):
    assert operation.operands == 2
    assert operation in (6, 7)


@pytest.mark.parametrize(("x", "y", "result"), CASES)
def test_the_executor(operation, x, y, result):
    assert slow_model.LANE[operation](x, y) == result


def test_the_reference_model(operation):
    x, y, results = np.array(CASES, np.int32).T
    computed = OPERATIONS[operation](x, y)
    assert computed.dtype == np.int32
    np.testing.assert_array_equal(computed, results)


def test_the_lane(operation):
    results = compute([Operation(operation, x, y, result) for x, y, result in CASES])
    assert [in_ex2 for _, in_ex2, _ in results] == [result for *_, result in CASES]


def test_coverage_asks_for_limits(operation):
    """Operands that fit, and those beyond each limit, are told from each other."""
    classify = OPERAND_CLASSES[operation]
    x, y = np.array([[1, HIGH, LOW], [1, 1, -1]], np.int64)
    hits = np.array([np.broadcast_to(hit, 3) for hit in classify(x, y, np.zeros(3)).values()])
    assert len({tuple(column) for column in hits.T}) == 3


def test_model_and_rtl_agree(operation):
    """Some minutes: the machine with the operation is built."""
    cfg = VTAConfig.preset("tiny")
    machine, reference = verilated("tiny", "chaos"), CoveredModel(cfg)
    for seed in range(PROGRAMS):
        machine.seed = seed
        program = random_program(cfg, random.Random(seed), steps=40)
        assert difference(reference, machine, program) is None
    reached = reference.coverage.counts["values"]
    assert {name for name in OPERAND_CLASSES[operation](*np.zeros((3, 1), np.int64))} <= {
        name.split(" ", 2)[2]  # SATADD imm fits
        for name, count in reached.items()
        if count and name.startswith("SATADD ")
    }
