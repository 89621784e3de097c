"""The compiler's description of the machine: on-chip memories and the GEMM instruction.

A :class:`Target` is made from a configuration. Only the names of the memories are global.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vta.isa import MemId

if TYPE_CHECKING:
    from vta.config import VTAConfig

__all__ = [
    "ACC_SCOPE",
    "GLOBAL",
    "INP_SCOPE",
    "SCOPES",
    "WGT_SCOPE",
    "GemmIntrin",
    "Memory",
    "Target",
]

GLOBAL = "global"
INP_SCOPE = "local.inp_buffer"
WGT_SCOPE = "local.wgt_buffer"
ACC_SCOPE = "local.acc_buffer"
SCOPES = (GLOBAL, INP_SCOPE, WGT_SCOPE, ACC_SCOPE)
"""The memories of tensors: DRAM and three on-chip memories."""


@dataclass(frozen=True)
class Memory:
    """An on-chip memory: ``depth`` elements, each a tile of ``shape`` values of ``dtype``."""

    scope: str
    mem_id: MemId
    dtype: str
    shape: tuple[int, int]
    depth: int


@dataclass(frozen=True)
class GemmIntrin:
    """The tensor intrinsic of the GEMM instruction, ``acc[b, c] += sum_k inp[b, k] * wgt[c, k]``,
    for ``tensorize``.

    Shapes: inp ``(batch, block_in)``, wgt ``(block_out, block_in)``, acc ``(batch, block_out)``.
    With ``emit`` False the matched loops are left out of the program, to measure the rest of it.
    """

    batch: int
    block_in: int
    block_out: int
    inp_dtype: str
    wgt_dtype: str
    acc_dtype: str
    emit: bool = True


@dataclass(frozen=True)
class Target:
    """The machine, as far as the compiler needs it."""

    inp: Memory
    wgt: Memory
    acc: Memory
    gemm: GemmIntrin
    uop_depth: int
    """Number of micro-ops that the micro-op memory holds."""
    extension: bool = False
    """Whether the machine has the instruction set extension."""

    @classmethod
    def from_config(cls, cfg: VTAConfig) -> Target:
        """The target that a configuration describes."""
        batch, block_in, block_out = cfg.batch, cfg.block_in, cfg.block_out
        return cls(
            inp=Memory(INP_SCOPE, MemId.INP, cfg.inp_dtype, (batch, block_in), cfg.inp_depth),
            wgt=Memory(WGT_SCOPE, MemId.WGT, cfg.wgt_dtype, (block_out, block_in), cfg.wgt_depth),
            acc=Memory(ACC_SCOPE, MemId.ACC, cfg.acc_dtype, (batch, block_out), cfg.acc_depth),
            gemm=GemmIntrin(
                batch, block_in, block_out, cfg.inp_dtype, cfg.wgt_dtype, cfg.acc_dtype
            ),
            uop_depth=cfg.uop_depth,
            extension=bool(cfg.extension),
        )

    def memory(self, scope: str) -> Memory | None:
        """The on-chip memory of that name; None for DRAM."""
        return {INP_SCOPE: self.inp, WGT_SCOPE: self.wgt, ACC_SCOPE: self.acc}.get(scope)
