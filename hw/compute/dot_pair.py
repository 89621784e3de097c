"""Two dot products of a common vector with one multiplier for two products: ``sum0 = sum_k a[k] *
b0[k]``, ``sum1 = sum_k a[k] * b1[k]``, for slices of a multiplier with a wide adder behind it
(DSP48 of 7-series and UltraScale: 25 x 18 bits, 48 bits).

A *chain* is up to :data:`CHAIN` slices, each of which adds its product to the sum of the slice
before, so the sums need no logic::

    total = start + sum_k a[k] * (b1[k] * 2**w + b0[k] + 2**(n-1))      n: bits of b0, w = 25 - n

``b0[k] + 2**(n-1)`` is never negative, so the factor is bits side by side, without an adder. What
it adds to the sum depends on ``a`` only, and is part of ``start``, which all pairs of a row have in
common (:class:`ChainOffsets`). The low bits of ``total`` are then ``sum_k a[k] * b0[k]``, plus a
constant that makes the sum non-negative, and the bits above are ``sum_k a[k] * b1[k]``.

A sum of 8 products of 8 x 8 bits takes 18 bits, and ``w`` is 17. ``start`` also subtracts the
*parity* of ``sum_k a[k] * b1[k]``, which is the XOR of the lowest bits of the products. The rest is
even: bit 0 of the upper sum, bit ``w`` of ``total``, belongs to the lower sum, and the parity takes
its place again in the result.

=====  =========================================================================================
cycle  of a pair of vectors
=====  =========================================================================================
0      ``valid``: the vectors are at the inputs
1      the products of the first :data:`~vta.hw.compute.dot.FAN_IN` slices, and ``start``, are in
       registers; so are the factors of the other slices
2      the sum of the first slices is in a register, and so are the products of the others
3      the sum of the chain is in a register
4 ...  sums of up to four chains: one level of an adder tree
=====  =========================================================================================

A sum of two chains is combinational, so the latency is that of
:class:`~vta.hw.compute.dot.DotProduct`.

Two products of 8 x 8 bits in a slice: Xilinx, WP486, Deep Learning with INT8 Optimization. The
offset and the parity are this machine's own; they make chains of eight fit 25 bits.
"""

from functools import reduce
from operator import xor

from amaranth.hdl import Cat, Const, Module, Signal, Value, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from vta.hw.compute.dot import FAN_IN, adder_levels, dot_latency, dot_sum_bits

__all__ = ["ChainOffsets", "DotProductPair", "ProductChain"]

A_BITS, B_BITS, SUM_BITS = 18, 25, 48
"""The slice: a signed multiplier, and the adder behind it."""

CHAIN = 2 * FAN_IN
"""Slices in a chain."""


def _largest_sum(length: int, a_bits: int, b_bits: int) -> int:
    """The largest sum of ``length`` signed products."""
    return length << (a_bits + b_bits - 2)


def fits(a_bits: int, b_bits: int) -> bool:
    """Whether a chain has room for the sums of factors of these widths."""
    return a_bits <= A_BITS and _largest_sum(CHAIN, a_bits, b_bits) <= 1 << max(B_BITS - b_bits, 0)


class _Chains:
    """How the terms of a dot product are divided into chains.

    Attributes
    ----------
    length, number : int
        Slices in a chain, and chains.
    shift : int
        The position of ``b1`` in a factor; the lower sum has one bit more.
    sum_bits : int
        Bits of the sum of a chain.
    bias : int
        The constant that is in each lower sum: ``2**shift``, or one less where a sum may be
        ``2**shift``.
    carry : int
        ``2**shift - bias``.
    """

    def __init__(self, *, length: int, a_bits: int, b_bits: int) -> None:
        assert fits(a_bits, b_bits) and length >= 2 and length & (length - 1) == 0
        self.length = min(length, CHAIN)
        self.number = length // self.length
        self.shift = B_BITS - b_bits
        self.sum_bits = a_bits + b_bits + self.length.bit_length() - 1
        self.carry = int(_largest_sum(self.length, a_bits, b_bits) == 1 << self.shift)
        self.bias = (1 << self.shift) - self.carry

    @property
    def latency(self) -> int:
        """Cycles from the factors to the sum of a chain."""
        return 1 + -(-self.length // FAN_IN)

    @property
    def offset_shape(self):
        return unsigned(self.shift + 1)


class ChainOffsets(wiring.Component):
    """What a chain has to start with, for all pairs with the vector ``a``; combinational.

    Parameters
    ----------
    length, a_bits, b_bits : int
        Those of :class:`DotProductPair`.

    Attributes
    ----------
    a : In
        The vector.
    offsets : Out
        For each chain: the bias of the lower sum, minus ``2**(b_bits-1) * sum_k a[k]``. Never
        negative.
    """

    def __init__(self, *, length: int, a_bits: int, b_bits: int) -> None:
        self.chains = _Chains(length=length, a_bits=a_bits, b_bits=b_bits)
        self.scale = b_bits - 1
        super().__init__({
            "a": In(data.ArrayLayout(signed(a_bits), length)),
            "offsets": Out(data.ArrayLayout(self.chains.offset_shape, self.chains.number)),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        chains = self.chains
        for chain in range(chains.number):
            terms = [self.a[chain * chains.length + k] for k in range(chains.length)]
            while len(terms) > 1:
                terms = [a + b for a, b in zip(terms[::2], terms[1::2], strict=True)]
            # The low bits of the bias are all 0 or all 1, and the scaled sum has none: no carry.
            low, high = Const(chains.bias, self.scale), chains.bias >> self.scale
            m.d.comb += self.offsets[chain].eq(Cat(low, high - terms[0]))
        return m


class ProductChain(wiring.Component):
    """Both sums of up to :data:`CHAIN` terms: a chain of slices.

    Parameters
    ----------
    length, a_bits, b_bits : int
        Number of terms, and widths of the factors.

    Attributes
    ----------
    valid : In(1)
        The inputs are new.
    a, b0, b1 : In
        The factors, from registers.
    offset : In
        Of ``a``, by :class:`ChainOffsets`.
    low, high : Out
        ``sum_k a[k] * b0[k]``, minus the carry of the chain, and ``sum_k a[k] * b1[k]``;
        held until the next sums.
    """

    def __init__(self, *, length: int, a_bits: int, b_bits: int) -> None:
        self.chains = _Chains(length=length, a_bits=a_bits, b_bits=b_bits)
        b = data.ArrayLayout(signed(b_bits), length)
        super().__init__({
            "valid": In(1),
            "a": In(data.ArrayLayout(signed(a_bits), length)), "b0": In(b), "b1": In(b),
            "offset": In(self.chains.offset_shape),
            "low": Out(signed(self.chains.shift + 1)), "high": Out(signed(self.chains.sum_bits)),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        shift = self.chains.shift
        # The enables of the registers, cycle by cycle.
        enables = [self.valid]
        for cycle in range(1, self.chains.latency):
            enables.append(Signal(name=f"valid{cycle}"))
            m.d.sync += enables[-1].eq(enables[-2])

        def register(name, cycle, value, shape=None):
            """``value`` of this cycle, in the next one and until it changes."""
            signal = Signal(shape or Value.cast(value).shape(), name=name, reset_less=True)
            with m.If(enables[cycle]):
                m.d.sync += signal.eq(value)
            return signal

        odd = reduce(xor, (a[0] & b1[0] for a, b1 in zip(self.a, self.b1, strict=True)))
        total = register("start", 0, self.offset - (odd << shift), signed(SUM_BITS))
        parity = register("parity0", 0, odd)
        for k, (a, b0, b1) in enumerate(zip(self.a, self.b0, self.b1, strict=True)):
            # b1 * 2**shift + b0 + 2**(b_bits-1)
            factor = Cat(b0[:-1], ~b0[-1], Const(0, shift - len(b0)), b1).as_signed()
            group, first = divmod(k, FAN_IN)
            if group and not first:
                total = register(f"total{group}", group, total)
                parity = register(f"parity{group}", group, parity)
            for cycle in range(group):
                a = register(f"a{k}_{cycle}", cycle, a)
                factor = register(f"factor{k}_{cycle}", cycle, factor)
            product = register(f"product{k}", group, a * factor)
            total_before, total = total, Signal(signed(SUM_BITS), name=f"partial{k}")
            m.d.comb += total.eq(total_before + product)
        last = len(enables) - 1
        total, parity = register("total", last, total), register("parity", last, parity)
        m.d.comb += [
            self.low.eq(Cat(total[:shift], ~total[shift]).as_signed()),
            self.high.eq(Cat(parity, total[shift + 1 :])),
        ]
        return m


class DotProductPair(wiring.Component):
    """``sum0 = sum_k a[k] * b0[k]``, ``sum1 = sum_k a[k] * b1[k]``, with ``length`` multipliers.

    Parameters, ``valid`` and the timing are those of :class:`~vta.hw.compute.dot.DotProduct`. The
    widths must be such that :meth:`fits` is true.

    Attributes
    ----------
    a, b0, b1 : In
        The vectors, from registers.
    offsets : In
        Of ``a``, by :class:`ChainOffsets`.
    sum0, sum1 : Out
        The results, held until the next ones.
    """

    def __init__(self, *, length: int, a_bits: int, b_bits: int, max_bits: int) -> None:
        self.widths = {"a_bits": a_bits, "b_bits": b_bits}
        self.chains = _Chains(length=length, **self.widths)
        self.sum_bits = dot_sum_bits(length=length, **self.widths, max_bits=max_bits)
        b, result = data.ArrayLayout(signed(b_bits), length), signed(self.sum_bits)
        super().__init__({
            "valid": In(1),
            "a": In(data.ArrayLayout(signed(a_bits), length)), "b0": In(b), "b1": In(b),
            "offsets": In(data.ArrayLayout(self.chains.offset_shape, self.chains.number)),
            "sum0": Out(result), "sum1": Out(result),
        })  # fmt: skip

    fits = staticmethod(fits)
    latency = staticmethod(dot_latency)

    def elaborate(self, platform):
        m = Module()
        chains = self.chains
        lows, highs = [], []
        for n in range(chains.number):
            m.submodules[f"chain{n}"] = chain = ProductChain(length=chains.length, **self.widths)
            m.d.comb += [chain.valid.eq(self.valid), chain.offset.eq(self.offsets[n])]
            for k in range(chains.length):
                term = n * chains.length + k
                m.d.comb += [
                    chain.a[k].eq(self.a[term]),
                    chain.b0[k].eq(self.b0[term]), chain.b1[k].eq(self.b1[term]),
                ]  # fmt: skip
            lows.append(chain.low)
            highs.append(chain.high)
        valid = self.valid
        for cycle in range(chains.latency - 1):
            valid_before, valid = valid, Signal(name=f"valid{cycle + 1}")
            m.d.sync += valid.eq(valid_before)
        lows = adder_levels(m, lows, valid, self.sum_bits, left=2, name="low_")
        highs = adder_levels(m, highs, valid, self.sum_bits, left=2, name="high_")
        m.d.comb += [
            self.sum0.eq(sum(lows) + chains.carry * chains.number),
            self.sum1.eq(sum(highs)),
        ]
        return m
