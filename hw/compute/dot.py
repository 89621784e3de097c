"""Dot product: ``sum = sum_k a[k] * b[k]``, signed, one pair of vectors a cycle.

=========  =====================================================================
cycle      of a pair of vectors of n terms
=========  =====================================================================
0          ``valid``: the vectors are at the inputs
1          the products are in registers (multiplier and register: a DSP slice)
2, 3, ...  sums of up to four terms are in registers: one level of the adder tree
L          ``sum`` is valid, until the next one; L = 1 + ceil(log4(n))
=========  =====================================================================

No path is longer than a multiplier or two adders. Without ``valid`` no register of the block
changes, so an idle block takes no dynamic power. There is no accumulator: each sum begins at 0.

Two dot products with a common vector can share their multipliers: :mod:`vta.hw.compute.dot_pair`.

For a simulator, :class:`DotProduct` has a form of its own with the same sum in each cycle, which
tests/formal/test_formal_dot.py proves.
"""

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from vta.hw.lib.simulated import SimulatorPlatform

__all__ = ["FAN_IN", "DotProduct", "adder_levels", "dot_latency", "dot_sum_bits"]

FAN_IN = 4
"""Terms that are added between two registers."""

WORD_BITS = 32
"""Bits of the terms in the form for simulators; no sum has more."""


def dot_latency(length: int) -> int:
    """Cycles from ``valid`` to the sum: the products and the levels of the adder tree."""
    stages = 1
    while length > 1:
        length = -(-length // FAN_IN)
        stages += 1
    return stages


def dot_sum_bits(*, length: int, a_bits: int, b_bits: int, max_bits: int) -> int:
    """Bits of an exact signed sum of ``length`` products, or ``max_bits`` if that is less."""
    return min(a_bits + b_bits + length.bit_length() - 1, max_bits)


def adder_levels(
    m: Module, terms: list, valid, sum_bits: int, *, left: int = 1, name: str = ""
) -> list:
    """At most ``left`` terms with the sum of ``terms`` modulo ``2**sum_bits``, a level of
    :data:`FAN_IN` terms a cycle. The registers of the first level change in the cycle after
    ``valid``."""
    level = 0
    while len(terms) > left:
        level_valid, level = valid, level + 1
        valid = Signal(name=f"{name}valid{level}")
        m.d.sync += valid.eq(level_valid)
        groups = [terms[k : k + FAN_IN] for k in range(0, len(terms), FAN_IN)]
        bits = min(len(groups[0][0]) + len(groups[0]).bit_length() - 1, sum_bits)
        terms = [
            Signal(signed(bits), name=f"{name}sum{level}_{k}", reset_less=True)
            for k in range(len(groups))
        ]
        with m.If(valid):
            m.d.sync += [term.eq(sum(group)) for term, group in zip(terms, groups)]
    return terms


class DotProduct(wiring.Component):
    """One output value of a GEMM product.

    Parameters
    ----------
    length : int
        Number of terms, a power of two, at least 2.
    a_bits, b_bits : int
        Widths of the factors.
    max_bits : int
        The sum is kept modulo ``2**max_bits``; below that it is exact.

    Attributes
    ----------
    valid : In(1)
        ``a`` and ``b`` are a new pair of vectors.
    a, b : In
        The vectors, from registers.
    sum : Out
        The result, :meth:`latency` cycles after ``valid``; held until the next result.
    """

    def __init__(self, *, length: int, a_bits: int, b_bits: int, max_bits: int) -> None:
        assert length >= 2 and length & (length - 1) == 0 and max_bits <= WORD_BITS
        self.length = length
        self.product_bits = min(a_bits + b_bits, max_bits)
        self.sum_bits = dot_sum_bits(length=length, a_bits=a_bits, b_bits=b_bits, max_bits=max_bits)
        super().__init__({
            "valid": In(1),
            "a": In(data.ArrayLayout(signed(a_bits), length)),
            "b": In(data.ArrayLayout(signed(b_bits), length)),
            "sum": Out(signed(self.sum_bits)),
        })  # fmt: skip

    latency = staticmethod(dot_latency)

    def elaborate(self, platform):
        m = Module()
        if isinstance(platform, SimulatorPlatform):
            m.d.comb += self.sum.eq(self._sum_in_words(m))
            return m
        products = [
            Signal(signed(self.product_bits), name=f"product{k}", reset_less=True)
            for k in range(self.length)
        ]
        with m.If(self.valid):
            m.d.sync += [term.eq(self.a[k] * self.b[k]) for k, term in enumerate(products)]
        m.d.comb += self.sum.eq(adder_levels(m, products, self.valid, self.sum_bits)[0])
        return m

    def _sum_in_words(self, m: Module) -> Signal:
        """The form for simulators: the sum is complete after the first register, and as many
        registers follow as there are levels. All terms are words of the computer that simulates;
        terms of 17 to 21 bits would be masked and extended after each operation."""
        terms = []
        for k in range(self.length):
            a, b, product = (
                Signal(signed(WORD_BITS), name=f"{name}{k}") for name in ("a", "b", "p")
            )
            m.d.comb += [a.eq(self.a[k]), b.eq(self.b[k]), product.eq(a * b)]
            terms.append(product)
        while len(terms) > 1:
            pairs = zip(terms[::2], terms[1::2], strict=True)
            terms = [
                Signal(signed(WORD_BITS), name=f"sum{len(terms)}_{k}")
                for k in range(len(terms) // 2)
            ]
            m.d.comb += [term.eq(a + b) for term, (a, b) in zip(terms, pairs, strict=True)]
        total, valid = terms[0], self.valid
        for stage in range(dot_latency(self.length)):
            delayed_total = Signal(signed(WORD_BITS), name=f"total{stage}", reset_less=True)
            delayed_valid = Signal(name=f"valid{stage + 1}")
            m.d.sync += delayed_valid.eq(valid)
            with m.If(valid):
                m.d.sync += delayed_total.eq(total)
            total, valid = delayed_total, delayed_valid
        return total
