"""The messages between client and server.

A message is one binary WebSocket message: the length of the header (4 bytes, big-endian), the
header (JSON), the payload (bytes as they are). Every request gets one reply, in the order of the
requests; a reply can be preceded by notes that the device is busy. Whatever does not look exactly
like this is refused, on both sides.
"""

from __future__ import annotations

import json
import struct
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from vta import errors
from vta.errors import ExecutionError, RemoteError, VTAError
from vta.run_result import Counters, RunResult

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "CHUNK_BYTES",
    "MAX_MESSAGE_BYTES",
    "SUBPROTOCOL",
    "Alloc",
    "Execute",
    "Free",
    "Measure",
    "Place",
    "ProgramFpga",
    "Read",
    "Reply",
    "Request",
    "Run",
    "Upload",
    "Write",
    "decode_reply",
    "decode_request",
    "encode_error",
    "encode_reply",
    "encode_request",
    "encode_waiting",
    "result_from_wire",
]

SUBPROTOCOL = "vta.1"
"""Name and version of what is described here, agreed on when the WebSocket opens."""
CHUNK_BYTES = 1 << 20
"""Payload of a message at most; larger transfers take several."""
MAX_HEADER_BYTES = 1 << 16
_LENGTH = struct.Struct(">I")
MAX_MESSAGE_BYTES = _LENGTH.size + MAX_HEADER_BYTES + CHUNK_BYTES
MAX_LIST = 4096
MAX_TEXT = 255
_MAX_ERROR_TEXT = 16_000


# ---- requests -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Alloc:
    """``nbytes`` of zeroed device memory; the reply has their address, ``addr``."""

    nbytes: int


@dataclass(frozen=True)
class Free:
    """Give back buffers (by address) and placed programs (by number)."""

    addrs: list[int]
    placements: list[int]


@dataclass(frozen=True)
class Write:
    """The payload into device memory at ``addr``."""

    addr: int


@dataclass(frozen=True)
class Read:
    """``nbytes`` of device memory at ``addr``: the payload of the reply."""

    addr: int
    nbytes: int


@dataclass(frozen=True)
class Upload:
    """A piece of a file: the payload is its bytes from ``offset`` on, of ``size`` in all."""

    name: str
    size: int
    offset: int


@dataclass(frozen=True)
class Place:
    """Put the uploaded program ``name`` into device memory; the reply has its number,
    ``placement``."""

    name: str


@dataclass(frozen=True)
class Run:
    """Run a placed program on the buffers at ``addrs``; the reply has ``result``."""

    placement: int
    addrs: list[int]


@dataclass(frozen=True)
class Measure:
    """Run ``number`` times, ``repeat`` times over. The reply has ``seconds`` (a run's mean, one a
    repetition, waiting left out) and the sum of all, ``result``."""

    placement: int
    addrs: list[int]
    number: int
    repeat: int


@dataclass(frozen=True)
class Execute:
    """Run ``count`` instructions that lie at ``addr``; the reply has ``result``."""

    addr: int
    count: int


@dataclass(frozen=True)
class ProgramFpga:
    """Configure the FPGA with the uploaded bitstream ``name``."""

    name: str


Request = Alloc | Free | Write | Read | Upload | Place | Run | Measure | Execute | ProgramFpga

_REQUESTS: dict[str, type[Request]] = {
    "alloc": Alloc,
    "free": Free,
    "write": Write,
    "read": Read,
    "upload": Upload,
    "place": Place,
    "run": Run,
    "measure": Measure,
    "execute": Execute,
    "program_fpga": ProgramFpga,
}
_NAMES = {kind: name for name, kind in _REQUESTS.items()}


def encode_request(request: Request, payload: bytes | memoryview = b"") -> bytes:
    """A request as a message."""
    return _pack({"op": _NAMES[type(request)], **asdict(request)}, payload)


def decode_request(message: object) -> tuple[Request, memoryview]:
    """The request in a message, every field of the type that it must have, and the payload.

    Raises
    ------
    RemoteError
        If it is not exactly a request.
    """
    header, payload = _unpack(message)
    op = header.pop("op", None)
    kind = _REQUESTS.get(op) if isinstance(op, str) else None
    if kind is None:
        raise RemoteError(f"unknown request {_short(op)}")
    wanted = {field.name: str(field.type) for field in fields(kind)}
    if header.keys() != wanted.keys():
        raise RemoteError(
            f"request {op} has the fields {_short(sorted(header))}; must have {sorted(wanted)}"
        )
    for name, type_name in wanted.items():
        if not _IS[type_name](header[name]):
            raise RemoteError(f"request {op}: {name} is {_short(header[name])}; not {type_name}")
    if payload and kind not in (Write, Upload):
        raise RemoteError(f"request {op} has a payload of {len(payload)} bytes; must have none")
    return kind(**header), payload


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 63


_IS: dict[str, Callable[[Any], bool]] = {
    "int": _is_int,
    "str": lambda value: isinstance(value, str) and len(value) <= MAX_TEXT,
    "list[int]": lambda value: (
        isinstance(value, list) and len(value) <= MAX_LIST and all(map(_is_int, value))
    ),
}


# ---- replies ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reply:
    """What a server says.

    Attributes
    ----------
    values : dict
        The answer, if ``error`` and ``waiting`` are None.
    payload : bytes
        Of a read.
    error : VTAError or None
        What the request raised on the server, of the same class.
    waiting : int or None
        A note, not yet the answer: the place in the queue for the device, 1 is next.
    """

    values: dict[str, Any]
    payload: bytes = b""
    error: VTAError | None = None
    waiting: int | None = None


def encode_reply(values: dict[str, Any], payload: bytes = b"") -> bytes:
    """An answer as a message; a RunResult among the values is written out."""
    plain = {
        key: asdict(value) if isinstance(value, RunResult) else value
        for key, value in values.items()
    }
    return _pack({"ok": plain}, payload)


def encode_waiting(position: int) -> bytes:
    """A note as a message."""
    return _pack({"waiting": position})


def encode_error(error: VTAError) -> bytes:
    """An error as a message: the nearest class that a client knows, and what it says."""
    kind = next(kind for kind in type(error).__mro__ if kind in _ERRORS.values())
    content: dict[str, Any] = {"type": kind.__name__}
    if isinstance(error, ExecutionError):
        content |= {
            "message": _clipped(error.message),
            "index": error.index,
            "instruction": error.instruction,
            "heads": error.heads,
            "tokens": error.tokens,
        }
    else:
        content["message"] = _clipped(str(error))
    return _pack({"error": content})


def decode_reply(message: object) -> Reply:
    """The reply in a message.

    Raises
    ------
    RemoteError
        If it is none.
    """
    header, payload = _unpack(message)
    if header.keys() == {"ok"} and isinstance(header["ok"], dict):
        return Reply(header["ok"], bytes(payload))
    if header.keys() == {"waiting"} and _is_int(header["waiting"]):
        return Reply({}, waiting=header["waiting"])
    if header.keys() == {"error"} and isinstance(header["error"], dict):
        return Reply({}, error=_error_from_wire(header["error"]))
    raise RemoteError(f"the server's reply has the fields {_short(sorted(header))}")


_ERRORS: dict[str, type[VTAError]] = {name: getattr(errors, name) for name in errors.__all__}


def _error_from_wire(content: dict[str, Any]) -> VTAError:
    kind = _ERRORS.get(str(content.get("type")), RemoteError)
    message = str(content.get("message"))
    if not issubclass(kind, ExecutionError):
        return kind(message)
    index, instruction = content.get("index"), content.get("instruction")
    heads, tokens = content.get("heads"), content.get("tokens")
    return kind(
        message,
        index=index if _is_int(index) else None,
        instruction=None if instruction is None else str(instruction),
        heads=heads if isinstance(heads, dict) else None,
        tokens=tokens if isinstance(tokens, dict) else None,
    )


def result_from_wire(content: object) -> RunResult:
    """A run's result out of a reply.

    Raises
    ------
    RemoteError
        If it is none.
    """
    try:
        assert isinstance(content, dict)
        return RunResult(Counters(**content["counters"]), content["cycle_count"], content["tokens"])
    except (AssertionError, KeyError, TypeError):
        raise RemoteError(f"the server sent no result of a run: {_short(content)}") from None


# ---- bytes --------------------------------------------------------------------------------------


def _pack(header: dict[str, Any], payload: bytes | memoryview = b"") -> bytes:
    text = json.dumps(header, separators=(",", ":")).encode()
    if len(text) > MAX_HEADER_BYTES or len(payload) > CHUNK_BYTES:
        raise RemoteError(
            f"a message with a header of {len(text)} and a payload of {len(payload)} bytes; at "
            f"most {MAX_HEADER_BYTES} and {CHUNK_BYTES}"
        )
    return b"".join((_LENGTH.pack(len(text)), text, payload))


def _unpack(message: object) -> tuple[dict[str, Any], memoryview]:
    if not isinstance(message, bytes):
        raise RemoteError("a message of text; must be binary")
    if len(message) < _LENGTH.size:
        raise RemoteError(f"a message of {len(message)} bytes; has no header")
    (size,) = _LENGTH.unpack_from(message)
    begin = _LENGTH.size
    if size > MAX_HEADER_BYTES or begin + size > len(message):
        raise RemoteError(
            f"a header of {size} bytes in a message of {len(message)}; at most {MAX_HEADER_BYTES}, "
            f"and inside the message"
        )
    if len(message) - begin - size > CHUNK_BYTES:
        raise RemoteError(f"a payload of more than {CHUNK_BYTES} bytes")
    try:
        header = json.loads(str(message[begin : begin + size], "utf-8"))
    except (ValueError, RecursionError) as error:
        raise RemoteError(f"the header is not JSON: {_clipped(str(error), MAX_TEXT)}") from None
    if not isinstance(header, dict):
        raise RemoteError(f"the header is {_short(header)}; must be a JSON object")
    return header, memoryview(message)[begin + size :]


def _clipped(text: str, limit: int = _MAX_ERROR_TEXT) -> str:
    return text if len(text) <= limit else text[:limit] + " ..."


def _short(value: object) -> str:
    """A value from outside, for a message."""
    return _clipped(repr(value), 80)
