"""Programs as text: Python-like, one statement a line, with unique names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vta.compiler.te import dtypes
from vta.compiler.te.conditions import And, Or, Select
from vta.compiler.te.expr import (
    Add,
    Binary,
    Cast,
    Compare,
    Const,
    Expr,
    FloorDiv,
    FloorMod,
    Max,
    Min,
    Mul,
    Reduce,
    Shl,
    Shr,
    Sub,
    TensorRead,
    Var,
)
from vta.compiler.te.names import unique_name
from vta.compiler.te.requantisation import Requantisation
from vta.compiler.tir.ir import (
    NEVER,
    Allocate,
    AluUop,
    Buffer,
    BufferLoad,
    BufferStore,
    CoprocScope,
    DepPop,
    DepPush,
    EarlyStart,
    For,
    GemmTile,
    GemmUop,
    IfThenElse,
    LoadBuffer2D,
    Pragma,
    PrimFunc,
    RingSlot,
    Seq,
    Stmt,
    StoreBuffer2D,
    Sync,
    UopLoop,
    UopScope,
)
from vta.isa import MemId

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["FuncPrinter", "expr_text", "func_text", "is_operation", "stmt_text"]

INDENT = "    "
_PRECEDENCE: dict[type[Expr], int] = {
    Or: 1,
    And: 2,
    Compare: 3,
    Shr: 4,
    Shl: 4,
    Add: 5,
    Sub: 5,
    Mul: 6,
    FloorDiv: 6,
    FloorMod: 6,
}
_ATOM = 7
_RANGE_NAME = {"serial": "range", "unroll": "unroll", "cthread": "cthread"}


def is_operation(value: object) -> bool:
    """Whether ``value`` is an expression whose text is ``a op b``."""
    return type(value) in _PRECEDENCE


def expr_text(expr: Expr) -> str:
    """The text of ``expr``, on one line."""
    return FuncPrinter().expr(expr)


def stmt_text(stmt: Stmt) -> str:
    """The text of ``stmt``; buffers allocated outside ``stmt`` keep their names."""
    return "\n".join(FuncPrinter().stmt(stmt, ""))


def func_text(func: PrimFunc) -> str:
    """The text of the whole program, with the shapes of its parameters."""
    return "\n".join(FuncPrinter().func(func))


def _type(buffer: Buffer) -> str:
    return f"{buffer.dtype}[{', '.join(map(str, buffer.shape))}]"


class FuncPrinter:
    """Text of nodes, and the names in use."""

    def __init__(self) -> None:
        self.vars: dict[Var, str] = {}
        self.buffers: dict[Buffer, str] = {}

    def func(self, func: PrimFunc) -> Iterator[str]:
        """The lines of a whole program."""
        params = []
        for buffer in func.params:
            kind = "out " if buffer in func.outputs else ""
            params.append(f"{self.declare(buffer)}: {kind}{_type(buffer)}")
        head = f"def {func.name}({', '.join(params)}):"
        if len(head) <= 100:
            yield head
        else:
            yield f"def {func.name}("
            yield from (f"{INDENT}{param}," for param in params)
            yield "):"
        if func.start != EarlyStart():
            late = ", constants late" if func.start.late_constants else ""
            parts, steps = func.start.parts, func.start.steps
            rows = f", 1 of {func.start.rows} shares of rows" if func.start.rows > 1 else ""
            yield f"{INDENT}# early start: {parts} parts of {steps} steps{rows}{late}"
        yield from self.stmt(func.body, INDENT)

    # ---- names -----------------------------------------------------------------------------------

    def declare(self, item: Var | Buffer) -> str:
        """Choose a unique name for ``item``."""
        name = unique_name(item.name, {*self.vars.values(), *self.buffers.values()})
        if isinstance(item, Var):
            self.vars[item] = name
        else:
            self.buffers[item] = name
        return name

    def buffer(self, buffer: Buffer) -> str:
        return self.buffers.get(buffer, buffer.name)

    # ---- expressions -----------------------------------------------------------------------------

    def expr(self, expr: Expr, above: int = 0) -> str:
        """Text of ``expr``, in parentheses if its precedence is below ``above``."""
        match expr:
            case Const(value=value, dtype=dtypes.BOOL):
                return str(bool(value))
            case Const(value=value):
                return str(value)
            case Var():
                return self.vars.get(expr, expr.name)
            case Min(a=a, b=b) | Max(a=a, b=b):
                return f"{expr.symbol}({self.expr(a)}, {self.expr(b)})"
            case Cast(value=value, dtype=dtype):
                return f"{dtype}({self.expr(value)})"
            case Select(cond=cond, then=then, other=other):
                return f"if_then_else({self.expr(cond)}, {self.expr(then)}, {self.expr(other)})"
            case Reduce(kind=kind, body=body, axes=axes):
                return f"{kind}({self.expr(body)}, axis=[{', '.join(axis.name for axis in axes)}])"
            case Requantisation(value=value, scale=scale, limits=limits):
                clip = f"{limits.low}, {limits.high}"
                return f"requantise({self.expr(value)}, {self.expr(scale)}, {clip})"
            case TensorRead(tensor=tensor, indices=indices):
                return f"{tensor.name}[{self.list(indices)}]"
            case BufferLoad():
                return self.element(expr)
            case And(a=a, b=b):
                return self.infix("and", a, b, 2, above)
            case Or(a=a, b=b):
                return self.infix("or", a, b, 1, above)
            case Compare(op=op, a=a, b=b):
                return self.infix(op, a, b, 3, above)
            case Binary(a=a, b=b):
                return self.infix(expr.symbol, a, b, _PRECEDENCE[type(expr)], above)
            case _:
                raise AssertionError(f"no text for {type(expr).__name__}")

    def infix(self, symbol: str, a: Expr, b: Expr, level: int, above: int) -> str:
        text = f"{self.expr(a, level)} {symbol} {self.expr(b, level + 1)}"
        return f"({text})" if level < above else text

    def list(self, exprs: Sequence[Expr]) -> str:
        return ", ".join(map(self.expr, exprs))

    def element(self, load: BufferLoad | None) -> str:
        assert load is not None
        return f"{self.buffer(load.buffer)}[{self.list(load.indices)}]"

    # ---- statements ------------------------------------------------------------------------------

    def stmt(self, stmt: Stmt, indent: str) -> Iterator[str]:
        match stmt:
            case Seq(stmts=()):
                yield f"{indent}pass"
            case Seq(stmts=stmts):
                for inner in stmts:
                    yield from self.stmt(inner, indent)
            case Allocate(buffer=buffer, body=body):
                name = self.declare(buffer)
                slots = f", slots={buffer.slots}" if buffer.slots else ""
                yield f'{indent}{name} = allocate({_type(buffer)}, "{buffer.scope}"{slots})'
                yield from self.stmt(body, indent)
            case RingSlot(buffer=buffer, var=var, body=body):
                name = self.declare(var)
                yield f"{indent}with ring({buffer.name}, slots={buffer.slots}) as {name}:"
                yield from self.stmt(body, indent + INDENT)
            case For():
                yield from self.loops(stmt, indent)
            case IfThenElse(cond=cond, then=then):
                yield f"{indent}if {self.expr(cond)}:"
                yield from self.stmt(then, indent + INDENT)
            case Pragma(body=body):
                yield f"{indent}with {self.pragma(stmt)}:"
                yield from self.stmt(body, indent + INDENT)
            case CoprocScope(module=module, body=body):
                yield f"{indent}with coproc({module.name}):"
                yield from self.stmt(body, indent + INDENT)
            case UopScope(kind=kind, body=body):
                yield f"{indent}with uops({kind}):"
                yield from self.stmt(body, indent + INDENT)
            case UopLoop(extent=extent, body=body):
                factors = f"dst={stmt.dst_factor}, src={stmt.src_factor}, wgt={stmt.wgt_factor}"
                yield f"{indent}with uop_loop({self.expr(extent)}, {factors}):"
                yield from self.stmt(body, indent + INDENT)
            case _:
                yield indent + self.line(stmt)

    def loops(self, loop: For, indent: str) -> Iterator[str]:
        """A loop, or directly nested serial loops as one grid."""
        nest = [loop]
        while loop.kind == "serial" and isinstance(loop.body, For) and loop.body.kind == "serial":
            loop = loop.body
            nest.append(loop)
        names = ", ".join(self.declare(item.var) for item in nest)
        extents = ", ".join(str(item.extent) for item in nest)
        over = "grid" if len(nest) > 1 else _RANGE_NAME[loop.kind]
        yield f"{indent}for {names} in {over}({extents}):"
        yield from self.stmt(loop.body, indent + INDENT)
        for item in nest:
            del self.vars[item.var]

    @staticmethod
    def pragma(stmt: Pragma) -> str:
        value = "" if stmt.value is None else f" = {stmt.value!r}"
        return f'pragma("{stmt.key}"{value}, {stmt.stage}.{stmt.axis})'

    def line(self, stmt: Stmt) -> str:
        """The text of a statement without inner statements."""
        match stmt:
            case BufferStore(buffer=buffer, indices=indices, value=value):
                return f"{self.element(BufferLoad(buffer, indices))} = {self.expr(value)}"
            case GemmTile(reset=True, acc=acc):
                return f"gemm_reset(acc={self.element(acc)})"
            case GemmTile(acc=acc, inp=inp, wgt=wgt, start=start):
                operands = (("acc", acc), ("inp", inp), ("wgt", wgt))
                listed = ", ".join(f"{key}={self.element(load)}" for key, load in operands)
                return f"gemm({listed}{self.start(start)})"
            case LoadBuffer2D():
                pads = self.pads(stmt)
                if stmt.src is None:
                    return (
                        f"load_2d({stmt.mem_id.name}, {self.buffer(stmt.dst)}, "
                        f"sram={self.expr(stmt.sram_index)}, {self.fill(stmt)}, "
                        f"{self.rows(stmt)}{pads})"
                    )
                return (
                    f"load_2d({stmt.mem_id.name}, {self.buffer(stmt.dst)}, "
                    f"sram={self.expr(stmt.sram_index)}, src={self.buffer(stmt.src)}, "
                    f"offset={self.expr(stmt.src_offset)}, {self.rows(stmt)}{pads})"
                )
            case StoreBuffer2D():
                whole = "ACC, " if stmt.mem_id is MemId.ACC else ""
                return (
                    f"store_2d({whole}{self.buffer(stmt.src)}, sram={self.expr(stmt.sram_index)}, "
                    f"dst={self.buffer(stmt.dst)}, offset={self.expr(stmt.dst_offset)}, "
                    f"{self.rows(stmt)})"
                )
            case GemmUop(reset=True, dst=dst):
                return f"uop_push(gemm, reset, dst={self.expr(dst)})"
            case GemmUop(dst=dst, src=src, wgt=wgt, start=start):
                dst_at, src_at, wgt_at = map(self.expr, (dst, src, wgt))
                where = f"dst={dst_at}, src={src_at}, wgt={wgt_at}{self.start(start)}"
                return f"uop_push(gemm, {where})"
            case AluUop(opcode=opcode, dst=dst, src=src, imm=imm, limits=limits, start=start):
                operand = f"src={self.expr(src)}" if imm is None else f"imm={imm}"
                operand += f", clip=({limits.low}, {limits.high})" if limits is not None else ""
                operand += self.start(start)
                return f"uop_push({opcode.name.lower()}, dst={self.expr(dst)}, {operand})"
            case DepPush(source=source, target=target):
                return f"dep_push({source.name} -> {target.name})"
            case DepPop(source=source, target=target):
                return f"dep_pop({source.name} -> {target.name})"
            case Sync():
                return "sync()"
            case _:
                raise AssertionError(f"no text for {type(stmt).__name__}")

    def start(self, condition: Expr) -> str:
        """The condition ``start`` as a further operand; empty if it never holds."""
        if condition == NEVER:
            return ""
        always = isinstance(condition, Const)
        return ", start" if always else f", start={self.expr(condition)}"

    def fill(self, stmt: LoadBuffer2D) -> str:
        """What a load without source writes."""
        return f"{stmt.pad_value} everywhere" if stmt.pad_value else "zeros"

    def rows(self, stmt: LoadBuffer2D | StoreBuffer2D) -> str:
        x, y, stride = map(self.expr, (stmt.x_size, stmt.y_size, stmt.x_stride))
        return f"x={x}, y={y}, stride={stride}"

    def pads(self, stmt: LoadBuffer2D) -> str:
        text = ""
        for name in ("x", "y"):
            pad = tuple(getattr(stmt, f"{name}_pad_{side}") for side in ("before", "after"))
            if pad != (Const(0), Const(0)):
                text += f", {name}_pad=({self.list(pad)})"
        return f"{text}, pad={stmt.pad_value}" if stmt.pad_value else text
