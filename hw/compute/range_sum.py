"""Range sums: the ends of the access ranges of an instruction, from its bounds and extents.

``low = first entry``, ``high = first entry + extent``, both clipped to the last entry of the memory

The first entry is ``sram_base`` for a LOAD, and a micro-op bound
(:mod:`vta.hw.compute.uop_bounds`) for GEMM and ALU. The extent is that of
:mod:`vta.hw.compute.range_extent`. The sum and clip stages of
:mod:`vta.hw.compute.access_ranges`.
"""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from vta.hw.compute.issue_request import AccessRangesLayout, RangeLayout
from vta.hw.compute.range_extent import DecodedAccessLayout, clip
from vta.hw.compute.uop_bounds import BoundsLayout
from vta.hw.interfaces import layout_of
from vta.isa import Isa, MemId

__all__ = ["ClippedRange", "RangeSum"]


class ClippedRange(wiring.Component):
    """The sum and clip stages of one range.

    Parameters
    ----------
    bits : int
        Of the exact ends.
    log_depth : int
        log2 of the entries of the memory.

    Attributes
    ----------
    load : In(1)
        Registers ``used``, ``low`` and ``high``.
    used, low, high : In
        The exact range.
    clipped : Out(RangeLayout)
        The registered range, with both ends clipped to the last entry of the memory.
    """

    def __init__(self, bits: int, log_depth: int) -> None:
        self.log_depth = log_depth
        super().__init__({
            "load": In(1), "used": In(1), "low": In(bits), "high": In(bits),
            "clipped": Out(RangeLayout(log_depth)),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        exact_used = Signal()
        exact_low = Signal.like(self.low, reset_less=True)
        exact_high = Signal.like(self.high, reset_less=True)
        with m.If(self.load):
            m.d.sync += [
                exact_used.eq(self.used), exact_low.eq(self.low), exact_high.eq(self.high),
            ]  # fmt: skip
        m.d.comb += [
            self.clipped.used.eq(exact_used),
            self.clipped.low.eq(clip(exact_low, self.log_depth)),
            self.clipped.high.eq(clip(exact_high, self.log_depth)),
        ]
        return m


class RangeSum(wiring.Component):
    """The sum and clip stages: an extent is added to the first entry of each range.

    Attributes
    ----------
    load : In(1)
        Registers the exact ranges of the instruction at the inputs.
    access, word : In
        The decoded instruction and its word.
    bounds : In(BoundsLayout)
        Of its micro-ops.
    transfer, dst, src : In
        Its extents, as of :class:`~vta.hw.compute.range_extent.RangeExtent`.
    ranges : Out(AccessRangesLayout)
        The registered ranges, clipped to their memories.
    """

    def __init__(self, isa: Isa, extent_bits: int) -> None:
        self.isa = isa
        self.exact_bits = max(isa.memory["sram_base"].width, extent_bits) + 1
        super().__init__({
            "load": In(1), "access": In(DecodedAccessLayout()), "word": In(isa.memory.bits),
            "bounds": In(BoundsLayout(isa)),
            "transfer": In(extent_bits), "dst": In(extent_bits), "src": In(extent_bits),
            "ranges": Out(AccessRangesLayout(isa)),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        access, bounds = self.access, self.bounds
        load = data.View(layout_of(self.isa.memory), self.word)
        loop = data.View(layout_of(self.isa.alu), self.word)
        loads_uops = load.memory == MemId.UOP
        ranges = {}
        for name, layout in AccessRangesLayout(self.isa).members.items():
            ranges[name] = ClippedRange(self.exact_bits, layout.log_depth)
            m.submodules[name] = ranges[name]
            m.d.comb += [
                ranges[name].load.eq(self.load),
                self.ranges[name].eq(ranges[name].clipped),
            ]
        writes, reads, uops = (ranges[name] for name in ("writes", "reads", "uops"))
        m.d.comb += [
            reads.used.eq(access.is_loop & access.two_operands),
            reads.low.eq(bounds.src_low),
            reads.high.eq(bounds.src_high + self.src),
        ]
        with m.If(access.is_transfer):
            for target, used in ((writes, ~loads_uops), (uops, loads_uops)):
                m.d.comb += [
                    target.used.eq(used),
                    target.low.eq(load.sram_base),
                    target.high.eq(load.sram_base + self.transfer),
                ]
        with m.Else():
            m.d.comb += [
                writes.used.eq(access.is_loop),
                writes.low.eq(bounds.dst_low),
                writes.high.eq(bounds.dst_high + self.dst),
                uops.used.eq(access.is_loop),
                uops.low.eq(loop.uop_bgn),
                uops.high.eq(loop.uop_end - 1),
            ]
        return m
