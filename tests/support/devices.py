"""One device of each kind, for tests of what must hold on every target."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from tests.support.fake_boards import FakePynq, pynq_bitstream
from tests.support.serving import serving
from tests.support.small_vadd import TINY
from vta.runtime.drivers.boards import open_board
from vta.runtime.simulated import SimDevice, TsimDevice

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from vta.runtime.device import Device

__all__ = ["KINDS", "opened"]

KINDS = ("sim", "tsim", "pynq", "remote")
"""The two simulators, a board's driver on the simulated RTL, and a session over a network."""


@contextlib.contextmanager
def opened(kind: str, folder: Path) -> Iterator[Device]:
    """A device of the machine ``tiny``; ``folder`` is for the files of a board or a server."""
    match kind:
        case "sim":
            yield SimDevice(TINY, memory_bytes=1 << 20)
        case "tsim":
            device = TsimDevice(TINY, memory_bytes=1 << 20)
            yield device
            device.close()
        case "pynq":
            fake = FakePynq(folder / "root")
            options = fake.options(bitstream=pynq_bitstream())
            yield open_board(TINY.replace(target="pynq"), **options)
        case "remote":
            with serving(folder / "state") as server, server.connect() as session:
                yield session.ext_dev()
