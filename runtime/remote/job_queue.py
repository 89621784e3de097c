"""A queue of jobs for one thread: first in, first out."""

from __future__ import annotations

import asyncio
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["JobQueue"]

T = TypeVar("T")


class JobQueue:
    """Runs jobs one at a time, in a thread of its own, in the order of their arrival.

    Parameters
    ----------
    report_seconds : float
        Period in which each waiting job reports its position.
    """

    def __init__(self, *, report_seconds: float = 0.5) -> None:
        self._report_seconds = report_seconds
        self._busy = False
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="vta-jobs")

    async def do(
        self, job: Callable[[], T], on_position: Callable[[int], Awaitable[None]] | None = None
    ) -> T:
        """The result of ``job()``, or what it raises.

        A caller that is cancelled while its job waits leaves the queue. A running job runs to its
        end, also if its caller is cancelled; the next job begins only then.

        Parameters
        ----------
        job : callable
            Called in the thread of the queue.
        on_position : callable or None
            Awaited with the position in the queue, 1 for the next job, periodically while waiting.
        """
        await self._wait(on_position)
        running = asyncio.get_running_loop().run_in_executor(self._thread, job)
        running.add_done_callback(self._job_ended)
        return await asyncio.shield(running)

    async def _wait(self, on_position: Callable[[int], Awaitable[None]] | None) -> None:
        if not self._busy:
            self._busy = True
            return
        slot = asyncio.get_running_loop().create_future()
        self._waiting.append(slot)
        try:
            while not slot.done():
                await asyncio.wait({slot}, timeout=self._report_seconds)
                if on_position is not None and not slot.done():
                    await _report_until(slot, on_position(self._waiting.index(slot) + 1))
        except BaseException:
            if slot.done():  # the job before ended at the same time
                self._start_next()
            else:
                self._waiting.remove(slot)
            raise

    def _job_ended(self, done: asyncio.Future[T]) -> None:
        if not done.cancelled():
            done.exception()  # retrieved, also if the caller was cancelled
        self._start_next()

    def _start_next(self) -> None:
        if self._waiting:
            self._waiting.popleft().set_result(None)
        else:
            self._busy = False

    def close(self) -> None:
        """Wait for the running job; no job can be added afterwards."""
        self._thread.shutdown()


async def _report_until(slot: asyncio.Future[None], report: Awaitable[None]) -> None:
    """Wait for the report, but no longer than until the job may run: a client that does not read
    must not delay it."""
    sending = asyncio.ensure_future(report)
    try:
        await asyncio.wait({slot, sending}, return_when=asyncio.FIRST_COMPLETED)
        if sending.done():
            sending.result()
    finally:
        sending.cancel()
