"""The boards: what their files say is consistent, and what they refuse."""

import pytest

from vta.boards.board import board_names, find_board, find_part
from vta.boards.synthesis.parts import PARTS
from vta.errors import ConfigError
from vta.memmap import ADDR_BITS
from vta.targets import TARGETS

BOARDS = [find_board(name) for name in board_names()]


def test_the_boards_that_there_are():
    assert {"pynq_z1", "pynq_z2", "ultra96", "zcu104"} <= set(board_names())


@pytest.mark.parametrize("board", BOARDS, ids=board_names())
def test_a_board_is_consistent(board):
    assert board.part is PARTS[board.part.name]
    device = board.platform.device.upper()
    assert device.startswith(board.part.name) or board.part.name.startswith(device)
    board.accept(board.config)
    assert board.driver in TARGETS and board.driver not in ("sim", "tsim")
    assert board.registers is None or board.registers % (1 << ADDR_BITS) == 0
    assert board.memory.why


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("pynq_z1", {"log_bus_width": 7},
         r"LOG_BUS_WIDTH is 7 \(128 bits\); S_AXI_HP0 of pynq_z1 has 64 bits, so it must be 6"),
        ("pynq_z1", {"addr_bits": 40},
         r"ADDR_BITS is 40; S_AXI_HP0 of pynq_z1 has addresses of 32 bits, it must not be more"),
        ("ultra96", {"log_bus_width": 6}, r"must be 7$"),
        ("ultra96", {"addr_bits": 50}, r"addresses of 49 bits"),
    ],
)  # fmt: skip
def test_machines_that_do_not_fit_the_memory_port(name, changes, message):
    board = find_board(name)
    with pytest.raises(ConfigError, match=message):
        board.accept(board.config.replace(**changes))


def test_more_addresses_than_32_bits_where_the_port_has_them():
    board = find_board("zcu104")
    board.accept(board.config.replace(addr_bits=40))


def test_names_that_are_none():
    with pytest.raises(ConfigError, match=r"no board 'pynq'; there are .*pynq_z1, pynq_z2"):
        find_board("pynq")
    with pytest.raises(ConfigError, match=r"no board or part 'XC'; .*pynq_z1.* parts XC7Z020"):
        find_part("XC")
    assert find_part("LFE5U-25F") is PARTS["LFE5U-25F"]
    assert find_part("ultra96").name == "XCZU3EG"
