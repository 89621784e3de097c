"""`vta program`: configure the FPGA of the board that this is."""

from __future__ import annotations

from pathlib import Path

import click

from vta.cli.options import EXISTING_FILE, buffer_option
from vta.errors import BitstreamError
from vta.targets import how_configured

__all__ = ["program"]


@click.command()
@click.argument("file", type=EXISTING_FILE)
@buffer_option
def program(file: Path, buffer: str | None) -> None:
    """Configure this board's FPGA with FILE, a .vtabit that `make bitstream` has written.

    Then the identity registers of the machine are read and compared.
    """
    from vta.bitstream import Bitstream
    from vta.runtime.drivers.boards import LINUX_BOARDS, open_board

    bitstream = Bitstream.load(file)
    targets = [item.target for item in LINUX_BOARDS.values() if bitstream.board in item.boards]
    if not targets:
        boards = ", ".join(name for item in LINUX_BOARDS.values() for name in item.boards)
        raise BitstreamError(
            f"{file} is for the board {bitstream.board}, which does not configure its own FPGA; "
            f"those that do are {boards}. The FPGA of {bitstream.board} is configured "
            f"{how_configured(bitstream.cfg.target)}"
        )
    cfg = bitstream.cfg.replace(target=targets[0])
    open_board(cfg, bitstream=bitstream, memory=buffer).close()
    click.echo(
        f"{bitstream.board} is {bitstream.fingerprint} at {bitstream.clock_hz / 1e6:g} MHz now"
    )
