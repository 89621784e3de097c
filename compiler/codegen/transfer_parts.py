"""Transfers that one instruction does not hold, as several: wide padding and far rows."""

from __future__ import annotations

from dataclasses import dataclass, replace

from vta.isa import MAX_TRANSFER_PAD, MAX_TRANSFER_SIZE

__all__ = ["TransferSizes", "load_parts", "row_parts"]


@dataclass(frozen=True)
class TransferSizes:
    """The numbers of one transfer: rows, columns, pads and where they lie."""

    sram: int
    dram: int
    x: int
    y: int
    stride: int
    x_before: int = 0
    x_after: int = 0
    y_before: int = 0
    y_after: int = 0


def load_parts(sizes: TransferSizes) -> list[TransferSizes]:
    """The instructions of a padded load."""
    width = sizes.x_before + sizes.x + sizes.x_after
    rows = sizes.y_before + sizes.y + sizes.y_after
    if not width or not rows:
        return []
    if not sizes.x or not sizes.y:
        return _zero_rows(sizes.sram, width, rows)
    if max(sizes.x_before, sizes.x_after) > MAX_TRANSFER_PAD:
        return _wide_rows(sizes, width)
    above = max(sizes.y_before - MAX_TRANSFER_PAD, 0)
    below = max(sizes.y_after - MAX_TRANSFER_PAD, 0)
    middle = TransferSizes(
        sizes.sram + above * width, sizes.dram, sizes.x, sizes.y, sizes.stride,
        sizes.x_before, sizes.x_after, sizes.y_before - above, sizes.y_after - below,
    )  # fmt: skip
    after = sizes.sram + (rows - below) * width
    return [
        *_zero_rows(sizes.sram, width, above),
        *row_parts(middle),
        *_zero_rows(after, width, below),
    ]


def _wide_rows(sizes: TransferSizes, width: int) -> list[TransferSizes]:
    """A load whose rows have more padding than its fields hold: part by part."""
    parts = _zero_rows(sizes.sram, width, sizes.y_before)
    sram = sizes.sram + sizes.y_before * width
    for row in range(sizes.y):
        dram = sizes.dram + row * sizes.stride
        data = TransferSizes(sram + sizes.x_before, dram, sizes.x, 1, sizes.x)
        parts += _zero_rows(sram, sizes.x_before, 1)
        parts.append(data)
        parts += _zero_rows(data.sram + sizes.x, sizes.x_after, 1)
        sram += width
    return parts + _zero_rows(sram, width, sizes.y_after)


def _zero_rows(sram: int, width: int, rows: int) -> list[TransferSizes]:
    """Loads of no rows from DRAM, all padding."""
    parts: list[TransferSizes] = []
    while rows > 0 and width > 0:
        before = min(rows, MAX_TRANSFER_PAD)
        after = min(rows - before, MAX_TRANSFER_PAD)
        parts.append(TransferSizes(sram, 0, width, 0, width, y_before=before, y_after=after))
        sram += (before + after) * width
        rows -= before + after
    return parts


def row_parts(sizes: TransferSizes) -> list[TransferSizes]:
    """One transfer; one for each row if the rows are farther apart than the stride field holds."""
    if sizes.y <= 1 or sizes.stride <= MAX_TRANSFER_SIZE:
        return [replace(sizes, stride=sizes.stride if sizes.y > 1 else sizes.x)]
    width = sizes.x_before + sizes.x + sizes.x_after
    parts = []
    sram = sizes.sram
    for row in range(sizes.y):
        before = sizes.y_before if row == 0 else 0
        after = sizes.y_after if row == sizes.y - 1 else 0
        dram = sizes.dram + row * sizes.stride
        parts.append(
            replace(
                sizes, sram=sram, dram=dram, y=1, stride=sizes.x, y_before=before, y_after=after
            )
        )
        sram += width * (before + 1 + after)
    return parts
