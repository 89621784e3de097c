"""The text of every node."""

from __future__ import annotations

import pytest

from vta.compiler.te.expr import Const, Var, maximum
from vta.compiler.tir.ir import (
    Allocate,
    AluUop,
    Buffer,
    BufferLoad,
    BufferStore,
    CoprocScope,
    DepPop,
    DepPush,
    For,
    GemmTile,
    GemmUop,
    IfThenElse,
    LoadBuffer2D,
    Pragma,
    PrimFunc,
    Seq,
    Stmt,
    StoreBuffer2D,
    Sync,
    UopLoop,
    UopScope,
    seq,
)
from vta.isa import AluOpcode, MemId, PipelineModule

I, J = Var("i"), Var("j")  # noqa: E741
ZERO, ONE = Const(0), Const(1)
DRAM = Buffer("A", (4, 16), "int8")
ACC = Buffer("acc", (4, 16), "int32", "local.acc_buffer")
STORE = BufferStore(ACC, (I, J), BufferLoad(DRAM, (I, J)).astype("int32"))


@pytest.mark.parametrize(
    ("stmt", "text"),
    [
        (Seq(), "pass"),
        (STORE, "acc[i, j] = int32(A[i, j])"),
        (For(I, 4, "serial", For(J, 16, "serial", STORE)),
         "for i, j in grid(4, 16):\n    acc[i, j] = int32(A[i, j])"),
        (For(I, 4, "unroll", For(J, 16, "serial", STORE)),
         "for i in unroll(4):\n    for j in range(16):\n        acc[i, j] = int32(A[i, j])"),
        (IfThenElse(I < 3, STORE), "if i < 3:\n    acc[i, j] = int32(A[i, j])"),
        (Pragma("alu", None, "acc", "i", STORE),
         'with pragma("alu", acc.i):\n    acc[i, j] = int32(A[i, j])'),
        (Pragma("alu", 2, "acc", "i", Sync()),
         'with pragma("alu" = 2, acc.i):\n    sync()'),
        (Allocate(ACC, STORE),
         'acc = allocate(int32[4, 16], "local.acc_buffer")\nacc[i, j] = int32(A[i, j])'),
        (GemmTile("x", True, BufferLoad(ACC, (I, ZERO)), None, None), "gemm_reset(acc=acc[i, 0])"),
        (CoprocScope(PipelineModule.LOAD, Sync()), "with coproc(LOAD):\n    sync()"),
        (UopScope("gemm", UopLoop(Const(8), 98, 0, 9, GemmUop(dst=I, src=J, wgt=I + 1))),
         "with uops(gemm):\n    with uop_loop(8, dst=98, src=0, wgt=9):\n"
         "        uop_push(gemm, dst=i, src=j, wgt=i + 1)"),
        (GemmUop(dst=I, reset=True), "uop_push(gemm, reset, dst=i)"),
        (AluUop(opcode=AluOpcode.ADD, dst=I, src=J), "uop_push(add, dst=i, src=j)"),
        (AluUop(opcode=AluOpcode.SHR, dst=I, src=I, imm=8), "uop_push(shr, dst=i, imm=8)"),
        (DepPush(PipelineModule.STORE, PipelineModule.COMPUTE), "dep_push(STORE -> COMPUTE)"),
        (DepPop(PipelineModule.LOAD, PipelineModule.COMPUTE), "dep_pop(LOAD -> COMPUTE)"),
        (LoadBuffer2D(DRAM, I * 4, Const(14), Const(9) - I, Const(14), ONE, maximum(1 - I, 0),
                      ONE, ZERO, ACC, ZERO, MemId.INP),
         "load_2d(INP, acc, sram=0, src=A, offset=i * 4, x=14, y=9 - i, stride=14, "
         "x_pad=(1, 1), y_pad=(max(1 - i, 0), 0))"),
        (StoreBuffer2D(ACC, I, DRAM, J, ONE, ONE, ONE),
         "store_2d(acc, sram=i, dst=A, offset=j, x=1, y=1, stride=1)"),
    ],
)  # fmt: skip
def test_statement(stmt: Stmt, text: str) -> None:
    assert str(stmt) == text == repr(stmt)


def test_names_that_would_hide_one_another() -> None:
    again = Var("i")
    other = Buffer("A", (4,), "int8")
    inner = For(again, 4, "unroll", BufferStore(other, (again,), BufferLoad(DRAM, (I, ZERO))))
    body = seq(For(I, 4, "serial", Allocate(other, inner)), For(I, 2, "serial", Sync()))
    assert str(PrimFunc("main", (DRAM,), (), body)).splitlines() == [
        "def main(A: int8[4, 16]):",
        "    for i in range(4):",
        '        A_1 = allocate(int8[4], "global")',
        "        for i_1 in unroll(4):",
        "            A_1[i_1] = A[i, 0]",
        "    for i in range(2):",
        "        sync()",
    ]


def test_long_heads_take_a_line_for_each_parameter(capsys: pytest.CaptureFixture[str]) -> None:
    params = tuple(Buffer(f"a_long_name_{n}", (1, 2, 3, 4, 5), "int8") for n in range(3))
    PrimFunc("main", params, params[2:], Sync()).show()
    assert capsys.readouterr().out.splitlines() == [
        "def main(",
        "    a_long_name_0: int8[1, 2, 3, 4, 5],",
        "    a_long_name_1: int8[1, 2, 3, 4, 5],",
        "    a_long_name_2: out int8[1, 2, 3, 4, 5],",
        "):",
        "    sync()",
    ]
