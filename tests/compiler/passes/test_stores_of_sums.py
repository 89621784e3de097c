"""Results of int32: whole accumulators are stored, by the instruction set extension."""

import numpy as np
import pytest

from tests.support.compiled import check_orders
from vta import te
from vta.compiler.driver import compile_func, run_passes
from vta.compiler.lower.lower import lower
from vta.compiler.target import ACC_SCOPE, Target
from vta.config import VTAConfig
from vta.errors import LoweringError
from vta.isa import MemId, Store

CFG = VTAConfig.preset("tiny")


def sums(shape, block):
    """Sums of two tensors, in blocks of so many rows, as int32 and as int8."""
    a, b = (te.placeholder(shape, name=name, dtype="int32") for name in "AB")
    a_buf, b_buf = (te.compute(shape, lambda *i, t=t: t(*i), f"{t.name}_buf") for t in (a, b))
    total = te.compute(shape, lambda *i: a_buf(*i) + b_buf(*i), "total")
    wide = te.compute(shape, lambda *i: total(*i), "wide")
    s = te.create_schedule(wide.op)
    outer, inner = s[wide].split(wide.op.axis[0], factor=block)
    for tensor in (a_buf, b_buf, total):
        s[tensor].set_scope(ACC_SCOPE)
        s[tensor].compute_at(s[wide], outer)
        s[tensor].pragma(tensor.op.axis[0], "alu" if tensor is total else "dma_copy")
    s[wide].pragma(inner, "dma_copy")
    return lower(s, [a, b, wide])


@pytest.mark.parametrize("block", [1, 2, 6])
def test_int32_leaves_the_chip(block):
    shape = (6, 5, CFG.batch, CFG.block_out)
    program = compile_func(sums(shape, block), CFG)
    stores = [insn for insn in program.instructions if isinstance(insn, Store) and insn.x_size]
    assert {store.memory for store in stores} == {MemId.ACC}
    rng = np.random.default_rng(block)
    a, b = (rng.integers(-(2**31), 2**31, shape).astype(np.int32) for _ in range(2))
    counters = check_orders(program, [a, b], [a + b])
    assert counters.out_store_nbytes == a.nbytes


def test_the_text_names_the_memory():
    func = run_passes(sums((2, 2, CFG.batch, CFG.block_out), 2), Target.from_config(CFG))
    assert "store_2d(ACC, A_buf, sram=0, dst=wide, offset=0" in str(func)


def test_without_the_extension():
    func = sums((2, 2, CFG.batch, CFG.block_out), 2)
    with pytest.raises(
        LoweringError, match="stored to int8 in DRAM; total is int32, wide is int32"
    ):
        compile_func(func, CFG.replace(extension=0))
