"""The intermediate representation between a schedule and the instruction stream.

:func:`vta.compiler.lower.lower.lower` makes a :class:`PrimFunc`. The passes rewrite it until only
coprocessor statements are left in the loops. All nodes are frozen values: a pass builds new nodes
(:func:`vta.compiler.tir.visitor.rebuild`).

Invariants of every program: loops run from 0; extents are Python integers greater than 1 (a loop of
one iteration is replaced by its body); a loop variable belongs to one loop; a buffer has the
dimensions of its tensor, and an access has one index for each; indices are of dtype int32.

The ``call`` of a statement is the line of the user's script that asked for it with a primitive of
the schedule. It decides nothing, and statements that differ in it only are equal.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, ClassVar, Literal

from vta import html_tables
from vta.compiler.te.dtypes import BOOL
from vta.compiler.te.expr import Const, Expr, Var
from vta.isa import MemId

if TYPE_CHECKING:
    from vta.call_site import CallSite
    from vta.isa import AluOpcode, Limits, PipelineModule

__all__ = [
    "ALWAYS",
    "NEVER",
    "START",
    "Allocate",
    "AluUop",
    "Buffer",
    "BufferLoad",
    "BufferStore",
    "CoprocScope",
    "DepPop",
    "DepPush",
    "EarlyStart",
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
NEVER, ALWAYS = Const(0, BOOL), Const(1, BOOL)
"""The conditions that never hold, and that always hold."""
START = "start"
"""The value of an ``alu`` pragma: a reduction starts its instructions, without start values."""


@dataclass(frozen=True, eq=False)
class Buffer:
    """Memory of a tensor, or of the part of a tensor that is computed at a time. Buffers compare by
    identity.

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
        """Distance in scalars between consecutive indices of each dimension."""
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

    ``serial`` and ``unroll`` loops run in order. The iterations of a ``cthread`` loop are virtual
    threads, which may overlap.
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
    """``buffer`` exists in ``body``; its contents are undefined at the start."""

    buffer: Buffer
    body: Stmt


@dataclass(frozen=True, slots=True, repr=False)
class RingSlot(Stmt):
    """``body`` runs with ``var`` = one of the ``buffer.slots`` slots of a ring buffer.

    Code generation chooses the slot: a slot that still holds the data that ``body`` would load,
    whose loads are then left out; else the least recently filled slot.
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
    """A mark of the schedule on ``body``: ``dma_copy``, ``alu``, ...

    The pragma is around the loop of its axis (or around the body of that loop, if the loop has one
    iteration). ``stage`` and ``axis`` are names for messages.
    """

    key: str
    value: int | str | None
    stage: str
    axis: str
    body: Stmt
    call: CallSite | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, repr=False)
class GemmTile(Stmt):
    """One product of tiles, matched by ``tensorize``: ``acc += inp · wgtᵀ``; ``reset``: ``acc =
    0``; where ``start`` holds: ``acc = inp · wgtᵀ``.

    Each operand is the first scalar of a whole tile: ``acc[BATCH, BLOCK_OUT]``, ``inp[BATCH,
    BLOCK_IN]`` and ``wgt[BLOCK_OUT, BLOCK_IN]`` are the last two dimensions of their buffers, with
    indices 0. With ``reset``, and only then, ``inp`` and ``wgt`` are None.
    """

    stage: str
    reset: bool
    acc: BufferLoad
    inp: BufferLoad | None
    wgt: BufferLoad | None
    start: Expr = NEVER
    call: CallSite | None = field(default=None, compare=False)


# ---- coprocessor statements, made by the passes --------------------------------------------------


@dataclass(frozen=True, slots=True, repr=False)
class CoprocScope(Stmt):
    """``body`` belongs to one module of the machine: load (1), compute (2) or store (3)."""

    module: PipelineModule
    body: Stmt


@dataclass(frozen=True, slots=True, repr=False)
class LoadBuffer2D(Stmt):
    """One LOAD: ``y_size`` rows of ``x_size`` elements (tiles), from DRAM buffer to SRAM buffer.

    Without ``src`` the LOAD reads nothing: ``y_size`` is 0, and all rows are padding. Each value of
    the padding is ``pad_value``.
    ``src_offset`` is in elements of the memory type from the start of ``src``. ``sram_index`` is in
    elements from the start of ``dst``; after storage allocation from the start of the SRAM, and
    ``dst`` is left for messages and the printed program only.
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
    pad_value: int = 0
    call: CallSite | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, repr=False)
class StoreBuffer2D(Stmt):
    """One STORE: ``y_size`` rows of ``x_size`` elements, SRAM to DRAM buffer: accumulators narrowed
    to output (OUT), or whole (ACC).
    """

    src: Buffer
    sram_index: Expr
    dst: Buffer
    dst_offset: Expr
    x_size: Expr
    y_size: Expr
    x_stride: Expr
    mem_id: MemId = MemId.OUT
    call: CallSite | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, repr=False)
class UopScope(Stmt):
    """A micro-op kernel: loops around a micro-op that become one GEMM or ALU instruction.

    A kernel with more iterations than an instruction can have becomes several instructions.
    """

    kind: Literal["gemm", "alu"]
    body: Stmt


@dataclass(frozen=True, slots=True, repr=False)
class UopLoop(Stmt):
    """One of the two loops of the instruction: each iteration adds the factors to the indices.

    ``extent`` is an expression of the loops around the kernel; it may be 0.
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

    Indices are in elements (tiles) from the start of ``dst_buffer``, ``src_buffer`` and
    ``wgt_buffer``; after storage allocation from the start of the SRAM. A reset has neither ``src``
    nor ``wgt``. Inside a :class:`UopLoop`, ``start`` is the condition of its first iteration; the
    instruction starts a sum where the tile changes.
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
    call: CallSite | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, repr=False, kw_only=True)
class AluUop(Stmt):
    """One micro-op of the vector ALU: ``acc[dst] = opcode(acc[dst], acc[src])``, or with the
    immediate ``imm`` as second operand if that is not None; where ``start`` holds: ``acc[dst]`` is
    the second operand.

    Indices are as in :class:`GemmUop`, and ``start`` is. With an immediate, ``src`` equals ``dst``.
    ``limits`` is the third operand of REQUANTISE, None in other operations.
    """

    OPERANDS: ClassVar[tuple[str, ...]] = ("dst", "src")

    opcode: AluOpcode
    dst: Expr
    src: Expr
    imm: int | None = None
    limits: Limits | None = None
    start: Expr = NEVER
    dst_buffer: Buffer | None = None
    src_buffer: Buffer | None = None
    call: CallSite | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, repr=False)
class DepPush(Stmt):
    """``source`` pushes one token to ``target``."""

    source: PipelineModule
    target: PipelineModule


@dataclass(frozen=True, slots=True, repr=False)
class DepPop(Stmt):
    """``target`` pops one token of ``source``; without a token it waits."""

    source: PipelineModule
    target: PipelineModule


@dataclass(frozen=True, slots=True, repr=False)
class Sync(Stmt):
    """The host waits until all statements in front have finished."""


# ---- the program ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class EarlyStart:
    """How a program with ring buffers begins.

    Attributes
    ----------
    parts : int
        GEMM instructions and their weights come in so many parts at most, so that products begin
        when the weights of the first part are on chip.
    steps : int
        The first so many GEMM instructions are cut.
    rows : int
        The first part begins with one of so many shares of its rows, for which only a share of the
        activations must be on chip.
    late_constants : bool
        Accumulators that the first products do not touch are loaded behind their first part.
    """

    parts: int = 1
    steps: int = 1
    rows: int = 1
    late_constants: bool = False


@dataclass(frozen=True, repr=False)
class PrimFunc:
    """A program. ``params`` are its arguments, DRAM buffers in the order of a call; ``outputs`` are
    those of them that the program writes. ``start`` says in which order it begins.
    """

    name: str
    params: tuple[Buffer, ...]
    outputs: tuple[Buffer, ...]
    body: Stmt
    start: EarlyStart = EarlyStart()

    def __str__(self) -> str:
        from vta.compiler.tir.printer import func_text

        return func_text(self)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return html_tables.code(str(self))

    def show(self) -> None:
        """Print the program."""
        print(self)


def seq(*stmts: Stmt) -> Stmt:
    """The statements in order, with nested sequences flattened; one statement stays itself."""
    flat: list[Stmt] = []
    for stmt in stmts:
        flat.extend(stmt.stmts if isinstance(stmt, Seq) else (stmt,))
    return flat[0] if len(flat) == 1 else Seq(tuple(flat))
