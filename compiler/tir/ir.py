"""The loop-nest program between a schedule and the instruction stream.

A :class:`PrimFunc` is made by :func:`vta.compiler.lower.lower.lower` and rewritten by the passes
until only coprocessor statements are left in loops. All nodes are frozen values: a pass builds new
ones
(:func:`vta.compiler.tir.visitor.rebuild`).

What holds in every program: loops run from 0, extents are Python integers and greater than 1 (a
loop of one round is replaced by its body); a loop variable belongs to one loop; buffers keep the
tensors' dimensions and indices, one index a dimension; indices are of dtype int32.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, ClassVar, Literal

from vta.compiler.te.dtypes import BOOL
from vta.compiler.te.expr import Const, Expr, Var

if TYPE_CHECKING:
    from vta.isa import AluOpcode, MemId, PipelineModule

__all__ = [
    "NEVER",
    "Allocate",
    "AluUop",
    "Buffer",
    "BufferLoad",
    "BufferStore",
    "CoprocScope",
    "DepPop",
    "DepPush",
    "For",
    "GemmTile",
    "GemmUop",
    "IfThenElse",
    "LoadBuffer2D",
    "Pragma",
    "PrimFunc",
    "RingSlot",
    "Seq",
    "Stmt",
    "StoreBuffer2D",
    "Sync",
    "UopLoop",
    "UopScope",
    "seq",
]

ZERO = Const(0)
NEVER = Const(0, BOOL)
"""The condition that holds nowhere."""


@dataclass(frozen=True, eq=False)
class Buffer:
    """Memory of a tensor or of the part of it that is alive at a time; one object is one buffer.

    ``scope`` is ``global`` (DRAM) or the name of an on-chip memory
    (:data:`vta.compiler.target.SCOPES`). Row-major. ``slots`` is the number of copies of a ring
    buffer (:meth:`vta.compiler.schedule.stage.Stage.ring`); 0 for every other buffer.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    scope: str = "global"
    slots: int = 0

    @property
    def size(self) -> int:
        """Number of scalars."""
        return prod(self.shape)

    @property
    def strides(self) -> tuple[int, ...]:
        """Distance in scalars between neighbours of each dimension."""
        return tuple(prod(self.shape[dim + 1 :]) for dim in range(len(self.shape)))


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class BufferLoad(Expr):
    """The value of one scalar of a buffer."""

    buffer: Buffer
    indices: tuple[Expr, ...]

    @property
    def dtype(self) -> str:
        return self.buffer.dtype


class Stmt:
    """Base of all statements."""

    __slots__ = ()

    def __str__(self) -> str:
        from vta.compiler.tir.printer import stmt_text

        return stmt_text(self)

    __repr__ = __str__


# ---- host structure ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, repr=False)
class Seq(Stmt):
    """Statements one after the other; empty, it does nothing. :func:`seq` makes and flattens it."""

    stmts: tuple[Stmt, ...] = ()


@dataclass(frozen=True, slots=True, repr=False)
class For(Stmt):
    """``body`` for ``var`` = 0 .. ``extent`` - 1.

    ``serial`` and ``unroll`` run in order; the rounds of ``cthread`` are virtual threads, which may
    overlap.
    """

    var: Var
    extent: int
    kind: Literal["serial", "unroll", "cthread"]
    body: Stmt


@dataclass(frozen=True, slots=True, repr=False)
class IfThenElse(Stmt):
    """``then`` if ``cond`` (dtype bool) holds; there is no else."""

    cond: Expr
    then: Stmt


@dataclass(frozen=True, slots=True, repr=False)
class Allocate(Stmt):
    """``buffer`` exists while ``body`` runs; its contents are undefined at the start."""

    buffer: Buffer
    body: Stmt


@dataclass(frozen=True, slots=True, repr=False)
class RingSlot(Stmt):
    """``body`` runs with ``var`` = one of the ``buffer.slots`` slots of a ring buffer.

    Code generation chooses the slot: the one that still holds what ``body`` would load, whose loads
    are then left out; otherwise the slot that was filled longest ago.
    """

    buffer: Buffer
    var: Var
    body: Stmt


@dataclass(frozen=True, slots=True, repr=False)
class BufferStore(Stmt):
    """``buffer[indices] = value``, of one dtype."""

    buffer: Buffer
    indices: tuple[Expr, ...]
    value: Expr


@dataclass(frozen=True, slots=True, repr=False)
class Pragma(Stmt):
    """A request of the schedule about ``body``: ``dma_copy``, ``alu``, ...

    It stands outside the loop of the axis that it was given for (or of what is left of it, if that
    loop has one round). ``stage`` and ``axis`` are the names of where it was asked for, for
    messages.
    """

    key: str
    value: int | str | None
    stage: str
    axis: str
    body: Stmt


@dataclass(frozen=True, slots=True, repr=False)
class GemmTile(Stmt):
    """One product of tiles, matched by ``tensorize``: ``acc += inp · wgtᵀ``; ``reset``: ``acc =
    0``; where ``start`` holds: ``acc = inp · wgtᵀ``.

    The operands name the first scalar of a whole tile: ``acc[BATCH, BLOCK_OUT]``, ``inp[BATCH,
    BLOCK_IN]`` and ``wgt[BLOCK_OUT, BLOCK_IN]`` are the last two dimensions of their buffers, with
    indices 0. ``inp`` and ``wgt`` are None exactly with ``reset``.
    """

    stage: str
    reset: bool
    acc: BufferLoad
    inp: BufferLoad | None
    wgt: BufferLoad | None
    start: Expr = NEVER


# ---- coprocessor statements, made by the passes --------------------------------------------------


@dataclass(frozen=True, slots=True, repr=False)
class CoprocScope(Stmt):
    """``body`` belongs to one module of the machine: load (1), compute (2) or store (3)."""

    module: PipelineModule
    body: Stmt


@dataclass(frozen=True, slots=True, repr=False)
class LoadBuffer2D(Stmt):
    """One LOAD: ``y_size`` rows of ``x_size`` elements (tiles), from DRAM buffer to SRAM buffer.

    Without ``src`` it reads nothing: all of it is padding, and ``y_size`` is 0. ``src_offset``
    counts elements of the memory type from the start of ``src``; ``sram_index``
    elements from the start of ``dst``, and of the SRAM once storage is allocated (``dst`` stays for
    messages and the printed program).
    """

    src: Buffer | None
    src_offset: Expr
    x_size: Expr
    y_size: Expr
    x_stride: Expr
    x_pad_before: Expr
    y_pad_before: Expr
    x_pad_after: Expr
    y_pad_after: Expr
    dst: Buffer
    sram_index: Expr
    mem_id: MemId


@dataclass(frozen=True, slots=True, repr=False)
class StoreBuffer2D(Stmt):
    """One STORE: ``y_size`` rows of ``x_size`` elements, accumulator narrowed to output, SRAM to
    DRAM buffer.
    """

    src: Buffer
    sram_index: Expr
    dst: Buffer
    dst_offset: Expr
    x_size: Expr
    y_size: Expr
    x_stride: Expr


@dataclass(frozen=True, slots=True, repr=False)
class UopScope(Stmt):
    """A micro-op kernel: loops around a micro-op that become one GEMM or ALU instruction.

    A kernel with more rounds than an instruction holds becomes several instructions.
    """

    kind: Literal["gemm", "alu"]
    body: Stmt


@dataclass(frozen=True, slots=True, repr=False)
class UopLoop(Stmt):
    """One of the two loops of the instruction: the indices grow by the factors each round.

    ``extent`` is an expression of the loops around the kernel, which is 0 where it has no rounds.
    """

    extent: Expr
    dst_factor: int
    src_factor: int
    wgt_factor: int
    body: Stmt


@dataclass(frozen=True, slots=True, repr=False, kw_only=True)
class GemmUop(Stmt):
    """One micro-op of a GEMM: ``acc[dst] += inp[src] · wgt[wgt]ᵀ``; ``reset``: ``acc[dst] = 0``;
    where ``start`` holds: ``acc[dst] = inp[src] · wgt[wgt]ᵀ``.

    The indices count elements (tiles) from the start of ``dst_buffer``, ``src_buffer`` and
    ``wgt_buffer``, and from the start of the SRAM once storage is allocated. A reset has neither
    ``src`` nor ``wgt``. In a round of the loops of an instruction (:class:`UopLoop`) ``start`` is
    that of the first round; the instruction starts a sum where its tile changes.
    """

    OPERANDS: ClassVar[tuple[str, ...]] = ("dst", "src", "wgt")

    dst: Expr
    src: Expr = ZERO
    wgt: Expr = ZERO
    reset: bool = False
    start: Expr = NEVER
    dst_buffer: Buffer | None = None
    src_buffer: Buffer | None = None
    wgt_buffer: Buffer | None = None


@dataclass(frozen=True, slots=True, repr=False, kw_only=True)
class AluUop(Stmt):
    """One micro-op of the vector ALU: ``acc[dst] = opcode(acc[dst], acc[src])``, or with the
    immediate ``imm`` as second operand if that is not None.

    The indices count as those of :class:`GemmUop`. ``src`` equals ``dst`` if there is an immediate.
    """

    OPERANDS: ClassVar[tuple[str, ...]] = ("dst", "src")

    opcode: AluOpcode
    dst: Expr
    src: Expr
    imm: int | None = None
    dst_buffer: Buffer | None = None
    src_buffer: Buffer | None = None


@dataclass(frozen=True, slots=True, repr=False)
class DepPush(Stmt):
    """``source`` tells ``target`` that it may go on: one token."""

    source: PipelineModule
    target: PipelineModule


@dataclass(frozen=True, slots=True, repr=False)
class DepPop(Stmt):
    """``target`` waits for one token of ``source``."""

    source: PipelineModule
    target: PipelineModule


@dataclass(frozen=True, slots=True, repr=False)
class Sync(Stmt):
    """The host waits until everything before has finished."""


# ---- the program ---------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False)
class PrimFunc:
    """A program: ``params`` are DRAM buffers in the order of the call, ``outputs`` those of them
    that it writes.
    """

    name: str
    params: tuple[Buffer, ...]
    outputs: tuple[Buffer, ...]
    body: Stmt

    def __str__(self) -> str:
        from vta.compiler.tir.printer import func_text

        return func_text(self)

    __repr__ = __str__

    def show(self) -> None:
        """Print the program."""
        print(self)


def seq(*stmts: Stmt) -> Stmt:
    """The statements in order, nested sequences flattened; a single one stands for itself."""
    flat: list[Stmt] = []
    for stmt in stmts:
        flat.extend(stmt.stmts if isinstance(stmt, Seq) else (stmt,))
    return flat[0] if len(flat) == 1 else Seq(tuple(flat))
