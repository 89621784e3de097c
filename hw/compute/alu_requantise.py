"""REQUANTISE: the stages EX2 and WB of a lane, and the hazards with its result.

``result = min(max(((product + half) >> shift) + zero_point, low), high)``, halves rounded up. The
sum has the value ``(product >> shift) + bit + zero_point``, where ``bit`` is the highest of the
bits that are shifted out: that is what ``2 * product`` shifted by ``shift`` has in bit 0.

=====  =========================================================================================
stage  what happens
=====  =========================================================================================
EX1    two products of 16 x 16 bits, by the multipliers of MUL (:mod:`vta.hw.compute.alu_lane`)
EX2    the sum of the products; the shift; the limits less the zero point
WB     the bit for rounding and the zero point are added, and side by side the rounded value is
       compared with the limits of EX2; clipping. The result is written.
=====  =========================================================================================

The result is not forwarded: a micro-op that reads its tile enters the pipeline in the cycle of the
write (:class:`UnforwardedHazard`).
"""

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from vta.hw.compute.sequencer import IndexedUopLayout
from vta.hw.interfaces import layout_of
from vta.isa import LIMITS, SCALE

__all__ = ["Rescale", "UnforwardedHazard", "UnforwardedLayout"]

HALF = 16
"""Bits of a multiplier, and of the parts of the value that is multiplied."""
PRODUCT_BITS = 3 * HALF
RESULT_BITS = 8


def shift_right(m: Module, value, amount, bits: int):
    """The low ``bits`` bits of a signed ``value`` shifted right by ``amount``, and whether one of
    the higher bits differs from the sign.

    The large steps come first. After the step of ``2**n`` only the bits that the smaller steps can
    move into the result remain: ``bits + 2**n - 1``. The others are compared with the sign.
    """
    assert len(value) < bits + (1 << len(amount))
    sign, differs = value[-1], 0
    for n in reversed(range(len(amount))):
        step = 1 << n
        width = bits + step - 1
        extended = Cat(value, sign.replicate(width + step))
        differs |= ~amount[n] & (value[width:] ^ sign.replicate(len(value[width:]))).any()
        value = Signal(width, name=f"shifted_{step}")
        m.d.comb += value.eq(Mux(amount[n], extended[step:], extended))
    return value, differs


class Rescale(wiring.Component):
    """Shifts, rounds and clips a product; one a cycle.

    A product has 47 bits at most, so a shift by 48 or more leaves the sign, which rounds to 0. Only
    the low bits of the shifted value are computed (:func:`shift_right`); if others of its bits
    differ from the sign, the sum with any zero point is beyond 8 bits, and the result is the limit
    on its side.

    Attributes
    ----------
    low, high, shift, zero_point : In
        In EX2, from registers: the product is ``low + high * 2**16``.
    limits : In
        The immediate, in EX2, from a register.
    result : Out(signed(32))
        In WB.
    """

    LATENCY = 1
    """Cycles from EX2 to WB."""

    def __init__(self) -> None:
        scale = layout_of(SCALE)
        super().__init__({
            "low": In(signed(2 * HALF + 1)), "high": In(signed(2 * HALF)),
            "shift": In(scale["shift"].shape), "zero_point": In(scale["zero_point"].shape),
            "limits": In(LIMITS.bits), "result": Out(signed(32)),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        # EX2. The low bits of the product are those of the first part: the adder has 32 bits.
        upper = (self.low >> HALF) + self.high
        product = Cat(self.low[:HALF], upper)[:PRODUCT_BITS].as_signed()
        limits = data.View(layout_of(LIMITS), self.limits)
        kept, far = shift_right(m, Cat(Const(0, 1), product), self.shift, RESULT_BITS + 2)
        shifted = Signal(RESULT_BITS + 2, reset_less=True)
        negative, is_far = Signal(reset_less=True), Signal(reset_less=True)
        zero_point = Signal.like(self.zero_point, reset_less=True)
        # What the rounded value is added to for a comparison with a limit: the sum is negative if
        # the result is below ``low``, or not above ``high``.
        from_low = Signal(signed(RESULT_BITS + 1), reset_less=True)
        from_high = Signal(signed(RESULT_BITS + 1), reset_less=True)
        crossed, low, high = Signal(), Signal.like(limits.low), Signal.like(limits.high)
        m.d.sync += [
            shifted.eq(kept),
            negative.eq(product[-1]),
            is_far.eq(far | (kept[-1] ^ product[-1])),
            zero_point.eq(self.zero_point),
            from_low.eq(self.zero_point - limits.low),
            from_high.eq(self.zero_point + ~limits.high),
            crossed.eq(limits.low > limits.high),
            low.eq(limits.low), high.eq(limits.high),
        ]  # fmt: skip

        # WB. Three sums side by side, each with the rounding as its carry.
        rounding, near = shifted[0], shifted[1:].as_signed()
        total = near + zero_point + rounding
        is_low = Mux(is_far, negative, (near + from_low + rounding)[-1])
        is_high = Mux(is_far, ~negative, ~(near + from_high + rounding)[-1])
        # The upper limit wins if the limits are crossed.
        result = Mux(is_high | crossed, high, Mux(is_low, low, total))
        m.d.comb += self.result.eq(result)
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
