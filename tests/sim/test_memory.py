"""The DRAM image: bounds, rows, allowed ranges."""

import numpy as np
import pytest

from vta.errors import DeviceError, DramRangeError
from vta.sim.memory import Memory


@pytest.fixture
def memory() -> Memory:
    return Memory(0x1000, np.arange(100, dtype=np.uint8))


def test_bytes(memory):
    assert memory.end == 0x1064
    assert memory.read(0x1000, 3) == b"\0\1\2"
    assert memory.read(0x1063, 1) == b"\x63"
    memory.write(0x1062, b"ab")
    assert memory.data[-3:].tolist() == [97, ord("a"), ord("b")]


def test_rows(memory):
    assert memory.read_rows(0x1002, 3, 2, 10).tolist() == [[2, 3], [12, 13], [22, 23]]
    assert memory.read_rows(0x1002, 3, 2, 1).tolist() == [[2, 3], [3, 4], [4, 5]]
    assert memory.read_rows(0x1002, 2, 2, 0).tolist() == [[2, 3], [2, 3]]
    memory.write_rows(0x105C, np.array([[1, 2], [3, 4]], np.uint8), 6)
    assert memory.data[92:].tolist() == [1, 2, 94, 95, 96, 97, 3, 4]


def test_overlapping_rows_the_last_stays(memory):
    memory.write_rows(0x1000, np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]], np.uint8), 1)
    assert memory.data[:6].tolist() == [1, 4, 7, 8, 9, 5]
    memory.write_rows(0x1000, np.array([[1, 2], [3, 4]], np.uint8), 0)
    assert memory.data[:3].tolist() == [3, 4, 7]


def test_no_rows_are_nowhere(memory):
    assert memory.read_rows(0xFFFF_0000, 0, 16, 16).shape == (0, 16)
    memory.write_rows(0xFFFF_0000, np.empty((0, 16), np.uint8), 16)


@pytest.mark.parametrize(("addr", "nbytes"), [(0xFFF, 1), (0xFFF, 2), (0x1063, 2), (0x1064, 1)])
def test_outside(memory, addr, nbytes):
    before = memory.data.copy()
    with pytest.raises(DramRangeError, match=r"0x1000\.\.0x1064"):
        memory.read(addr, nbytes)
    with pytest.raises(DramRangeError):
        memory.write(addr, bytes(nbytes))
    with pytest.raises(DramRangeError):
        memory.read_rows(addr, 1, nbytes, 0)
    assert np.array_equal(memory.data, before)


def test_last_row_outside_writes_nothing(memory):
    with pytest.raises(DramRangeError, match="0x1064"):
        memory.write_rows(0x1060, np.zeros((2, 2), np.uint8), 3)
    assert memory.data.tolist() == list(range(100))


def test_restricted():
    memory = Memory.zeros(0x1000, 100, restricted=True)
    with pytest.raises(DramRangeError, match="allocated"):
        memory.read(0x1000, 1)
    memory.allow(0x1010, 16)
    memory.allow(0x1030, 16)
    assert memory.read(0x1010, 16) == bytes(16)
    for addr, nbytes in ((0x100F, 1), (0x101F, 2), (0x1020, 1), (0x1020, 17)):
        with pytest.raises(DramRangeError, match="allocated"):
            memory.read(addr, nbytes)
    assert memory.read_rows(0x1010, 2, 16, 0x20).shape == (2, 16)  # one row in each
    with pytest.raises(DramRangeError, match="allocated"):
        memory.read_rows(0x1010, 2, 17, 0x20)
    memory.forbid(0x1010)
    with pytest.raises(DramRangeError):
        memory.read(0x1010, 1)
    assert memory.read(0x1030, 1) == b"\0"


@pytest.mark.parametrize(
    ("base", "data", "message"),
    [
        (-1, np.zeros(4, np.uint8), "negative"),
        (0, np.zeros(4, np.int8), "uint8"),
        (0, np.zeros((2, 2), np.uint8), r"\(2, 2\)"),
        (0, np.zeros(8, np.uint8)[::2], "contiguous"),
        (0, np.frombuffer(b"abcd", np.uint8), "writable"),
    ],
)
def test_what_a_memory_must_be(base, data, message):
    with pytest.raises(DeviceError, match=message):
        Memory(base, data)
