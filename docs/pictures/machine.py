"""The machine from outside: modules, queues, memories, the path of instructions and data."""

from __future__ import annotations

from docs.pictures.drawing import Drawing, Theme

__all__ = ["machine"]

TITLE = "The VTA machine: fetch, three modules with token queues, on-chip memories, one AXI4 port"


def machine(theme: Theme) -> str:
    """The picture of the README."""
    d = Drawing(880, 520, TITLE, theme)
    d.box(30, 30, 150, 50, "plain", "Control registers", "AXI4-Lite, 32 bit")
    d.box(260, 30, 360, 50, "plain", "Fetch", "16-byte instructions, in order", size=15)
    d.arrow([(180, 55), (260, 55)])
    d.text(219, 47, "launch", 10.5)
    for x, name in ((80, "load"), (365, "compute"), (650, "store")):
        d.box(x, 112, 150, 28, "queue", f"{name} queue")
    d.arrow([(300, 80), (300, 95), (155, 95), (155, 112)])
    d.arrow([(440, 80), (440, 112)])
    d.arrow([(580, 80), (580, 95), (725, 95), (725, 112)])
    d.box(80, 180, 150, 70, "module", "Load", "2D DMA, padding", size=15)
    d.box(650, 180, 150, 70, "module", "Store", "narrow, 2D DMA", size=15)
    d.rect(320, 170, 240, 190, "module", radius=6)
    d.text(440, 190, "Compute", 15)
    d.box(336, 202, 100, 56, "unit", "GEMM", "1 product a cycle")
    d.box(444, 202, 100, 56, "unit", "ALU", "1 tile a cycle")
    d.box(336, 268, 208, 34, "memory", "accumulator SRAM")
    d.box(336, 312, 100, 34, "memory", "uop SRAM")
    d.box(444, 312, 100, 34, "unit", "uop, acc DMA")
    for x, y in ((155, 180), (440, 170), (725, 180)):
        d.arrow([(x, 140), (x, y)])
    for begin, end, name in ((230, 320, "l2g"), (560, 650, "g2s")):
        d.arrow([(begin, 200), (end, 200)], token=True)
        d.text((begin + end) / 2, 194, name, 10.5)
    for begin, end, name in ((320, 230, "g2l"), (650, 560, "s2g")):
        d.arrow([(begin, 230), (end, 230)], token=True)
        d.text((begin + end) / 2, 244, name, 10.5)
    d.box(80, 300, 150, 60, "memory", "inp, wgt SRAM")
    d.arrow([(155, 250), (155, 300)])
    d.arrow([(230, 330), (300, 330), (300, 285), (320, 285)])
    d.arrow([(544, 285), (725, 285), (725, 250)])
    d.box(
        80, 430, 720, 50, "dram", "DRAM",
        "one AXI4 port: reads with several bursts outstanding, writes", size=15,
    )  # fmt: skip
    d.arrow([(80, 455), (50, 455), (50, 215), (80, 215)])
    d.arrow([(494, 430), (494, 346)])
    d.arrow([(770, 250), (770, 430)])
    d.arrow([(800, 455), (855, 455), (855, 12), (440, 12), (440, 30)])
    d.text(866, 250, "instructions", 10.5, turn=90)
    d.line([(80, 501), (110, 501)], token=True)
    d.text(116, 505, "tokens between the modules", 10.5, anchor="start")
    d.line([(300, 501), (330, 501)])
    d.text(336, 505, "instructions and data", 10.5, anchor="start")
    d.rect(480, 494, 14, 14, "memory")
    d.text(500, 505, "on-chip memory", 10.5, anchor="start")
    return d.svg()
