"""Fetch, the load module and the store module in time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vta.sim.timing.kernel_bus import request
from vta.sim.timing.kernel_dma import accept_transfer, engine_free
from vta.sim.timing.kernel_retire import add_wait, mark
from vta.sim.timing.state import (
    ARRIVED_BEFORE,
    ARRIVED_FIRST,
    ARRIVED_HEAD,
    ARRIVED_LAST,
    ARRIVED_TAIL,
    BOUND_CAUSE,
    BOUND_END,
    BOUND_SOURCE,
    BOUNDS,
    COMPUTE_MODULE,
    DECODES,
    DISPATCHED,
    DISPATCHED_COUNT,
    FETCH,
    FETCHED,
    FULL,
    HEAD,
    ISSUE,
    LAST_REQUEST,
    LEFT,
    LOAD_ENGINE,
    LOAD_MODULE,
    MODULE,
    NEVER,
    POPS,
    QUEUE_HEAD,
    QUEUE_PUT,
    QUEUES,
    REQUESTED,
    RETIRED,
    RETIRED_AT,
    RING,
    SEQUENCE,
    STORE_ENGINE,
    TOKEN_AT,
    TOKEN_POPPED,
    TOKEN_PUSHED,
    TOKEN_SOURCE,
    TOKENS,
)

if TYPE_CHECKING:
    from vta.sim.timing.state import State

__all__ = [
    "FETCH_STEP",
    "bound",
    "dispatch",
    "fetch_burst",
    "has_room",
    "issue_transfers",
    "pop_tokens",
    "queue_head",
    "queue_pop",
    "request_chunks",
    "token_bounds",
    "waits_until",
]

FETCH_STEP = 3
"""Of :func:`~vta.sim.timing.kernel_retire.mark`."""


def bound(s: State, cause: int, end: int, source: int) -> None:
    """An issue is held by ``cause`` before cycle ``end``."""
    number = s.value[BOUNDS]
    s.ring[BOUND_CAUSE][number] = cause
    s.ring[BOUND_END][number] = end
    s.ring[BOUND_SOURCE][number] = source
    s.value[BOUNDS] = number + 1


def token_bounds(s: State, i: int, delay: int) -> bool:
    """Begin the bounds of an issue with its tokens; whether all are pushed."""
    s.value[BOUNDS] = 0
    pops = s.work[POPS][i]
    for queue in range(QUEUES):
        if pops >> queue & 1:
            number = s.token[TOKEN_POPPED][queue]
            if number == s.token[TOKEN_PUSHED][queue]:
                return False
            bound(
                s, TOKENS, s.insn[TOKEN_AT + queue][number] + delay,
                s.insn[TOKEN_SOURCE + queue][number],
            )  # fmt: skip
    return True


def pop_tokens(s: State, i: int) -> None:
    """Pop the tokens of an instruction that issues."""
    pops = s.work[POPS][i]
    for queue in range(QUEUES):
        s.token[TOKEN_POPPED][queue] += pops >> queue & 1


def waits_until(s: State, i: int, begin: int) -> int:
    """The last of the bounds. The waits from ``begin`` to there are recorded: each cycle belongs to
    the cause that ends first of those that still hold."""
    while True:
        found = -1
        for number in range(s.value[BOUNDS]):
            end = s.ring[BOUND_END][number]
            if end > begin and (found < 0 or end < s.ring[BOUND_END][found]):
                found = number
        if found < 0:
            return begin
        end = s.ring[BOUND_END][found]
        add_wait(s, i, s.ring[BOUND_CAUSE][found], begin, end, s.ring[BOUND_SOURCE][found])
        begin = end


# ---- queues of the modules ----------------------------------------------------------------------


def has_room(s: State, module: int) -> bool:
    """Whether it is known when the queue of a module has room for one more instruction."""
    return s.each[QUEUE_PUT][module] - s.k.queue_depth < s.each[QUEUE_HEAD][module]


def queue_head(s: State, module: int) -> tuple[int, int]:
    """The oldest instruction of a queue, and when it reaches the head."""
    number = s.each[QUEUE_HEAD][module]
    i = s.work[SEQUENCE + module][number]
    head = s.insn[DISPATCHED][i] + s.k.DISPATCH_TO_HEAD
    if number:
        head = max(head, s.insn[LEFT + module][number - 1] + 1)
    return i, head


def queue_pop(s: State, module: int, cycle: int) -> None:
    """The oldest instruction leaves its queue."""
    number = s.each[QUEUE_HEAD][module]
    s.insn[LEFT + module][number] = cycle
    s.each[QUEUE_HEAD][module] = number + 1
    mark(s, FETCH_STEP)


# ---- fetch --------------------------------------------------------------------------------------


def fetch_burst(s: State, beats: int, first: int, last: int) -> None:
    """A chunk of the stream arrives."""
    at = s.value[ARRIVED_TAIL] & (RING - 1)
    s.ring[ARRIVED_BEFORE][at] = s.value[FETCHED]
    s.ring[ARRIVED_FIRST][at] = first
    s.ring[ARRIVED_LAST][at] = last
    s.value[ARRIVED_TAIL] += 1
    s.value[FETCHED] += beats
    mark(s, FETCH_STEP)


def dispatch(s: State) -> None:
    """Dispatch what has arrived and fits."""
    value, insn, k = s.value, s.insn, s.k
    known = min(value[FETCHED] // k.per_insn * k.per_beat, k.count)
    while value[DISPATCHED_COUNT] < known:
        i = value[DISPATCHED_COUNT]
        module = s.work[MODULE][i]
        if not has_room(s, module):
            return
        cycle = arrival(s, i) + k.BEAT_TO_DISPATCH
        if i:
            cycle = max(cycle, insn[DISPATCHED][i - 1] + k.per_insn)
        full = s.each[QUEUE_PUT][module] - k.queue_depth
        if full >= 0:
            cycle = max(cycle, insn[LEFT + module][full] + k.DISPATCH_TO_HEAD)
        insn[DISPATCHED][i] = cycle
        value[DISPATCHED_COUNT] = i + 1
        s.each[QUEUE_PUT][module] += 1
        mark(s, module)
        request_chunks(s)


def arrival(s: State, i: int) -> int:
    """When the last beat of an instruction arrives."""
    value, ring = s.value, s.ring
    beat = (i // s.k.per_beat + 1) * s.k.per_insn - 1
    while (
        value[ARRIVED_HEAD] + 1 < value[ARRIVED_TAIL]
        and ring[ARRIVED_BEFORE][(value[ARRIVED_HEAD] + 1) & (RING - 1)] <= beat
    ):
        value[ARRIVED_HEAD] += 1
    at = value[ARRIVED_HEAD] & (RING - 1)
    return min(ring[ARRIVED_FIRST][at] + beat - ring[ARRIVED_BEFORE][at], ring[ARRIVED_LAST][at])


def request_chunks(s: State) -> None:
    """Request chunks of the stream while the buffer has room."""
    value, k = s.value, s.k
    chunks = (k.stream_beats + k.chunk - 1) // k.chunk
    while value[REQUESTED] < chunks:
        beats = k.chunk * (value[REQUESTED] + 1) - k.room
        at = value[LAST_REQUEST] + k.CHUNK_INTERVAL
        if beats > 0:
            i = (beats - 1) // k.per_insn * k.per_beat
            if i >= value[DISPATCHED_COUNT]:
                return
            at = max(at, s.insn[DISPATCHED][i])
        value[LAST_REQUEST] = at
        size = min(k.chunk, k.stream_beats - k.chunk * value[REQUESTED])
        request(s, FETCH, at + k.ROW_TO_BURST, size, size)
        value[REQUESTED] += 1


# ---- load and store -----------------------------------------------------------------------------


def issue_transfers(s: State, module: int) -> None:
    """Issue the transfers of the load or store module that can issue."""
    each, insn, k = s.each, s.insn, s.k
    engine = LOAD_ENGINE if module == LOAD_MODULE else STORE_ENGINE
    limit = k.loads_in_flight if module == LOAD_MODULE else k.stores_in_flight
    while each[QUEUE_HEAD][module] < each[QUEUE_PUT][module]:
        i, head = queue_head(s, module)
        if not token_bounds(s, i, k.TOKEN_TO_MODULE):
            return
        free = engine_free(s, engine)
        full = each[QUEUE_HEAD][module] - limit
        if free == NEVER or full >= each[RETIRED][module]:
            return
        bound(s, DECODES, free, -1)
        if full >= 0:
            bound(s, FULL, insn[RETIRED_AT + module][full] + 1, -1)
        issue = waits_until(s, i, head)
        pop_tokens(s, i)
        insn[HEAD][i] = head
        insn[ISSUE][i] = issue
        queue_pop(s, module, issue)
        if accept_transfer(s, engine, i, issue) and engine == k.loader:
            mark(s, COMPUTE_MODULE)
