"""The pins of the board, and its machine through them."""

import pytest

from tests.support.board_programs import own_machine
from tests.support.designs import shared_design

PINS = {
    "clk27_0__io": "4", "button_0__io": "88", "uart_0__rx__io": "70", "uart_0__tx__io": "69",
    "led_0__io": "15", "led_1__io": "16", "led_2__io": "17", "led_3__io": "18",
}  # fmt: skip


def test_every_port_has_its_pin():
    """As in LiteX-Boards."""
    made = shared_design("tang_nano_20k")
    assert set(made.ports) == set(PINS)
    for port, pin in PINS.items():
        assert f'IO_LOC "{port}" {pin};' in made.files["vta_top.cst"]


@pytest.mark.slow
def test_the_boards_own_machine():
    """Its reset is the button while high: a board of the other polarity would not answer."""
    own_machine("tang_nano_20k")
