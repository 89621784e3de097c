"""From the name of a target to its device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vta.errors import DeviceError
from vta.runtime.simulated import SIMULATED, open_simulated

if TYPE_CHECKING:
    from vta.config import VTAConfig
    from vta.runtime.device import Device

__all__ = ["open_device"]


def open_device(cfg: VTAConfig, **options: Any) -> Device:
    """The device that the configuration's TARGET names: a simulator in this process, the board that
    this process runs on, the one at the end of a serial line, or a card in this computer.

    Parameters
    ----------
    cfg : VTAConfig
        The machine and its TARGET.
    **options
        For the device: see :mod:`vta.runtime.simulated`,
        :func:`vta.runtime.drivers.boards.open_board`, :func:`vta.runtime.drivers.uart.open_uart`,
        :func:`vta.runtime.drivers.pcie.open_pcie`.

    Raises
    ------
    DeviceError
        If there is no such device here. A board is never replaced by a simulator.
    """
    if cfg.target in SIMULATED:
        return open_simulated(cfg, **options)
    from vta.runtime.drivers.boards import LINUX_BOARDS, open_board

    if cfg.target in LINUX_BOARDS:
        return open_board(cfg, **options)
    from vta.runtime.drivers import pcie

    if cfg.target == pcie.TARGET:
        return pcie.open_pcie(cfg, **options)
    if "port" not in options:
        raise DeviceError(
            f"the target {cfg.target} is at the end of a serial line: say which (port=, --serial), "
            f"as /dev/ttyUSB0"
        )
    from vta.runtime.drivers.uart import open_uart

    return open_uart(cfg, **options)
