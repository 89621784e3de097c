"""Ring buffers: the choice of slots, loads that are left out, and tokens."""

from __future__ import annotations

import pytest

from tests.support.checked import checked
from vta import te
from vta.compiler.codegen.rings import Ring
from vta.compiler.driver import compile_func
from vta.compiler.lower.lower import lower
from vta.compiler.target import ACC_SCOPE, INP_SCOPE, WGT_SCOPE, Target
from vta.config import VTAConfig
from vta.errors import LoweringError, ScheduleError
from vta.isa import Gemm, Load, MemId, Store

CFG = VTAConfig.preset("tiny")
BLOCK = CFG.block_in


def product(rows: int, columns: int, *, swap: bool = False):
    """``out[r, c] = inp[r] * wgt[c]`` of tiles, one in each iteration of r, c (or c, r)."""
    data = te.placeholder((rows, CFG.batch, BLOCK), "int8", "data")
    weight = te.placeholder((columns, BLOCK, BLOCK), "int8", "weight")
    d = te.compute(data.shape, lambda *i: data(*i), "d")
    w = te.compute(weight.shape, lambda *i: weight(*i), "w")
    k = te.reduce_axis((0, BLOCK), "k")
    total = te.compute(
        (rows, columns, CFG.batch, BLOCK),
        lambda r, c, b, o: te.sum(d[r, b, k].astype("int32") * w[c, o, k].astype("int32"), axis=k),
        "total",
    )
    out = te.compute(total.shape, lambda *i: total(*i).astype("int8"), "out")
    s = te.create_schedule(out.op)
    r, c, b, _ = s[out].op.axis
    if swap:
        s[out].reorder(c, r)
    inner = r if swap else c
    for tensor, scope in ((d, INP_SCOPE), (w, WGT_SCOPE), (total, ACC_SCOPE)):
        s[tensor].set_scope(scope)
        s[tensor].compute_at(s[out], inner)
    for tensor in (d, w):
        s[tensor].pragma(s[tensor].op.axis[0], "dma_copy")
    s[total].tensorize(s[total].op.axis[-2], Target.from_config(CFG).gemm)
    s[out].pragma(b, "dma_copy")
    return s, [data, weight, out], {"d": d, "w": w, "total": total}


def instructions(s, args):
    return checked(compile_func(lower(s, args), CFG)).instructions


def loads(insns, memory):
    return [insn for insn in insns if isinstance(insn, Load) and insn.memory is memory]


class TestSlots:
    def test_the_least_recently_filled_slot_is_next(self):
        ring = Ring(3)
        assert [ring.take((name,)) for name in "abcd"] == [
            (0, False), (1, False), (2, False), (0, False),
        ]  # fmt: skip

    def test_contents_in_a_slot_are_used_again(self):
        ring = Ring(2)
        assert ring.take(("a",)) == (0, False)
        assert ring.take(("b",)) == (1, False)
        assert ring.take(("a",)) == (0, True)
        assert ring.take(("c",)) == (0, False)  # a was filled first, although used last
        assert ring.take(("a",)) == (1, False)

    def test_computed_contents_are_never_used_again(self):
        ring = Ring(1)
        assert ring.take(()) == (0, False)
        assert ring.take(()) == (0, False)

    def test_stale_contents_are_loaded_again(self):
        ring = Ring(1)
        ring.take(("a", "b"))
        ring.forget(lambda load: load == "b")
        assert ring.take(("a", "b")) == (0, False)


class TestLoads:
    def test_a_tile_in_a_slot_is_not_loaded_again(self):
        s, args, t = product(3, 4)
        s[t["d"]].ring(1)
        s[t["w"]].ring(4)
        insns = instructions(s, args)
        assert len(loads(insns, MemId.INP)) == 3  # one a row, used in four products
        assert len(loads(insns, MemId.WGT)) == 4  # all stay
        assert sum(isinstance(i, Gemm) and not i.reset for i in insns) == 12

    def test_too_few_slots_for_reuse(self):
        s, args, t = product(3, 4)
        s[t["w"]].ring(3)  # the fourth weight takes the place of the first
        assert len(loads(instructions(s, args), MemId.WGT)) == 12

    def test_slots_are_consecutive(self):
        s, args, t = product(1, 4)
        s[t["w"]].ring(3)
        places = [insn.sram_base for insn in loads(instructions(s, args), MemId.WGT)]
        assert places == [0, 1, 2, 0]


class TestTokens:
    def test_loads_run_ahead_by_as_many_slots(self):
        """The first loads wait for nothing; each later one for the product that read its slot."""
        for slots in (1, 2, 3):
            s, args, t = product(1, 8)
            s[t["d"]].ring(1)
            s[t["w"]].ring(slots)
            waits = [insn.pop_next for insn in loads(instructions(s, args), MemId.WGT)]
            assert waits == [n >= slots for n in range(8)]

    def test_products_run_ahead_of_stores(self):
        s, args, t = product(1, 6)
        s[t["total"]].ring(2)
        insns = instructions(s, args)
        resets = [insn.pop_next for insn in insns if isinstance(insn, Gemm) and insn.reset]
        assert resets == [False, False, True, True, True, True]
        stores = [insn.push_prev for insn in insns if isinstance(insn, Store)]
        assert stores == [True, True, True, True, False, False]  # nothing waits for the last two

    def test_no_token_where_nothing_depends(self):
        s, args, t = product(2, 2)
        s[t["d"]].ring(2)
        s[t["w"]].ring(2)
        s[t["total"]].ring(4)
        insns = instructions(s, args)
        assert not any(insn.pop_next for insn in insns if isinstance(insn, Load))
        assert not any(insn.pop_next for insn in insns if isinstance(insn, Gemm))


class TestRefusals:
    @pytest.mark.parametrize("slots", [0, -1, True, 1.0, "2", None])
    def test_slots(self, slots):
        s, _, t = product(1, 2)
        with pytest.raises(ScheduleError, match=r"stage d: ring: slots is .*positive integer"):
            s[t["d"]].ring(slots)

    def test_arguments_and_outputs(self):
        s, args, _ = product(1, 2)
        with pytest.raises(ScheduleError, match="stage data: ring: data is an argument"):
            s[args[0]].ring(2)
        with pytest.raises(ScheduleError, match="stage out: ring: out is an output"):
            s[args[2]].ring(2)

    def test_threads(self):
        s, args, t = product(2, 2)
        out = s[args[2]]
        out.bind(out.op.axis[0], te.thread_axis("cthread"))
        s[t["d"]].ring(2)
        with pytest.raises(LoweringError, match="d is a ring buffer, and loop i0 is bound"):
            compile_func(lower(s, args), CFG)

    def test_memory(self):
        s, args, t = product(1, 2)
        s[t["w"]].ring(CFG.wgt_depth + 1)
        with pytest.raises(LoweringError, match=rf"wgt_buffer has {CFG.wgt_depth} elements"):
            compile_func(lower(s, args), CFG)
