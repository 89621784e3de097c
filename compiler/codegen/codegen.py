"""Code generation: a lowered function is executed here, and its statements emit instructions.

All loops outside kernels are unrolled: the generator runs through them with values for the loop
variables, each statement emits typed instructions, and :mod:`vta.isa` encodes them. The host only
has to place the buffers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from vta.compiler.codegen.instruction_stream import InstructionStream
from vta.compiler.codegen.pipelined_stream import PipelinedStream
from vta.compiler.codegen.ring_contents import LoadedData, loaded_data
from vta.compiler.codegen.rings import Ring
from vta.compiler.codegen.started_sums import starts_each_sum
from vta.compiler.codegen.statement_sources import statement_sources
from vta.compiler.codegen.transfer_parts import load_parts, load_sizes, row_parts, store_sizes
from vta.compiler.codegen.uop_cache import Kernel, KernelTable, UopCache
from vta.compiler.te.expr import Const, Var
from vta.compiler.tir.evaluate import Evaluator, evaluator
from vta.compiler.tir.ir import (
    AluUop,
    Buffer,
    CoprocScope,
    DepPop,
    DepPush,
    For,
    GemmUop,
    IfThenElse,
    LoadBuffer2D,
    PrimFunc,
    RingSlot,
    Seq,
    Stmt,
    StoreBuffer2D,
    Sync,
    UopLoop,
    UopScope,
)
from vta.compiler.tir.visitor import has_rings, walk
from vta.config import VTAConfig
from vta.errors import EncodingError, LoweringError
from vta.isa import Alu, Gemm, Isa, Load, MemId, Store
from vta.program import UOP_BUFFER, Program, TensorSpec

__all__ = ["generate"]

_Action = Callable[[dict[Var, int]], None]


def generate(func: PrimFunc, cfg: VTAConfig) -> Program:
    """The program of a fully lowered function.

    Raises
    ------
    LoweringError
        If something does not fit an instruction; it names the statement.
    """
    return _Generator(func, cfg).run()


class _Generator:
    """Executes a function and collects its instructions.

    Each statement is first translated into a Python function of the values of the loop variables
    (:meth:`action`), which then runs once in each iteration.
    """

    def __init__(self, func: PrimFunc, cfg: VTAConfig) -> None:
        self.func, self.cfg = func, cfg
        self.isa = Isa.of(cfg)
        self.kernels = KernelTable(self.isa)
        rings = has_rings(func)
        self.stream = (
            PipelinedStream(self.isa, self.kernels.words, func.start, self.place_words)
            if rings
            else InstructionStream()
        )
        self.cache = UopCache(cfg.uop_depth)
        self.arguments = {buffer: index for index, buffer in enumerate(func.params)}
        self.read: set[Buffer] = set()
        """Arguments that the program reads."""
        self.written: set[Buffer] = set()
        """Arguments that the program writes."""
        self.rings: dict[Buffer, Ring] = {}
        self.started: set[tuple[Kernel, int, int]] = set()
        """Kernels whose instructions may start sums, with the iterations of both loops."""
        self.sources = statement_sources(func)
        self.loaded: set[Buffer] = set()
        """Ring buffers whose current slot holds already the data that the program would load."""

    def run(self) -> Program:
        self.action(self.func.body)({})
        self.stream.finish()
        try:
            code = self.stream.encoded(self.isa)
        except EncodingError as error:
            raise LoweringError(f"{self.func.name}: {error}") from None
        tensors = tuple(
            TensorSpec(b.name, b.shape, b.dtype, b in self.read, b in self.written)
            for b in self.func.params
        )
        words = bytes(self.kernels.words)
        relocations, sources = tuple(self.stream.relocations()), self.stream.sources()
        return Program(self.func.name, self.cfg, code, words, tensors, relocations, sources)

    # ---- control structure -----------------------------------------------------------------------

    def action(self, stmt: Stmt) -> _Action:
        """A function that executes ``stmt`` for given values of the loop variables."""
        match stmt:
            case Seq(stmts=stmts):
                return self.sequence([self.action(item) for item in stmts])
            case For(var=var, extent=extent, body=body):
                return self.loop(var, extent, self.action(body))
            case IfThenElse(cond=cond, then=then):
                test, act = evaluator(cond), self.action(then)
                return lambda values: act(values) if test(values) else None
            case RingSlot():
                return self.ring_slot(stmt)
            case CoprocScope(body=body):
                return self.action(body)
            case DepPush(source=source, target=target):
                return lambda values: self.stream.push(source, target)
            case DepPop(source=source, target=target):
                return lambda values: self.stream.pop(source, target)
            case LoadBuffer2D():
                return self.load(stmt)
            case StoreBuffer2D():
                return self.store(stmt)
            case UopScope():
                return self.kernel(stmt)
            case Sync():
                return lambda values: None
        raise LoweringError(
            f"{type(stmt).__name__} is left in the program, which no module executes:\n{stmt}"
        )

    @staticmethod
    def sequence(actions: list[_Action]) -> _Action:
        def run(values: dict[Var, int]) -> None:
            for act in actions:
                act(values)

        return run

    @staticmethod
    def loop(var: Var, extent: int, act: _Action) -> _Action:
        def run(values: dict[Var, int]) -> None:
            for value in range(extent):
                values[var] = value
                act(values)
            del values[var]

        return run

    # ---- ring buffers ----------------------------------------------------------------------------

    def ring_slot(self, stmt: RingSlot) -> _Action:
        """Choose a slot; where the slot holds the data already, leave out the loads."""
        buffer, var = stmt.buffer, stmt.var
        ring = self.rings.setdefault(buffer, Ring(buffer.slots))
        act = self.action(stmt.body)
        computed = _computed(self.func, buffer)
        contents = None if computed else loaded_data(stmt.body, buffer, self.argument)

        def run(values: dict[Var, int]) -> None:
            values[var] = 0
            loaded: list[LoadedData] = []
            if contents is not None:
                contents(values, loaded)
            values[var], is_loaded = ring.take(tuple(loaded))
            if is_loaded:
                self.loaded.add(buffer)
            act(values)
            self.loaded.discard(buffer)
            del values[var]

        return run

    # ---- transfers -------------------------------------------------------------------------------

    def argument(self, buffer: Buffer, stmt: Stmt) -> int:
        if buffer not in self.arguments:
            raise LoweringError(f"{buffer.name} in `{stmt}` is not an argument of the program")
        return self.arguments[buffer]

    def load(self, stmt: LoadBuffer2D) -> _Action:
        memory = stmt.mem_id
        argument = None if stmt.src is None else self.argument(stmt.src, stmt)
        if stmt.src is not None:
            self.read.add(stmt.src)
        sizes, source = load_sizes(stmt), self.sources[id(stmt)]

        def run(values: dict[Var, int]) -> None:
            if stmt.dst in self.loaded:
                return
            self.stream.source = source
            for part in load_parts(sizes(values)):
                insn = Load(
                    memory=memory, sram_base=part.sram, dram_base=part.dram,
                    y_size=part.y, x_size=part.x, x_stride=part.stride,
                    y_pad_0=part.y_before, y_pad_1=part.y_after,
                    x_pad_0=part.x_before, x_pad_1=part.x_after,
                    pad_value=stmt.pad_value if part.is_padded else 0,
                )  # fmt: skip
                self.stream.emit(insn, argument)

        return run

    def store(self, stmt: StoreBuffer2D) -> _Action:
        argument = self.argument(stmt.dst, stmt)
        self.written.add(stmt.dst)
        sizes, source = store_sizes(stmt), self.sources[id(stmt)]

        def run(values: dict[Var, int]) -> None:
            self.stream.source = source
            if stmt.dst in self.read:
                for ring in self.rings.values():
                    ring.forget(lambda data: data.argument == argument)
            for part in row_parts(sizes(values)):
                if part.x and part.y:
                    insn = Store(
                        memory=stmt.mem_id, sram_base=part.sram, dram_base=part.dram,
                        y_size=part.y, x_size=part.x, x_stride=part.stride,
                    )  # fmt: skip
                    self.stream.emit(insn, argument)

        return run

    # ---- kernels ---------------------------------------------------------------------------------

    def kernel(self, scope: UopScope) -> _Action:
        uop = next(node for node in walk(scope) if isinstance(node, GemmUop | AluUop))
        fields, extents = _loop_fields(scope)
        if isinstance(uop, AluUop):
            fields["alu_opcode"] = uop.opcode
            if uop.imm is not None:
                fields |= {"use_imm": True, "imm": uop.imm}
                # An immediate replaces the source; its factors are set to those of the destination.
                for name in ("out", "in"):
                    fields[f"src_factor_{name}"] = fields[f"dst_factor_{name}"]
            if uop.limits is not None:
                fields["imm"] = uop.limits.immediate
        else:
            fields["reset"] = uop.reset
        kind = Alu if isinstance(uop, AluUop) else Gemm
        source = self.sources[id(uop)]

        def run(values: dict[Var, int]) -> None:
            self.stream.source = source
            iterations: dict[str, Any] = {name: extent(values) for name, extent in extents.items()}
            if not all(iterations.values()):
                return
            kernel = self.kernels.record(scope, values)
            if not kernel.size:
                return  # no condition in the kernel holds
            begin, load = self.place(kernel)
            if load is not None:
                self.stream.emit(load, UOP_BUFFER, takes_pops=False)  # depends on no other module
            if kernel.starts:
                iterations["start"] = True
            insn = kind(uop_bgn=begin, uop_end=begin + kernel.size, **iterations, **fields)
            if kernel.starts:
                self.check_starts(insn, kernel, scope)
            self.stream.emit(insn)

        return run

    def place(self, kernel: Kernel) -> tuple[int, Load | None]:
        """The first entry of a kernel in the micro-op memory, and the load that it needs."""
        begin, missing = self.cache.place(kernel)
        if not missing:
            return begin, None
        return begin, Load(
            memory=MemId.UOP, sram_base=begin, dram_base=kernel.offset,
            y_size=1, x_size=kernel.size, x_stride=kernel.size,
        )  # fmt: skip

    def place_words(self, words: bytes) -> tuple[int, Load | None]:
        """:meth:`place` of micro-ops that no statement of the program has."""
        return self.place(self.kernels.append(words))

    def check_starts(self, insn: Gemm | Alu, kernel: Kernel, scope: UopScope) -> None:
        """Check that an instruction may start sums or other reductions, once for each kernel and
        its iterations."""
        key = (kernel, insn.iter_out, insn.iter_in)
        if key in self.started:
            return
        words = self.kernels.words[4 * kernel.offset : 4 * (kernel.offset + kernel.size)]
        tiles = self.isa.uop_indices(np.frombuffer(bytes(words), np.uint32))["dst"]
        if not starts_each_sum(insn, tiles, kernel.starts):
            uop = next(node for node in walk(scope) if isinstance(node, GemmUop | AluUop))
            name = uop.dst_buffer.name if uop.dst_buffer else self.func.name
            if isinstance(insn, Alu):
                raise LoweringError(
                    f'stage {name}: alu with "start": in one instruction the operations on a tile '
                    f"are not consecutive; move the reduction loops inside the loops over tiles "
                    f'(reorder), or leave "start" out'
                )
            raise LoweringError(
                f"stage {name}: tensorize with start=True: in one instruction the products of a "
                f"tile are not consecutive; move the loops over the sum inside the loops over "
                f"tiles (reorder), or use start=False, with a reset"
            )
        self.started.add(key)


def _loop_fields(scope: UopScope) -> tuple[dict[str, Any], dict[str, Evaluator]]:
    """The loops of a kernel as fields of its instruction: factors, and functions of the extents."""
    loops: list[UopLoop] = []
    body = scope.body
    while isinstance(body, UopLoop):
        loops.append(body)
        body = body.body
    names = ("in",) if scope.kind == "alu" and len(loops) == 1 else ("out", "in")
    fields: dict[str, Any] = {}
    extents: dict[str, Evaluator] = {}
    for name in ("out", "in"):
        loop = loops[names.index(name)] if name in names[: len(loops)] else None
        extents[f"iter_{name}"] = evaluator(loop.extent if loop else Const(1))
        fields[f"dst_factor_{name}"] = loop.dst_factor if loop else 0
        fields[f"src_factor_{name}"] = loop.src_factor if loop else 0
        if scope.kind == "gemm":
            fields[f"wgt_factor_{name}"] = loop.wgt_factor if loop else 0
    return fields, extents


def _computed(func: PrimFunc, buffer: Buffer) -> bool:
    """Whether the compute module writes the buffer, so that its loads do not define its data."""
    return any(
        isinstance(node, GemmUop | AluUop) and node.dst_buffer is buffer for node in walk(func.body)
    )
