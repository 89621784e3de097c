"""The second board on a serial line, through its pins."""

import numpy as np
import pytest

from tests.support.small_vadd import COUNTERS, TINY, vadd_arrays, vadd_module
from tests.support.uart_board import SimulatedBoard, design
from vta.boards.tang_primer_20k import MEMORY_BYTES


def test_every_port_has_its_pin():
    """The pins of the vendor's example designs for the dock."""
    constraints = design("tang_primer_20k", TINY).files["vta_top.cst"]
    for port, pin in (
        ("clk27_0__io", "H11"), ("uart_0__rx__io", "T13"), ("uart_0__tx__io", "M11"),
        ("button_0__io", "T10"), ("led_2__io", "N16"), ("led_5__io", "L16"),
    ):  # fmt: skip
        assert f'IO_LOC "{port}" {pin};' in constraints


@pytest.mark.slow
def test_the_sum_of_two_vectors():
    board = SimulatedBoard("tang_primer_20k")
    board.run(1000)
    device = board.device()
    assert repr(device) == "tang_primer_20k(1x4_i8w8a32_8_8_10_10)"
    assert device._memory.nbytes == MEMORY_BYTES
    for seed in (1, 2):
        arrays, expected = vadd_arrays(device, seed)
        assert vadd_module()(*arrays).counters.as_dict() == COUNTERS
        np.testing.assert_array_equal(arrays[2].numpy(), expected)
    assert board.lamps & 0b1000, "a run has ended"
    board.press_reset()
    assert not board.lamps & 0b1000
