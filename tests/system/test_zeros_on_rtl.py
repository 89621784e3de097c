"""Dilated and padded tensors and reductions on the ALU, on the simulated RTL."""

import numpy as np
import pytest

from tests.support.compiled import run_program
from tests.support.dilation import Dilation
from tests.support.pooling import KINDS, Pool
from tests.support.verilated import verilated
from vta.config import VTAConfig

CFG = VTAConfig.preset("tiny")


@pytest.mark.parametrize("kind", KINDS)
def test_reductions(kind):
    case = Pool(kind, 3, 4, (3, 2), (2, 1), 1, weighted=kind == "sum", cfg=CFG)
    case.stage.pragma(case.pool.op.axis[0], "alu")
    inputs = case.inputs()
    (got,), _ = run_program(case.program(), inputs, machine=verilated("tiny", "ddr"))
    np.testing.assert_array_equal(got, case.expected(*inputs))


@pytest.mark.parametrize("how", ["load", "alu"])
@pytest.mark.parametrize("strides", [(2, 1), (1, 3), (2, 2)])
def test_dilations(how, strides):
    case = Dilation(CFG, (2, 3), strides, (1, 0), (0, 2), how, "int8")
    data, expected = case.data()
    (got,), _ = run_program(case.program(), [data], machine=verilated("tiny", "ddr"))
    np.testing.assert_array_equal(got, expected)
