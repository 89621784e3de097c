"""Loads and stores in time: rows, their requests, and their SRAM writes or reads."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from vta.sim.timing.bus import ReadBus, WriteBus, bursts_of
from vta.sim.timing.constants import Constants, Pipeline

if TYPE_CHECKING:
    from collections.abc import Callable

    from vta.sim.timing.work import Rows, Work

__all__ = ["LoadEngine", "RowGenerator", "StoreEngine"]


class _Transfer:
    """A transfer in the row generator or behind it."""

    __slots__ = ("accepted", "built", "first", "row", "rows", "taken", "work")

    def __init__(self, work: Work, accepted: int) -> None:
        assert work.rows is not None
        self.work, self.rows, self.accepted = work, work.rows, accepted
        self.built: int | None = None  # its descriptor is valid
        self.taken: int | None = None  # its descriptor is taken
        self.first: int | None = None  # first beat or zero
        self.row = 0  # rows that are requested


class RowGenerator:
    """Makes the rows of transfers, one a cycle, while the row queue has room.

    A subclass says in :meth:`room` when the row queue has a place for the next row, and takes rows
    in :meth:`put`.
    """

    def __init__(self, constants: Constants) -> None:
        self.constants = constants
        self.transfers: deque[_Transfer] = (
            deque()
        )  # in the row sequencer, the register, the builder
        self.builder_free = 0
        self.last_row = -Pipeline.ROW_REGISTER - 1
        self.pumping = False
        self.last_taken = -Pipeline.DESCRIPTOR_HANDOVER
        self.wake: Callable[[], None] = lambda: None

    def free_at(self) -> int | None:
        """When the next transfer can be accepted, or None if that depends on rows to come."""
        return self.builder_free if len(self.transfers) < 3 else None

    def accept(self, work: Work, cycle: int) -> None:
        """Accept a transfer in ``cycle``, not before :meth:`free_at`."""
        self.transfers.append(_Transfer(work, cycle))
        self.builder_free = cycle + self.constants.descriptor
        self.pump()

    def room(self) -> int | None:
        raise NotImplementedError

    def put(self, transfer: _Transfer, row: int, cycle: int) -> None:
        raise NotImplementedError

    def pump(self) -> None:
        """Request rows as far as the row queue has room."""
        if self.pumping:
            return
        self.pumping = True
        finished = False
        while self.transfers:
            transfer = self.transfers[0]
            if transfer.taken is None:
                built = max(
                    transfer.accepted + self.constants.descriptor,
                    self.last_taken + Pipeline.DESCRIPTOR_HANDOVER,
                )
                self.builder_free = max(self.builder_free, built)
                transfer.taken = max(built, self.last_row - Pipeline.ROW_REGISTER)
                self.last_taken = transfer.taken
            total = transfer.rows.total
            begin = transfer.taken + self.constants.row_generator - self.constants.descriptor
            while transfer.row < total:
                place = self.room()
                if place is None:
                    break
                cycle = max(begin, self.last_row + 1, place)
                self.last_row = cycle
                transfer.row += 1
                self.put(transfer, transfer.row - 1, cycle)
            if transfer.row < total:
                break
            self.transfers.popleft()
            finished = True
        self.pumping = False
        if finished:
            self.wake()


def _zeros(rows: Rows, row: int) -> int:
    """Zeros in front of row number ``row``."""
    if row >= rows.count:
        return rows.trail
    return rows.between if row else rows.lead


class _WriterRow:
    __slots__ = ("bursts", "last", "requested", "transfer", "zeros")

    def __init__(
        self, transfer: _Transfer, requested: int, zeros: int, bursts: int, last: bool
    ) -> None:
        self.transfer, self.requested, self.zeros = transfer, requested, zeros
        self.bursts, self.last = bursts, last


class LoadEngine(RowGenerator):
    """A load engine: row generator, read requests, row writer.

    Parameters
    ----------
    number : int
        Its read ID.
    done : callable
        Called with each transfer: work, first write, last write, cycles of writes.
    """

    def __init__(
        self,
        constants: Constants,
        bus: ReadBus,
        number: int,
        beat_bytes: int,
        done: Callable[[Work, int, int, int], None],
    ) -> None:
        super().__init__(constants)
        self.bus, self.number, self.beat_bytes, self.done = bus, number, beat_bytes, done
        self.writer: deque[_WriterRow] = deque()
        self.places: deque[int] = deque([0] * constants.rows_in_flight)  # of the row queue
        self.cursor = 0
        """The cycle of the last write operation."""
        self.row_active = False
        self.written = 0
        self.busy = False

    def room(self) -> int | None:
        return self.places[0] if self.places else None

    def put(self, transfer: _Transfer, row: int, cycle: int) -> None:
        self.places.popleft()
        rows = transfer.rows
        bursts: tuple[int, ...] = ()
        if row < rows.count:
            address = transfer.work.address + row * rows.stride
            bursts = bursts_of(address, rows.nbytes, self.beat_bytes, self.constants.burst_beats)
        self.writer.append(
            _WriterRow(transfer, cycle, _zeros(rows, row), len(bursts), row + 1 == rows.total)
        )
        if bursts:
            self.bus.request(self.number, cycle + Pipeline.ROW_TO_BURST, bursts)
        self._advance()

    def _advance(self) -> None:
        """Take rows out of the queue, and write those that need no beat of the bus."""
        if self.busy:
            return
        self.busy = True
        freed = False
        while self.writer:
            row = self.writer[0]
            if not self.row_active:
                taken = max(row.requested + 1, self.cursor)
                self.places.append(taken + 1)
                freed = True
                self.row_active = True
                self.cursor = taken + row.zeros
                if row.transfer.first is None:
                    row.transfer.first = taken + 1
                self.written += row.zeros
            if row.bursts:
                break
            if not row.zeros:
                self.cursor += 1
            self._end_row(row)
        self.busy = False
        if freed:
            self.pump()

    def _end_row(self, row: _WriterRow) -> None:
        self.writer.popleft()
        self.row_active = False
        if row.last:
            first = row.transfer.first
            assert first is not None
            busy, self.written = self.written, 0
            self.done(row.transfer.work, first, self.cursor + self.constants.skid, busy)

    def on_burst(self, beats: int, first: int, last: int) -> int:
        """The beats of the oldest row arrive: write them."""
        row = self.writer[0]
        rows = row.transfer.rows
        each = rows.per_beat
        operations = beats * each
        if each > 1 and row.bursts == 1:  # elements in the last beat
            operations = min(operations, rows.elements)
        arrives = first + Pipeline.BEAT_QUEUE
        self.cursor = max(
            self.cursor + operations,
            arrives + operations - 1,
            last + Pipeline.BEAT_QUEUE,
        )
        self.written += operations
        row.bursts -= 1
        if not row.bursts:
            consumed = self.cursor
            self._end_row(row)
            self._advance()
            return consumed
        return self.cursor


class StoreEngine(RowGenerator):
    """The store module's transfers: rows, SRAM reads, and beats on the bus.

    Parameters
    ----------
    done : callable
        Called with each transfer: work, first beat, last response, beats.
    """

    def __init__(
        self,
        constants: Constants,
        bus: WriteBus,
        beat_bytes: int,
        done: Callable[[Work, int, int, int], None],
    ) -> None:
        super().__init__(constants)
        self.bus, self.beat_bytes, self.done = bus, beat_bytes, done
        self.places: deque[int] = deque([0] * constants.store_rows_in_flight)
        self.sent = 0
        self.beats = 0

    def room(self) -> int | None:
        return self.places[0]

    def put(self, transfer: _Transfer, row: int, cycle: int) -> None:
        self.places.popleft()
        rows = transfer.rows
        ready = cycle + Pipeline.ROW_TO_WRITE_BEAT + rows.wait
        response = ready
        self.places.append(max(cycle + 1, self.sent - Pipeline.ROW_TO_WRITE_BEAT + 2))
        if row < rows.count:
            address = transfer.work.address + row * rows.stride
            for beats in bursts_of(
                address, rows.nbytes, self.beat_bytes, self.constants.burst_beats
            ):
                begin = max(ready, self.sent + 1 + rows.gap)
                first, last, response = self.bus.write(begin, beats)
                if rows.per_beat > 1:  # an element a cycle, or after each gap
                    last = max(last, first + beats * rows.per_beat * (1 + rows.gap) - 1)
                elif rows.gap:
                    gaps = (beats // rows.beats_per_element - 1) * rows.gap
                    last = max(last, first + beats + gaps - 1)
                self.sent = last
                self.beats += beats
                if transfer.first is None:
                    transfer.first = first
        if row + 1 == rows.total:
            beats, self.beats = self.beats, 0
            first = ready if transfer.first is None else transfer.first
            self.done(transfer.work, first, response, beats)
