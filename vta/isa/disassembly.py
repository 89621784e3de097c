"""Disassembly: instructions as text."""

from __future__ import annotations

from vta.isa.instructions import Alu, Finish, Gemm, Instruction, Load, MicroOpLoop, Transfer
from vta.isa.requantisation import Limits

__all__ = ["disassemble"]


def disassemble(insn: Instruction) -> str:
    """One line of text: tokens popped, the operation with its fields, tokens pushed."""
    if isinstance(insn, Transfer):
        text = _transfer_text(insn)
    elif isinstance(insn, Finish):
        text = "FINISH"
    else:
        assert isinstance(insn, MicroOpLoop)
        text = _compute_text(insn)
    pops = [name for name, flag in (("prev", insn.pop_prev), ("next", insn.pop_next)) if flag]
    pushes = [name for name, flag in (("prev", insn.push_prev), ("next", insn.push_next)) if flag]
    if pops:
        text += f"  pop({', '.join(pops)})"
    if pushes:
        text += f"  push({', '.join(pushes)})"
    return text


def _transfer_text(insn: Transfer) -> str:
    name = insn.opcode.name
    if insn.is_nop:
        return f"NOP ({insn.module.name.lower()})"
    text = (
        f"{name} {insn.memory.name} sram={insn.sram_base} dram=0x{insn.dram_base:x} "
        f"rows={insn.y_size} cols={insn.x_size} stride={insn.x_stride}"
    )
    if insn.y_pad_0 or insn.y_pad_1 or insn.x_pad_0 or insn.x_pad_1:
        text += f" pad(y {insn.y_pad_0},{insn.y_pad_1} x {insn.x_pad_0},{insn.x_pad_1})"
    if isinstance(insn, Load) and insn.pad_value:
        text += f" value={insn.pad_value}"
    return text


def _compute_text(insn: MicroOpLoop) -> str:
    if isinstance(insn, Alu):
        text = f"ALU {insn.alu_opcode.name}" + " start" * insn.start
        if not insn.alu_opcode.is_unary:
            text += f" imm {insn.imm}" if insn.use_imm else " acc"
        if insn.alu_opcode.is_ternary:
            low, high = Limits.of_immediate(insn.imm)
            text += f" clip({low}, {high})"
    else:
        assert isinstance(insn, Gemm)
        text = "GEMM" + " start" * insn.start + " reset" * insn.reset
    text += f" uop[{insn.uop_bgn}:{insn.uop_end}]"
    for name in ("out", "in"):
        extent = getattr(insn, f"iter_{name}")
        if extent != 1:
            dst, src = (getattr(insn, f"{index}_factor_{name}") for index in ("dst", "src"))
            steps = f"dst+{dst} src+{src}"
            if isinstance(insn, Gemm):
                steps += f" wgt+{getattr(insn, f'wgt_factor_{name}')}"
            text += f" {name}({extent}: {steps})"
    return text
