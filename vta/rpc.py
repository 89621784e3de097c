"""Sessions with a device: here in this process (:func:`LocalSession`), or with a server on this or
another machine (:func:`connect`; docs/tools/remote.md)."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vta.config import VTAConfig
from vta.environment import get_env, rpc_token
from vta.errors import ConfigError, RemoteError, ToolError
from vta.extras import missing_package
from vta.runtime import session as _session
from vta.testing import simulator

if TYPE_CHECKING:
    from collections.abc import Callable

    from vta.runtime.remote.credentials import Token
    from vta.runtime.remote.session import RemoteSession

__all__ = ["LocalSession", "connect", "program_fpga", "reconfig_runtime"]


def LocalSession(cfg: VTAConfig | None = None, **options: Any) -> _session.LocalSession:  # noqa: N802 - a tutorial's name
    """A session with the device that the configuration's TARGET names: a simulator, or the board
    that this program runs on.

    Its runs are counted in :mod:`vta.testing.simulator`. ``cfg`` is the current environment's
    configuration if None.

    Raises
    ------
    ConfigError
        If ``cfg`` is no configuration.
    """
    cfg = get_env().cfg if cfg is None else cfg
    if not isinstance(cfg, VTAConfig):
        hint = "env.cfg is that of an environment, env.cfg.replace(target=...) another target's"
        raise ConfigError(f"LocalSession: cfg is {cfg!r}; must be a VTAConfig ({hint})")
    return _session.LocalSession(cfg, on_run=simulator.record, **options)


def connect(
    host: str,
    port: int,
    token: str | None = None,
    *,
    token_file: str | Path | None = None,
    certificate: str | Path | None = None,
    timeout: float = 10.0,
    on_wait: Callable[[int], None] | None = None,
) -> RemoteSession:
    """A session with the device of a `vta serve`. Its runs are counted as a local session's are.

    Parameters
    ----------
    host, port : str, int
        The server.
    token, token_file : str, path or None
        The token that the server printed when it first started, or a file with it. If neither is
        given: the variable VTA_RPC_TOKEN; if that is not set and the server is on this machine, the
        token that it keeps for the same user.
    certificate : path or None
        Verify the server's certificate and name with this PEM file; None: the certificate must be
        the one that the token names.
    timeout : float
        Seconds for connecting.
    on_wait : callable or None
        Called now and then with the place in the queue for the device, 1 is next, while there is
        one.

    Raises
    ------
    RemoteError
        If there is no token, no server, it is another one, or it refuses.
    ToolError
        If the package that this needs is not installed.
    """
    try:
        from vta.runtime.remote.session import RemoteSession
    except ModuleNotFoundError as error:
        raise ToolError(missing_package("a session over a network", error.name, "remote")) from None
    return RemoteSession(
        host, port, _token(host, token, token_file),
        certificate=None if certificate is None else Path(certificate),
        timeout=timeout, on_wait=on_wait, on_run=simulator.record,
    )  # fmt: skip


def _token(host: str, text: str | None, file: str | Path | None) -> Token:
    from vta.runtime.remote.credentials import Token, default_folder, read_token

    if text is not None and file is not None:
        raise RemoteError("a token and a file with one were given; give one of them")
    if file is not None:
        try:
            text = Path(file).read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError) as error:
            raise RemoteError(f"cannot read the token {file}: {error}") from None
    text = text or rpc_token()
    if text is not None:
        return Token.parse(text)
    kept = read_token(default_folder()) if _is_this_machine(host) else None
    if kept is None:
        raise RemoteError(
            f"no token for {host}: `vta serve` printed it there when it first started; pass it as "
            f"token=, in a file as token_file=, or in the variable VTA_RPC_TOKEN"
        )
    return kept


def _is_this_machine(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def reconfig_runtime(remote: _session.Session) -> None:
    """Make sure that the session's device is what the current environment compiles for.

    A device has the configuration that it, or its server, was started with: there is nothing to
    change.

    Raises
    ------
    ConfigError
        If it has another configuration.
    """
    remote.require_config(get_env().cfg)


def program_fpga(remote: _session.Session, bitstream: str | Path | None = None) -> None:
    """Configure the session's FPGA with a bitstream, a ``.vtabit`` file of this machine
    (docs/boards/drivers.md).

    Raises
    ------
    DeviceError
        If the session's device is a simulator, no bitstream is given, or the device refuses it.
    """
    remote.program_fpga(bitstream)
