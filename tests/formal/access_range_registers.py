"""The registers of the access-range pipeline, compared with what they hold by the specification:
the invariants of an induction."""

from types import SimpleNamespace

from amaranth.hdl import Assert, Cat, Const, Mux, Signal
from amaranth.lib.data import ArrayLayout, StructLayout, View

from tests.formal.reference_semantics import ISA, LOG_UOP, clip
from vta.hw.compute.issue_request import AccessRangesLayout
from vta.hw.compute.range_extent import ClippedMac, DecodedAccessLayout
from vta.hw.compute.uop_bounds import BoundsLayout, UopBounds
from vta.hw.compute.uop_memory import log_lanes
from vta.isa import Opcode

__all__ = ["AccessRangeRegisters"]

LOG_LANES = log_lanes(LOG_UOP)
SIDES = ("dst", "src")
PRODUCT_BITS = max(ISA.cfg.log_acc_depth, LOG_UOP) + 1
"""Bits to which a product is clipped."""
BOUNDS = BoundsLayout(ISA)
CACHED = StructLayout({"valid": 1, "begin": LOG_UOP, "end": LOG_UOP + 1, "bounds": BOUNDS})
"""An entry of the cache of micro-op bounds."""


class AccessRangeRegisters:
    """Assertions over ``registers``, the signals inside of ``block`` by path.

    ``oldest`` is the reference access of the oldest instruction inside, ``measured`` that of the
    instruction in the stages up to measure.
    """

    def check_order(self, m, registers, log, level, oldest, measured, load_in_flight):
        """Which instruction is in which stage, and its decoded kind."""
        request = self.block.request
        accepted, decoded, summed = (registers[name] for name in ("accepted", "decoded", "summed"))
        word = Signal.like(log[0])
        leaving = summed | request.valid
        m.d.comb += [
            word.eq(Mux(leaving, log[1], log[0])),
            Assert(level == accepted + summed + request.valid),
            Assert(~(summed & request.valid)),
            Assert(~accepted | ((registers["decoder.word"] == word) & measured.legal)),
            Assert(~accepted | (registers["decoder.unit"] == measured.unit)),
            Assert(~leaving | oldest.legal),
            Assert(~decoded | (accepted & ~summed)),
            Assert(~registers["measured"] | decoded),
            Assert(~leaving | ~oldest.has_uop | ~load_in_flight),
            Assert(~summed | (request.payload.insn == log[0])),
            Assert(~summed | (request.payload.unit.as_value() == oldest.unit)),
        ]
        load, access = measured.load, View(DecodedAccessLayout(), registers["decoder.access"])
        for axis, name in (("x", "columns"), ("y", "rows")):
            pads = load[f"{axis}_pad_0"] + load[f"{axis}_pad_1"]
            m.d.comb += Assert(~accepted | (registers[f"decoder.{axis}_pads"] == pads))
            is_load = decoded & (load.opcode == Opcode.LOAD)
            m.d.comb += Assert(~is_load | (access[name] == getattr(measured, name)))
        with m.If(decoded):
            m.d.comb += [
                Assert(access.is_transfer == measured.transfers),
                Assert(access.single_row == (measured.transfers & (measured.rows == 1))),
                Assert(access.is_loop == measured.executes),
                Assert(access.two_operands == measured.reads_src),
            ]
        with m.If(summed):
            exact = {
                name: SimpleNamespace(**{
                    part: registers[f"range_sum.{name}.exact_{part}"]
                    for part in ("used", "low", "high")
                })
                for name in AccessRangesLayout(ISA).members
            }  # fmt: skip
            oldest.check(exact, clip)

    def check_products(self, m, registers, measured):
        """Each product is selected, then its factors are in registers, then the product, and then
        its sum includes it."""
        mac = {
            name: registers[f"extent.mac.{name}"]
            for name in (
                "factor_a",
                "factor_b",
                "factors_select",
                "product",
                "product_select",
                "sums",
            )
        }
        sums = View(ArrayLayout(PRODUCT_BITS + 1, 2), mac["sums"])
        decoded, step = registers["decoded"], registers["extent.step"]
        several_rows = measured.transfers & (measured.rows != 1)
        two_operands = measured.executes & measured.reads_src
        one_operand = measured.executes & ~measured.reads_src
        transfer = [(measured.rows, measured.columns, measured.size)]
        loop = [(a, b, a * b) for a, b in measured.factors]
        for applies, products in (
            (several_rows, transfer), (one_operand, loop[:2]), (two_operands, loop),
        ):  # fmt: skip
            last = len(products) - 1 + ClippedMac.LATENCY
            with m.If(decoded & applies):
                m.d.comb += Assert(step <= last)
                for n in range(last + 1):
                    with m.If(step == n):
                        self._check_step(m, mac, sums, products, n)
                with m.If(registers["measured"]):
                    m.d.comb += Assert(step == last)
        with m.If(~decoded | ~(several_rows | measured.executes)):
            m.d.comb += [Assert(mac["factors_select"] == 0), Assert(mac["product_select"] == 0)]
        new = registers["accepted"] & ~decoded
        m.d.comb += Assert(~new | ((step == 0) & (sums.as_value() == 0)))
        with m.If(registers["measured"] & measured.transfers):
            m.d.comb += Assert(
                registers["extent.transfer"] == clip(measured.size, PRODUCT_BITS) - 1
            )

    @staticmethod
    def _check_step(m, mac, sums, products, n):
        """In step ``n`` product n - 1 is in the factors, n - 2 is the product, older ones are in
        the sums."""
        count, in_sums = len(products), products[: max(n - 2, 0)]
        has_factors, has_product = 1 <= n <= count, 2 <= n <= count + 1
        m.d.comb += [
            Assert(mac["factors_select"] == (1 << (n - 1) // 2 if has_factors else 0)),
            Assert(mac["product_select"] == (1 << (n - 2) // 2 if has_product else 0)),
        ]
        for total, part in zip(sums, (in_sums[:2], in_sums[2:])):
            expected = sum((clip(product, PRODUCT_BITS) for _, _, product in part), Const(0))
            m.d.comb += Assert(total == expected)
        if has_factors:
            a, b, _ = products[n - 1]
            m.d.comb += Assert((mac["factor_a"] == a) & (mac["factor_b"] == b))
        if has_product:
            m.d.comb += Assert(mac["product"] == products[n - 2][2])

    def check_bounds(self, m, registers, measured, point, uop, load_pending, sram):
        """Where the watched micro-op is between the SRAM and the bounds, and which bounds include
        its indices. ``sram``: ``arrives``, ``value`` of the watched micro-op."""
        u, loop = point.u, measured.loop
        scan = {
            name: registers[f"uop_bounds.{name}"]
            for name in ("read_pending", "scanning", "hits", "next_word", "arrives",
                         "arriving_word", "running")
        }  # fmt: skip
        stages = {
            name: registers[f"uop_bounds.word_bounds.{name}"]
            for name in ("stage_valid", "held", "held_number")
        }
        word, decoded, scanning = u >> LOG_LANES, registers["decoded"], scan["scanning"]

        # A shift register behind the word of the watched micro-op: a bit for each stage.
        in_stage, merged = Signal(2 + LOG_LANES), Signal()
        m.d.sync += in_stage.eq(Cat(sram.arrives, in_stage))
        with m.If(in_stage[-1]):
            m.d.sync += merged.eq(1)
        with m.If(~scanning):
            m.d.sync += merged.eq(0)
        any_word = scan["arrives"] | stages["stage_valid"].any()
        read_pending, next_word = scan["read_pending"], scan["next_word"]
        m.d.comb += [
            Assert(~scanning | (decoded & measured.executes)),
            Assert(~read_pending | scanning),
            Assert(~any_word | scanning),
            Assert(~(any_word | read_pending) | ~scan["hits"].any()),
            Assert(~sram.arrives | (scan["arrives"] & (scan["arriving_word"] == word))),
            Assert((in_stage & ~stages["stage_valid"]) == 0),
            Assert(~read_pending | (next_word >= loop.uop_bgn >> LOG_LANES)),
            Assert(~read_pending | (next_word <= (loop.uop_end - 1) >> LOG_LANES)),
        ]
        held = stages["held"].word_select(u[:LOG_LANES], ISA.uop.bits)
        with m.If(decoded & measured.has_uop & scanning):
            was_read = Cat(sram.arrives, in_stage, merged).any()
            m.d.comb += [
                Assert(was_read | (read_pending & (next_word <= word))),
                Assert(~was_read | ~load_pending),
                Assert(~(read_pending & load_pending) | self.block.uop_hazard),
                Assert(~sram.arrives | (sram.value.as_value() == uop.as_value())),
                Assert(~in_stage[0] | (held == uop.as_value())),
                Assert(~in_stage[0] | (stages["held_number"] == word)),
                *(
                    Assert(~in_stage[level + 1] | self._in_tree(registers, measured, u, uop, level))
                    for level in range(LOG_LANES + 1)
                ),
                Assert(~merged | self._includes(scan["running"], uop, exact=measured.only_uop)),
            ]
            running = View(BOUNDS, scan["running"])
            neutral = Cat(
                running[f"{side}_low"].all() & (running[f"{side}_high"] == 0) for side in SIDES
            )
            with m.If(measured.only_uop):
                m.d.comb += [
                    Assert(~(was_read & read_pending)),
                    Assert(scan["arrives"] == sram.arrives),
                    Assert(stages["stage_valid"] == in_stage),
                    Assert(merged | neutral.all()),
                ]
        self._check_cache(m, registers, measured, u, uop, load_pending)

    def _check_cache(self, m, registers, measured, u, uop, load_pending):
        loop, hits = measured.loop, registers["uop_bounds.hits"]
        for n in range(UopBounds.ENTRIES):
            entry = View(CACHED, registers[f"uop_bounds.cache{n}"])
            with m.If(entry.valid & (entry.begin <= u) & (u < entry.end)):
                only_uop = entry.begin + 1 == entry.end
                includes = self._includes(entry.bounds, uop, exact=only_uop)
                m.d.comb += Assert(~load_pending & includes)
            same = entry.valid & (entry.begin == loop.uop_bgn) & (entry.end == loop.uop_end)
            m.d.comb += Assert(~registers["decoded"] | (hits[n] == same))
        with m.If(registers["measured"] & measured.executes):
            bounds = self._includes(registers["measured_bounds"], uop, exact=measured.only_uop)
            m.d.comb += [
                Assert(hits.any()),
                Assert(~measured.has_uop | (~load_pending & bounds)),
            ]

    @staticmethod
    def _includes(bounds, uop, *, exact):
        """Whether ``bounds`` include the indices of the micro-op; with ``exact``, no others."""
        view = View(BOUNDS, bounds)
        ends = [(view[f"{side}_low"], uop[side], view[f"{side}_high"]) for side in SIDES]
        included = Cat((low <= index) & (index <= high) for low, index, high in ends).all()
        only = Cat((low == index) & (index == high) for low, index, high in ends).all()
        return Mux(exact, only, included)

    @staticmethod
    def _in_tree(registers, measured, u, uop, level):
        """Whether the registers at ``level`` of the tree include the indices of the micro-op; and,
        if that is the only one, whether no other is inside the range."""
        tree, lanes, holds = "uop_bounds.word_bounds.", 1 << (LOG_LANES - level), []
        for lane in range(lanes):
            here = (u[:LOG_LANES] >> level) == lane
            if lanes > 1:
                inside = registers[f"{tree}any{lanes}"][lane]
                holds.append(Mux(here, inside, ~(measured.only_uop & inside)))
            for side in SIDES:
                names = [f"{side}_low", f"{side}_high"] if level else [side, side]
                low, high = (
                    registers[f"{tree}{name}{lanes}"].word_select(lane, ISA.uop[side].width)
                    for name in names
                )
                holds += [
                    ~here | ((low <= uop[side]) & (uop[side] <= high)),
                    ~(here & measured.only_uop) | (low == high),
                ]
        return Cat(holds).all()
