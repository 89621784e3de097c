"""A copy between DRAM and an on-chip memory as one 2D transfer inside loops.

One loop of the copy becomes the columns of the transfer (x), one the rows (y). The other loops
stay around the transfer, which is then issued once in each iteration.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from vta.compiler.analysis.dma_coalescing import coalesce
from vta.compiler.analysis.loop_bounds import LoopBounds, Ranges, bound_loops, constraints, only_if
from vta.compiler.analysis.loop_nest import (
    Loop,
    LoopNest,
    flat_index,
    join_loops,
    remove_tile_loops,
    require_affine,
    require_inside,
    wrap_in_loops,
)
from vta.compiler.target import GLOBAL, Memory, Target
from vta.compiler.te.expr import Const, Expr, maximum, minimum
from vta.compiler.tir.affine import Affine
from vta.compiler.tir.ir import (
    BufferLoad,
    BufferStore,
    CoprocScope,
    For,
    IfThenElse,
    LoadBuffer2D,
    Stmt,
    StoreBuffer2D,
    seq,
)
from vta.compiler.tir.simplify import simplify
from vta.errors import LoweringError
from vta.isa import MAX_TRANSFER_PAD, MAX_TRANSFER_SIZE, MemId, PipelineModule

__all__ = ["Copy", "loading_module"]


def loading_module(memory: Memory, target: Target) -> PipelineModule:
    """The module that loads a memory."""
    return PipelineModule.COMPUTE if memory is target.acc else PipelineModule.LOAD


@dataclass(frozen=True)
class _Dim:
    """One loop of the copy: its steps on both sides, in elements, and the bounds that padding or
    conditions put on it.
    """

    loop: Loop
    sram_step: int
    dram_step: int
    bound: LoopBounds | None


class Copy:
    """The nest of one copy, to be replaced by a transfer.

    Parameters
    ----------
    where : str
        Start of error messages.
    nest : LoopNest
        The loops of the copy around its store.
    conditions : list of Expr
        Where one does not hold, the copy writes padding.
    source : BufferLoad
        The element that the copy reads.
    ranges : mapping of Var to (int, int)
        The lowest and the highest value of each variable of the loops around the nest.
    filled : bool
        Whether the destination holds the padding everywhere already; ``conditions`` is then empty.
    pad_value : int
        The value of the padding.

    Raises
    ------
    LoweringError
        If no transfer can do the copy: memories, types, or indices.
    """

    def __init__(
        self,
        where: str,
        nest: LoopNest,
        conditions: list[Expr],
        source: BufferLoad,
        target: Target,
        ranges: Ranges,
        *,
        filled: bool = False,
        pad_value: int = 0,
    ) -> None:
        self.where, self.target, self.ranges, self.filled = where, target, ranges, filled
        self.pad_value = pad_value
        store = nest.leaf
        assert isinstance(store, BufferStore)
        self.is_load = store.buffer.scope != GLOBAL
        sram, dram = (store, source) if self.is_load else (source, store)
        self.sram, self.dram = sram.buffer, dram.buffer
        self.memory = self._memory()
        self.padded = bool(conditions)
        """Whether elements for which a condition does not hold must be written, as padding."""
        self._analyse(nest, [*conditions, *nest.guards], sram, dram)

    def _memory(self) -> Memory:
        """The on-chip side; checks scopes and types."""
        memory = self.target.memory(self.sram.scope)
        if self.dram.scope != GLOBAL or memory is None:
            raise LoweringError(
                f"{self.where}: must copy between DRAM and an on-chip memory; "
                f"{self.dram.name} is in {self.dram.scope}, {self.sram.name} in {self.sram.scope} "
                f"(set_scope puts a stage on chip, compute_inline computes it where it is read)"
            )
        acc = self.target.acc
        if not self.is_load:
            out = self.target.inp.dtype
            if memory is not acc:
                raise LoweringError(
                    f"{self.where}: only {acc.scope} can be stored; {self.sram.name} is in "
                    f"{memory.scope}"
                )
            allowed = [out, memory.dtype] if self.target.extension else [out]
        else:
            allowed = [memory.dtype, "int8"] if memory is acc else [memory.dtype]
        if self.sram.dtype != memory.dtype or self.dram.dtype not in allowed:
            raise LoweringError(
                f"{self.where}: {memory.scope} holds {memory.dtype} and is "
                f"{'loaded from' if self.is_load else 'stored to'} {' or '.join(allowed)} in DRAM; "
                f"{self.sram.name} is {self.sram.dtype}, {self.dram.name} is {self.dram.dtype}"
            )
        return memory

    def _analyse(
        self,
        nest: LoopNest,
        conditions: list[Expr],
        sram: BufferStore | BufferLoad,
        dram: BufferStore | BufferLoad,
    ) -> None:
        """Find the loops over elements, their steps and their bounds."""
        tile = self.memory.shape[0] * self.memory.shape[1]
        forms = [flat_index(access.buffer, access.indices) for access in (sram, dram)]
        cuts = constraints(conditions, self.where)
        loops, forms, cuts = remove_tile_loops(nest.loops, forms, tile, cuts, self.where)
        loops, joined = join_loops(loops, [*forms, *cuts])
        (self.sram_at, self.dram_at), cuts = joined[:2], joined[2:]
        require_affine((self.sram_at, self.dram_at), loops, self.where)
        bounds, self.outer_conditions = bound_loops(loops, cuts, self.ranges, self.where)
        if self.is_load and bounds and not self.filled:
            # iterations out of bounds write padding, so all must be inside the buffer
            require_inside(self.sram_at, loops, self.ranges, self.sram, tile, self.where)
        self.dims = [
            _Dim(
                loop,
                self.sram_at.coefficient(loop.var),
                self.dram_at.coefficient(loop.var),
                bounds.get(loop.var),
            )
            for loop in loops
        ]

    # ---- choosing rows and columns ---------------------------------------------------------------

    def transfer(self) -> Stmt:
        """The transfer inside the remaining loops, in a scope of its module."""
        module = loading_module(self.memory, self.target) if self.is_load else PipelineModule.STORE
        return CoprocScope(module, self.statement())

    def statement(self) -> Stmt:
        """The transfer inside the remaining loops."""
        x, y, outer = self._choose()
        stmt = self._load(x, y) if self.is_load else self._store(x, y)
        for dim in outer:
            coalesced = None if dim.bound else coalesce(stmt, dim.loop)
            if dim.bound:
                stmt = IfThenElse(dim.bound.holds(dim.loop.var), stmt)
            stmt = coalesced or For(dim.loop.var, dim.loop.extent, "serial", stmt)
        return stmt if self.padded else wrap_in_loops([], self.outer_conditions, stmt)

    def _choose(self) -> tuple[_Dim | None, _Dim | None, list[_Dim]]:
        """The loops of columns (x) and rows (y), None for a single one, and the others, innermost
        first.
        """
        rest = sorted(self.dims, key=lambda dim: dim.sram_step)
        x = y = None
        if rest and rest[0].sram_step == 1 and rest[0].dram_step == 1:
            x = rest.pop(0)
        width = x.loop.extent if x else 1
        if (
            rest and rest[0].sram_step == width and 0 <= rest[0].dram_step <= MAX_TRANSFER_SIZE
        ) or (self.filled and self._has_zeros_between(rest, width)):
            y = rest.pop(0)
        if y and x and x.bound and not self.is_load:  # rows of a store are consecutive on chip
            rest.insert(0, y)
            y = None
        if self.padded:
            rest = self._pad_outside(rest)
        for dim in (x, y):
            if dim and dim.loop.extent > MAX_TRANSFER_SIZE:
                raise LoweringError(
                    f"{self.where}: a dimension of {dim.loop.extent} elements; a transfer has at "
                    f"most {MAX_TRANSFER_SIZE}; split the axis"
                )
        return x, y, rest

    @staticmethod
    def _has_zeros_between(loops: list[_Dim], width: int) -> bool:
        """Whether only gaps, which padding can fill, lie between the rows of the first loop."""
        if not loops:
            return False
        rows, *others = loops
        gap = rows.sram_step - width
        reach = (rows.loop.extent - 1) * rows.sram_step + width
        return (
            0 < gap <= MAX_TRANSFER_PAD
            and 0 <= rows.dram_step <= MAX_TRANSFER_SIZE
            and all(other.sram_step >= reach for other in others)
        )

    def _pad_outside(self, outer: list[_Dim]) -> list[_Dim]:
        """Make the bounds of outer loops conditions: out of bounds all rows are padding."""
        for dim in outer:
            if dim.bound:
                self.outer_conditions.append(dim.bound.holds(dim.loop.var))
        return [replace(dim, bound=None) for dim in outer]

    # ---- the statements --------------------------------------------------------------------------

    def _origin(self, *dims: _Dim | None) -> tuple[Affine, Affine]:
        """The first element of the transfer on both sides: both positions without x and y."""
        covered = [dim.loop.var for dim in dims if dim]
        return self.sram_at.without(*covered), self.dram_at.without(*covered)

    @staticmethod
    def _extent(dim: _Dim | None) -> LoopBounds:
        if dim is None:
            return LoopBounds(Const(0), Const(1), Const(0))
        return dim.bound or LoopBounds(Const(0), Const(dim.loop.extent), Const(0))

    def _begin(self, *dims: tuple[_Dim | None, LoopBounds]) -> Expr:
        """The position in DRAM of the first element that is read or written."""
        offset = self._origin(*(dim for dim, _ in dims))[1].expr()
        for dim, bound in dims:
            if dim:
                offset = offset + bound.before * dim.dram_step
        return self._simplify(offset)

    def _load(self, x: _Dim | None, y: _Dim | None) -> Stmt:
        memory, acc = self.memory, self.target.acc
        widened = memory is acc and self.dram.dtype == "int8" and memory.dtype != "int8"
        mem_id = MemId.ACC_8BIT if widened else memory.mem_id
        columns, rows = self._extent(x), self._extent(y)
        if self.padded and self.outer_conditions:
            rows = only_if(self.outer_conditions, rows, y.loop.extent if y else 1)
        offset = self._begin((x, columns), (y, rows))
        index = self._origin(x, y)[0].expr()
        if not self.padded:  # elements out of bounds are neither read nor written
            if y:
                index = index + rows.before * y.sram_step
                rows = LoopBounds(Const(0), rows.size, Const(0))
            elif x:
                index = index + columns.before
                columns = LoopBounds(Const(0), columns.size, Const(0))
        load = LoadBuffer2D(
            self.dram, offset, columns.size, rows.size,
            Const(y.dram_step) if y else columns.size,
            columns.before, rows.before, columns.after, rows.after,
            self.sram, self._simplify(index), mem_id, self.pad_value,
        )  # fmt: skip
        width = x.loop.extent if x else 1
        return self._with_gaps(load, y, width) if y and y.sram_step > width else load

    def _with_gaps(self, load: LoadBuffer2D, rows: _Dim, width: int) -> Stmt:
        """``load`` with a gap of zeros behind each row except the last one, as padding."""
        before = load.y_size - 1
        gap = rows.sram_step - width
        spaced = replace(
            load,
            y_size=self._simplify(maximum(before, 0)),
            x_pad_after=self._simplify(load.x_pad_after + gap),
        )
        last = replace(
            load,
            y_size=self._simplify(minimum(load.y_size, 1)),
            src_offset=self._simplify(load.src_offset + before * rows.dram_step),
            sram_index=self._simplify(load.sram_index + before * rows.sram_step),
        )
        return seq(spaced, last)

    def _store(self, x: _Dim | None, y: _Dim | None) -> Stmt:
        columns, rows = self._extent(x), self._extent(y)
        offset = self._begin((x, columns), (y, rows))
        index = self._origin(x, y)[0].expr()
        for dim, bound in ((x, columns), (y, rows)):
            if dim:
                index = index + bound.before * dim.sram_step
        stride = Const(y.dram_step) if y else columns.size
        return StoreBuffer2D(
            self.sram,
            self._simplify(index),
            self.dram,
            offset,
            columns.size,
            rows.size,
            stride,
            MemId.ACC if self.dram.dtype == self.memory.dtype else MemId.OUT,
        )

    def _simplify(self, expr: Expr) -> Expr:
        ranges = {**self.ranges, **{d.loop.var: (0, d.loop.extent - 1) for d in self.dims}}
        return simplify(expr, ranges)
