"""One lane of the ALU: ``result = op(x, y)`` on 32-bit values, in two stages."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vta.isa import AluOpcode

__all__ = ["LANE_BITS", "AluLane", "is_long"]

LANE_BITS = 32


def is_long(opcode):
    """Whether an operation needs both stages of a lane."""
    return (opcode == AluOpcode.SHR) | (opcode == AluOpcode.MUL)


class AluLane(wiring.Component):
    """``op(x, y)`` on 32-bit values, wrapping. Two stages.

    SHR by y >= 0 is ``x >> min(y, 31)``, by y < 0 ``x << min(-y, 32)``. Both are one right shift
    of a 64-bit word: of ``sign : x`` by y, or of ``x : 0`` by 32 + y; by 0 to 31 either way. The
    first stage shifts by up to 3, the second by a multiple of 4. MUL is three products in the first
    stage and their sum in the second.

    Attributes
    ----------
    valid, opcode, x, y : In
        An operation, from registers.
    short : Out
        The result of MIN, MAX and ADD, in the same cycle.
    result : Out
        The result of any operation, :attr:`LATENCY` cycles after ``valid``, until the next.
    """

    LATENCY = 1

    def __init__(self) -> None:
        word = signed(LANE_BITS)
        super().__init__({
            "valid": In(1), "opcode": In(AluOpcode), "x": In(word), "y": In(word),
            "short": Out(word), "result": Out(word),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        x, y, half = self.x, self.y, LANE_BITS // 2
        less = Signal()
        m.d.comb += less.eq(x < y)
        with m.Switch(self.opcode):
            with m.Case(AluOpcode.ADD):
                m.d.comb += self.short.eq(x + y)
            with m.Case(AluOpcode.MIN):
                m.d.comb += self.short.eq(Mux(less, x, y))
            with m.Default():
                m.d.comb += self.short.eq(Mux(less, y, x))

        # What the second stage shifts, or passes on as it is; 0 for MUL, as the products are for
        # all others: then the result is one or the other without a choice.
        wide = Signal(2 * LANE_BITS - 4, reset_less=True)
        amount = Signal(3, reset_less=True)
        low = Signal(LANE_BITS, reset_less=True)
        cross0 = Signal(half, reset_less=True)
        cross1 = Signal(half, reset_less=True)
        with m.If(self.valid):
            m.d.sync += [wide.eq(0), low.eq(0), cross0.eq(0), cross1.eq(0)]
            with m.Switch(self.opcode):
                with m.Case(AluOpcode.SHR):
                    left = y[-1]
                    beyond = y[5:-1] != left.replicate(LANE_BITS - 6)
                    word = Mux(left, x << LANE_BITS, x)
                    m.d.sync += [
                        wide.eq(Mux(beyond, (x[-1] & ~left).replicate(len(wide)), word >> y[:2])),
                        amount.eq(y[2:5]),
                    ]
                with m.Case(AluOpcode.MUL):
                    m.d.sync += [
                        low.eq(x[:half] * y[:half]),
                        cross0.eq(x[half:] * y[:half]),
                        cross1.eq(x[:half] * y[half:]),
                    ]
                with m.Default():
                    m.d.sync += [wide.eq(self.short), amount.eq(0)]

        # The sum of the products has one adder: three terms become two, a sum and its carries.
        high = low[half:]
        carries = (high & cross0) | (high & cross1) | (cross0 & cross1)
        product = Cat(low[:half], (high ^ cross0 ^ cross1) + (carries << 1))
        m.d.comb += self.result.eq(product[:LANE_BITS] | (wide >> (amount << 2)))
        return m
