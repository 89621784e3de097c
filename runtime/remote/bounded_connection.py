"""A WebSocket connection that takes a bounded amount of memory, and of the time of the thread that
answers all clients, whatever its client does."""

from __future__ import annotations

import logging
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.frames import DATA_OPCODES, Frame

from vta.runtime.remote import wire

__all__ = ["MAX_FRAGMENTS", "MAX_UNSENT_BYTES", "BoundedConnection"]

MAX_UNSENT_BYTES = 2 * wire.MAX_MESSAGE_BYTES
"""What may wait to be sent: a reply, and the answers to a client's pings while that reply goes out.
A reply is sent only when the reply before it has left; the answer to a ping waits for nothing."""
MAX_FRAGMENTS = 64
"""Frames of one message. The bound on a message's bytes does not count frames that are empty."""
MAX_CONTROLS = 256
"""Pings and pongs of a client in a second. One in ten seconds is usual; thousands fit into one
packet, and all of them would be answered before anybody else's request."""
_PIECE_BYTES = 1 << 14
"""What is parsed at a time: some three thousand frames at most."""

_log = logging.getLogger("vta.serve")


class BoundedConnection(ServerConnection):
    """The server's end of a connection. It is cut when the client sends without reading, so that
    more than :data:`MAX_UNSENT_BYTES` wait to be sent, sends a message in more than
    :data:`MAX_FRAGMENTS` frames, or more than :data:`MAX_CONTROLS` pings and pongs in a second."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._fragments = 0
        self._controls, self._since = 0, 0.0  # frames, and the time since when they are counted

    def data_received(self, data: bytes) -> None:
        for at in range(0, len(data), _PIECE_BYTES):
            super().data_received(data[at : at + _PIECE_BYTES])
            unsent = self.transport.get_write_buffer_size()
            if unsent > MAX_UNSENT_BYTES:
                self._cut(f"it does not read: {unsent} bytes wait to be sent")
            if self.transport.is_closing():
                return  # the rest is ignored

    def process_event(self, event: Any) -> None:
        if isinstance(event, Frame):
            why = self._why_too_many(event)
            if why is not None:
                self._cut(why)
                return
        super().process_event(event)

    def _why_too_many(self, frame: Frame) -> str | None:
        if frame.opcode in DATA_OPCODES:
            self._fragments = 0 if frame.fin else self._fragments + 1
            if self._fragments > MAX_FRAGMENTS:
                return f"a message of more than {MAX_FRAGMENTS} frames"
            return None
        now = self.loop.time()
        if now - self._since > 1:
            self._controls, self._since = 0, now
        self._controls += 1
        return f"more than {MAX_CONTROLS} pings a second" if self._controls > MAX_CONTROLS else None

    def _cut(self, why: str) -> None:
        if not self.transport.is_closing():
            _log.warning("%s: connection cut: %s", self.remote_address, why)
            self.transport.abort()
