"""The simulated DRAM: what it holds, what it refuses, how long it takes."""

from functools import cache

import numpy as np
import pytest

from tests.support.scripted_core import (
    Event,
    Row,
    ScriptedMachine,
    await_events,
    events_of,
    read,
    write,
)
from vta.errors import DeviceError
from vta.memory_timing import PRESETS, MemoryTiming
from vta.sim.rtl.harness import Injection, Region

OKAY, SLVERR, DECERR = 0, 2, 3
WORDS = [0x0011_2233_4455_6677, 0x8899_AABB_CCDD_EEFF, 0x0102_0304_0506_0708]
POISON = 0xCDCDCD

SCRIPTS = {
    "write_then_read": [
        *write(0x1100, WORDS), Row(events=1), read(0x1100, beats=3), *await_events(4),
    ],
    # The read is accepted after the last data beat, but long before the response.
    "read_before_response": [*write(0x1100, WORDS[:1]), read(0x1100), *await_events(2)],
    "strobes": [
        Row(awvalid=1, awaddr=0x1008, wvalid=1, wdata=WORDS[0], wstrb=0b0110_0001, wlast=1, hold=1),
        *await_events(1),
    ],
    "read_outside": [read(0x3000, beats=2), *await_events(2)],
    "read_half_outside": [read(0x1FF8, beats=1), *await_events(1)],
    "write_half_outside": [*write(0x1FF0, WORDS[:2]), *await_events(1)],
    "write_inside_of_the_edge": [
        *write(0x1FF0, WORDS[:1]),
        Row(awvalid=1, awaddr=0x1FF8, wvalid=1, wdata=WORDS[1], wstrb=0x0F, wlast=1, hold=1),
        *await_events(2),
    ],
    "fetch_and_load": [read(0x1000, arid=0), read(0x1000, arid=1), *await_events(2)],
    "one_beat": [read(0x1000), *await_events(1)],
    "many_beats": [read(0x1000, beats=201), *await_events(201)],
    "one_write": [*write(0x1000, [7]), *await_events(1)],
    "two_readers": [
        read(0x1000, arid=1, beats=20), read(0x1100, arid=2, beats=20), *await_events(40),
    ],
    "both_ways": [read(0x1000, beats=101), *write(0x1800, range(100)), *await_events(102)],
}  # fmt: skip


@cache
def machine():
    return ScriptedMachine(SCRIPTS)


def ram(size=0x1000, read_ids=0b110, writable=True):
    return Region(0x1000, np.arange(size, dtype=np.uint64).astype(np.uint8), read_ids, writable)


def cycles(name, **timing):
    return machine().run(name, [ram()], timing=MemoryTiming(**timing)).cycles


def low24(data, index):
    return int.from_bytes(data[8 * index :][:3].tobytes(), "little")


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("seed", range(5))
def test_what_is_written_is_read_back(preset, seed):
    region = ram()
    report = machine().run(
        "write_then_read", [region], timing=MemoryTiming.of(preset), seed=seed
    )  # fmt: skip
    events = events_of(report)
    assert events[0] == Event(write=True, resp=OKAY, id=0, last=False, data=0)
    assert [events[1 + i] for i in range(3)] == [
        Event(False, OKAY, 1, last=i == 2, data=word & 0xFFFFFF) for i, word in enumerate(WORDS)
    ]
    assert region.data[0x100:0x118].tobytes() == np.array(WORDS, "<u8").tobytes()
    assert (report.read_beats, report.write_beats) == (3, 3)


def test_a_write_is_not_seen_before_its_response():
    timing = MemoryTiming(write_latency=30)
    events = events_of(machine().run("read_before_response", [ram()], timing=timing))
    assert not events[0].write
    assert events[0].data == low24(ram().data, 0x100 // 8)
    assert events[1].write


def test_strobes_choose_the_bytes():
    region = ram()
    machine().run("strobes", [region])
    expected = ram().data
    word = np.frombuffer(WORDS[0].to_bytes(8, "little"), np.uint8)
    for lane in (0, 5, 6):
        expected[8 + lane] = word[lane]
    assert (region.data == expected).all()


def test_a_read_outside_every_region_is_refused():
    report = machine().run("read_outside", [ram()])
    assert [events_of(report)[i].resp for i in range(2)] == [DECERR, DECERR]
    assert report.refused == "read at 0x3000 (AXI ID 1)"


def test_bytes_outside_in_a_beat_that_is_partly_inside_read_as_poison():
    report = machine().run("read_half_outside", [ram(size=0xFF9)])
    assert events_of(report)[0] == Event(False, OKAY, 1, True, POISON & ~0xFF | 0xF8)
    assert report.refused is None


def test_a_write_that_is_partly_outside_changes_nothing():
    region = ram(size=0xFFC)
    report = machine().run("write_half_outside", [region])
    assert events_of(report)[0].resp == DECERR
    assert (region.data == ram(size=0xFFC).data).all()
    assert report.refused == "write at 0x1ff8 (AXI ID 0)"


def test_a_write_may_end_with_the_region():
    region = ram(size=0xFFC)
    report = machine().run("write_inside_of_the_edge", [region])
    assert [events_of(report)[i].resp for i in range(2)] == [OKAY, OKAY]
    assert region.data[0xFF8:].tobytes() == WORDS[1].to_bytes(8, "little")[:4]


def test_a_region_is_read_by_its_readers_only():
    events = events_of(machine().run("fetch_and_load", [ram(read_ids=0b001)]))
    assert [events[i].resp for i in range(2)] == [OKAY, DECERR]


def test_a_region_that_is_not_writable_refuses_writes():
    region = ram(writable=False)
    assert events_of(machine().run("one_write", [region]))[0].resp == DECERR
    assert (region.data == ram().data).all()


@pytest.mark.parametrize(
    ("name", "injection", "responses"),
    [
        ("write_then_read", Injection(read_beat=1), [OKAY, OKAY, SLVERR, OKAY]),
        ("write_then_read", Injection(write_burst=0), [SLVERR, OKAY, OKAY, OKAY]),
        ("write_then_read", Injection(low=0x1108, high=0x1109), [SLVERR, OKAY, SLVERR, OKAY]),
    ],
)
def test_errors_on_purpose(name, injection, responses):
    events = events_of(machine().run(name, [ram()], injection=injection))
    assert [events[i].resp for i in range(4)] == responses


def test_an_ideal_memory_moves_a_beat_in_every_cycle():
    assert cycles("many_beats") - cycles("one_beat") == 200


@pytest.mark.parametrize("latency", [2, 60])
def test_the_first_beat_takes_the_latency(latency):
    assert cycles("one_beat", read_latency=latency) - cycles("one_beat") == latency - 1
    assert cycles("one_write", write_latency=latency) - cycles("one_write") == latency - 1


def test_bandwidth_is_a_share_of_the_cycles():
    extra = cycles("many_beats", beat_rate=0.8) - cycles("one_beat")
    assert 200 / 0.8 - 4 <= extra <= 200 / 0.8 + 8


def test_a_shared_bus_carries_a_beat_one_way_or_the_other():
    apart = cycles("both_ways")
    shared = cycles("both_ways", shared_bus=True)
    assert apart < 101 + 50 + cycles("one_beat")
    assert shared - cycles("one_beat", shared_bus=True) >= 200


def test_readers_overtake_each_other_only_with_reorder():
    def order(**timing):
        report = machine().run("two_readers", [ram()], timing=MemoryTiming(**timing), seed=3)
        return [event.id for _, event in sorted(events_of(report).items())]

    in_order = order(read_latency=30)
    assert in_order == sorted(in_order)
    mixed = order(read_latency=30, reorder=True)
    assert mixed != sorted(mixed)


def test_the_seed_decides_the_stalls():
    def run(seed):
        chaos = MemoryTiming.of("chaos")
        return machine().run("two_readers", [ram()], timing=chaos, seed=seed).cycles

    assert run(1) == run(1)
    assert len({run(seed) for seed in range(8)}) > 1


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"read_latency": 0}, "read_latency is 0; must be at least 1"),
        ({"beat_rate": 0.01}, r"beat_rate is 0.01; must be a multiple of 0.05 in \(0, 1\]"),
        ({"beat_rate": 1.05}, "beat_rate is 1.05"),
        ({"stall_r": 1.5}, "stall_r is 1.5; must be in 0..1"),
        ({"outstanding_reads": 65}, "outstanding_reads is 65; must be in 1..64"),
    ],
)
def test_a_timing_that_cannot_be_is_refused(values, message):
    with pytest.raises(DeviceError, match=message):
        MemoryTiming(**values)


def test_an_unknown_preset_is_refused():
    with pytest.raises(DeviceError, match="no memory preset 'dr'; there are ideal, ddr, chaos"):
        MemoryTiming.of("dr")
