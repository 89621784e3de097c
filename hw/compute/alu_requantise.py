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

from functools import reduce
from operator import or_

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
    is not forwarded stalls until that is in WB. Combinational.

    Parameters
    ----------
    uop : IndexedUopLayout
        With ``dst``, ``src`` and the instruction's ``use_imm``.
    log_depth, stages : int
        log2 of the number of tiles, and the number of stages between the gate and WB.

    Attributes
    ----------
    uop, passed : stream of ``uop``, in and out
    older : In(array of UnforwardedLayout)
        The stages.
    """

    def __init__(self, uop: IndexedUopLayout, *, log_depth: int, stages: int) -> None:
        super().__init__({
            "uop": In(stream.Signature(uop)), "passed": Out(stream.Signature(uop)),
            "older": In(data.ArrayLayout(UnforwardedLayout(log_depth), stages)),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        uop, stall = self.uop.payload, Signal()
        reads_src = ~uop.insn.use_imm
        hazards = (
            older.valid & ((older.dst == uop.dst) | (reads_src & (older.dst == uop.src)))
            for older in self.older
        )
        m.d.comb += [
            stall.eq(~uop.empty & reduce(or_, hazards)),
            self.passed.payload.eq(uop),
            self.passed.valid.eq(self.uop.valid & ~stall),
            self.uop.ready.eq(self.passed.ready & ~stall),
        ]
        return m
