"""Virtual threads that share a buffer: refused where one writes what another module touches in
another thread.
"""

import pytest

from vta.compiler.analysis.thread_conflicts import refuse_conflicts
from vta.compiler.te.expr import Const, Var
from vta.compiler.tir.ir import (
    Allocate,
    Buffer,
    CoprocScope,
    For,
    LoadBuffer2D,
    PrimFunc,
    StoreBuffer2D,
    seq,
)
from vta.errors import LoweringError
from vta.isa import MemId, PipelineModule

TILES = 12
A, C = (Buffer(name, (TILES, 1, 16), "int32") for name in "AC")
CHIP = Buffer("A_acc", (TILES, 1, 16), "int32", "local.acc_buffer")
ONE, NONE = Const(1), Const(0)


def copies(first, read_first, count, *, own=False, stored=None):
    """Two threads, each of which loads ``count`` elements from ``first`` of a buffer on, and stores
    as many from ``read_first`` on; both are functions of the thread.
    """
    thread = Var("t")
    load = LoadBuffer2D(
        A, NONE, Const(count), ONE, Const(count), NONE, NONE, NONE, NONE,
        CHIP, first(thread), MemId.ACC,
    )  # fmt: skip
    store = StoreBuffer2D(
        CHIP, read_first(thread), C, (stored or (lambda t: t * count))(thread), Const(count), ONE,
        Const(count),
    )  # fmt: skip
    body = seq(CoprocScope(PipelineModule.COMPUTE, load), CoprocScope(PipelineModule.STORE, store))
    if own:
        return PrimFunc("f", (A, C), (C,), For(thread, 2, "cthread", Allocate(CHIP, body)))
    return PrimFunc("f", (A, C), (C,), Allocate(CHIP, For(thread, 2, "cthread", body)))


def test_parts_of_one_buffer_may_touch_but_not_overlap():
    refuse_conflicts(copies(lambda t: t * 6, lambda t: t * 6, 6))
    with pytest.raises(LoweringError) as error:
        refuse_conflicts(copies(lambda t: t * 5, lambda t: t * 5, 6))
    assert str(error.value) == (
        "virtual threads of loop t race on A_acc: the COMPUTE module writes elements 0 "
        "to 5 in thread 0, the STORE module reads elements 5 to 10 in thread 1, in no order; "
        "compute stage A_acc inside the loop, so that each thread has a buffer"
    )


def test_the_same_elements_in_each_thread():
    with pytest.raises(
        LoweringError, match=r"0 to 3 in thread 0, .* reads elements 0 to 3 in thread 1"
    ):
        refuse_conflicts(copies(lambda t: NONE, lambda t: NONE, 4))


def test_a_buffer_of_its_own_is_no_conflict():
    refuse_conflicts(copies(lambda t: NONE, lambda t: NONE, 4, own=True))


def test_one_module_keeps_its_order():
    """Both threads store to the same place: the store module does so one after the other."""
    refuse_conflicts(copies(lambda t: t * 4, lambda t: t * 4, 4, stored=lambda t: NONE))


def test_threads_in_threads():
    inner, outer = Var("i"), Var("o")
    chip = lambda step: LoadBuffer2D(  # noqa: E731
        A, NONE, ONE, ONE, ONE, NONE, NONE, NONE, NONE, CHIP, outer * step + inner, MemId.ACC
    )

    def program(step, back, *, between=False):
        store = StoreBuffer2D(CHIP, outer * back + inner, C, outer * 2 + inner, ONE, ONE, ONE)
        body = seq(
            CoprocScope(PipelineModule.COMPUTE, chip(step)),
            CoprocScope(PipelineModule.STORE, store),
        )
        body = For(inner, 2, "cthread", body)
        if between:
            return PrimFunc("f", (A, C), (C,), For(outer, 2, "cthread", Allocate(CHIP, body)))
        return PrimFunc("f", (A, C), (C,), Allocate(CHIP, For(outer, 2, "cthread", body)))

    refuse_conflicts(program(2, 2))
    refuse_conflicts(program(1, 1, between=True))
    message = r"loop o race on .* 0 to 1 in thread 0, .* 1 to 2 in thread 1"
    with pytest.raises(LoweringError, match=message):
        refuse_conflicts(program(1, 1))
