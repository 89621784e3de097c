"""``sum = sum_k a[k] * b[k]``, signed, one dot product a cycle.

There is a register after each multiplier, and after every two levels of the adder tree, so that a
multiplier with its register is a DSP slice and no path is longer than two adders.
"""

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["DotProduct"]


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

    FAN_IN = 4
    """Terms that are added between two registers."""

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

    @classmethod
    def latency(cls, length: int) -> int:
        """Cycles from ``valid`` to ``sum``: the product and the tree of ``length`` terms."""
        stages = 1
        while length > 1:
            length = -(-length // cls.FAN_IN)
            stages += 1
        return stages

    def elaborate(self, platform):
        m = Module()
        terms = [
            Signal(signed(self.product_bits), name=f"product{k}", reset_less=True)
            for k in range(self.length)
        ]
        with m.If(self.valid):
            m.d.sync += [term.eq(self.a[k] * self.b[k]) for k, term in enumerate(terms)]
        valid, level = self.valid, 0
        while len(terms) > 1:
            before, level = valid, level + 1
            valid = Signal(name=f"valid{level}")
            m.d.sync += valid.eq(before)
            groups = [terms[k : k + self.FAN_IN] for k in range(0, len(terms), self.FAN_IN)]
            bits = min(len(groups[0][0]) + len(groups[0]).bit_length() - 1, self.sum_bits)
            terms = [
                Signal(signed(bits), name=f"sum{level}_{k}", reset_less=True)
                for k in range(len(groups))
            ]
            with m.If(valid):
                m.d.sync += [term.eq(sum(group)) for term, group in zip(terms, groups)]
        m.d.comb += self.sum.eq(terms[0])
        return m
