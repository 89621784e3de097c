"""The blocks of the RTL: what fetches, orders, executes, and the memories between."""

from __future__ import annotations

from docs.pictures.drawing import Drawing, Theme

__all__ = ["microarchitecture"]

TITLE = (
    "The blocks of the RTL: fetch and decode fill three queues; the compute module issues to a "
    "load engine, GEMM and ALU; bus masters connect all of them to DRAM"
)


def microarchitecture(theme: Theme) -> str:
    """The picture of the page on the microarchitecture."""
    d = Drawing(940, 560, TITLE, theme)
    d.box(20, 20, 120, 54, "plain", "CSR", "run control, counters")
    d.text(80, 92, "AXI4-Lite to the host", 10.5)
    d.box(200, 20, 190, 54, "plain", "fetch", "stream reader, decode, dispatch")
    d.arrow([(140, 47), (200, 47)])
    _modules(d)
    _compute(d)
    d.box(20, 490, 130, 46, "plain", "read master", "credits, round robin")
    d.box(790, 490, 130, 46, "plain", "write master", "one writer")
    d.box(230, 490, 480, 46, "dram", "DRAM", "AXI4: AR and R, AW, W and B")
    d.arrow([(230, 513), (150, 513)])
    d.arrow([(790, 513), (710, 513)])
    d.line([(85, 490), (85, 455)])
    d.arrow([(85, 455), (85, 280)])
    d.arrow([(85, 455), (270, 455), (270, 237), (280, 237)])
    d.arrow([(34, 490), (34, 120), (215, 120), (215, 74)])
    d.text(120, 134, "instructions", 10.5)
    d.arrow([(855, 280), (855, 490)])
    return d.svg()


def _modules(d: Drawing) -> None:
    """Load and store modules, their queues, the memories they fill and read, the tokens."""
    d.arrow([(390, 47), (500, 47), (500, 100)])
    d.text(440, 40, "queues of 512", 10.5)
    d.arrow([(240, 74), (240, 170), (85, 170), (85, 190)])
    d.arrow([(390, 60), (855, 60), (855, 190)])
    d.box(50, 190, 150, 90, "module", "load module", "row generator,", "row writer, padding")
    d.box(790, 190, 130, 90, "module", "store module", "row generator,", "row reader")
    d.box(150, 330, 70, 34, "memory", "inp", size=12)
    d.box(150, 372, 70, 34, "memory", "wgt", size=12)
    d.arrow([(125, 280), (125, 347), (150, 347)])
    d.arrow([(125, 300), (125, 389), (150, 389)])
    for x0, x1, y, name in (
        (200, 260, 215, "l2g"), (260, 200, 245, "g2l"), (730, 790, 215, "g2s"),
        (790, 730, 245, "s2g"),
    ):  # fmt: skip
        d.arrow([(x0, y), (x1, y)], token=True)
        d.text((x0 + x1) / 2, y - 5, name, 10.5)


def _compute(d: Drawing) -> None:
    """Issue, the three units, their memories."""
    d.rect(260, 100, 470, 350, "module", radius=6)
    d.text(495, 120, "compute module", 13)
    d.box(280, 132, 200, 46, "unit", "access ranges", "micro-op bounds, hazards")
    d.box(510, 132, 200, 46, "unit", "scoreboard, issue", "8 in flight, in order")
    d.arrow([(480, 155), (510, 155)])
    units = ((280, "load engine", "UOP, ACC"), (425, "GEMM", "a product a cycle"),
             (570, "ALU", "a tile a cycle"))  # fmt: skip
    d.line([(610, 178), (610, 196)])
    d.line([(345, 196), (635, 196)])
    for x, name, what in units:
        d.arrow([(x + 65, 196), (x + 65, 214)])
        d.box(x, 214, 130, 46, "unit", name, what)
    d.box(280, 300, 130, 40, "memory", "uop SRAM", size=12)
    d.box(425, 300, 275, 40, "memory", "accumulators, 4 banks", size=12)
    d.box(425, 386, 275, 40, "memory", "out: a mirror of the low bits", size=12)
    d.arrow([(330, 260), (330, 300)])
    d.arrow([(385, 260), (385, 280), (440, 280), (440, 300)])
    d.arrow([(490, 260), (490, 300)], both=True)
    d.arrow([(635, 260), (635, 300)], both=True)
    d.arrow([(562, 340), (562, 386)])
    d.arrow([(410, 320), (418, 320), (418, 272), (460, 272), (460, 260)])
    d.text(300, 380, "micro-ops go to both", 10, anchor="start")
    d.text(300, 393, "sequencers and to the", 10, anchor="start")
    d.text(300, 406, "access ranges", 10, anchor="start")
    d.line([(220, 347), (240, 347), (240, 389), (220, 389)])
    d.arrow([(240, 368), (250, 368), (250, 284), (520, 284), (520, 260)])
    d.arrow([(700, 406), (770, 406), (770, 300), (815, 300), (815, 280)])
