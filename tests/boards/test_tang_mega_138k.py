"""The pins of the board, and its machine through them."""

import pytest

from tests.support.board_programs import own_machine
from tests.support.designs import shared_design

PINS = {
    "clk50_0__io": "P16", "button_0__io": "K16", "uart_0__rx__io": "N16", "uart_0__tx__io": "P15",
    "led_0__io": "R26", "led_1__io": "J14", "led_2__io": "L20", "led_3__io": "M25",
}  # fmt: skip


def test_every_port_has_its_pin():
    """Clock, button and LEDs as in the examples of Sipeed, the serial line as in LiteX-Boards."""
    made = shared_design("tang_mega_138k")
    assert set(made.ports) == set(PINS)
    for port, pin in PINS.items():
        assert f'IO_LOC "{port}" {pin};' in made.files["vta_top.cst"]


@pytest.mark.slow
def test_the_boards_own_machine():
    own_machine("tang_mega_138k")
