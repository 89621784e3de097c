"""Stages that the mock environment leaves out take no more memory than the real ones."""

from dataclasses import replace
from itertools import combinations

import pytest

from tests.support.workloads import conv2d, schedule_conv2d, schedule_vadd, vadd
from vta.compiler.driver import run_passes
from vta.compiler.lower.lower import lower
from vta.compiler.schedule.requests import PragmaRequest
from vta.compiler.target import Target
from vta.config import VTAConfig
from vta.errors import LoweringError

TARGET = Target.from_config(VTAConfig.preset("tiny"))
PARTS = ("load", "gemm", "alu", "store")


def convolution(target):
    ops = conv2d(1, 2, 2, 6, 4, (3, 3), (1, 1), (1, 1), 1, 4)
    return schedule_conv2d(ops, target, 1, 1, 3, 2), ops.args


def addition(target):
    ops = vadd(8, 1, 4)
    return schedule_vadd(ops), ops.args


def without(schedule, parts):
    """``schedule`` with the pragmas and the intrinsic of ``env.mock`` for some parts."""
    for stage in schedule.stages:
        for axis, requests in stage.pragmas.items():
            part = "alu" if requests[0].key == "alu" else "store" if stage.is_output else "load"
            if part in parts:
                stage.pragmas[axis] = (PragmaRequest(f"skip_{requests[0].key}", None),)
        if stage.tensorized and "gemm" in parts:
            intrin = replace(stage.tensorized.intrin, emit=False)
            stage.tensorized = replace(stage.tensorized, intrin=intrin)
    return schedule


def fits(make, depth, parts=()):
    target = replace(TARGET, acc=replace(TARGET.acc, depth=depth))
    schedule, args = make(target)
    try:
        run_passes(lower(without(schedule, parts), args), target)
    except LoweringError as error:
        assert "are live at the same time" in str(error)
        return False
    return True


@pytest.mark.parametrize("make", [convolution, addition])
def test_every_mix_fits_where_the_real_program_does(make):
    depth = next(n for n in range(1, 64) if fits(make, n))
    for number in range(1, len(PARTS) + 1):
        for parts in combinations(PARTS, number):
            assert fits(make, depth, parts), parts
    assert fits(make, 0, PARTS)
