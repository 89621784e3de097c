"""Selection of one of several values, for parts with LUTs of four inputs and of six."""

from collections.abc import Sequence
from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Mux, Value

__all__ = ["code_of", "selected_by_bits", "selected_by_code"]


def selected_by_bits(bits, values: Sequence):
    """The value whose bit is set, or 0: an AND and an OR, which merge with later logic. A LUT of
    four inputs takes two values."""
    return reduce(or_, (Mux(bit, value, 0) for bit, value in zip(bits, values, strict=True)))


def selected_by_code(code, values: Sequence):
    """The value with the number ``code``, by two-way multiplexers. A LUT of six inputs takes four
    values. Numbers without a value give any of them."""
    while len(values) > 1:
        pairs = [values[n : n + 2] for n in range(0, len(values), 2)]
        values = [Mux(code[0], pair[1], pair[0]) if len(pair) > 1 else pair[0] for pair in pairs]
        code = code[1:]
    return values[0]


def code_of(bits: Sequence) -> Value:
    """The number of the bit that is set."""
    width = max(len(bits) - 1, 1).bit_length()
    return Cat(
        Cat(bit for number, bit in enumerate(bits) if number >> place & 1).any()
        for place in range(width)
    )
