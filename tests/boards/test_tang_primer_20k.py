"""The second board on a serial line, through its pins."""

import numpy as np
import pytest

import vta
from tests.support.uart_board import SimulatedBoard, design
from tests.support.workloads import schedule_vadd, vadd
from vta.boards.tang_primer_20k import MEMORY_BYTES
from vta.environment import Environment
from vta.runtime import array, empty


def test_every_port_has_its_pin():
    """The pins of the vendor's example designs for the dock."""
    constraints = design("tang_primer_20k").files["vta_top.cst"]
    for port, pin in (
        ("clk27_0__io", "H11"), ("uart_0__rx__io", "T13"), ("uart_0__tx__io", "M11"),
        ("button_0__io", "T10"), ("led_2__io", "N16"), ("led_5__io", "L16"),
    ):  # fmt: skip
        assert f'IO_LOC "{port}" {pin};' in constraints


@pytest.mark.slow
def test_the_sum_of_two_vectors():
    board = SimulatedBoard("tang_primer_20k")
    cfg, shape = board.cfg, (1, 16, 1, 2)
    with Environment(cfg.replace(target="sim")):
        ops = vadd(16, 1, 2)
        module = vta.build(schedule_vadd(ops), ops.args)
    board.run(1000)
    device = board.device()
    assert repr(device) == "tang_primer_20k(1x2_i8w8a32_8_8_10_10)"
    assert device._memory.nbytes == MEMORY_BYTES
    rng = np.random.default_rng(1)
    a, b = rng.integers(-(2**31), 2**31, (2, *shape), dtype=np.int32)
    result = empty(shape, "int8", device)
    assert module(array(a, device), array(b, device), result).counters.alu_counter == 16
    np.testing.assert_array_equal(result.numpy(), (a + b).astype(np.int8))
    assert board.lamps & 0b1000, "a run has ended"
    board.press_reset()
    assert not board.lamps & 0b1000
