"""Range extents: the distance from the first entry that an instruction accesses to the last.

LOAD: ``transfer = rows * columns - 1``

GEMM, ALU: ``dst = (iter_out - 1) * dst_factor_out + (iter_in - 1) * dst_factor_in``, ``src`` alike
(the ALU with two operands)

All extents are clipped to a value beyond the memory. One multiplier computes one product a cycle:

=====  ===========================================================================
cycle  of a product
=====  ===========================================================================
0      the factors are selected
1      the factors are in registers
2      the product is in a register
3      the product is in the sum (:attr:`ClippedMac.LATENCY`)
=====  ===========================================================================

Products: none for a LOAD of one row, one for a LOAD of several rows, two for GEMM and the ALU with
an immediate, four for the ALU with two operands.
"""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from vta.hw.interfaces import layout_of
from vta.isa import Isa

__all__ = ["ClippedMac", "DecodedAccessLayout", "RangeExtent", "clip"]

SIZE_BITS = 17
"""Bits of the rows and of the columns of a transfer with padding; no factor of a loop is wider."""


def clip(value, bits: int):
    """``min(value, 2**bits - 1)``, in ``bits`` bits."""
    return Mux(value[bits:].any(), (1 << bits) - 1, value[:bits]) if len(value) > bits else value


class DecodedAccessLayout(data.StructLayout):
    """What kind of access an instruction makes.

    ``is_transfer``: a LOAD that writes at least one entry, ``single_row``: in one row; ``rows`` and
    ``columns``: its size with padding. ``is_loop``: a GEMM or ALU instruction that executes at
    least one micro-op; ``two_operands``: an ALU instruction that reads ``src``.
    """

    def __init__(self) -> None:
        super().__init__({
            "is_transfer": 1, "single_row": 1, "rows": SIZE_BITS, "columns": SIZE_BITS,
            "is_loop": 1, "two_operands": 1,
        })  # fmt: skip


class ClippedMac(wiring.Component):
    """Two clipped multiply-accumulate units with one multiplier: ``sums[n] += clip(a * b)``.

    Parameters
    ----------
    bits : int
        Bits to which a product is clipped. A sum of two products fits into one bit more.

    Attributes
    ----------
    valid, a, b, select : In
        Factors of a product, and the sum that the product is added to.
    clear : In(1)
        Sets both sums to 0. No product may be in the pipeline.
    sums : Out
        Include a product :attr:`LATENCY` cycles after its ``valid``.
    """

    LATENCY = 3

    def __init__(self, bits: int) -> None:
        self.bits = bits
        super().__init__({
            "valid": In(1), "select": In(1), "clear": In(1),
            "a": In(SIZE_BITS), "b": In(SIZE_BITS),
            "sums": Out(data.ArrayLayout(bits + 1, 2)),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        factor_a = Signal.like(self.a, reset_less=True)
        factor_b = Signal.like(self.b, reset_less=True)
        product = Signal(2 * SIZE_BITS, reset_less=True)
        # The sum to which the factors, and the product, belong: one-hot.
        factors_select = Signal(2)
        product_select = Signal(2)
        m.d.sync += [
            factor_a.eq(self.a),
            factor_b.eq(self.b),
            factors_select.eq(Mux(self.valid, 1 << self.select, 0)),
            product.eq(factor_a * factor_b),
            product_select.eq(factors_select),
        ]
        for n in range(2):
            with m.If(self.clear):
                m.d.sync += self.sums[n].eq(0)
            with m.Elif(product_select[n]):
                m.d.sync += self.sums[n].eq(self.sums[n] + clip(product, self.bits))
        return m


class RangeExtent(wiring.Component):
    """The extents of one instruction after the other.

    Parameters
    ----------
    isa : Isa
        Formats of the instructions.
    bits : int
        Bits to which a product is clipped.

    Attributes
    ----------
    clear : In(1)
        An instruction is accepted: its inputs are valid from a later cycle on.
    valid, access, word : In
        The decoded instruction and its word, held until the next ``clear``.
    done : Out(1)
        ``dst`` and ``src`` are final; for a LOAD, ``transfer`` is in the next cycle.
    transfer, dst, src : Out(bits + 1)
        The extents. ``dst`` holds an intermediate value in a LOAD.
    """

    def __init__(self, isa: Isa, bits: int) -> None:
        self.isa, self.bits = isa, bits
        super().__init__({
            "clear": In(1), "valid": In(1),
            "access": In(DecodedAccessLayout()), "word": In(isa.memory.bits),
            "done": Out(1),
            "transfer": Out(bits + 1), "dst": Out(bits + 1), "src": Out(bits + 1),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        access = self.access
        loop = data.View(layout_of(self.isa.alu), self.word)  # GEMM has the same fields
        m.submodules.mac = mac = ClippedMac(self.bits)
        factors = [
            (loop.dst_factor_out, loop.iter_out - 1), (loop.dst_factor_in, loop.iter_in - 1),
            (loop.src_factor_out, loop.iter_out - 1), (loop.src_factor_in, loop.iter_in - 1),
        ]  # fmt: skip

        # One product a cycle, then the latency of the last one.
        step = Signal(range(len(factors) + ClippedMac.LATENCY))
        last_product = Signal(range(len(factors)))
        has_products = (access.is_transfer & ~access.single_row) | access.is_loop
        m.d.comb += [
            last_product.eq(Mux(access.is_transfer, 0, Mux(access.two_operands, 3, 1))),
            self.done.eq((step == last_product + ClippedMac.LATENCY) | access.single_row),
            mac.clear.eq(self.clear),
            mac.valid.eq(self.valid & has_products & (step <= last_product)),
            mac.select.eq(step[1]),
        ]
        with m.If(self.clear):
            m.d.sync += step.eq(0)
        with m.Elif(self.valid & ~self.done):
            m.d.sync += step.eq(step + 1)
        with m.If(access.is_transfer):
            m.d.comb += [mac.a.eq(access.rows), mac.b.eq(access.columns)]
        with m.Else(), m.Switch(step):
            for number, (factor, last_iteration) in enumerate(factors):
                with m.Case(number):
                    m.d.comb += [mac.a.eq(factor), mac.b.eq(last_iteration)]

        entries = Mux(access.single_row, clip(access.columns, self.bits), mac.sums[0])
        m.d.sync += self.transfer.eq(entries - 1)
        m.d.comb += [self.dst.eq(mac.sums[0]), self.src.eq(mac.sums[1])]
        return m
