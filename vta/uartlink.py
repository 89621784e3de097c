"""What a host and a board say to each other over a serial line, once: the gateware's bridge
(boards/shells/uart_bridge.py) and the host's driver are both written from this page.

**Frames** are those of RFC 1662 ("PPP in HDLC-like framing", section 4) without address and control
fields: a flag 0x7E, the payload, its CRC-32 (FCS-32, low byte first), a flag. A 0x7E or 0x7D inside
is sent as 0x7D and the byte xor 0x20. Nothing between two flags is no frame; one flag may end a
frame and begin the next.

**Requests** go to the board, each is one frame: :data:`REQUEST` (tag, :class:`Op`, length, address,
little-endian), then, for a write, ``length`` bytes of data. For a read ``length`` says how many
bytes are wanted. **Answers** come back: :data:`ANSWER` (tag of the request, :class:`Status`,
length), then ``length`` bytes.

The board works on one request at a time and answers every frame: one that it cannot trust (tag 0;
several of them may share an answer) as well as one that it refuses. A request was carried out if
and only if its answer is ``OK`` or ``BUS_ERROR``. The host waits for an answer before it sends
again. After garbage, or half a frame, the next flag begins anew.
"""

from __future__ import annotations

import enum
import struct
import zlib
from dataclasses import dataclass

from vta.errors import DeviceError

__all__ = [
    "ANSWER",
    "CRC_BYTES",
    "ESCAPE",
    "FLAG",
    "FLIP",
    "INFO",
    "MAX_DATA",
    "REQUEST",
    "VERSION",
    "Answer",
    "Deframer",
    "Info",
    "Op",
    "Status",
    "frame",
    "request",
]

FLAG = 0x7E
ESCAPE = 0x7D
FLIP = 0x20
"""An escaped byte is sent with this bit turned over."""

CRC_BYTES = 4
REQUEST = struct.Struct("<BBHI")
ANSWER = struct.Struct("<BBH")
MAX_DATA = 1024
"""Most bytes of data in a frame."""

VERSION = 1
MAGIC = b"VTAU"
INFO = struct.Struct("<4sHHIIII")
"""Data of the answer to INFO: :data:`MAGIC`, :data:`VERSION`, :data:`MAX_DATA`, base and bytes of
the device's memory, frequency of its clock in Hz, symbols a second of the line."""


class Op(enum.IntEnum):
    """What is asked for."""

    INFO = 0
    """What the board is; length must be ``INFO.size``, address is ignored."""
    READ_REGISTER = 1
    """One control register of :mod:`vta.memmap`; length must be 4."""
    WRITE_REGISTER = 2
    READ_MEMORY = 3
    """1 to :data:`MAX_DATA` bytes of the device's memory, from any byte address on."""
    WRITE_MEMORY = 4


class Status(enum.IntEnum):
    """How it went."""

    OK = 0
    BAD_FRAME = 1
    """The CRC is wrong, a symbol was no symbol, or the frame is too short. Tag 0."""
    TOO_LONG = 2
    """More bytes than a frame can have. Tag 0."""
    OVERRUN = 3
    """A frame came before the request before it was answered; it is lost. Tag 0."""
    BAD_OP = 4
    BAD_LENGTH = 5
    """Not a length that the operation can have, or not that of the data."""
    BAD_ADDRESS = 6
    """Outside the memory or the register page, or a register address that is no multiple of 4."""
    BUS_ERROR = 7
    """The control port answered with an error."""


@dataclass(frozen=True)
class Info:
    """What a board says of itself.

    Attributes
    ----------
    max_data : int
        Most bytes of data in a frame.
    memory_base, memory_bytes : int
        The device's memory, in physical byte addresses.
    clock_hz : int
        Clock of the accelerator.
    baud : int
        Symbols a second of the line.
    """

    max_data: int
    memory_base: int
    memory_bytes: int
    clock_hz: int
    baud: int

    def pack(self) -> bytes:
        """The data of the answer to INFO."""
        return INFO.pack(
            MAGIC, VERSION, self.max_data, self.memory_base, self.memory_bytes, self.clock_hz,
            self.baud,
        )  # fmt: skip

    @classmethod
    def unpack(cls, data: bytes) -> Info:
        """Read it.

        Raises
        ------
        DeviceError
            If these are not the bytes of such a board, or of one with another version of this page.
        """
        if len(data) != INFO.size or not data.startswith(MAGIC):
            raise DeviceError(
                f"the answer to INFO must be {INFO.size} bytes that begin with {MAGIC!r}; got "
                f"{data!r}"
            )
        _, version, *rest = INFO.unpack(data)
        if version != VERSION:
            raise DeviceError(
                f"the board speaks version {version} of the serial protocol, this program "
                f"{VERSION}; make its bitstream again, or install the program that made it"
            )
        return cls(*rest)


@dataclass(frozen=True)
class Answer:
    """One answer of the board; ``status`` is a number that :class:`Status` need not have."""

    tag: int
    status: int
    data: bytes

    @classmethod
    def unpack(cls, payload: bytes) -> Answer | None:
        """Read a frame's payload; None if it is no answer."""
        if len(payload) < ANSWER.size:
            return None
        tag, status, length = ANSWER.unpack_from(payload)
        data = payload[ANSWER.size :]
        return cls(tag, status, data) if len(data) == length else None


def request(tag: int, op: Op, address: int, length: int, data: bytes = b"") -> bytes:
    """The frame of a request."""
    return frame(REQUEST.pack(tag, op, length, address) + data)


def frame(payload: bytes) -> bytes:
    """A payload with its CRC, escaped, between flags."""
    body = payload + zlib.crc32(payload).to_bytes(CRC_BYTES, "little")
    body = body.replace(bytes([ESCAPE]), bytes([ESCAPE, ESCAPE ^ FLIP]))
    body = body.replace(bytes([FLAG]), bytes([ESCAPE, FLAG ^ FLIP]))
    return bytes([FLAG]) + body + bytes([FLAG])


class Deframer:
    """Finds frames in what comes over a line.

    Attributes
    ----------
    discarded : int
        Pieces between flags that were no frame: too short, or of a wrong CRC.
    """

    def __init__(self) -> None:
        self.discarded = 0
        self._body = bytearray()
        self._escaped = False

    def feed(self, received: bytes) -> list[bytes]:
        """The payloads of the frames that end within ``received``."""
        payloads: list[bytes] = []
        for byte in received:
            if byte == FLAG:
                self._end(payloads)
            elif byte == ESCAPE:
                self._escaped = True
            else:
                self._body.append(byte ^ FLIP if self._escaped else byte)
                self._escaped = False
        return payloads

    def _end(self, payloads: list[bytes]) -> None:
        body, aborted = bytes(self._body), self._escaped
        self._body.clear()
        self._escaped = False
        if not body and not aborted:
            return
        payload, crc = body[:-CRC_BYTES], body[-CRC_BYTES:]
        if aborted or not payload or zlib.crc32(payload).to_bytes(CRC_BYTES, "little") != crc:
            self.discarded += 1
        else:
            payloads.append(payload)
