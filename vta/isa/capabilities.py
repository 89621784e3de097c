"""The parts of the instruction set extension, as the register CAPS reports them.

A machine has all of them or none (:attr:`~vta.config.VTAConfig.extension`). An instruction needs
those that :func:`needed_by` names; the instructions of the base set need none, and mean the same on
every machine.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from vta.isa.alu_operations import AluOpcode
from vta.isa.instructions import Alu, Gemm, Instruction, Load, MemId, Store

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vta.config import VTAConfig

__all__ = ["Capability", "alu_operations_of", "capabilities_of", "describe", "needed_by"]


class Capability(enum.IntFlag, boundary=enum.STRICT):
    """A part of the extension: its bit in CAPS."""

    GEMM_START = 1
    """GEMM instructions that start sums (:attr:`~vta.isa.Gemm.start`)."""
    REQUANTISE = 2
    """The ALU operation REQUANTISE (:mod:`vta.isa.requantisation`)."""
    PAD_VALUE = 4
    """LOAD instructions with padding other than 0 (:attr:`~vta.isa.Load.pad_value`)."""
    ALU_START = 8
    """ALU instructions that start minima, maxima and sums (:attr:`~vta.isa.Alu.start`)."""
    STORE_ACC = 16
    """STORE instructions of ACC: whole accumulators."""


def capabilities_of(cfg: VTAConfig) -> Capability:
    """What a machine of this configuration has."""
    return ~Capability(0) if cfg.extension else Capability(0)


def needed_by(insns: Iterable[Instruction]) -> Capability:
    """What a machine must have to execute these instructions."""
    needed = Capability(0)
    for insn in insns:
        if isinstance(insn, Gemm) and insn.start:
            needed |= Capability.GEMM_START
        elif isinstance(insn, Alu) and insn.alu_opcode is AluOpcode.REQUANTISE:
            needed |= Capability.REQUANTISE
        elif isinstance(insn, Alu) and insn.start:
            needed |= Capability.ALU_START
        elif isinstance(insn, Load) and insn.pad_value:
            needed |= Capability.PAD_VALUE
        elif isinstance(insn, Store) and insn.memory is MemId.ACC and not insn.is_nop:
            needed |= Capability.STORE_ACC
    return needed


def alu_operations_of(cfg: VTAConfig) -> tuple[AluOpcode, ...]:
    """The operations that the ALU of a machine has."""
    return tuple(
        operation for operation in AluOpcode
        if not needed_by((Alu(alu_opcode=operation),)) & ~capabilities_of(cfg)
    )  # fmt: skip


def describe(capabilities: Capability) -> str:
    """Names for messages."""
    return ", ".join(str(member.name) for member in capabilities) or "none"
