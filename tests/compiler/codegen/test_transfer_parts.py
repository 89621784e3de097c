"""Transfers that one instruction does not hold: the parts write what the whole would write."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vta.compiler.codegen.transfer_parts import TransferSizes, load_parts, row_parts

DRAM = np.arange(1, 1 << 20)
"""Element ``n`` is ``n + 1``, so that no element is a zero of the padding."""
UNTOUCHED = -1
LARGEST_PAD = 15
LARGEST_SIZE = 65535


def padded(sizes: TransferSizes) -> np.ndarray:
    """The rows that a load writes, by NumPy."""
    rows = sizes.dram + np.arange(sizes.y)[:, None] * sizes.stride + np.arange(sizes.x)
    pads = ((sizes.y_before, sizes.y_after), (sizes.x_before, sizes.x_after))
    return np.pad(DRAM[rows], pads)


def written(parts: list[TransferSizes], size: int) -> np.ndarray:
    """An on-chip memory of ``size`` elements after some loads."""
    sram = np.full(size, UNTOUCHED)
    for part in parts:
        rows = padded(part)
        sram[part.sram : part.sram + rows.size] = rows.reshape(-1)
    return sram


def pads() -> st.SearchStrategy[int]:
    return st.one_of(st.just(0), st.integers(1, 3), st.integers(14, 40))


@settings(max_examples=300)
@given(
    x=st.integers(0, 6),
    y=st.integers(0, 6),
    stride=st.sampled_from([0, 1, 7, LARGEST_SIZE, LARGEST_SIZE + 1, 100_000]),
    around=st.tuples(pads(), pads(), pads(), pads()),
)
def test_loads(x: int, y: int, stride: int, around: tuple[int, int, int, int]) -> None:
    sizes = TransferSizes(5, 3, x, y, stride, *around)
    expected = padded(sizes).reshape(-1)
    parts = load_parts(sizes)
    sram = written(parts, 10 + expected.size)
    assert sram[5 : 5 + expected.size].tolist() == expected.tolist()
    assert (np.delete(sram, slice(5, 5 + expected.size)) == UNTOUCHED).all()
    for part in parts:
        assert max(part.x_before, part.x_after, part.y_before, part.y_after) <= LARGEST_PAD
        assert part.stride <= LARGEST_SIZE


@pytest.mark.parametrize(
    ("sizes", "count"),
    [
        (TransferSizes(0, 0, 4, 3, 9), 1),
        (TransferSizes(0, 0, 4, 3, 9, 15, 15, 15, 15), 1),
        (TransferSizes(0, 0, 4, 3, 9, y_before=16), 2),
        (TransferSizes(0, 0, 4, 3, 9, y_before=15 + 30, y_after=16), 3),
        (TransferSizes(0, 0, 4, 3, 9, x_after=16), 2 * 3),
        (TransferSizes(0, 0, 4, 3, LARGEST_SIZE), 1),
        (TransferSizes(0, 0, 4, 3, LARGEST_SIZE + 1), 3),
        (TransferSizes(0, 0, 0, 3, 9), 0),
    ],
)
def test_number_of_instructions(sizes: TransferSizes, count: int) -> None:
    assert len(load_parts(sizes)) == count


def test_far_rows_of_a_store() -> None:
    sizes = TransferSizes(2, 3, 4, 3, 70_000)
    assert row_parts(sizes) == [
        replace(sizes, sram=2 + 4 * row, dram=3 + 70_000 * row, y=1, stride=4) for row in range(3)
    ]
