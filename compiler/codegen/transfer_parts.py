"""The sizes of a transfer, and the instructions that one transfer takes.

One LOAD or STORE moves rows of one length at one stride. Padding wider than its fields and rows
farther apart than its stride field take several instructions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from vta.compiler.te.expr import Expr
from vta.compiler.tir.evaluate import Values, evaluator
from vta.compiler.tir.ir import LoadBuffer2D, StoreBuffer2D
from vta.isa import MAX_TRANSFER_PAD, MAX_TRANSFER_SIZE

__all__ = ["TransferSizes", "load_parts", "load_sizes", "row_parts", "store_sizes"]


@dataclass(frozen=True)
class TransferSizes:
    """One transfer in numbers.

    ``sram`` and ``dram`` are indices of the first element on both sides, ``x`` is the number of
    elements of a row, ``y`` the number of rows, ``stride`` the distance of two rows in DRAM. The
    other numbers are rows and columns of padding, written on the chip only.
    """

    sram: int
    dram: int
    x: int
    y: int
    stride: int
    x_before: int = 0
    x_after: int = 0
    y_before: int = 0
    y_after: int = 0

    @property
    def is_padded(self) -> bool:
        """Whether any row or column is padding."""
        return bool(self.x_before or self.x_after or self.y_before or self.y_after)


def load_sizes(stmt: LoadBuffer2D) -> Callable[[Values], TransferSizes]:
    """A function that gives the sizes of a load for given values of the loop variables."""
    return _sizes(
        (stmt.sram_index, stmt.src_offset, stmt.x_size, stmt.y_size, stmt.x_stride),
        (stmt.x_pad_before, stmt.x_pad_after, stmt.y_pad_before, stmt.y_pad_after),
    )


def store_sizes(stmt: StoreBuffer2D) -> Callable[[Values], TransferSizes]:
    """As :func:`load_sizes`, of a store."""
    return _sizes((stmt.sram_index, stmt.dst_offset, stmt.x_size, stmt.y_size, stmt.x_stride))


def _sizes(
    geometry: Sequence[Expr], padding: Sequence[Expr] = ()
) -> Callable[[Values], TransferSizes]:
    functions = [evaluator(expr) for expr in (*geometry, *padding)]
    return lambda values: TransferSizes(*(function(values) for function in functions))


def load_parts(sizes: TransferSizes) -> list[TransferSizes]:
    """The instructions of a load with padding, in the order of the rows on the chip."""
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
    """A load whose rows have more padding than the fields hold: each row in three parts."""
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
    """Loads of padding alone: rows of zeros, none of which is read from DRAM."""
    parts: list[TransferSizes] = []
    while rows > 0 and width > 0:
        before = min(rows, MAX_TRANSFER_PAD)
        after = min(rows - before, MAX_TRANSFER_PAD)
        parts.append(TransferSizes(sram, 0, width, 0, width, y_before=before, y_after=after))
        sram += (before + after) * width
        rows -= before + after
    return parts


def row_parts(sizes: TransferSizes) -> list[TransferSizes]:
    """One transfer, or one a row where the rows are farther apart than the stride field holds."""
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
