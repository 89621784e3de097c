"""Loads and stores in time: rows, their requests, and their SRAM writes or reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vta.sim.timing.kernel_bus import burst_count, first_burst, request, write
from vta.sim.timing.kernel_retire import transfer_done
from vta.sim.timing.state import (
    ACCEPTED_AT,
    ADDRESS,
    BEATS_EACH,
    BETWEEN,
    BUILDER_FREE,
    CURSOR,
    DELAY,
    ELEMENTS,
    FIRST_BEAT,
    GAP,
    LAST_ROW,
    LAST_TAKEN,
    LEAD,
    NBYTES,
    NEVER,
    PER_BEAT,
    PLACE,
    PLACE_HEAD,
    PLACE_TAIL,
    RING,
    ROW,
    ROW_ACTIVE,
    ROW_AT,
    ROW_BURSTS,
    ROW_HEAD,
    ROW_INSN,
    ROW_IS_LAST,
    ROW_TAIL,
    ROW_ZEROS,
    ROWS,
    SENT,
    STORE_BEATS,
    STORE_ENGINE,
    STORE_RESPONSE,
    STORE_ROW_BEATS,
    STORE_ROW_ROOM,
    STRIDE,
    TAKEN_AT,
    TRAIL,
    TRANSFER,
    TRANSFER_HEAD,
    TRANSFER_TAIL,
    UNKNOWN,
    WRITE_AT,
    WRITE_LEFT,
    WRITE_ROOM,
    WRITTEN,
)

if TYPE_CHECKING:
    from vta.sim.timing.state import State

__all__ = ["accept_transfer", "engine_free", "load_burst", "store_burst"]


def engine_free(s: State, engine: int) -> int:
    """When the next transfer can be accepted, or NEVER if that depends on rows to come."""
    if s.each[TRANSFER_TAIL][engine] - s.each[TRANSFER_HEAD][engine] >= 3:
        return NEVER
    return s.each[BUILDER_FREE][engine]


def accept_transfer(s: State, engine: int, i: int, cycle: int) -> bool:
    """Accept transfer ``i`` in ``cycle``, not before :func:`engine_free`; as :func:`pump`."""
    tail = s.each[TRANSFER_TAIL][engine]
    s.ring[TRANSFER + engine][tail & (RING - 1)] = i
    s.each[TRANSFER_TAIL][engine] = tail + 1
    s.insn[ACCEPTED_AT][i] = cycle
    s.each[BUILDER_FREE][engine] = cycle + s.k.descriptor
    return pump(s, engine)


def pump(s: State, engine: int) -> bool:
    """Request rows, one a cycle, as far as the row queue has room. Whether a transfer has made its
    last one."""
    each, insn, work, k = s.each, s.insn, s.work, s.k
    finished = False
    while each[TRANSFER_HEAD][engine] < each[TRANSFER_TAIL][engine]:
        i = s.ring[TRANSFER + engine][each[TRANSFER_HEAD][engine] & (RING - 1)]
        if insn[TAKEN_AT][i] == UNKNOWN:
            built = max(
                insn[ACCEPTED_AT][i] + k.descriptor,
                each[LAST_TAKEN][engine] + k.DESCRIPTOR_HANDOVER,
            )
            each[BUILDER_FREE][engine] = max(each[BUILDER_FREE][engine], built)
            taken = max(built, each[LAST_ROW][engine] - k.ROW_REGISTER)
            insn[TAKEN_AT][i] = taken
            each[LAST_TAKEN][engine] = taken
        rows = work[ROWS][i]
        total = rows + (1 if work[TRAIL][i] > 0 or rows == 0 else 0)
        begin = insn[TAKEN_AT][i] + k.row_generator - k.descriptor
        while insn[ROW][i] < total and each[PLACE_HEAD][engine] < each[PLACE_TAIL][engine]:
            place = s.ring[PLACE + engine][each[PLACE_HEAD][engine] & (RING - 1)]
            each[PLACE_HEAD][engine] += 1
            cycle = max(begin, max(each[LAST_ROW][engine] + 1, place))
            each[LAST_ROW][engine] = cycle
            row = insn[ROW][i]
            insn[ROW][i] = row + 1
            if engine == STORE_ENGINE:
                store_row(s, i, row, cycle, row + 1 == total)
            else:
                load_row(s, engine, i, row, cycle, row + 1 == total)
        if insn[ROW][i] < total:
            break
        each[TRANSFER_HEAD][engine] += 1
        finished = True
    return finished


def free_place(s: State, engine: int, cycle: int) -> None:
    """The row queue has room for one more row from ``cycle`` on."""
    tail = s.each[PLACE_TAIL][engine]
    s.ring[PLACE + engine][tail & (RING - 1)] = cycle
    s.each[PLACE_TAIL][engine] = tail + 1


def load_row(s: State, engine: int, i: int, row: int, cycle: int, is_last: bool) -> None:
    """A row of a LOAD is made in ``cycle``: request its beats, and queue it for the row writer."""
    work, ring = s.work, s.ring
    rows = work[ROWS][i]
    bursts = 0
    if row < rows:
        zeros = work[BETWEEN][i] if row else work[LEAD][i]
        address = work[ADDRESS][i] + row * work[STRIDE][i]
        room = first_burst(s, address)
        beats = (address + work[NBYTES][i] - 1) // s.k.bus_bytes - address // s.k.bus_bytes + 1
        bursts = burst_count(s, room, beats)
        request(s, engine, cycle + s.k.ROW_TO_BURST, room, beats)
    else:
        zeros = work[TRAIL][i]
    tail = s.each[ROW_TAIL][engine]
    at = tail & (RING - 1)
    ring[ROW_INSN + engine][at] = i
    ring[ROW_AT + engine][at] = cycle
    ring[ROW_ZEROS + engine][at] = zeros
    ring[ROW_BURSTS + engine][at] = bursts
    ring[ROW_IS_LAST + engine][at] = 1 if is_last else 0
    s.each[ROW_TAIL][engine] = tail + 1
    write_rows(s, engine)


def write_rows(s: State, engine: int) -> bool:
    """Take rows out of the queue, and write those that need no beat of the bus. Whether the queue
    has more room."""
    each, ring = s.each, s.ring
    freed = False
    while each[ROW_HEAD][engine] < each[ROW_TAIL][engine]:
        at = each[ROW_HEAD][engine] & (RING - 1)
        if not each[ROW_ACTIVE][engine]:
            taken = max(ring[ROW_AT + engine][at] + 1, each[CURSOR][engine])
            free_place(s, engine, taken + 1)
            freed = True
            each[ROW_ACTIVE][engine] = 1
            zeros = ring[ROW_ZEROS + engine][at]
            each[CURSOR][engine] = taken + zeros
            i = ring[ROW_INSN + engine][at]
            if s.insn[FIRST_BEAT][i] == UNKNOWN:
                s.insn[FIRST_BEAT][i] = taken + 1
            each[WRITTEN][engine] += zeros
        if ring[ROW_BURSTS + engine][at]:
            break
        if not ring[ROW_ZEROS + engine][at]:
            each[CURSOR][engine] += 1
        end_row(s, engine)
    return freed


def end_row(s: State, engine: int) -> None:
    """The last write of a row: of the transfer too, if it is the last one."""
    each = s.each
    at = each[ROW_HEAD][engine] & (RING - 1)
    each[ROW_HEAD][engine] += 1
    each[ROW_ACTIVE][engine] = 0
    if s.ring[ROW_IS_LAST + engine][at]:
        i = s.ring[ROW_INSN + engine][at]
        busy = each[WRITTEN][engine]
        each[WRITTEN][engine] = 0
        transfer_done(s, engine, i, s.insn[FIRST_BEAT][i], each[CURSOR][engine] + s.k.skid, busy)


def load_burst(s: State, engine: int, beats: int, first: int, last: int) -> tuple[int, bool]:
    """The beats of the oldest burst arrive in ``first .. last``: write them. Returns the cycle in
    which the last of them is consumed, and whether a transfer has made its last row."""
    each, ring, work, k = s.each, s.ring, s.work, s.k
    at = each[ROW_HEAD][engine] & (RING - 1)
    i = ring[ROW_INSN + engine][at]
    per_beat = work[PER_BEAT][i]
    operations = beats * per_beat
    if per_beat > 1 and ring[ROW_BURSTS + engine][at] == 1:  # elements in the last beat
        operations = min(operations, work[ELEMENTS][i])
    arrives = first + k.BEAT_QUEUE
    consumed = max(
        each[CURSOR][engine] + operations, max(arrives + operations - 1, last + k.BEAT_QUEUE)
    )
    each[CURSOR][engine] = consumed
    each[WRITTEN][engine] += operations
    ring[ROW_BURSTS + engine][at] -= 1
    finished = False
    if not ring[ROW_BURSTS + engine][at]:
        end_row(s, engine)
        if write_rows(s, engine):
            finished = pump(s, engine)
    return consumed, finished


def store_row(s: State, i: int, row: int, cycle: int, is_last: bool) -> None:
    """A row of a STORE is made in ``cycle``: queue its beats for the bus."""
    work, ring, k = s.work, s.ring, s.k
    beats = 0
    address = work[ADDRESS][i] + row * work[STRIDE][i]
    if row < work[ROWS][i]:
        beats = (address + work[NBYTES][i] - 1) // k.bus_bytes - address // k.bus_bytes + 1
    tail = s.each[ROW_TAIL][STORE_ENGINE]
    at = tail & (RING - 1)
    ring[ROW_INSN + STORE_ENGINE][at] = i
    ring[ROW_AT + STORE_ENGINE][at] = cycle
    ring[ROW_IS_LAST + STORE_ENGINE][at] = 1 if is_last else 0
    ring[STORE_ROW_BEATS][at] = beats
    ring[STORE_ROW_ROOM][at] = first_burst(s, address)
    s.each[ROW_TAIL][STORE_ENGINE] = tail + 1
    if tail == s.each[ROW_HEAD][STORE_ENGINE]:
        begin_row(s)


def begin_row(s: State) -> None:
    """The oldest row of the store engine leaves the row queue: its beats are the next ones."""
    value, work, ring, k = s.value, s.work, s.ring, s.k
    at = s.each[ROW_HEAD][STORE_ENGINE] & (RING - 1)
    i, cycle = ring[ROW_INSN + STORE_ENGINE][at], ring[ROW_AT + STORE_ENGINE][at]
    free_place(s, STORE_ENGINE, max(cycle + 1, value[SENT] - k.ROW_TO_WRITE_BEAT + 2))
    value[WRITE_LEFT] = ring[STORE_ROW_BEATS][at]
    value[WRITE_ROOM] = ring[STORE_ROW_ROOM][at]
    ready = cycle + k.ROW_TO_WRITE_BEAT + work[DELAY][i]
    value[STORE_RESPONSE] = ready
    value[WRITE_AT] = max(ready, value[SENT] + 1 + work[GAP][i]) if value[WRITE_LEFT] else ready


def store_burst(s: State) -> bool:
    """Send the next burst of the store engine. Whether a transfer has made its last row."""
    value, insn, each, work, k = s.value, s.insn, s.each, s.work, s.k
    at = each[ROW_HEAD][STORE_ENGINE] & (RING - 1)
    i = s.ring[ROW_INSN + STORE_ENGINE][at]
    if value[WRITE_LEFT] > 0:
        beats, gap = min(value[WRITE_LEFT], value[WRITE_ROOM]), work[GAP][i]
        value[WRITE_LEFT] -= beats
        value[WRITE_ROOM] = k.burst_beats
        first, last, value[STORE_RESPONSE] = write(s, value[WRITE_AT], beats)
        if work[PER_BEAT][i] > 1:  # an element a cycle, or after each gap
            last = max(last, first + beats * work[PER_BEAT][i] * (1 + gap) - 1)
        elif gap:
            last = max(last, first + beats + (beats // work[BEATS_EACH][i] - 1) * gap - 1)
        value[SENT] = last
        value[WRITE_AT] = last + 1 + gap
        value[STORE_BEATS] += beats
        if insn[FIRST_BEAT][i] == UNKNOWN:
            insn[FIRST_BEAT][i] = first
        if value[WRITE_LEFT] > 0:
            return False
    if s.ring[ROW_IS_LAST + STORE_ENGINE][at]:
        beats, response = value[STORE_BEATS], value[STORE_RESPONSE]
        value[STORE_BEATS] = 0
        first = response if insn[FIRST_BEAT][i] == UNKNOWN else insn[FIRST_BEAT][i]
        transfer_done(s, STORE_ENGINE, i, first, response, beats)
    each[ROW_HEAD][STORE_ENGINE] += 1
    value[WRITE_AT] = NEVER
    if each[ROW_HEAD][STORE_ENGINE] < each[ROW_TAIL][STORE_ENGINE]:
        begin_row(s)
    return pump(s, STORE_ENGINE)
