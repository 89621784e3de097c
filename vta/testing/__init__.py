"""What the tutorials import for running on simulators, and :func:`run`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from vta.environment import Environment
    from vta.runtime.session import Session

__all__ = ["run"]


def run(run_func: Callable[[Environment, Session], object]) -> None:
    """Call ``run_func(env, remote)`` with the current environment and a session; the session is
    closed afterwards.

    The session is with the server that the variable VTA_RPC_HOST names (VTA_RPC_PORT its port), and
    else with the device that the environment's TARGET names, in this process.

    Raises
    ------
    VTAError
        If there is no such server or device.
    """
    from vta import rpc
    from vta.environment import get_env, rpc_server

    env, server = get_env(), rpc_server()
    remote: Session = rpc.LocalSession(env.cfg) if server is None else rpc.connect(*server)
    try:
        run_func(env, remote)
    finally:
        remote.close()
