"""Who may speak, and what: everything else is refused, and leaves nothing behind."""

import contextlib
import errno
import socket
import ssl
import struct
import threading
import time

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tests.support.serving import serving, still_serves, wait_until_free
from tests.support.small_vadd import TINY, vadd_module
from vta.errors import DeviceError, RemoteError
from vta.runtime.remote import bounded_connection, wire
from vta.runtime.remote import connection as client_side
from vta.runtime.remote.credentials import Token, open_credentials
from vta.runtime.simulated import SimDevice


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("serve")


@pytest.fixture(scope="module")
def device():
    return SimDevice(TINY, memory_bytes=1 << 24)


@pytest.fixture(scope="module")
def server(folder, device):
    with serving(folder, device) as server:
        yield server


def raw_tls(port):
    """TLS with the server, and nothing said yet."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(socket.create_connection(("127.0.0.1", port), 10))


@contextlib.contextmanager
def websocket(server, *, protocol=wire.SUBPROTOCOL, **headers):
    """A WebSocket with the server, the greeting read."""
    headers = headers or {"Authorization": f"Bearer {server.token.secret}"}
    with connect(
        f"ws://127.0.0.1:{server.port}/", sock=raw_tls(server.port), proxy=None, compression=None,
        subprotocols=[protocol] if protocol else None, additional_headers=headers, close_timeout=1,
    ) as socket:  # fmt: skip
        wire.decode_reply(socket.recv(10))
        yield socket


# ---- who may speak ------------------------------------------------------------------------------


def test_a_wrong_token_is_refused(server):
    good = server.token
    for secret in ("A" * 43, good.secret[:-1] + ("A" if good.secret[-1] != "A" else "B")):
        server.token = Token(good.fingerprint, secret)
        with pytest.raises(RemoteError, match=r"127\.0\.0\.1:\d+ refuses: wrong token"):
            server.connect()
    server.token = good
    assert good.secret not in repr(good)


@pytest.mark.parametrize(
    "headers",
    [
        {"X": "nothing"},
        {"Authorization": "Bearer "},
        {"Authorization": "Basic SECRET"},
        {"Authorization": "SECRET"},
        {"Authorization": "Bearer SECRET x"},
    ],
)
def test_without_a_token_there_is_no_answer(server, headers):
    headers = {key: value.replace("SECRET", server.token.secret) for key, value in headers.items()}
    with pytest.raises(InvalidStatus) as error, websocket(server, **headers):
        pass
    assert error.value.response.status_code == 401


def test_a_browser_is_refused(server):
    origin = {"Authorization": f"Bearer {server.token.secret}", "Origin": "https://example.com"}
    with pytest.raises(InvalidStatus) as error, websocket(server, **origin):
        pass
    assert error.value.response.status_code == 403


def test_another_version_is_refused(server):
    for protocol in (None, "vta.999"):
        with pytest.raises(InvalidStatus) as error, websocket(server, protocol=protocol):
            pass
        assert b"this server speaks vta.1" in error.value.response.body


def test_another_server_hears_no_token(server, folder, tmp_path):
    """A client that meets another certificate ends the connection before it says anything."""
    other = open_credentials(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(other.certificate, other.key)
    heard = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def listen():
            plain, _ = listening.accept()
            with (
                context.wrap_socket(plain, server_side=True) as stream,
                contextlib.suppress(OSError),
            ):
                heard.append(stream.recv(1000))

        thread = threading.Thread(target=listen)
        thread.start()
        impostor = listening.getsockname()[1]
        good, server.port = server.port, impostor
        try:
            with pytest.raises(RemoteError, match=r"shows a certificate .* the token is for"):
                server.connect()
        finally:
            server.port = good
        thread.join(10)
    assert heard in ([], [b""])


def test_a_given_certificate_is_verified_with_the_name(server, folder, tmp_path):
    with server.connect(certificate=folder / "server.crt"):
        pass
    other = open_credentials(tmp_path)
    with pytest.raises(RemoteError, match=r"no TLS with .*certificate verify failed"):
        server.connect(certificate=other.certificate)


def test_no_server_and_no_tls():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        start = time.monotonic()
        with pytest.raises(RemoteError, match=r"cannot connect to .*timed out"):
            client_side.Connection("127.0.0.1", port, Token("0" * 64, "x"), timeout=0.5)
        assert time.monotonic() - start < 5
    with pytest.raises(RemoteError, match=r"cannot connect to .*refused"):
        client_side.Connection("127.0.0.1", port, Token("0" * 64, "x"))


# ---- what they say ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "message",
    ["text", b"", b"\0\0\0\5{", b"\xff\xff\xff\xff{}", wire.encode_waiting(1)],
    ids=["text", "empty", "truncated", "length", "a reply"],
)
def test_what_is_no_request_ends_the_session(server, message):
    with websocket(server) as socket:
        socket.send(wire.encode_request(wire.Alloc(1 << 20)))
        assert wire.decode_reply(socket.recv(10)).values
        socket.send(message)
        assert isinstance(wire.decode_reply(socket.recv(10)).error, RemoteError)
        with pytest.raises(ConnectionClosed) as error:
            socket.recv(10)
        assert error.value.rcvd.code == 1002
    wait_until_free(server)
    still_serves(server)


def test_an_oversize_message_ends_the_session(server):
    for _ in range(3):  # a reset of the connection may overtake the close frame
        with websocket(server) as socket, pytest.raises(ConnectionClosed) as error:
            socket.send(bytes(wire.MAX_MESSAGE_BYTES + 1))
            socket.recv(10)
        if error.value.rcvd is not None:
            break
    assert error.value.rcvd.code == 1009
    still_serves(server)


FRAMES = {
    "announces 2^62 bytes": b"\x82\xff" + struct.pack(">Q", 1 << 62) + b"\0" * 4,
    "not masked": b"\x82\x02ab",
    "reserved bits": b"\xf2\x80\0\0\0\0",
    "unknown kind": b"\x83\x80\0\0\0\0",
    "a long ping": b"\x89\xfe\x01\x00" + bytes(260),
    "cut in the middle": b"\x82\xfe\x10\x00\0\0\0\0" + b"x" * 10,
    "rubbish": bytes(range(7, 256)),
}


@pytest.mark.parametrize("name", FRAMES)
def test_damaged_frames(server, name):
    with websocket(server) as socket:
        socket.send(wire.encode_request(wire.Alloc(1 << 20)))
        socket.recv(10)
        with contextlib.suppress(OSError):  # the server may hang up while it is being sent
            socket.socket.sendall(FRAMES[name])
            socket.socket.shutdown(2)
    wait_until_free(server)
    still_serves(server)


def frame(opcode, payload=b"", *, fin=True):
    """A frame of a client, masked with zeros."""
    assert len(payload) < 126
    return bytes([0x80 * fin | opcode, 0x80 | len(payload)]) + bytes(4) + payload


@contextlib.contextmanager
def raw_websocket(server):
    """A WebSocket of which nothing is read after the handshake."""
    with raw_tls(server.port) as client:
        client.sendall(
            f"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {'A' * 22}==\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Protocol: {wire.SUBPROTOCOL}\r\n"
            f"Authorization: Bearer {server.token.secret}\r\n\r\n".encode()
        )
        assert client.recv(12) == b"HTTP/1.1 101"
        client.settimeout(20)
        yield client


def sent_until_cut(client, frames, limit):
    """Bytes that a server takes before it hangs up."""
    sent = 0
    try:
        while sent < limit:
            client.sendall(frames)
            sent += len(frames)
    except (ConnectionError, ssl.SSLError):
        pass
    except OSError as error:
        if error.errno != errno.EBADF:  # the client's own thread has seen the end and closed
            raise
    return sent


def test_a_client_that_pings_and_never_reads_is_cut(server, monkeypatch):
    """Before the server holds more answers than a bounded number of bytes."""
    monkeypatch.setattr(bounded_connection, "MAX_CONTROLS", 1 << 30)
    with raw_websocket(server) as client:
        limit = 64 << 20
        assert sent_until_cut(client, frame(9, b"x" * 125) * 500, limit) < limit
    still_serves(server)


@pytest.mark.parametrize("opcode", [9, 10], ids=["ping", "pong"])
def test_a_flood_of_pings_is_cut(server, opcode):
    """Also of a client that reads: all are answered in the thread that answers the others."""
    with websocket(server) as client:
        limit = 8 << 20
        assert sent_until_cut(client.socket, frame(opcode) * 50_000, limit) < limit
        with pytest.raises(ConnectionClosed):
            client.recv(10)
    still_serves(server)


def test_pings_of_a_usual_rate_are_answered(server):
    with websocket(server) as client:
        for _ in range(100):
            assert client.ping().wait(10)


def test_a_message_of_endless_fragments_is_cut(server):
    with websocket(server) as client:
        with contextlib.suppress(OSError):
            client.socket.sendall(frame(2, fin=False) + frame(0, fin=False) * 64)
        with pytest.raises(ConnectionClosed):
            client.recv(10)
    with websocket(server) as client:  # so many are taken
        request = wire.encode_request(wire.Alloc(1 << 20))
        frames = frame(2, request[:1], fin=False) + frame(0, fin=False) * 62
        client.socket.sendall(frames + frame(0, request[1:]))
        assert wire.decode_reply(client.recv(10)).values
    still_serves(server)


def test_damaged_handshakes(server):
    for said in (b"", b"GET", b"\0" * 1000, b"GET / HTTP/1.1\r\n" + b"x" * 20_000, b"x" * 100_000):
        with raw_tls(server.port) as stream, contextlib.suppress(OSError):
            stream.sendall(said)
            stream.shutdown(socket.SHUT_RDWR)
    with socket.create_connection(("127.0.0.1", server.port)) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
    still_serves(server)


def test_pieces_of_a_file_must_follow_each_other(server):
    upload = wire.Upload
    content = vadd_module().program.to_bytes()
    size = len(content)
    with server.connect() as remote:
        call = remote._connection.call
        for pieces in (
            [(upload("x", size, 100), b"late")],
            [(upload("x", size, 0), b"first"), (upload("x", size, 4), b"back")],
            [(upload("x", size, 0), b"first"), (upload("y", size, 5), b"other")],
            [(upload("x", size, 0), b"first"), (upload("x", size + 1, 5), b"longer")],
            [(upload("x", 3, 0), b"more than that")],
        ):
            with pytest.raises(RemoteError, match=r"does not follow|more have come"):
                for request, payload in pieces:
                    call(request, payload)
        for name in ("../x", "/etc/x", "..", "a/../../b", "C:\\x", "\0"):
            with pytest.raises(DeviceError, match="is no plain file name"):
                call(upload(name, 1, 0), b"x")
        with pytest.raises(RemoteError, match="has 0 bytes"):
            call(upload("x", 0, 0))
        call(upload("x", size, 0), content[:100])
        call(upload("x", size, 100), content[100:])
        assert call(wire.Place("x")).values == {"placement": 1}
