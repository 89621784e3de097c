"""The server: one device for many clients.

A session is a connection: what a client has on the server ends with it. A client that says nothing
is asked for a sign of life (the WebSocket's own pings), so that one that vanished is missed after
:data:`PING_SECONDS` + :data:`PONG_SECONDS` at most. Nothing of a client is read before its
token was.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from contextlib import asynccontextmanager
from dataclasses import asdict
from functools import partial
from http import HTTPStatus
from importlib import metadata
from typing import TYPE_CHECKING, Any, TypeVar

from websockets.asyncio.server import serve as websocket_server
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from vta.errors import RemoteError, VTAError
from vta.extras import DISTRIBUTION
from vta.runtime.device import Programmable
from vta.runtime.remote import DEFAULT_PORT, wire
from vta.runtime.remote.bounded_connection import BoundedConnection
from vta.runtime.remote.client_session import ClientSession, total
from vta.runtime.remote.job_queue import JobQueue
from vta.runtime.remote.limits import Limits
from vta.runtime.remote.scrubber import Scrubber

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from websockets.asyncio.server import Server as WebSocketServer
    from websockets.asyncio.server import ServerConnection
    from websockets.http11 import Request as HttpRequest
    from websockets.http11 import Response

    from vta.runtime.device import Lendable
    from vta.runtime.remote.credentials import Credentials, Token

__all__ = ["Server", "running"]

PING_SECONDS = 10.0
PONG_SECONDS = 10.0
_OPEN_SECONDS = 10.0
_SEND_SECONDS = 60.0
_CLOSE_SECONDS = 5.0
_PART_SECONDS = 0.4
_QUEUED_MESSAGES = 4

T = TypeVar("T")
_log = logging.getLogger("vta.serve")


class _GoneError(Exception):
    """The client is not there any more."""


class Server:
    """Sessions of one device.

    Parameters
    ----------
    device : Lendable
        Used in one thread at a time; closed with the server.
    token : Token
        What a client must show.
    limits : Limits
        What the clients may have.

    Raises
    ------
    ConfigError
        If the device has less memory than the limits grant.
    """

    def __init__(self, device: Lendable, token: Token, limits: Limits) -> None:
        self.device, self.limits = device, limits
        self.sessions = 0
        self._token = token
        self._scrubber = Scrubber(device)
        self.shares = limits.shares(device.free_bytes)
        self._jobs = JobQueue()  # that use the device
        self._checks = JobQueue()  # of uploaded files, beside the jobs of the device

    def admit(self, connection: ServerConnection, request: HttpRequest) -> Response | None:
        """Refuse a client without the token; called before the WebSocket opens."""
        given = request.headers.get_all("Authorization")
        kind, _, secret = given[0].partition(" ") if len(given) == 1 else ("", "", "")
        if kind != "Bearer" or not self._token.admits(secret):
            _log.warning("%s: refused, wrong token", _name(connection))
            return connection.respond(HTTPStatus.UNAUTHORIZED, "wrong token\n")
        offered = request.headers.get_all("Sec-WebSocket-Protocol")
        if wire.SUBPROTOCOL not in [name.strip() for text in offered for name in text.split(",")]:
            return connection.respond(
                HTTPStatus.UPGRADE_REQUIRED, f"this server speaks {wire.SUBPROTOCOL}\n"
            )
        if self.sessions >= self.shares.sessions:
            _log.warning("%s: refused, %d sessions", _name(connection), self.sessions)
            return connection.respond(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"the server has {self.sessions} sessions and grants no more\n",
            )
        return None

    async def session(self, connection: ServerConnection) -> None:
        """One client, from its first to its last request."""
        if self.sessions >= self.shares.sessions:  # several were admitted at once
            await connection.close(1013, "too many sessions")
            return
        self.sessions += 1
        session = ClientSession(self.device, self._scrubber, self.limits, self.shares.nbytes)
        gone = asyncio.ensure_future(connection.wait_closed())
        name = _name(connection)
        _log.info("%s: session begins, %d now", name, self.sessions)
        try:
            await _send(connection, wire.encode_reply(self._greeting()))
            while True:
                async with asyncio.timeout(self.limits.idle_seconds):
                    message = await connection.recv()
                await self._answer(connection, gone, session, message)
        except TimeoutError:
            await connection.close(1000, f"no request for {self.limits.idle_seconds:g} s")
        except (ConnectionClosed, _GoneError):
            pass
        finally:
            gone.cancel()
            await self._jobs.do(session.release)
            self.sessions -= 1
            _log.info("%s: session ended, %d left", name, self.sessions)

    def _greeting(self) -> dict[str, Any]:
        return {
            "package": metadata.version(DISTRIBUTION),
            "device": self.device.name,
            "has_fpga": isinstance(self.device, Programmable),
            "config": self.device.cfg.to_dict(),
            "limits": asdict(self.limits)
            | {"sessions": self.shares.sessions, "device_bytes": self.shares.nbytes},
        }

    async def _answer(
        self,
        connection: ServerConnection,
        gone: asyncio.Future[None],
        session: ClientSession,
        message: str | bytes,
    ) -> None:
        try:
            request, payload = wire.decode_request(message)
        except RemoteError as error:  # this client speaks another language: nothing can follow
            _log.warning("%s: %s", _name(connection), error)
            await _send(connection, wire.encode_error(error))
            await connection.close(1002, "not a request")
            raise _GoneError from None

        async def on_position(position: int) -> None:
            await _send(connection, wire.encode_waiting(position))

        do = partial(self._jobs.do, on_position=on_position)
        work = asyncio.ensure_future(self._carry_out(session, request, payload, do))
        first: set[asyncio.Future[Any]] = {work, gone}
        await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            work.cancel()
            await asyncio.wait({work})
            raise _GoneError
        try:
            reply = work.result()
        except VTAError as error:
            reply = wire.encode_error(error)
        except (ConnectionClosed, _GoneError):
            raise
        except Exception:
            _log.exception("%s: %s failed", _name(connection), type(request).__name__)
            reply = wire.encode_error(RemoteError("internal error of the server; see its log"))
        await _send(connection, reply)

    async def _carry_out(
        self,
        session: ClientSession,
        request: wire.Request,
        payload: memoryview,
        do: Callable[..., Any],
    ) -> bytes:
        """The reply to one request."""
        match request:
            case wire.Alloc(nbytes):
                return wire.encode_reply({"addr": await do(partial(session.alloc, nbytes))})
            case wire.Free(addrs, placements):
                await do(partial(session.free, addrs, placements))
            case wire.Write(addr):
                await do(partial(session.write, addr, payload))
            case wire.Read(addr, nbytes):
                if nbytes > wire.CHUNK_BYTES:
                    raise RemoteError(f"a read of {nbytes} bytes; at most {wire.CHUNK_BYTES}")
                return wire.encode_reply({}, await do(partial(session.read, addr, nbytes)))
            case wire.Upload(name, size, offset):
                await self._checks.do(partial(session.upload, name, size, offset, payload))
            case wire.Place(name):
                return wire.encode_reply({"placement": await do(partial(session.place, name))})
            case wire.Run(placement, addrs):
                _, result = await do(partial(session.run, placement, addrs))
                return wire.encode_reply({"result": result})
            case wire.Measure(placement, addrs, number, repeat):
                return await _measure(
                    partial(do, partial(session.run, placement, addrs)), number, repeat
                )
            case wire.Execute(addr, count):
                return wire.encode_reply(
                    {"result": await do(partial(session.execute, addr, count))}
                )
            case wire.ProgramFpga(name):
                if self.sessions > 1:
                    raise RemoteError(
                        f"{self.sessions} sessions use the device; its FPGA can be configured "
                        f"only by the only one"
                    )
                await do(partial(session.program_fpga, name))
        return wire.encode_reply({})

    def close(self) -> None:
        """Wait for the job that runs, and close the device."""
        self._checks.close()
        self._jobs.close()
        self.device.close()


async def _measure(run: Callable[[], Any], number: int, repeat: int) -> bytes:
    """Runs with others' between them; only the seconds on the device count."""
    if not (1 <= number <= 1_000_000 and 1 <= repeat <= 1000):
        raise RemoteError(f"number {number}, repeat {repeat}; must be in 1..1000000 and 1..1000")
    means, sums = [], []
    for _ in range(repeat):
        seconds, result = await run()
        for _ in range(number - 1):
            more, next_result = await run()
            seconds, result = seconds + more, total([result, next_result])
        means.append(seconds / number)
        sums.append(result)
    return wire.encode_reply({"seconds": means, "result": total(sums)})


async def _send(connection: ServerConnection, message: bytes) -> None:
    """Send, but do not wait for ever for a client that does not listen."""
    try:
        async with asyncio.timeout(_SEND_SECONDS):
            await connection.send(message)
    except TimeoutError:
        raise _GoneError from None


def _name(connection: ServerConnection) -> str:
    address = connection.remote_address
    return f"{address[0]}:{address[1]}" if isinstance(address, tuple) else str(address)


@asynccontextmanager
async def running(
    device: Lendable,
    credentials: Credentials,
    *,
    host: str = "127.0.0.1",
    port: int = DEFAULT_PORT,
    limits: Limits | None = None,
) -> AsyncIterator[int]:
    """A server while the ``async with`` lasts; its value is the port.

    Parameters
    ----------
    device : Lendable
        Closed at the end.
    credentials : Credentials
        Certificate, key and token.
    host : str
        The address to listen on; the default is reached from this machine only.
    port : int
        0 takes a free one.
    limits : Limits or None
        None: the defaults.

    Raises
    ------
    ConfigError
        If the device has less memory than the limits grant.
    RemoteError
        If the certificate and key do not belong together, or the address is not free.
    """
    limits = limits or Limits()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.minimum_version = ssl.TLSVersion.TLSv1_3
    # No tickets for resumption: a client that reads in one thread would take them in while it sends
    # in another, and OpenSSL's state is not made for that.
    tls.num_tickets = 0
    try:
        tls.load_cert_chain(credentials.certificate, credentials.key)
    except OSError as error:
        raise RemoteError(
            f"{credentials.certificate} and {credentials.key} make no server: {error}"
        ) from None
    try:
        server = Server(device, credentials.token, limits)
    except VTAError:
        device.close()
        raise
    try:
        listening = await websocket_server(
            server.session, host, port,
            ssl=tls, ssl_handshake_timeout=_OPEN_SECONDS, open_timeout=_OPEN_SECONDS,
            process_request=server.admit, subprotocols=[Subprotocol(wire.SUBPROTOCOL)],
            origins=[None], compression=None, server_header=None,
            ping_interval=PING_SECONDS, ping_timeout=PONG_SECONDS, close_timeout=_CLOSE_SECONDS,
            max_size=wire.MAX_MESSAGE_BYTES, max_queue=_QUEUED_MESSAGES,
            create_connection=BoundedConnection,
        )  # fmt: skip
    except OSError as error:
        server.close()
        raise RemoteError(f"cannot listen on {host}:{port}: {error}") from None
    try:
        yield next(iter(listening.sockets)).getsockname()[1]
    finally:
        listening.close()
        await _part(listening)
        server.close()


async def _part(listening: WebSocketServer) -> None:
    """Wait until all clients have said goodbye, but not for one that does not."""
    gone = asyncio.ensure_future(listening.wait_closed())
    await asyncio.wait({gone}, timeout=_PART_SECONDS)
    for connection in listening.connections:
        connection.transport.abort()
    await gone
