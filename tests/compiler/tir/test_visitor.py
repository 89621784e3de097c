"""Walking and rewriting programs."""

from __future__ import annotations

from vta.compiler.te.conditions import all_of, select
from vta.compiler.te.expr import Const, Expr, Var
from vta.compiler.tir.ir import (
    Buffer,
    BufferLoad,
    BufferStore,
    For,
    IfThenElse,
    Pragma,
    Seq,
    Stmt,
    Sync,
    seq,
)
from vta.compiler.tir.visitor import children, rebuild, replace_buffers, substitute, walk

I, J = Var("i"), Var("j")  # noqa: E741
A, B = Buffer("A", (4, 4), "int32"), Buffer("B", (4, 4), "int32")
STORE = BufferStore(B, (I, J + 1), BufferLoad(A, (I, J)) + 1)
NEST = For(I, 4, "serial", IfThenElse(I < 3, For(J, 3, "serial", STORE)))


def test_walk_goes_outside_in_and_leaves_out_what_is_bound() -> None:
    names = [type(node).__name__ for node in walk(NEST)]
    assert names == ["For", "IfThenElse", "Compare", "Var", "Const", "For", "BufferStore",
                     "Var", "Add", "Var", "Const", "Add", "BufferLoad", "Var", "Var",
                     "Const"]  # fmt: skip
    assert list(children(I)) == []


def test_rebuild_keeps_what_does_not_change() -> None:
    assert rebuild(NEST, lambda node: node) is NEST

    def drop(node: Stmt | Expr) -> Stmt | Expr:
        return drop(node.body) if isinstance(node, Pragma) else rebuild(node, drop)

    wrapped = For(I, 4, "serial", seq(Sync(), Pragma("alu", None, "B", "j", STORE)))
    assert drop(wrapped) == For(I, 4, "serial", seq(Sync(), STORE))
    assert drop(NEST) is NEST


def test_substitute_folds() -> None:
    assert str(substitute(STORE, {I: Const(2), J: Const(1)})) == "B[2, 2] = A[2, 1] + 1"
    inner = NEST.body
    assert substitute(inner, {I: Const(2)}) == substitute(inner.then, {I: Const(2)})
    assert substitute(inner, {I: Const(3)}) == Seq()
    chosen = select(all_of(I < 3, J < 3), I, J)
    assert substitute(chosen, {I: Const(5)}) == J
    assert str(substitute(chosen, {I: Const(1)})) == "if_then_else(j < 3, 1, j)"
    assert substitute(NEST, {}) is NEST


def test_a_loop_that_does_nothing_goes_away() -> None:
    empty = rebuild(For(J, 3, "serial", Sync()), lambda _: Seq())
    assert empty == Seq()


def test_seq_flattens() -> None:
    assert seq(Sync()) == Sync()
    assert seq(seq(STORE, Sync()), Seq(), STORE) == Seq((STORE, Sync(), STORE))
    assert seq() == Seq()


def test_replace_buffers() -> None:
    other = Buffer("C", (4, 4), "int32")
    assert str(replace_buffers(STORE, {A: other, B: A})) == "A[i, j + 1] = C[i, j] + 1"
