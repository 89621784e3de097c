"""A convolution in the on-chip memories: what of its tensors is there at one time."""

from __future__ import annotations

from docs.pictures.drawing import Drawing, Theme

__all__ = ["tiling"]

TITLE = "The tiling of a convolution: a block of inputs, of weights and of outputs is on chip"
CELL = 16


def tiling(theme: Theme) -> str:
    """The layer of the convolution tutorial: DRAM above, SRAM below."""
    d = Drawing(940, 500, TITLE, theme)
    d.text(20, 26, "DRAM: the whole layer", 13, anchor="start", bold=True)
    _image(d, 30, 56, "inputs: 16 tiles of channels", 14, 14, halo=9)
    _weights(d, 370, 56)
    _image(d, 660, 56, "outputs: 16 tiles of channels", 14, 14, halo=7)
    d.rect(20, 346, 900, 140, "plain", radius=6)
    d.text(32, 366, "SRAM: two blocks of each, one in use while the other one is filled or stored",
           13, anchor="start", bold=True)  # fmt: skip
    for x, name, what, kind in (
        (40, "inp", "9 rows x 16 columns x 1 channel tile", "module"),
        (350, "wgt", "8 x 1 x 3 x 3 tiles", "memory"),
        (640, "acc", "8 channel tiles x 7 rows x 14 columns", "store"),
    ):
        for slot in range(2):
            d.box(x, 380 + 50 * slot, 260, 42, kind, f"{name}, slot {slot}", what, size=12)
    d.arrow([(142, 306), (142, 346)])
    d.text(152, 332, "LOAD, with zeros around", 10.5, anchor="start")
    d.arrow([(480, 310), (480, 346)])
    d.text(490, 332, "LOAD", 10.5, anchor="start")
    d.arrow([(772, 346), (772, 306)])
    d.text(782, 332, "STORE, narrowed to int8", 10.5, anchor="start")
    d.text(325, 434, "x", 14)
    d.arrow([(610, 430), (640, 430)])
    return d.svg()


def _image(d: Drawing, x: float, y: float, title: str, rows: int, columns: int, halo: int) -> None:
    """Channel tiles one behind the other; the rows of the block in colour."""
    kind = "module" if halo > 7 else "store"
    for depth in (2, 1):
        d.rect(x + 10 * depth, y + 20 - 5 * depth + 5, columns * CELL, rows * CELL, "plain")
    top = y + 25
    for row in range(rows):
        inside = row < halo - 1 if halo > 7 else row < halo
        for column in range(columns):
            d.rect(x + column * CELL, top + row * CELL, CELL, CELL, kind if inside else "queue")
    if halo > 7:
        d.text(x + columns * CELL + 24, top + 4 * CELL, "9 rows: 8, and", 10.5, anchor="start")
        d.text(x + columns * CELL + 24, top + 4 * CELL + 14, "one of zeros", 10.5, anchor="start")
    else:
        d.text(x - 8, top + 3.5 * CELL, "7 rows", 10.5, anchor="end")
    d.text(x + columns * CELL / 2, y + 4, title, 11)


def _weights(d: Drawing, x: float, y: float) -> None:
    """Kernels of 3 x 3 for each pair of channel tiles."""
    d.text(x + 100, y + 4, "weights: 16 x 16 kernels of 3 x 3", 11)
    for out in range(8):
        for column in range(7):
            for tap in range(9):
                inside = column == 0
                d.rect(x + column * 30 + tap % 3 * 8, y + 20 + out * 26 + tap // 3 * 7, 8, 7,
                       "memory" if inside else "queue")  # fmt: skip
    d.text(x + 216, y + 125, "...", 14, anchor="start")
    d.text(x + 8, y + 244, "8 output tiles, 1 input tile", 10.5, anchor="start")
