"""The memory port in time: reads of three readers, and writes, burst by burst.

A burst is granted round robin, accepted while the memory has room, and answered in order, a beat a
cycle or at the rate of the memory preset. The times of its beats are computed when its data is
ready, so that bursts of the other direction that begin before then are known.
"""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

from vta.sim.timing.state import (
    ACCEPTED,
    ACCEPTED_END,
    ADDRESS_INTERVAL,
    ANSWERED,
    ANSWERED_AT,
    ARRIVED,
    BEAT_INTERVAL,
    DATA_READER,
    DATA_READY,
    GRANT_READY,
    LAST_GRANT,
    NEVER,
    NEXT_GRANT,
    NOW,
    OUT_BEATS,
    OUT_CONSUMED,
    OUT_FIRST,
    OUT_HEAD,
    OUT_KNOWN,
    OUT_LAST,
    OUT_TAIL,
    OUTSTANDING,
    PENDING_AT,
    PENDING_HEAD,
    PENDING_LEFT,
    PENDING_ROOM,
    PENDING_TAIL,
    READ_BEATS,
    READ_FREE,
    READS,
    RESPONSE,
    RING,
    SPAN_BEGIN,
    SPAN_END,
    SPAN_HEAD,
    SPAN_TAIL,
    UNKNOWN,
    WRITE_BEATS,
    WRITES,
)

if TYPE_CHECKING:
    from vta.sim.timing.state import State

PAST = 512
"""Cycles for which the spans of the data bus are remembered: bursts are not computed in order."""

__all__ = [
    "answer",
    "burst_count",
    "first_burst",
    "grant",
    "grant_ready",
    "move_data",
    "next_data",
    "queue_free",
    "release",
    "request",
    "write",
]


def first_burst(s: State, address: int) -> int:
    """Beats from ``address`` to the next multiple of ``burst_beats`` beats, where bursts end."""
    return s.k.burst_beats - address // s.k.bus_bytes % s.k.burst_beats


def burst_count(s: State, room: int, beats: int) -> int:
    """Bursts of a request of so many beats, whose first burst has at most ``room``."""
    if beats <= room:
        return 1
    return 1 + (beats - room + s.k.burst_beats - 1) // s.k.burst_beats


def request(s: State, reader: int, available: int, room: int, beats: int) -> None:
    """A request of a reader: its first burst, of at most ``room`` beats, is at the arbiter in cycle
    ``available``, each other one a cycle later."""
    each, ring = s.each, s.ring
    tail = each[PENDING_TAIL][reader]
    at = tail & (RING - 1)
    ring[PENDING_AT + reader][at] = available
    ring[PENDING_LEFT + reader][at] = beats
    ring[PENDING_ROOM + reader][at] = room
    each[PENDING_TAIL][reader] = tail + 1
    if tail == each[PENDING_HEAD][reader]:
        each[GRANT_READY][reader] = grant_ready(s, reader)


def grant_ready(s: State, reader: int) -> int:
    """When the first burst of a reader is at the arbiter, and has credits; NEVER without one, or if
    that depends on bursts whose data is not ready."""
    each, ring, k = s.each, s.ring, s.k
    head = each[PENDING_HEAD][reader]
    if head == each[PENDING_TAIL][reader]:
        return NEVER
    available = ring[PENDING_AT + reader][head & (RING - 1)]
    firsts, lasts, beats = (
        ring[OUT_FIRST + reader],
        ring[OUT_LAST + reader],
        ring[OUT_BEATS + reader],
    )
    oldest, tail = each[OUT_HEAD][reader], each[OUT_TAIL][reader]
    while oldest < tail and lasts[oldest & (RING - 1)] < available:
        each[OUTSTANDING][reader] -= beats[oldest & (RING - 1)]
        oldest += 1
    each[OUT_HEAD][reader] = oldest
    excess = each[OUTSTANDING][reader] - (k.beats_in_flight - k.burst_beats)
    number = oldest
    while excess > 0 and number < tail:
        at = number & (RING - 1)
        if excess <= beats[at]:
            arrived = lasts[at] if excess == beats[at] else firsts[at] + excess - 1
            available = max(available, arrived + k.CREDIT_LAG)
        excess -= beats[at]
        number += 1
    over = tail - oldest - k.bursts_in_flight
    if over >= 0:
        available = max(available, lasts[(oldest + over) & (RING - 1)] + k.CREDIT_LAG)
    return min(available, NEVER)


def grant(s: State, reader: int, now: int) -> None:
    """Grant a burst."""
    value, each, ring, k = s.value, s.each, s.ring, s.k
    head = each[PENDING_HEAD][reader]
    at = head & (RING - 1)
    left = ring[PENDING_LEFT + reader][at]
    beats = min(left, ring[PENDING_ROOM + reader][at])
    if left > beats:
        ring[PENDING_LEFT + reader][at] = left - beats
        ring[PENDING_ROOM + reader][at] = k.burst_beats
        ring[PENDING_AT + reader][at] += 1
    else:
        each[PENDING_HEAD][reader] = head + 1
    address = now + k.GRANT_TO_ADDRESS
    accepted = value[ACCEPTED]
    if accepted >= k.outstanding_reads:
        address = max(
            address, ring[ACCEPTED_END][(accepted - k.outstanding_reads) & (RING - 1)] + 1
        )
    address = max(address, ceil(now + s.bus[ADDRESS_INTERVAL]))
    value[LAST_GRANT] = reader
    value[NEXT_GRANT] = address
    value[ACCEPTED] = accepted + 1
    value[READ_BEATS] += beats
    ring[DATA_READER][accepted & (RING - 1)] = reader
    ring[DATA_READY][accepted & (RING - 1)] = address + k.read_latency
    tail = each[OUT_TAIL][reader]
    at = tail & (RING - 1)
    ring[OUT_FIRST + reader][at] = NEVER
    ring[OUT_LAST + reader][at] = NEVER
    ring[OUT_BEATS + reader][at] = beats
    each[OUT_TAIL][reader] = tail + 1
    each[OUTSTANDING][reader] += beats
    each[GRANT_READY][reader] = grant_ready(s, reader)


def next_data(s: State) -> int:
    """When the next granted burst can be answered; NEVER without one."""
    value = s.value
    if value[ARRIVED] == value[ACCEPTED]:
        return NEVER
    ready = s.ring[DATA_READY][value[ARRIVED] & (RING - 1)]
    return max(max(ready, int(s.bus[READ_FREE])), value[NOW])


def answer(s: State) -> tuple[int, int, int, int]:
    """Answer the oldest granted burst: its reader, its beats, and when the first and the last of
    them arrive."""
    number = s.value[ARRIVED] & (RING - 1)
    reader = s.ring[DATA_READER][number]
    at = s.each[OUT_KNOWN][reader] & (RING - 1)
    beats = s.ring[OUT_BEATS + reader][at]
    first, last = move_data(s, READS, s.ring[DATA_READY][number], beats)
    return reader, beats, first, last


def release(s: State, reader: int, beats: int, first: int, last: int, consumed: int) -> None:
    """The reader consumes the last beat of an answered burst in cycle ``consumed``. A reader that
    stalls leaves beats in its queue; then the bus stalls for all readers."""
    value, each, ring = s.value, s.each, s.ring
    known = each[OUT_KNOWN][reader]
    if consumed - s.k.beat_queue > last:
        free = queue_free(s, reader, beats, consumed)
        if free > last:
            last = free
            s.bus[READ_FREE] = max(s.bus[READ_FREE], last + 1.0)
    at = known & (RING - 1)
    ring[OUT_FIRST + reader][at] = first
    ring[OUT_LAST + reader][at] = last
    ring[OUT_CONSUMED + reader][at] = consumed
    each[OUT_KNOWN][reader] = known + 1
    ring[ACCEPTED_END][value[ARRIVED] & (RING - 1)] = last
    value[ARRIVED] += 1
    each[GRANT_READY][reader] = grant_ready(s, reader)


def queue_free(s: State, reader: int, beats: int, consumed: int) -> int:
    """When the queue of a reader has room for the last beat of a burst, which is consumed in cycle
    ``consumed``: when the beat before that fills the queue is consumed."""
    ring = s.ring
    left = s.k.beat_queue - beats
    if left < 0:
        return consumed - s.k.beat_queue
    for number in range(s.each[OUT_KNOWN][reader] - 1, -1, -1):
        at = number & (RING - 1)
        if left < ring[OUT_BEATS + reader][at]:
            return ring[OUT_CONSUMED + reader][at] - left
        left -= ring[OUT_BEATS + reader][at]
    return UNKNOWN


def move_data(s: State, direction: int, ready: int, beats: int) -> tuple[int, int]:
    """First and last beat of a burst whose data is ready in cycle ``ready``: READS or WRITES."""
    bus = s.bus
    first = max(float(ready), bus[READ_FREE + direction])
    end = first + beats * bus[BEAT_INTERVAL]
    if s.k.shared_bus:
        end = share(s, direction, first, end - first)
    bus[READ_FREE + direction] = end
    begin = int(first)
    return begin, max(begin, ceil(end) - 1)


def share(s: State, direction: int, first: float, length: float) -> float:
    """The end of a burst that begins in ``first`` and takes ``length`` cycles alone, on a bus that
    both directions share. While both have beats they alternate: each takes twice as long, and the
    spans of the other direction are delayed by as much."""
    each, other = s.each, 1 - direction
    begins, ends = s.span[SPAN_BEGIN + other], s.span[SPAN_END + other]
    tail = each[SPAN_TAIL][other]
    now = first
    left = length
    delayed = 0.0  # end of the span before, if that is delayed
    for number in range(each[SPAN_HEAD][other], tail):
        at = number & (RING - 1)
        if begins[at] < delayed:
            ends[at] += delayed - begins[at]
            begins[at] = delayed
            delayed = ends[at]
        elif left <= 0:
            break
        if ends[at] <= now or left <= 0:
            continue
        alone = max(begins[at] - now, 0.0)
        if left <= alone:
            now += left
            left = 0.0
            continue
        now += alone
        left -= alone
        both = min(left, ends[at] - now)
        ends[at] += both
        delayed = ends[at]
        now += 2 * both
        left -= both
    if delayed > 0:
        s.bus[READ_FREE + other] = max(s.bus[READ_FREE + other], ends[(tail - 1) & (RING - 1)])
    remember_span(s, direction, first, now + left)
    return now + left


def remember_span(s: State, direction: int, first: float, end: float) -> None:
    """A direction of the data bus moves beats from ``first`` on."""
    each = s.each
    begins, ends = s.span[SPAN_BEGIN + direction], s.span[SPAN_END + direction]
    head, tail = each[SPAN_HEAD][direction], each[SPAN_TAIL][direction]
    if tail > head and ends[(tail - 1) & (RING - 1)] >= first:
        ends[(tail - 1) & (RING - 1)] = end
        return
    begins[tail & (RING - 1)] = first
    ends[tail & (RING - 1)] = end
    tail += 1
    while tail - head > RING - 1 or (head < tail and ends[head & (RING - 1)] < s.value[NOW] - PAST):
        head += 1
    each[SPAN_HEAD][direction] = head
    each[SPAN_TAIL][direction] = tail


def write(s: State, ready: int, beats: int) -> tuple[int, int, int]:
    """First and last beat, and the response, of a burst whose beats can be sent from cycle
    ``ready`` on, one a cycle."""
    value, answered, k = s.value, s.ring[ANSWERED_AT], s.k
    number = value[ANSWERED]
    if number >= k.outstanding_writes:
        ready = max(ready, answered[(number - k.outstanding_writes) & (RING - 1)] + 1)
    first, last = move_data(s, WRITES, ready, beats)
    response = max(last + k.write_latency, value[RESPONSE] + 1)
    value[RESPONSE] = response
    answered[number & (RING - 1)] = response
    value[ANSWERED] = number + 1
    value[WRITE_BEATS] += beats
    return first, last, response
