"""A WebSocket connection that holds a bounded amount of memory, whatever the client does."""

from __future__ import annotations

import logging
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.frames import DATA_OPCODES, Frame

from vta.runtime.remote import wire

__all__ = ["MAX_FRAGMENTS", "MAX_UNSENT_BYTES", "BoundedConnection"]

MAX_UNSENT_BYTES = 2 * wire.MAX_MESSAGE_BYTES
"""What may wait to be sent: a reply, and the answers to a client's pings while that reply goes out.
A reply is sent only when the one before has left; the answer to a ping waits for nothing."""
MAX_FRAGMENTS = 64
"""Frames of one message. The bound on a message's bytes does not count frames that are empty."""

_log = logging.getLogger("vta.serve")


class BoundedConnection(ServerConnection):
    """The server's end of a connection. It is cut when the client sends without reading, so that
    more than :data:`MAX_UNSENT_BYTES` wait to be sent, or sends a message in more than
    :data:`MAX_FRAGMENTS` frames."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._fragments = 0

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        unsent = self.transport.get_write_buffer_size()
        if unsent > MAX_UNSENT_BYTES:
            self._cut(f"it does not read: {unsent} bytes wait to be sent")

    def process_event(self, event: Any) -> None:
        if isinstance(event, Frame) and event.opcode in DATA_OPCODES:
            self._fragments = 0 if event.fin else self._fragments + 1
            if self._fragments > MAX_FRAGMENTS:
                self._cut(f"a message of more than {MAX_FRAGMENTS} frames")
                return
        super().process_event(event)

    def _cut(self, why: str) -> None:
        if not self.transport.is_closing():
            _log.warning("%s: connection cut: %s", self.remote_address, why)
            self.transport.abort()
