"""The registers of the block that finds footprints, compared to what they should hold: for the
induction."""

from types import SimpleNamespace

from amaranth.hdl import Assert, Cat, Const, Mux, Signal
from amaranth.lib.data import ArrayLayout, StructLayout, View

from tests.formal.reference_semantics import ISA, LOG_UOP, clip
from vta.hw.compute import uop_bounds as scan
from vta.hw.compute.uop_memory import log_lanes
from vta.isa import Opcode

__all__ = ["FootprintRegisters"]

LOG_LANES = log_lanes(LOG_UOP)
SIDES = ("dst", "src")
SPAN = max(ISA.cfg.log_acc_depth, LOG_UOP) + 1
"""Bits to which the block clips a product."""
BOUNDS = StructLayout({
    f"{side}_{end}": ISA.uop[side].width for side in ("dst", "src") for end in ("low", "high")
})  # fmt: skip
KNOWN = StructLayout({"valid": 1, "low": LOG_UOP, "end": LOG_UOP + 1, "bounds": BOUNDS})
"""A range of micro-ops that the scan remembers."""


class FootprintRegisters:
    """What is said of the registers of ``block``; ``inside``: its signals, by name."""

    def look_at_order(self, m, inside, ledger, level, first, at_hand, under_way):
        """Which instruction is where, and what is known of it."""
        work = self.block.work
        here, known, ranged = inside["at_hand"], inside["known"], inside["ranged"]
        second = Signal.like(ledger[0])
        m.d.comb += [
            second.eq(Mux(work.valid | ranged, ledger[1], ledger[0])),
            Assert(level == here + ranged + work.valid),
            Assert(~(ranged & work.valid)),
            Assert(~here | ((inside["word"] == second) & at_hand.legal)),
            Assert(~here | (inside["unit"] == at_hand.unit)),
            Assert(~(ranged | work.valid) | first.legal),
            Assert(~known | (here & ~ranged)),
            Assert(~inside["settled"] | known),
            Assert(~(ranged | work.valid) | ~first.has_u | ~under_way),
            Assert(~ranged | (work.payload.insn == ledger[0])),
            Assert(~ranged | (work.payload.unit.as_value() == first.unit)),
        ]
        load = at_hand.load
        for axis, name in (("x", "columns"), ("y", "rows")):
            pads = load[f"{axis}_pad_0"] + load[f"{axis}_pad_1"]
            m.d.comb += Assert(~here | (inside[f"{axis}_pads"] == pads))
            loads = known & (load.opcode == Opcode.LOAD)
            m.d.comb += Assert(~loads | (inside[name] == getattr(at_hand, name)))
        one_row = at_hand.moves & (at_hand.rows == 1)
        with m.If(known):
            m.d.comb += [
                Assert(inside["is_load"] == at_hand.moves),
                Assert(inside["one_row"] == one_row),
                Assert(inside["is_nest"] == at_hand.runs),
                Assert(inside["two"] == at_hand.two),
            ]
        with m.If(ranged):
            first.check(m, {
                name: SimpleNamespace(
                    **{part: inside[f"{name}_{part}"] for part in ("used", "low", "high")}
                )
                for name in ("writes", "reads", "uops")
            }, clip)  # fmt: skip

    def look_at_products(self, m, inside, at_hand):
        """A cycle for each step: the product is asked for; its factors, and then the product, are
        in registers; its sum has it."""
        here, known, step = inside["at_hand"], inside["known"], inside["step"]
        there, times, product = (inside[f"span.{name}"] for name in ("there", "times", "product"))
        sums = View(ArrayLayout(SPAN + 1, 2), inside["span.sums"])
        transfer = [(at_hand.rows, at_hand.columns, at_hand.places)]
        nest = [(a, b, a * b) for a, b in at_hand.factors]
        many = at_hand.moves & (at_hand.rows != 1)
        for busy, products in (
            (many, transfer), (at_hand.runs & ~at_hand.two, nest[:2]),
            (at_hand.runs & at_hand.two, nest),
        ):  # fmt: skip
            count = len(products)
            with m.If(known & busy):
                m.d.comb += Assert(step <= count + 2)
                for n in range(count + 3):
                    done = products[: max(n - 2, 0)]
                    with m.If(step == n):
                        m.d.comb += [
                            Assert(there == (1 << (n - 1) // 2 if 1 <= n <= count else 0)),
                            Assert(times == (1 << (n - 2) // 2 if 2 <= n <= count + 1 else 0)),
                            *(
                                Assert(total == sum((clip(one[2], SPAN) for one in part), Const(0)))
                                for total, part in zip(sums, (done[:2], done[2:]))
                            ),
                        ]
                        if 1 <= n <= count:
                            a, b, _ = products[n - 1]
                            m.d.comb += Assert((inside["span.a"] == a) & (inside["span.b"] == b))
                        if 2 <= n <= count + 1:
                            m.d.comb += Assert(product == products[n - 2][2])
                with m.If(inside["settled"]):
                    m.d.comb += Assert(step == count + 2)
        with m.If(~known | ~(many | at_hand.runs)):
            m.d.comb += [Assert(there == 0), Assert(times == 0)]
        fresh = here & ~known
        m.d.comb += Assert(~fresh | ((step == 0) & (sums.as_value() == 0)))
        settled = inside["settled"] & at_hand.moves
        m.d.comb += Assert(~settled | (inside["more"] == clip(at_hand.places, SPAN) - 1))

    def look_at_scan(self, m, inside, at_hand, u, uop, loading, came, lane):
        """Where the micro-op is on its way from the SRAM into the bounds, and which bounds hold
        what it names."""
        known, block = inside["known"], self.block
        asks, begun, hits = (inside[f"scan.{name}"] for name in ("asks", "begun", "hits"))
        nest, bounds = at_hand.nest, BOUNDS
        word = u >> LOG_LANES

        def around(value, alone):
            """Whether these bounds hold what the micro-op names; and, if ``alone``, no more."""
            view = View(bounds, value)
            ends = [(view[f"{side}_low"], uop[side], view[f"{side}_high"]) for side in SIDES]
            holds = Cat((low <= here) & (here <= high) for low, here, high in ends).all()
            exact = Cat((low == here) & (here == high) for low, here, high in ends).all()
            return Mux(alone, exact, holds)

        def passes(stage):
            """Whether a register of the scan between the word and the bounds holds it; and, if it
            is alone, nothing else."""
            count, held = 1 << (LOG_LANES - stage), []
            for side, lane in ((side, lane) for side in SIDES for lane in range(count)):
                width, here = ISA.uop[side].width, (u[:LOG_LANES] >> stage) == lane
                low, high = (
                    inside[f"scan.{side}_{end}{count}"].word_select(lane, width)
                    for end in ("low", "high")
                )
                held += [
                    ~here | ((low <= uop[side]) & (uop[side] <= high)),
                    ~(here & at_hand.alone) | (low == high),
                    ~(~here & at_hand.alone) | (low.all() & (high == 0)),
                ]
            return Cat(held).all()

        # Behind a word that came: a bit for each step.
        on_its_way, got = Signal(2 + LOG_LANES), Signal()
        m.d.sync += on_its_way.eq(Cat(came, on_its_way))
        with m.If(on_its_way[-1]):
            m.d.sync += got.eq(1)
        with m.If(~begun):
            m.d.sync += got.eq(0)
        coming = inside["scan.coming"]
        words = inside["scan.arrives"] | coming.any()
        m.d.comb += [
            Assert(~begun | (known & at_hand.runs)),
            Assert(~asks | begun),
            Assert(~words | begun),
            Assert(~(words | asks) | ~hits.any()),
            Assert(~came | (inside["scan.arrives"] & (inside["scan.number"] == word))),
            Assert((on_its_way & ~coming) == 0),
            Assert(~asks | (inside["scan.wanted"] >= nest.uop_bgn >> LOG_LANES)),
            Assert(~asks | (inside["scan.wanted"] <= (nest.uop_end - 1) >> LOG_LANES)),
        ]
        read = inside["scan.word"].word_select(u[:LOG_LANES], ISA.uop.bits)
        with m.If(known & at_hand.has_u & begun):
            past = Cat(came, on_its_way, got).any()
            m.d.comb += [
                Assert(past | (asks & (inside["scan.wanted"] <= word))),
                Assert(~past | ~loading),
                Assert(~(asks & loading) | block.uops_pending),
                Assert(~came | (lane.as_value() == uop.as_value())),
                Assert(~on_its_way[0] | (read == uop.as_value())),
                Assert(~on_its_way[0] | (inside["scan.at"] == word)),
                *(Assert(~on_its_way[stage + 1] | passes(stage)) for stage in range(LOG_LANES + 1)),
                Assert(~got | around(inside["scan.found"], at_hand.alone)),
            ]

            found = View(bounds, inside["scan.found"])
            none = Cat(found[f"{side}_low"].all() & (found[f"{side}_high"] == 0) for side in SIDES)
            with m.If(at_hand.alone):
                m.d.comb += [
                    Assert(~(past & asks)),
                    Assert(inside["scan.arrives"] == came),
                    Assert(coming == on_its_way),
                    Assert(got | none.all()),
                ]

        # Ranges that are known.
        for n in range(scan.UopBounds.ENTRIES):
            entry = View(KNOWN, inside[f"scan.known{n}"])
            with m.If(entry.valid & (entry.low <= u) & (u < entry.end)):
                m.d.comb += Assert(~loading & around(entry.bounds, entry.low + 1 == entry.end))
            same = entry.valid & (entry.low == nest.uop_bgn) & (entry.end == nest.uop_end)
            m.d.comb += Assert(~known | (hits[n] == same))
        with m.If(inside["settled"] & at_hand.runs):
            m.d.comb += Assert(hits.any())
            m.d.comb += Assert(
                ~at_hand.has_u | (~loading & around(inside["bounds"], at_hand.alone))
            )
