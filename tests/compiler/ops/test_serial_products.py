"""Tilings for an ALU without multipliers: the cost model knows how long its products take."""

from dataclasses import replace

import pytest

from tests.compiler.ops.test_tiling import program_of
from vta.compiler.ops.cost import PRODUCT_PERIODS, product_cycles
from vta.config import VTAConfig
from vta.hw.compute.alu_lane import TWO_CYCLE_OPERATIONS, WB_OPERATIONS
from vta.hw.compute.alu_serial import product_period
from vta.ops import OnePass, Requantise, batch_matmul, conv2d
from vta.sim.timing import estimate as timing

MACHINES = {
    name: VTAConfig.preset(name).replace(alu_multiplier=0) for name in ("tiny", "default")
}  # fmt: skip
LAYERS = [(14, 32, 64, 1), (14, 32, 32, 3), (20, 16, 48, 1), (7, 64, 48, 3)]


def test_the_periods_are_those_of_the_hardware():
    operations = {*TWO_CYCLE_OPERATIONS, *WB_OPERATIONS}
    assert {each.name.lower(): product_period(each) for each in operations} == PRODUCT_PERIODS


def test_only_products_take_longer():
    cfg = MACHINES["tiny"]
    assert product_cycles(["add", "max", "min"], cfg) == 0
    assert product_cycles(["mul", "add", "shr", "requantise"], cfg) == 21 + 14 + 14
    assert product_cycles(["mul", "shr"], cfg.replace(alu_multiplier=1)) == 0


@pytest.mark.parametrize("memory", ["ideal", "ddr"])
@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize(
    ("machine", "rule"),
    [("tiny", OnePass()), ("default", OnePass()), ("default", Requantise(6)),
     ("default", Requantise(6, scaled=True, pre_shift=3))],
)  # fmt: skip
def test_the_estimate_is_near_the_cycles(machine, rule, layer, memory):
    """Without the periods it is down to a quarter of them."""
    size, inputs, outputs, kernel = layer
    op = conv2d(
        (1, inputs, size, size), outputs, kernel, cfg=MACHINES[machine], requantise=rule,
        padding=kernel // 2,
    )  # fmt: skip
    assert op.tiling.cost.cycles == pytest.approx(timing(program_of(op), memory).cycles, rel=0.25)


def test_matrix_products_too():
    op = batch_matmul(
        (1, 64, 64), (1, 128, 64), cfg=MACHINES["default"], requantise=OnePass()
    )  # fmt: skip
    assert op.tiling.cost.cycles == pytest.approx(timing(program_of(op), "ddr").cycles, rel=0.25)


@pytest.mark.parametrize("layer", LAYERS[:2])
def test_another_tiling_is_chosen_than_with_multipliers(layer):
    """A tiling that keeps the ALU busy beside the products saves a fifth of the cycles and more."""
    size, inputs, outputs, kernel = layer
    cfg, shape = MACHINES["tiny"], (1, inputs, size, size)
    given = {"requantise": OnePass(), "padding": kernel // 2}
    chosen = conv2d(shape, outputs, kernel, cfg=cfg, **given)
    fast = conv2d(shape, outputs, kernel, cfg=cfg.replace(alu_multiplier=1), **given)
    other = conv2d(shape, outputs, kernel, cfg=cfg, tiling=replace(fast.tiling, cost=None), **given)
    cycles = [timing(program_of(op), "ddr").cycles for op in (chosen, other)]
    assert cycles[0] <= 0.8 * cycles[1]
