"""The data bus of the timing model: reads and writes that share it, or do not."""

import numpy as np
import pytest

from vta.config import VTAConfig
from vta.memory_timing import MemoryTiming
from vta.sim.timing.kernel_bus import move_data, queue_free, release
from vta.sim.timing.state import (
    LOAD_ENGINE,
    OUT_BEATS,
    READS,
    UNKNOWN,
    WORK_FIELDS,
    WRITES,
    initial_state,
)


@pytest.fixture
def shared():
    nothing = np.zeros(1, np.int64)
    work = np.zeros((WORK_FIELDS, 1), np.int64)
    timing = MemoryTiming(shared_bus=True)
    return initial_state(VTAConfig.preset("tiny"), work, (nothing, nothing), timing)


def test_a_write_in_front_of_a_read_has_the_bus_alone(shared):
    assert move_data(shared, READS, 100, 64) == (100, 163)
    assert move_data(shared, WRITES, 10, 16) == (10, 25)
    assert move_data(shared, READS, 100, 64) == (164, 227)


def test_a_write_between_two_reads_has_the_bus_alone(shared):
    move_data(shared, READS, 0, 8)
    move_data(shared, READS, 50, 8)
    assert move_data(shared, WRITES, 8, 20) == (8, 27)


def test_reads_and_writes_at_once_alternate(shared):
    """Sixteen writes beside 64 reads take 32 cycles, and delay the reads by 16."""
    move_data(shared, READS, 0, 64)
    assert move_data(shared, WRITES, 10, 16) == (10, 41)
    assert move_data(shared, READS, 0, 1) == (80, 80)


def test_a_delayed_read_delays_those_behind_it(shared):
    move_data(shared, READS, 0, 8)
    move_data(shared, READS, 10, 8)
    move_data(shared, WRITES, 0, 6)  # until 12; the first read ends in 14, the second in 22
    assert move_data(shared, READS, 0, 1) == (22, 22)


def test_a_full_queue_has_room_once_the_beat_that_fills_it_is_consumed(shared):
    """Bursts of four beats, consumed one in fifteen cycles; the queue holds 32 beats."""
    depth = shared.k.beat_queue
    assert depth % 4 == 0
    shared.ring[OUT_BEATS + LOAD_ENGINE] = 4
    for number in range(depth // 4 + 3):
        consumed = 15 * number + 14
        free = queue_free(shared, LOAD_ENGINE, 4, consumed)
        full = number - depth // 4
        assert free == (UNKNOWN if full < 0 else 15 * full + 14)
        release(shared, LOAD_ENGINE, 4, 0, 3, consumed)
    assert queue_free(shared, LOAD_ENGINE, depth + 8, 1000) == 1000 - depth


def test_buses_of_their_own_delay_nothing():
    nothing = np.zeros(1, np.int64)
    work = np.zeros((WORK_FIELDS, 1), np.int64)
    apart = initial_state(VTAConfig.preset("tiny"), work, (nothing, nothing), MemoryTiming())
    move_data(apart, READS, 0, 64)
    assert move_data(apart, WRITES, 10, 16) == (10, 25)
    assert move_data(apart, READS, 0, 1) == (64, 64)
