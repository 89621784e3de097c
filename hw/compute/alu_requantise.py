"""REQUANTISE: the stages EX2 and WB of a lane, and the hazards with its result.

``result = min(max(((product + half) >> shift) + zero_point, low), high)``, halves rounded up. The
sum has the value ``(product >> shift) + bit + zero_point``, where ``bit`` is the highest of the
bits that are shifted out: that is what ``2 * product`` shifted by ``shift`` has in bit 0.

=====  =========================================================================================
stage  what happens
=====  =========================================================================================
EX1    two products of 16 x 16 bits, by the multipliers of MUL (:mod:`vta.hw.compute.alu_product`)
EX2    the sum of the products; its word; the shift by 0 to 15; the limits less the zero point
WB     the bit for rounding and the zero point are added, and side by side the rounded value is
       compared with the limits of EX2; clipping. The result is written.
=====  =========================================================================================

The result is not forwarded: a micro-op that reads its tile enters the pipeline in the cycle of the
write (:class:`UnforwardedHazard`).
"""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from vta.hw.compute.alu_product import HALF, PRODUCT_BITS
from vta.hw.compute.sequencer import IndexedUopLayout
from vta.hw.interfaces import layout_of
from vta.hw.lib.selection import selected_by_code
from vta.isa import LIMITS, SCALE

__all__ = ["Rescale", "UnforwardedHazard", "UnforwardedLayout"]

RESULT_BITS = 8
WORD_BITS = RESULT_BITS + 2 + 15
"""Bits that a shift by 0 to 15 needs for a result with a bit for rounding and one for its sign."""


def shift_right(m: Module, value, sign, amount, bits: int, *, wide_luts: bool = False):
    """The low ``bits`` bits of ``value`` shifted right by ``amount``, and flags: one is set if a
    discarded bit differs from ``sign``, the sign of the number that ``value`` is a part of.

    A step takes a bit of ``amount``, or two of them for LUTs of six inputs. The large steps come
    first. After a step by multiples of ``2**n`` only the bits that the smaller steps can move into
    the result remain: ``bits + 2**n - 1``. The others are compared with the sign.
    """
    assert len(value) == bits + (1 << len(amount)) - 1
    differs = []
    in_step = 2 if wide_luts else 1
    for n in reversed(range(0, len(amount), in_step)):
        number, step = amount[n : n + in_step], 1 << n
        width = bits + step - 1
        for kept in range((1 << in_step) - 1):
            discarded = value[width + kept * step :][:step]
            differs.append((number <= kept) & (discarded ^ sign.replicate(step)).any())
        # A LUT for each bit: restructured by the mapper, the longest path has two levels more.
        attrs = {"keep": 1} if wide_luts and step > 1 else {}
        shifted = Signal(width, name=f"shifted_{step}", attrs=attrs)
        moved = [value[places * step :][:width] for places in range(1 << in_step)]
        m.d.comb += shifted.eq(selected_by_code(number, moved))
        value = shifted
    return value, differs


class Rescale(wiring.Component):
    """Shifts, rounds and clips a product; one a cycle.

    A product has 47 bits at most, so a shift by 48 or more leaves the sign, which rounds to 0. Only
    the low bits of the shifted value are computed (:func:`shift_right`); if others of its bits
    differ from the sign, the sum with any zero point is beyond 8 bits, and the result is the limit
    on its side.

    Parameters
    ----------
    wide_luts : bool
        As of :class:`~vta.hw.core.Core`.

    Attributes
    ----------
    product, word : In
        In EX2: the product, and from the bit below ``16 * (shift // 16)`` on its next bits.
    sign : In
        In EX2, from a register: the sign of the product.
    shift, zero_point : In
        In EX2, from registers.
    limits : In
        The immediate, in EX2, from a register.
    is_requantise : In(1)
        In EX2, from a register: the operation is a REQUANTISE.
    result : Out(signed(32))
        In WB; 0 for other operations.
    """

    LATENCY = 1
    """Cycles from EX2 to WB."""

    def __init__(self, *, wide_luts: bool = False) -> None:
        self.wide_luts = wide_luts
        scale = layout_of(SCALE)
        super().__init__({
            "product": In(PRODUCT_BITS), "sign": In(1), "word": In(WORD_BITS),
            "shift": In(scale["shift"].shape), "zero_point": In(scale["zero_point"].shape),
            "limits": In(LIMITS.bits), "is_requantise": In(1), "result": Out(signed(32)),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        # EX2. The bits above the word that a shift by less than 16, or than 32, leaves are
        # compared with the sign.
        product, sign = self.product, self.sign
        limits = data.View(layout_of(LIMITS), self.limits)
        word_end = WORD_BITS - 1
        differs = product[word_end:] ^ sign.replicate(PRODUCT_BITS - word_end)
        kept, far = shift_right(
            m, self.word, sign, self.shift[:4], RESULT_BITS + 2, wide_luts=self.wide_luts
        )
        far += [
            ~self.shift[5] & differs[HALF:].any(),
            ~self.shift[5] & ~self.shift[4] & differs[:HALF].any(),
        ]
        shifted = Signal(RESULT_BITS + 2, reset_less=True)
        negative, far_bits = Signal(reset_less=True), Signal(len(far), reset_less=True)
        zero_point = Signal.like(self.zero_point, reset_less=True)
        # What the rounded value is added to for a comparison with a limit: the sum is negative if
        # the result is below ``low``, or not above ``high``.
        from_low = Signal(signed(RESULT_BITS + 1), reset_less=True)
        from_high = Signal(signed(RESULT_BITS + 1), reset_less=True)
        # ``clips``: a REQUANTISE whose limits are not crossed; if they are, the upper one wins.
        clips, crossed = Signal(), Signal()
        low, high = Signal.like(limits.low), Signal.like(limits.high)
        are_crossed = limits.low > limits.high
        m.d.sync += [
            shifted.eq(kept),
            negative.eq(sign),
            far_bits.eq(Cat(far)),
            zero_point.eq(self.zero_point),
            from_low.eq(self.zero_point - limits.low),
            from_high.eq(self.zero_point + ~limits.high),
            clips.eq(self.is_requantise & ~are_crossed),
            crossed.eq(self.is_requantise & are_crossed),
            low.eq(limits.low), high.eq(limits.high),
        ]  # fmt: skip

        # WB. Three sums side by side, each with the rounding as its carry.
        is_far = far_bits.any() | (shifted[-1] ^ negative)
        rounding, near = shifted[0], shifted[1:].as_signed()
        total = near + zero_point + rounding
        below, above = (near + from_low + rounding)[-1], ~(near + from_high + rounding)[-1]
        # One of the three values is selected, by a bit that is one gate behind the sums.
        is_near = clips & ~is_far
        takes_high = crossed | (clips & is_far & ~negative) | (is_near & above)
        takes_low = (clips & is_far & negative) | (is_near & below)
        takes_total = is_near & ~above & ~below
        # Between the limits, a value has as many bits as they have.
        in_limits = total[:RESULT_BITS].as_signed()
        m.d.comb += self.result.eq(
            Mux(takes_high, high, 0) | Mux(takes_low, low, 0) | Mux(takes_total, in_limits, 0)
        )
        return m


class UnforwardedLayout(data.StructLayout):
    """A micro-op in the pipeline: whether it is valid and its result is not forwarded, and its
    tile."""

    def __init__(self, log_depth: int) -> None:
        super().__init__({"valid": 1, "dst": log_depth})


class UnforwardedHazard(wiring.Component):
    """A gate in front of the pipeline: a micro-op that reads the tile of an older one whose result
    is not forwarded stalls until that is in WB.

    A micro-op is compared with the older ones in the cycle before it is offered. A register for
    each stage says whether the micro-op at the gate reads the tile of the one in that stage, and
    follows the older micro-op from stage to stage.

    Parameters
    ----------
    uop : IndexedUopLayout
        With ``dst``, ``src`` and the instruction's ``use_imm``.
    log_depth : int
        log2 of the number of tiles.

    Attributes
    ----------
    uop, passed : stream of ``uop``, in and out
    ahead : In(uop)
        What ``uop`` offers in the next cycle, if this cycle transfers it or it is not valid.
    is_unforwarded : In(1)
        The result of the micro-op at the gate is not forwarded.
    older : In(struct of UnforwardedLayout)
        The micro-ops in the slots ``current`` and ``early`` of READ, and in the stages ``op`` and
        ``ex1``; one in EX2 is in WB when the compared micro-op is at the gate.
    current_free : In(1)
        The current slot accepts a micro-op, or is empty, in this cycle.
    current_to_early, early_stays : In(1)
        The micro-op in the current slot moves to the early slot; that in the early slot stays.
    issued : In(1)
        A micro-op is issued, from the early slot if ``is_early``, else from the current slot.
    is_early : In(1)
    """

    STAGES = ("current", "early", "op", "ex1")

    def __init__(self, uop: IndexedUopLayout, *, log_depth: int) -> None:
        stage = UnforwardedLayout(log_depth)
        super().__init__({
            "uop": In(stream.Signature(uop)), "passed": Out(stream.Signature(uop)),
            "ahead": In(uop), "is_unforwarded": In(1),
            "older": In(data.StructLayout(dict.fromkeys(self.STAGES, stage))),
            "current_free": In(1), "current_to_early": In(1), "early_stays": In(1),
            "issued": In(1), "is_early": In(1),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        uop, ahead, stall, is_new = self.uop.payload, self.ahead, Signal(), Signal()

        def reads(dst):
            """Whether the micro-op that is offered next reads the tile ``dst``."""
            reads_src = ~ahead.insn.use_imm & (ahead.src == dst)
            return ~ahead.empty & ((ahead.dst == dst) | reads_src)

        hits = {name: Signal(name=f"hits_{name}") for name in (*self.STAGES, "ex2")}
        seen = {
            name: Mux(is_new, older.valid & reads(older.dst), hits[name])
            for name, older in ((name, self.older[name]) for name in self.STAGES)
        }
        enters = is_new & self.uop.valid & self.is_unforwarded & reads(uop.dst)
        m.d.sync += [
            hits["current"].eq(Mux(self.current_free, enters, seen["current"])),
            hits["early"].eq(
                Mux(self.current_to_early, seen["current"], self.early_stays & seen["early"])
            ),
            hits["op"].eq(self.issued & Mux(self.is_early, seen["early"], seen["current"])),
            hits["ex1"].eq(seen["op"]),
            hits["ex2"].eq(seen["ex1"]),
        ]
        m.d.comb += [
            stall.eq(Cat(hits.values()).any()),
            is_new.eq(~self.uop.valid | self.uop.ready),
            self.passed.payload.eq(uop),
            self.passed.valid.eq(self.uop.valid & ~stall),
            self.uop.ready.eq(self.passed.ready & ~stall),
        ]
        return m
