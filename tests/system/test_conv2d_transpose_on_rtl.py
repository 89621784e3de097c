"""Transposed convolutions on the simulated RTL."""

import numpy as np
import pytest

from tests.support.compiled import run_program
from tests.support.transposed import Transposed
from tests.support.verilated import verilated
from vta.config import VTAConfig


@pytest.mark.parametrize("way", ["phases", "pragma", "inlined"])
@pytest.mark.parametrize("taps, stride", [((2, 2), (2, 2)), ((3, 2), (2, 1)), ((3, 3), (3, 2))])
def test_rtl(way, taps, stride):
    case = Transposed(VTAConfig.preset("tiny"), way, (2, 3), taps, stride, (0, 1, 1, 0))
    inputs = case.inputs()
    (got,), result = run_program(case.program(), inputs, machine=verilated("tiny", "ddr"))
    np.testing.assert_array_equal(got, case.expected(*inputs))
    assert result.counters.gemm_counter == case.products()
