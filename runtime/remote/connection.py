"""The client's end of the connection: requests out, replies in."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import socket
import ssl
import threading
import weakref
from collections import deque
from typing import TYPE_CHECKING

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage, InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from vta.errors import RemoteError, VTAError
from vta.runtime.remote import wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from vta.runtime.remote.credentials import Token

__all__ = ["Connection"]

PING_SECONDS = 10.0
PONG_SECONDS = 10.0
_CLOSE_SECONDS = 2.0
_UNDERWAY = 4
"""Requests that are sent before the first of them is answered: enough to keep the line busy, few
enough that neither side waits for the other to listen."""


class Connection:
    """An open session. May be used from several threads; each call is answered before the next.

    Parameters
    ----------
    host, port : str, int
        The server.
    token : Token
        The server must show the certificate that it names.
    certificate : Path or None
        Instead, the server's certificate must be the one in this PEM file, or signed by it, and
        made out to ``host``.
    timeout : float
        Seconds for connecting. Afterwards a server that is gone is noticed after
        :data:`PING_SECONDS` + :data:`PONG_SECONDS` at most; a run may take as long as the server
        grants.
    on_wait : callable or None
        Called now and then with the place in the queue for the device, while there is one.

    Attributes
    ----------
    greeting : dict
        What the server said of itself: package, device, has_fpga, config, limits.

    Raises
    ------
    RemoteError
        If there is no server, it is not the one meant, or it refuses.
    """

    def __init__(
        self,
        host: str,
        port: int,
        token: Token,
        *,
        certificate: Path | None = None,
        timeout: float = 10.0,
        on_wait: Callable[[int], None] | None = None,
    ) -> None:
        self.name = f"{host}:{port}"
        self._on_wait = on_wait
        self._lock = threading.Lock()
        self._broken: str | None = None
        self._later: deque[wire.Request] = deque()
        self._stack = contextlib.ExitStack()
        weakref.finalize(self, self._stack.close)
        try:
            stream = _open_tls(host, port, token, certificate, timeout)
            self._socket = self._stack.enter_context(
                connect(
                    f"ws://{_uri_host(host)}:{port}/",  # TLS is below it already
                    sock=stream, proxy=None, compression=None,
                    subprotocols=[Subprotocol(wire.SUBPROTOCOL)],
                    additional_headers={"Authorization": f"Bearer {token.secret}"},
                    open_timeout=timeout, close_timeout=_CLOSE_SECONDS,
                    ping_interval=PING_SECONDS, ping_timeout=PONG_SECONDS,
                    max_size=wire.MAX_MESSAGE_BYTES,
                )
            )  # fmt: skip
            self.greeting = self._receive(timeout).values
        except InvalidStatus as error:
            said = error.response.body.decode("utf-8", "replace").strip()
            raise RemoteError(f"{self.name} refuses: {said}") from None
        except ssl.SSLError as error:
            raise RemoteError(f"no TLS with {self.name}: {error}") from None
        except (OSError, InvalidHandshake, InvalidMessage, EOFError) as error:
            raise RemoteError(f"cannot connect to {self.name}: {error}") from None
        except RemoteError:
            self.close()
            raise

    def call(self, request: wire.Request, payload: bytes | memoryview = b"") -> wire.Reply:
        """The answer to one request.

        Raises
        ------
        VTAError
            What it raised on the server; RemoteError if the connection is lost.
        """
        return self.call_all([(request, payload)])[0]

    def call_all(
        self, requests: Iterable[tuple[wire.Request, bytes | memoryview]]
    ) -> list[wire.Reply]:
        """The answers to several requests that do not wait for each other's.

        After the first error no more are sent; it is raised when all those sent are answered.
        """
        replies: list[wire.Reply] = []
        with self._lock:
            if self._broken is not None:
                raise RemoteError(self._broken)
            try:
                self._flush()
                underway = 0
                for request, payload in requests:
                    if underway == _UNDERWAY:
                        replies.append(self._receive())
                        underway -= 1
                        if replies[-1].error is not None:
                            break
                    self._socket.send(wire.encode_request(request, payload))
                    underway += 1
                replies += [self._receive() for _ in range(underway)]
            except BaseException as error:
                # What is still to come would be taken for the answer to something else.
                self._break(f"the session with {self.name} ended: {_why(error)}")
                if isinstance(error, ConnectionClosed | OSError):
                    raise RemoteError(str(self._broken)) from None
                raise
        for reply in replies:
            if reply.error is not None:
                raise reply.error
        return replies

    def later(self, request: wire.Request) -> None:
        """Send a request before the next :meth:`call`; its reply is discarded.

        May be called at any time, from any thread: by the garbage collector.
        """
        if self._broken is None:
            self._later.append(request)

    def close(self) -> None:
        """End the session; the server frees all it had."""
        self._break(f"the session with {self.name} is closed")

    def _flush(self) -> None:
        while self._later:
            self._socket.send(wire.encode_request(self._later.popleft()))
            self._receive()

    def _receive(self, timeout: float | None = None) -> wire.Reply:
        while True:
            try:
                message = self._socket.recv(timeout)
            except ConnectionClosed as error:
                raise RemoteError(f"{self.name} closed the session: {_why(error)}") from None
            except TimeoutError:
                raise RemoteError(f"{self.name} said nothing for {timeout:g} s") from None
            reply = wire.decode_reply(message)
            if reply.waiting is None:
                return reply
            if self._on_wait is not None:
                self._on_wait(reply.waiting)

    def _break(self, why: str) -> None:
        if self._broken is None:
            self._broken = why
            self._stack.close()


def _open_tls(
    host: str, port: int, token: Token, certificate: Path | None, timeout: float
) -> ssl.SSLSocket:
    """A TLS connection to the server that is meant; to another one, nothing was said yet."""
    if certificate is None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False  # the fingerprint says more than a name
        context.verify_mode = ssl.CERT_NONE
    else:
        context = ssl.create_default_context(cafile=certificate)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    plain = socket.create_connection((host, port), timeout)
    try:
        stream = context.wrap_socket(plain, server_hostname=host)
        if certificate is None:
            _require_fingerprint(stream, token.fingerprint, f"{host}:{port}")
    except BaseException:
        plain.close()
        raise
    return stream


def _require_fingerprint(stream: ssl.SSLSocket, fingerprint: str, name: str) -> None:
    shown = hashlib.sha256(stream.getpeercert(binary_form=True) or b"").hexdigest()
    if not hmac.compare_digest(shown, fingerprint):
        stream.close()
        raise RemoteError(
            f"{name} shows a certificate with the fingerprint {shown}; the token is for "
            f"{fingerprint}: another server, or somebody between"
        )


def _uri_host(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _why(error: BaseException) -> str:
    if isinstance(error, ConnectionClosed):
        received = error.rcvd
        return received.reason or f"code {received.code}" if received else "the connection was lost"
    if isinstance(error, VTAError):
        return str(error)
    return f"{type(error).__name__} during a request"
