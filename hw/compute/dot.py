"""``sum = sum_k a[k] * b[k]``, signed, one dot product a cycle.

There is a register after each multiplier, and after every two levels of the adder tree, so that a
multiplier with its register is a DSP slice and no path is longer than two adders.

Two products with a common factor can share one wide multiplier (:class:`DotProductPair`). With
``w`` bits for a product::

    a * (b1 * 2**w + b0) + 2**(w-1)  =  (a * b1) * 2**w + (a * b0 + 2**(w-1))

The low part is never negative, so it lends nothing from the high part: the high ``w`` bits are
``a * b1``, the low ones ``a * b0`` with the top bit inverted. The constant costs nothing in a
slice with an adder behind its multiplier.
"""

from amaranth.hdl import Cat, Module, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["DotProduct", "DotProductPair"]

FAN_IN = 4
"""Terms that are added between two registers."""


def _latency(length: int) -> int:
    """Cycles from the factors to the sum: the product and the tree of ``length`` terms."""
    stages = 1
    while length > 1:
        length = -(-length // FAN_IN)
        stages += 1
    return stages


def _add(m: Module, terms, valid, sum_bits: int, *, name: str = ""):
    """A tree of adders over ``terms``, registers that change in the cycle after ``valid``; gives
    the sum, modulo ``2**sum_bits``."""
    level = 0
    while len(terms) > 1:
        before, level = valid, level + 1
        valid = Signal(name=f"{name}valid{level}")
        m.d.sync += valid.eq(before)
        groups = [terms[k : k + FAN_IN] for k in range(0, len(terms), FAN_IN)]
        bits = min(len(groups[0][0]) + len(groups[0]).bit_length() - 1, sum_bits)
        terms = [
            Signal(signed(bits), name=f"{name}sum{level}_{k}", reset_less=True)
            for k in range(len(groups))
        ]
        with m.If(valid):
            m.d.sync += [term.eq(sum(group)) for term, group in zip(terms, groups)]
    return terms[0]


class DotProduct(wiring.Component):
    """One output value of a GEMM product.

    Parameters
    ----------
    length : int
        Number of terms, a power of two.
    a_bits, b_bits : int
        Widths of the factors.
    max_bits : int
        The sum is kept modulo ``2**max_bits``; below that it is exact.

    Attributes
    ----------
    valid : In(1)
        ``a`` and ``b`` hold a new pair of vectors. Without it nothing in the block moves.
    a, b : In
        The vectors, from registers.
    sum : Out
        The result, :meth:`latency` cycles after ``valid``; it stays until the next.
    """

    def __init__(self, *, length: int, a_bits: int, b_bits: int, max_bits: int) -> None:
        assert length >= 2 and length & (length - 1) == 0
        self.length = length
        self.product_bits = min(a_bits + b_bits, max_bits)
        self.sum_bits = min(a_bits + b_bits + length.bit_length() - 1, max_bits)
        super().__init__({
            "valid": In(1),
            "a": In(data.ArrayLayout(signed(a_bits), length)),
            "b": In(data.ArrayLayout(signed(b_bits), length)),
            "sum": Out(signed(self.sum_bits)),
        })  # fmt: skip

    latency = staticmethod(_latency)

    def elaborate(self, platform):
        m = Module()
        products = [
            Signal(signed(self.product_bits), name=f"product{k}", reset_less=True)
            for k in range(self.length)
        ]
        with m.If(self.valid):
            m.d.sync += [term.eq(self.a[k] * self.b[k]) for k, term in enumerate(products)]
        m.d.comb += self.sum.eq(_add(m, products, self.valid, self.sum_bits))
        return m


class DotProductPair(wiring.Component):
    """``sum0 = sum_k a[k] * b0[k]``, ``sum1 = sum_k a[k] * b1[k]``, with ``length`` multipliers.

    Parameters, timing and the other attributes are those of :class:`DotProduct`.

    Attributes
    ----------
    a, b0, b1 : In
        The vectors, from registers.
    sum0, sum1 : Out
        The results.
    """

    A_BITS, B_BITS = 18, 25
    """The multiplier, signed times signed."""

    def __init__(self, *, length: int, a_bits: int, b_bits: int, max_bits: int) -> None:
        assert self.fits(a_bits, b_bits) and a_bits + b_bits <= max_bits
        self.length = length
        self.product_bits = a_bits + b_bits
        self.sum_bits = min(a_bits + b_bits + length.bit_length() - 1, max_bits)
        b, result = data.ArrayLayout(signed(b_bits), length), signed(self.sum_bits)
        super().__init__({
            "valid": In(1),
            "a": In(data.ArrayLayout(signed(a_bits), length)),
            "b0": In(b), "b1": In(b),
            "sum0": Out(result), "sum1": Out(result),
        })  # fmt: skip

    @classmethod
    def fits(cls, a_bits: int, b_bits: int) -> bool:
        """Whether a multiplier can be shared by products of factors that wide."""
        return a_bits <= cls.A_BITS and a_bits + 2 * b_bits + 1 <= cls.B_BITS

    latency = staticmethod(_latency)

    def elaborate(self, platform):
        m = Module()
        bits = self.product_bits
        lows, highs = [], []
        for k in range(self.length):
            both = Signal(signed(len(self.b0[k]) + bits + 1), name=f"both{k}")
            shared = Signal(signed(2 * bits), name=f"shared{k}", reset_less=True)
            m.d.comb += both.eq((self.b1[k] << bits) + self.b0[k])
            with m.If(self.valid):
                m.d.sync += shared.eq(self.a[k] * both + (1 << (bits - 1)))
            lows.append(Cat(shared[: bits - 1], ~shared[bits - 1]).as_signed())
            highs.append(shared[bits:].as_signed())
        m.d.comb += [
            self.sum0.eq(_add(m, lows, self.valid, self.sum_bits, name="low_")),
            self.sum1.eq(_add(m, highs, self.valid, self.sum_bits, name="high_")),
        ]
        return m
