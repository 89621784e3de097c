"""The page on the bits of instructions and micro-ops, from :mod:`vta.isa`."""

from __future__ import annotations

from docs.site.markdown import attribute_docstrings, table
from vta.config import PRESETS, VTAConfig
from vta.isa import (
    TOKEN_QUEUES,
    Alu,
    AluOpcode,
    Capability,
    Format,
    Isa,
    Load,
    MemId,
    Opcode,
    PipelineModule,
    Store,
    needed_by,
)

__all__ = ["page"]

HEAD = """# Instruction set

% Generated from vta/isa.

What the instructions mean is in [the contract](../hardware/machine.md); this page has their bits.
An instruction is a little-endian word of 128 bits, a micro-op one of 32. The offsets depend on the
depths of the memories, so there is a column for each preset; `Isa.of(cfg)` in Python gives those of
any configuration. Bits that no field covers must be zero. Signed fields are two's complement, all
others unsigned.

"""


def page() -> str:
    """The page in Markdown."""
    machines = {name: Isa.of(VTAConfig.preset(name)) for name in PRESETS}
    out = HEAD + table(
        ["opcode", "instruction", "module"],
        [[code.value, f"`{code.name}`", _module(code)] for code in Opcode],
    )
    for title, opcode in (
        ("LOAD and STORE", Opcode.LOAD), ("GEMM", Opcode.GEMM), ("ALU", Opcode.ALU),
        ("FINISH", Opcode.FINISH),
    ):  # fmt: skip
        out += f"\n## {title}\n"
        out += _layout({name: isa.format_of(opcode) for name, isa in machines.items()})
    out += "\n### LOAD with a pad value\n"
    out += _layout({name: isa.pad_load for name, isa in machines.items()})
    out += "\n## Micro-op\n" + _layout({name: isa.uop for name, isa in machines.items()})
    out += _memories(machines) + _operations() + _tokens() + _capabilities()
    return out


def _module(code: Opcode) -> str:
    """The modules that execute an opcode; of LOAD by memory."""
    if code is Opcode.STORE:
        return Store().module.name.lower()
    if code is not Opcode.LOAD:
        return PipelineModule.COMPUTE.name.lower()
    by_module: dict[str, list[str]] = {}
    for memory in MemId:
        load = Load(memory=memory, x_size=1, y_size=1)
        if Isa.of(VTAConfig()).why_illegal(load) is None:
            by_module.setdefault(load.module.name.lower(), []).append(memory.name)
    return "; ".join(f"{module} ({', '.join(names)})" for module, names in by_module.items())


def _layout(formats: dict[str, Format]) -> str:
    """A row for each field, a column with its bits for each machine."""
    names = list(dict.fromkeys(field.name for form in formats.values() for field in form.fields))
    rows = []
    for name in names:
        cells = []
        for form in formats.values():
            field = next((field for field in form.fields if field.name == name), None)
            cells.append("" if field is None else _bits(field.offset, field.width))
            signed = field is not None and field.signed
        rows.append([f"`{name}`" + (" (signed)" if signed else ""), *cells])
    return table(["field", *(f"`{name}`" for name in formats)], rows)


def _bits(offset: int, width: int) -> str:
    return f"{offset}" if width == 1 else f"{offset + width - 1}:{offset}"


def _memories(machines: dict[str, Isa]) -> str:
    rows = [
        [memory.value, f"`{memory.name}`",
         *(f"{isa.depth(memory):,} of {isa.elem_bytes(memory)} B" for isa in machines.values())]
        for memory in MemId
    ]  # fmt: skip
    head = ["code", "memory", *(f"`{name}`" for name in machines)]
    return "\n## Memories\nEntries, and the bytes of an element in DRAM.\n\n" + table(head, rows)


def _operations() -> str:
    rows = [
        [code.value, f"`{code.name}`", code.operands, ", ".join(code.y_sources), code.meaning,
         "yes" if needed_by((Alu(alu_opcode=code),)) else ""]
        for code in AluOpcode
    ]  # fmt: skip
    head = ["code", "operation", "operands", "y from", "result", "extension"]
    return "\n## ALU operations\n`x` is `acc[dst]`.\n\n" + table(head, rows)


def _tokens() -> str:
    rows = [
        [f"`{queue.name}`", queue.source.name.lower(), f"`{queue.push_flag}`",
         queue.target.name.lower(), f"`{queue.pop_flag}`"]
        for queue in TOKEN_QUEUES
    ]  # fmt: skip
    head = ["queue", "pushed by", "flag", "popped by", "flag"]
    return "\n## Tokens\n" + table(head, rows)


def _capabilities() -> str:
    notes = attribute_docstrings(Capability)
    rows = [
        [part.bit_length() - 1, f"`{part.name}`", notes.get(str(part.name), "")]
        for part in Capability
    ]
    about = "The parts of [the extension](../hardware/machine.md#the-extension)."
    return f"\n## CAPS\n{about}\n\n" + table(["bit", "name", "what"], rows)
