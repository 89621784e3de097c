"""Typed instructions: opcodes, memories, the modules that execute, and the fields of each kind."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import ClassVar

from vta.isa.alu_operations import AluOpcode

__all__ = [
    "Alu",
    "Finish",
    "Gemm",
    "Instruction",
    "Load",
    "MemId",
    "MicroOpLoop",
    "Opcode",
    "PipelineModule",
    "Store",
    "Transfer",
    "Uop",
]


class Opcode(enum.IntEnum):
    LOAD = 0
    STORE = 1
    GEMM = 2
    FINISH = 3
    ALU = 4


class MemId(enum.IntEnum):
    """What a LOAD writes or a STORE reads."""

    UOP = 0
    WGT = 1
    INP = 2
    ACC = 3
    OUT = 4
    ACC_8BIT = 5


class PipelineModule(enum.IntEnum):
    """The three modules that execute instructions, numbered as the stages of the original
    runtime."""

    LOAD = 1
    COMPUTE = 2
    STORE = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Instruction:
    """Base of the typed instructions. The four flags say which tokens are popped before and pushed
    after.

    ``prev`` and ``next`` are the neighbours in the order load, compute, store.
    """

    opcode: ClassVar[Opcode]

    pop_prev: bool = False
    pop_next: bool = False
    push_prev: bool = False
    push_next: bool = False

    @property
    def module(self) -> PipelineModule:
        """The module whose queue the instruction goes to."""
        return PipelineModule.COMPUTE


@dataclass(frozen=True, kw_only=True, slots=True)
class Transfer(Instruction):
    """A 2D transfer between DRAM and an SRAM; all sizes and addresses are in elements of
    ``memory``."""

    memory: MemId
    sram_base: int = 0
    dram_base: int = 0
    y_size: int = 0
    x_size: int = 0
    x_stride: int = 0
    y_pad_0: int = 0
    y_pad_1: int = 0
    x_pad_0: int = 0
    x_pad_1: int = 0

    @property
    def is_nop(self) -> bool:
        """A transfer with no columns moves nothing, pads nothing, and only carries tokens."""
        return self.x_size == 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Load(Transfer):
    """DRAM to SRAM. Rows of ``x_size`` elements, ``x_stride`` apart, with padding around: first
    ``y_pad_0`` rows, then in each row ``x_pad_0`` before and ``x_pad_1`` after, then ``y_pad_1``
    rows; written from ``sram_base`` without gaps.

    Each lane of the padding is ``pad_value``, an int8. A value other than 0 belongs to the
    instruction set extension; it is legal for INP, ACC and ACC_8BIT.
    """

    opcode = Opcode.LOAD
    pad_value: int = 0

    @property
    def module(self) -> PipelineModule:
        return (
            PipelineModule.LOAD if self.memory in (MemId.INP, MemId.WGT) else PipelineModule.COMPUTE
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Store(Transfer):
    """SRAM to DRAM: accumulator tiles from ``sram_base`` on, in rows ``x_stride`` apart. OUT: the
    low bits of each lane; ACC: all bits, of the instruction set extension."""

    opcode = Opcode.STORE
    memory: MemId = MemId.OUT

    @property
    def module(self) -> PipelineModule:
        return PipelineModule.STORE


@dataclass(frozen=True, kw_only=True, slots=True)
class MicroOpLoop(Instruction):
    """A loop nest ``for o < iter_out: for i < iter_in: for u in [uop_bgn, uop_end)`` over
    micro-ops whose indices move by the factors: ``dst = uop.dst + o * dst_factor_out + i *
    dst_factor_in`` and alike."""

    reset: bool = False
    uop_bgn: int = 0
    uop_end: int = 0
    iter_out: int = 1
    iter_in: int = 1
    dst_factor_out: int = 0
    dst_factor_in: int = 0
    src_factor_out: int = 0
    src_factor_in: int = 0

    @property
    def operations(self) -> int:
        """How many micro-operations the nest has."""
        return self.iter_out * self.iter_in * max(self.uop_end - self.uop_bgn, 0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Gemm(MicroOpLoop):
    """``acc[dst] += inp[src] @ wgt[wgt].T``, or ``acc[dst] = 0`` with ``reset``.

    With ``start`` (of the instruction set extension) a product overwrites its tile,
    ``acc[dst] = inp[src] @ wgt[wgt].T``, unless the product right before it in the same
    instruction has the same ``dst``.
    """

    opcode = Opcode.GEMM
    start: bool = False
    wgt_factor_out: int = 0
    wgt_factor_in: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Alu(MicroOpLoop):
    """``acc[dst] = op(acc[dst], imm if use_imm else acc[src])``. ``reset`` is encoded but has no
    meaning here. In an operation of three operands ``imm`` is the third one.

    With ``start`` (of the instruction set extension) a micro-op overwrites its tile,
    ``acc[dst] = imm if use_imm else acc[src]``, unless the micro-op right before it in the same
    instruction has the same ``dst``. The operation is one of
    :data:`~vta.isa.alu_operations.RUN_OPERATIONS`.
    """

    opcode = Opcode.ALU
    start: bool = False
    alu_opcode: AluOpcode = AluOpcode.MIN
    use_imm: bool = False
    imm: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Finish(Instruction):
    """Ends the run; the last instruction of the compute module."""

    opcode = Opcode.FINISH


@dataclass(frozen=True, slots=True)
class Uop:
    """A micro-op: three SRAM indices. For the ALU ``src`` is an accumulator index and ``wgt`` is
    unused."""

    dst: int = 0
    src: int = 0
    wgt: int = 0
