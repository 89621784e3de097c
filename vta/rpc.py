"""Sessions with a device: here in this process (:func:`LocalSession`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from vta.environment import get_env
from vta.errors import DeviceError
from vta.runtime import session as _session
from vta.testing import simulator

if TYPE_CHECKING:
    from vta.config import VTAConfig

__all__ = ["LocalSession", "connect", "program_fpga", "reconfig_runtime"]


def LocalSession(cfg: VTAConfig | None = None, **options: Any) -> _session.LocalSession:  # noqa: N802 - a tutorial's name
    """A session with the simulator that the configuration's TARGET names.

    Its runs are counted in :mod:`vta.testing.simulator`. ``cfg`` is the current environment's
    configuration if None.
    """
    cfg = get_env().cfg if cfg is None else cfg
    return _session.LocalSession(cfg, on_run=simulator.record, **options)


def connect(host: str, port: int) -> NoReturn:
    """Raise a DeviceError: there are no network sessions yet."""
    raise DeviceError(
        f"cannot connect to {host}:{port}: sessions over a network do not exist yet; use "
        f"TARGET sim or tsim with rpc.LocalSession()"
    )


def reconfig_runtime(remote: _session.Session) -> None:
    """Make the session's runtime match the configuration.

    A simulator is made from its configuration, so there is nothing to change; a program for another
    one is refused when it is loaded.
    """


def program_fpga(remote: _session.Session, bitstream: str | None = None) -> None:
    """Configure the session's FPGA.

    Raises
    ------
    DeviceError
        If the session's device is a simulator, which has no FPGA.
    """
    raise DeviceError(f"the device {remote.ext_dev(0).name} is a simulator; it has no FPGA")
