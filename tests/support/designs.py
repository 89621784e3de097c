"""Boards' designs that tests share: elaboration takes seconds."""

from functools import cache

from vta.boards.bitstream import design_of
from vta.boards.board import Board, find_board
from vta.boards.toolchains.toolchain import Design
from vta.config import VTAConfig

__all__ = ["design_of_once", "shared_design"]


def shared_design(board: str, cfg: VTAConfig | None = None, clock_hz: int | None = None) -> Design:
    """:func:`vta.boards.bitstream.design_of` a board by name, made once in a process."""
    return design_of_once(find_board(board), cfg, clock_hz)


def design_of_once(
    board: Board, cfg: VTAConfig | None = None, clock_hz: int | None = None
) -> Design:
    """The same in place of :func:`~vta.boards.bitstream.design_of`, for tests of the command."""
    cfg = board.config if cfg is None else cfg.replace(target=board.driver)
    return _made(board.name, cfg, board.clock_hz if clock_hz is None else clock_hz)


@cache
def _made(board: str, cfg: VTAConfig, clock_hz: int) -> Design:
    return design_of(find_board(board), cfg, clock_hz)
