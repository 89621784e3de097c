"""Sessions with a device: here in this process (:func:`LocalSession`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from vta.environment import get_env
from vta.errors import DeviceError
from vta.runtime import session as _session
from vta.testing import simulator

if TYPE_CHECKING:
    from vta.config import VTAConfig

__all__ = ["LocalSession", "connect"]


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
