"""Compiled kernels on the simulated RTL, with a memory that stalls at random: the same results and
counters as on the reference model.
"""

import numpy as np
import pytest

from tests.support.compiled import run_program
from tests.support.verilated import verilated
from tests.support.workloads import (
    conv2d,
    matmul,
    schedule_conv2d,
    schedule_matmul,
    schedule_vadd,
    vadd,
)
from vta.compiler.driver import compile_func
from vta.compiler.lower.lower import lower
from vta.compiler.target import Target
from vta.config import VTAConfig

CFG = VTAConfig.preset("tiny")
TARGET = Target.from_config(CFG)


def vector_addition():
    ops = vadd(13, 1, 4)
    return schedule_vadd(ops), ops


def product_with_remainders():
    ops = matmul(2, 7, 5, 1, 4)
    return schedule_matmul(ops, TARGET, i_block=3, o_block=2), ops


def padded_convolution():
    ops = conv2d(1, 2, 2, 5, 6, (3, 2), (1, 1), (1, 1), 1, 4)
    return schedule_conv2d(ops, TARGET, 1, 1, 3, 4, threads=1), ops


def convolution_with_three_threads():
    ops = conv2d(1, 3, 3, 4, 4, (3, 3), (1, 1), (1, 1), 1, 4)
    return schedule_conv2d(ops, TARGET, 1, 1, 1, 4, threads=3), ops


@pytest.mark.parametrize("memory", ["ideal", "ddr"])
@pytest.mark.parametrize(
    "kernel",
    [
        vector_addition,
        product_with_remainders,
        padded_convolution,
        convolution_with_three_threads,
    ],
)
def test_rtl_and_model_agree(kernel, memory):
    schedule, ops = kernel()
    program = compile_func(lower(schedule, ops.args), CFG)
    rng = np.random.default_rng(7)
    inputs = [
        rng.integers(-128, 128, spec.shape).astype(spec.dtype)
        for spec in program.tensors
        if not spec.written
    ]
    outputs, result = run_program(program, inputs)
    hardware, measured = run_program(program, inputs, machine=verilated("tiny", memory))
    for got, want in zip(hardware, outputs):
        np.testing.assert_array_equal(got, want)
    assert measured.counters == result.counters
    assert measured.cycle_count > 0
