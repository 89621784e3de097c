"""The page on the control registers, from :mod:`vta.memmap`."""

from __future__ import annotations

from docs.site.markdown import attribute_docstrings, first_paragraph, table
from vta import memmap

__all__ = ["page"]

HEAD = """# Control registers

% Generated from vta/memmap.py.

The host controls the machine through {count} registers of 32 bits on an AXI4-Lite port with byte
addresses of {bits} bits. A 64-bit value takes two registers, low half first; a read of the low half
of a counter latches the high half. What happens to them in a run is in
[the contract](../hardware/machine.md). `vta.memmap.c_header()` prints the same table for C.

"""


def page() -> str:
    """The page in Markdown."""
    out = HEAD.format(count=len(memmap.REGISTERS), bits=memmap.ADDR_BITS)
    out += table(
        ["offset", "register", "access", "what"],
        [
            [f"`0x{item.offset:03x}`", f"`{item.name}`", item.access, item.meaning]
            for item in memmap.REGISTERS
        ],
    )
    out += f"\n`ID` reads `0x{memmap.IDENTITY:08x}`, `VERSION` `0x{memmap.VERSION:08x}`.\n"
    out += "\n## CONFIG0 and CONFIG1\n" + table(
        ["register", "bits", "key"],
        [
            [f"`CONFIG{word}`", f"{low + bits - 1}:{low}", f"`{key}`"]
            for key, word, low, bits in memmap.CONFIG_FIELDS
        ],
    )
    for values in (memmap.ErrorCode, memmap.Source, memmap.ModuleState):
        out += f"\n## {values.__name__}\n{first_paragraph(values.__doc__)}\n\n"
        notes = attribute_docstrings(values)
        out += table(
            ["value", "name", "what"],
            [[value.value, f"`{value.name}`", notes.get(value.name, "")] for value in values],
        )
    return out
