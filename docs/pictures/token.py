"""The life of a token: how a LOAD and a GEMM that reads its tiles stay in order."""

from __future__ import annotations

from docs.pictures.drawing import Drawing, Theme

__all__ = ["token"]

TITLE = "The life of a token: pushed by a LOAD that is done, popped by the GEMM that reads"
LEFT, UNIT = 110, 46
ROWS = {"load": 60, "l2g": 130, "compute": 180, "g2l": 250, "load again": 300}


def token(theme: Theme) -> str:
    """Load and compute over time, the tokens between them, the counters."""
    d = Drawing(900, 400, TITLE, theme)
    d.text(20, 28, "Two blocks of the input memory, one computed while the other one is loaded", 13,
           anchor="start", bold=True)  # fmt: skip
    for name, y in (("load module", 80), ("queue l2g", 150), ("compute", 220), ("queue g2l", 290)):
        d.text(20, y, name, 12, anchor="start")
        d.line([(LEFT, y + 18), (880, y + 18)], colour=d.theme.kinds["plain"][0], width=1)
    loads = ((0, 4, "LOAD block 0"), (4, 8, "LOAD block 1"), (10, 14, "LOAD block 0"))
    gemms = ((5, 10, "GEMM block 0"), (10, 15, "GEMM block 1"))
    for begin, end, name in loads:
        d.box(_x(begin), 58, _x(end) - _x(begin) - 2, 34, "module", name, size=11)
    for begin, end, name in gemms:
        d.box(_x(begin), 198, _x(end) - _x(begin) - 2, 34, "store", name, size=11)
    for time, pops in ((4, 5), (8, 10)):
        _counted(d, time, pops, 145, up=92, down=198)
    d.arrow([(_x(10), 232), (_x(10), 285), (_x(10) + 10, 285)], token=True)
    d.rect(_x(10) + 10, 274, 26, 22, "hot", radius=11)
    d.text(_x(10) + 23, 289, "1", 11)
    d.arrow([(_x(10) + 36, 285), (_x(11), 285), (_x(11), 116), (_x(10) + 18, 116),
             (_x(10) + 18, 92)], token=True)  # fmt: skip
    for number, line in enumerate((
        "1  LOAD block 0 is done: it pushes a token to l2g.",
        "2  GEMM block 0 pops it and starts. RAW: it never reads tiles that are not there.",
        "3  GEMM block 0 is done: it pushes a token to g2l, the LOAD of the next block 0 pops it. "
        "WAR: no tile is overwritten before it was read.",
    )):  # fmt: skip
        d.text(20, 336 + 20 * number, line, 11, anchor="start", colour=d.theme.faint)
    return d.svg()


def _x(time: float) -> float:
    return LEFT + time * UNIT


def _counted(d: Drawing, pushed: float, popped: float, y: float, *, up: float, down: float) -> None:
    """A token that waits in its queue from one time to another."""
    begin, end = _x(pushed) - 2, _x(popped) + 8
    d.arrow([(begin - 4, up), (begin - 4, y - 11)], token=True)
    d.rect(begin - 17, y - 11, end - begin + 22, 22, "hot", radius=11)
    d.text((begin + end) / 2 - 6, y + 4, "1", 11)
    d.arrow([(end - 2, y + 11), (end - 2, down)], token=True)
