"""A line of waiting jobs: one runs, the others wait in the order in which they came."""

from __future__ import annotations

import asyncio
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["Line"]

T = TypeVar("T")


class Line:
    """Runs jobs one at a time, in one thread of its own, first come, first served.

    Parameters
    ----------
    tell_seconds : float
        How often those who wait are told their place.
    """

    def __init__(self, *, tell_seconds: float = 0.5) -> None:
        self._tell_seconds = tell_seconds
        self._busy = False
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="vta-line")

    async def do(
        self, job: Callable[[], T], tell: Callable[[int], Awaitable[None]] | None = None
    ) -> T:
        """The result of ``job()``, or what it raises.

        Who is cancelled while waiting leaves the line. A job that runs already runs to its end, and
        the next begins only then.

        Parameters
        ----------
        job : callable
            Called in the thread of the line.
        tell : callable or None
            Awaited with the place in the line, 1 is next, now and then while waiting.
        """
        await self._wait(tell)
        running = asyncio.get_running_loop().run_in_executor(self._thread, job)
        running.add_done_callback(self._next)
        return await asyncio.shield(running)

    async def _wait(self, tell: Callable[[int], Awaitable[None]] | None) -> None:
        if not self._busy:
            self._busy = True
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            while not turn.done():
                await asyncio.wait({turn}, timeout=self._tell_seconds)
                if tell is not None and not turn.done():
                    await _unless(turn, tell(self._waiting.index(turn) + 1))
        except BaseException:
            if turn.done():  # it came in this very moment
                self._pass_on()
            else:
                self._waiting.remove(turn)
            raise

    def _next(self, done: asyncio.Future[T]) -> None:
        if not done.cancelled():
            done.exception()  # seen, even if nobody waits for it any more
        self._pass_on()

    def _pass_on(self) -> None:
        if self._waiting:
            self._waiting.popleft().set_result(None)
        else:
            self._busy = False

    def close(self) -> None:
        """Wait for the job that runs; there can be no other afterwards."""
        self._thread.shutdown()


async def _unless(turn: asyncio.Future[None], note: Awaitable[None]) -> None:
    """Wait for the note, but not for one who does not listen when it is his turn."""
    sending = asyncio.ensure_future(note)
    try:
        await asyncio.wait({turn, sending}, return_when=asyncio.FIRST_COMPLETED)
        if sending.done():
            sending.result()
    finally:
        sending.cancel()
