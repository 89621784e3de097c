"""The allocator against a plain list of what is in use."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vta.errors import DeviceError
from vta.runtime.allocator import PAGE_BYTES, Allocator

PAGES = 16


def test_addresses_are_aligned_and_never_zero():
    pool = Allocator(PAGE_BYTES, PAGES * PAGE_BYTES)
    assert [pool.alloc(n) for n in (1, PAGE_BYTES, PAGE_BYTES + 1, 7)] == [
        0x1000, 0x2000, 0x3000, 0x5000,
    ]  # fmt: skip


def test_freed_memory_is_used_again():
    pool = Allocator(PAGE_BYTES, 2 * PAGE_BYTES)
    first = pool.alloc(2 * PAGE_BYTES)
    pool.free(first)
    assert pool.alloc(2 * PAGE_BYTES) == first


def test_best_fit_keeps_large_ranges():
    pool = Allocator(PAGE_BYTES, PAGES * PAGE_BYTES)
    large, _, small, _ = (pool.alloc(n * PAGE_BYTES) for n in (4, 1, 2, 1))
    pool.free(large)
    pool.free(small)
    assert pool.alloc(2 * PAGE_BYTES) == small


def test_a_full_memory_says_what_is_there():
    pool = Allocator(PAGE_BYTES, 3 * PAGE_BYTES)
    pool.alloc(1)
    middle = pool.alloc(1)
    pool.alloc(1)
    pool.free(middle)
    with pytest.raises(DeviceError, match=r"for 8192 bytes: 4096 of 12288 are free.* has 4096"):
        pool.alloc(2 * PAGE_BYTES)


def test_wrong_requests():
    pool = Allocator(PAGE_BYTES, PAGES * PAGE_BYTES)
    with pytest.raises(DeviceError, match="cannot allocate 0 bytes"):
        pool.alloc(0)
    with pytest.raises(DeviceError, match="nothing is allocated at 0x1000"):
        pool.free(0x1000)
    address = pool.alloc(10)
    pool.require(address + 2, 8)
    with pytest.raises(DeviceError, match=r"0x1002\.\.0x100b are not in one"):
        pool.require(address + 2, 9)
    with pytest.raises(DeviceError, match="must be positive multiples"):
        Allocator(0, PAGE_BYTES)


@given(st.lists(st.integers(-8, 5 * PAGE_BYTES), max_size=60))
def test_ranges_never_overlap_and_all_comes_back(steps):
    pool = Allocator(PAGE_BYTES, PAGES * PAGE_BYTES)
    used = {}
    for step in steps:
        if step > 0:
            try:
                address = pool.alloc(step)
            except DeviceError:
                pages = -(-step // PAGE_BYTES)
                taken = {p for a, n in used.items() for p in range(a, a + n, PAGE_BYTES)}
                free = [a not in taken for a in range(0x1000, 0x1000 + PAGES * PAGE_BYTES, 0x1000)]
                runs = "".join("x" if f else " " for f in free).split()
                assert all(len(run) < pages for run in runs)
                continue
            assert address % PAGE_BYTES == 0
            assert address > 0 and address + step <= (PAGES + 1) * PAGE_BYTES
            assert all(address >= a + n or address + step <= a for a, n in used.items())
            used[address] = step
        elif used:
            address = sorted(used)[-step % len(used)]
            assert pool.free(address) == used.pop(address)
    for address in list(used):
        pool.free(address)
    assert pool.free_bytes == PAGES * PAGE_BYTES
    assert pool.alloc(PAGES * PAGE_BYTES) == PAGE_BYTES
