"""The memory port in time: reads of three readers, and writes, burst by burst.

A burst is granted round robin, accepted while the memory has room, and answered in order, a beat a
cycle or at the rate of the memory preset. Times of a burst are computed when it is granted.
"""

from __future__ import annotations

from collections import deque
from functools import lru_cache
from math import ceil
from typing import TYPE_CHECKING, Protocol

from vta.sim.timing.constants import Constants, Pipeline

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vta.memory_timing import MemoryTiming
    from vta.sim.timing.events import Events

__all__ = ["DataBus", "ReadBus", "Reader", "WriteBus", "bursts_of"]


def bursts_of(address: int, nbytes: int, beat_bytes: int, burst_beats: int) -> tuple[int, ...]:
    """Beats of each burst of a request: bursts end at multiples of ``burst_beats`` beats."""
    return _bursts(address % (beat_bytes * burst_beats), nbytes, beat_bytes, burst_beats)


@lru_cache(1 << 14)
def _bursts(offset: int, nbytes: int, beat_bytes: int, burst_beats: int) -> tuple[int, ...]:
    first = offset // beat_bytes
    left = -(-(offset + nbytes) // beat_bytes) - first
    room = burst_beats - first
    if left <= room:
        return (left,)
    whole, rest = divmod(left - room, burst_beats)
    return (room, *[burst_beats] * whole, *([rest] if rest else []))


class Reader(Protocol):
    """A reader of the bus, from the side of the bus."""

    def on_burst(self, beats: int, first: int, last: int) -> int:
        """The beats of the oldest burst arrive in ``first .. last``; returns the cycle in which
        the reader consumes the last of them."""


class DataBus:
    """The data beats: reads and writes share a beat, or each has its own."""

    def __init__(self, timing: MemoryTiming) -> None:
        stalled = max(timing.stall_r, timing.stall_w)
        self.interval = 1 / (timing.beat_rate * max(1 - stalled, 0.01))
        self.shared = timing.shared_bus
        self.read_free = 0.0
        self.write_free = 0.0

    def read(self, ready: int, beats: int) -> tuple[int, int]:
        """First and last beat of a read burst whose data is ready in cycle ``ready``."""
        first = max(float(ready), self.read_free)
        length = beats * self.interval
        if self.shared and self.write_free > first:
            delay = min(length, self.write_free - first)
            self.write_free += delay
            length += delay
        self.read_free = first + length
        return int(first), max(int(first), ceil(self.read_free) - 1)

    def write(self, ready: int, beats: int) -> tuple[int, int]:
        """The same for a write burst whose data can be sent from cycle ``ready`` on."""
        first = max(float(ready), self.write_free)
        length = beats * self.interval
        if self.shared and self.read_free > first:
            delay = min(length, self.read_free - first)
            self.read_free += delay
            length += delay
        self.write_free = first + length
        return int(first), max(int(first), ceil(self.write_free) - 1)


class _Channel:
    """One reader: bursts that wait, and those whose beats are outstanding."""

    def __init__(self) -> None:
        self.reader: Reader
        self.pending: deque[tuple[int, int]] = deque()  # available from, beats
        self.outstanding: deque[tuple[int, int, int]] = deque()  # first, last, beats
        self.beats = 0  # outstanding
        self.ready: int | None = None  # of the first that waits, once it is computed


class ReadBus:
    """AR and R: grants bursts and computes when their beats arrive.

    Attributes
    ----------
    beats : int
        Beats read so far.
    """

    def __init__(
        self, events: Events, constants: Constants, timing: MemoryTiming, data: DataBus
    ) -> None:
        self.events, self.constants, self.timing, self.data = events, constants, timing, data
        self.channels: list[_Channel] = []
        self.address_interval = 1 / max(1 - timing.stall_ar, 0.01)
        self.last_grant = 0
        self.next_grant = 0
        self.accepted: deque[int] = deque(maxlen=timing.outstanding_reads)  # ends of bursts
        self.scheduled: int | None = None
        self.beats = 0

    def attach(self, number: int, reader: Reader) -> None:
        """Connect the reader with this read ID; in order."""
        assert number == len(self.channels)
        channel = _Channel()
        channel.reader = reader
        self.channels.append(channel)

    def request(self, number: int, available: int, bursts: Sequence[int]) -> None:
        """Bursts of a reader, the first of which is at the arbiter in cycle ``available``."""
        channel = self.channels[number]
        pending = channel.pending
        idle = not pending
        for beats in bursts:
            pending.append((available, beats))
            available += 1
        if idle:
            channel.ready = self._ready(channel)
            self._schedule(self.events.now)

    def _schedule(self, now: int) -> None:
        """Arbitrate again in the first cycle in which a burst can be granted."""
        at = None
        for channel in self.channels:
            ready = channel.ready
            if ready is not None and (at is None or ready < at):
                at = ready
        if at is None:
            return
        if at < self.next_grant:
            at = self.next_grant
        if at < now:
            at = now
        if self.scheduled is None or at < self.scheduled:
            self.scheduled = at
            self.events.at(at, self._arbitrate)

    def _ready(self, channel: _Channel) -> int | None:
        """When the first burst of a reader is at the arbiter, and has credits; None without one."""
        if not channel.pending:
            return None
        limits = self.constants
        available = channel.pending[0][0]
        outstanding = channel.outstanding
        while outstanding and outstanding[0][1] < available:
            channel.beats -= outstanding.popleft()[2]
        excess = channel.beats - (limits.beats_in_flight - limits.burst_beats)
        if excess > 0:
            for first, last, beats in outstanding:
                if excess <= beats:
                    arrived = last if excess == beats else first + excess - 1
                    available = max(available, arrived + Pipeline.CREDIT_LAG)
                    break
                excess -= beats
        over = len(outstanding) - limits.bursts_in_flight
        if over >= 0:
            available = max(available, outstanding[over][1] + Pipeline.CREDIT_LAG)
        return available

    def _arbitrate(self, now: int) -> None:
        if self.scheduled != now:
            return
        self.scheduled = None
        count = len(self.channels)
        if now >= self.next_grant:
            for distance in range(1, count + 1):
                number = (self.last_grant + distance) % count
                channel = self.channels[number]
                if channel.ready is not None and channel.ready <= now:
                    self._grant(number, channel, now)
                    break
        self._schedule(now + 1)

    def _grant(self, number: int, channel: _Channel, now: int) -> None:
        _, beats = channel.pending.popleft()
        channel.ready = None
        address = now + Pipeline.GRANT_TO_ADDRESS
        if len(self.accepted) == self.timing.outstanding_reads:
            address = max(address, self.accepted[0] + 1)
        address = max(address, ceil(now + self.address_interval))
        self.last_grant, self.next_grant = number, address
        first, last = self.data.read(address + self.timing.read_latency, beats)
        self.beats += beats
        consumed = channel.reader.on_burst(beats, first, last)
        # A reader that stalls leaves beats in its queue; then the bus stalls for all readers.
        depth = self.constants.beat_queue
        if consumed - depth > last and channel.beats + beats > depth:
            last = consumed - depth
            self.data.read_free = max(self.data.read_free, last + 1)
        channel.outstanding.append((first, last, beats))
        channel.beats += beats
        channel.ready = self._ready(channel)
        self.accepted.append(last)


class WriteBus:
    """AW, W and B: when the beats of a burst are sent, and when its response comes.

    Attributes
    ----------
    beats : int
        Beats written so far.
    """

    def __init__(self, timing: MemoryTiming, constants: Constants, data: DataBus) -> None:
        limit = min(timing.outstanding_writes, constants.write_bursts_in_flight)
        self.latency, self.data = timing.write_latency, data
        self.answered: deque[int] = deque(maxlen=limit)
        self.response = -1
        self.beats = 0

    def write(self, ready: int, beats: int) -> tuple[int, int, int]:
        """First and last beat, and the response, of a burst whose beats can be sent from cycle
        ``ready`` on, one a cycle."""
        if len(self.answered) == self.answered.maxlen:
            ready = max(ready, self.answered[0] + 1)
        first, last = self.data.write(ready, beats)
        self.response = max(last + self.latency, self.response + 1)
        self.answered.append(self.response)
        self.beats += beats
        return first, last, self.response
