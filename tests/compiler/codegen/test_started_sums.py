"""GEMM instructions that start sums: the flag, the results, and errors."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.compiled import check_orders, run_program
from tests.support.verilated import verilated
from vta import te
from vta.compiler.codegen.started_sums import starts_each_sum
from vta.compiler.driver import compile_func
from vta.compiler.lower.lower import lower
from vta.compiler.target import ACC_SCOPE, INP_SCOPE, WGT_SCOPE, Target
from vta.config import VTAConfig
from vta.errors import LoweringError, ScheduleError
from vta.isa import Gemm

CFG = VTAConfig.preset("tiny")
B, N = CFG.batch, CFG.block_in


def matmul(rows=5, columns=3, depth=4, *, chunk=4, order="rcd", cfg=CFG, start=True, threads=1):
    """``out[r, c] = sum_d inp[r, d] * wgt[c, d]`` of tiles, ``chunk`` of the sum at a time."""
    data = te.placeholder((rows, depth, B, N), "int8", "data")
    weight = te.placeholder((columns, depth, N, N), "int8", "weight")
    d = te.compute(data.shape, lambda *i: data(*i), "d")
    w = te.compute(weight.shape, lambda *i: weight(*i), "w")
    z, k = te.reduce_axis((0, depth), "z"), te.reduce_axis((0, N), "k")

    def product(r, c, b, o):
        pair = d[r, z, b, k].astype("int32") * w[c, z, o, k].astype("int32")
        return te.sum(pair, axis=[z, k])

    total = te.compute((rows, columns, B, N), product, "total")
    out = te.compute(total.shape, lambda *i: total(*i).astype("int8"), "out")
    s = te.create_schedule(out.op)
    r, c, b, o = s[total].op.axis
    z, k = s[total].op.reduce_axis
    z_chunk, z = s[total].split(z, factor=chunk)
    loops = {"r": r, "c": c, "d": z}
    s[total].reorder(z_chunk, *(loops[name] for name in order), b, o, k)
    s[total].set_scope(ACC_SCOPE)
    for tensor, scope in ((d, INP_SCOPE), (w, WGT_SCOPE)):
        s[tensor].set_scope(scope)
        s[tensor].compute_at(s[total], z_chunk)
        s[tensor].pragma(s[tensor].op.axis[0], "dma_copy")
    stored = s[out].op.axis[0]
    if threads > 1:
        thread, stored = s[out].split(stored, nparts=threads)
        s[out].bind(thread, te.thread_axis("cthread"))
        s[total].compute_at(s[out], thread)
    s[total].tensorize(b, Target.from_config(cfg).gemm, start=start)
    s[out].pragma(stored, "dma_copy")
    return s, [data, weight, out]


def program(*args, cfg=CFG, **options):
    s, tensors = matmul(*args, cfg=cfg, **options)
    return compile_func(lower(s, tensors), cfg)


def gemms(compiled):
    return [insn for insn in compiled.instructions if isinstance(insn, Gemm)]


def check(compiled, rows=5, columns=3, depth=4, machine=None):
    rng = np.random.default_rng(0)
    data = rng.integers(-128, 128, (rows, depth, B, N)).astype(np.int8)
    weight = rng.integers(-128, 128, (columns, depth, N, N)).astype(np.int8)
    expected = np.einsum("rzbk,czok->rcbo", data.astype(np.int64), weight.astype(np.int64))
    (out,), _ = run_program(compiled, [data, weight], machine=machine)
    np.testing.assert_array_equal(out, expected.astype(np.int8))
    if machine is None:
        check_orders(compiled, [data, weight], [out])


class TestFlags:
    def test_a_sum_in_one_instruction_has_no_reset(self):
        compiled = program()
        assert [(insn.start, insn.reset) for insn in gemms(compiled)] == [(True, False)]
        check(compiled)

    def test_the_first_chunk_starts_and_the_others_add(self):
        compiled = program(chunk=1)
        assert [insn.start for insn in gemms(compiled)] == [True, False, False, False]
        assert not any(insn.reset for insn in gemms(compiled))
        check(compiled)

    def test_a_last_chunk_that_is_smaller(self):
        compiled = program(depth=5, chunk=2)
        assert [insn.start for insn in gemms(compiled)] == [True, False, False]
        check(compiled, depth=5)

    def test_without_a_loop_over_the_sum_each_product_starts_one(self):
        compiled = program(depth=1, chunk=1)
        assert [insn.start for insn in gemms(compiled)] == [True]
        check(compiled, depth=1)

    @pytest.mark.parametrize(("rows", "columns"), [(1, 3), (5, 1), (1, 1)])
    def test_few_tiles(self, rows, columns):
        compiled = program(rows, columns)
        assert all(insn.start for insn in gemms(compiled))
        check(compiled, rows, columns)

    def test_virtual_threads(self):
        compiled = program(6, threads=2)
        assert gemms(compiled) and all(insn.start for insn in gemms(compiled))
        check(compiled, 6)

    def test_the_default_resets(self):
        compiled = program(start=False)
        assert [(insn.start, insn.reset) for insn in gemms(compiled)] == [
            (False, True), (False, False),
        ]  # fmt: skip
        check(compiled)

    def test_on_the_rtl(self):
        check(program(chunk=2), machine=verilated("tiny", "ddr"))


def test_the_printed_program_has_the_first_iteration():
    s, tensors = matmul(depth=4, chunk=2)
    text = str(lower(s, tensors))
    assert "start=z_outer == 0 and z_inner == 0" in text
    assert "gemm_reset" not in text


class TestOrder:
    """Two loops of five and three tiles, as they are in the fields of an instruction."""

    def test_products_of_a_tile_in_a_row(self):
        insn = Gemm(iter_out=5, iter_in=3, dst_factor_out=3, dst_factor_in=1, uop_end=2)
        assert starts_each_sum(insn, np.array([0, 0]), (True, False))

    def test_a_tile_whose_products_are_not_consecutive(self):
        insn = Gemm(iter_out=2, iter_in=3, dst_factor_out=0, dst_factor_in=1, uop_end=1)
        assert not starts_each_sum(insn, np.array([0]), (True,))

    def test_a_tile_whose_sum_has_begun_before(self):
        insn = Gemm(iter_out=1, iter_in=1, uop_end=2)
        assert not starts_each_sum(insn, np.array([0, 1]), (True, False))


class TestRefused:
    def test_a_loop_over_the_sum_around_tiles(self):
        with pytest.raises(LoweringError, match=r"stage total: .*start=True: in one instruction"):
            program(order="drc")

    def test_a_machine_without_the_extension(self):
        base = CFG.replace(extension=0)
        with pytest.raises(LoweringError, match=r"start=True needs GEMM_START .*EXTENSION is 0"):
            program(cfg=base)
        assert program(cfg=base, start=False).instructions

    def test_no_flag(self):
        with pytest.raises(ScheduleError, match="needs start=True or start=False; got 1"):
            matmul(start=1)

    def test_products_that_are_left_out(self):
        data = te.placeholder((4, B, N), "int8", "data")
        weight = te.placeholder((2, N, N), "int8", "weight")
        d = te.compute(data.shape, lambda *i: data(*i), "d")
        w = te.compute(weight.shape, lambda *i: weight(*i), "w")
        z, k = te.reduce_axis((0, 2), "z"), te.reduce_axis((0, N), "k")

        def product(r, b, o):
            inside = te.if_then_else(te.any(r + z < 4), d[r + z, b, k], te.const(0, "int8"))
            return te.sum(inside.astype("int32") * w[z, o, k].astype("int32"), axis=[z, k])

        total = te.compute((4, B, N), product, "total")
        out = te.compute(total.shape, lambda *i: total(*i).astype("int8"), "out")
        s = te.create_schedule(out.op)
        for tensor, scope in ((d, INP_SCOPE), (w, WGT_SCOPE), (total, ACC_SCOPE)):
            s[tensor].set_scope(scope)
        for tensor in (d, w):
            s[tensor].pragma(s[tensor].op.axis[0], "dma_copy")
        z, k = s[total].op.reduce_axis
        r, b, o = s[total].op.axis
        s[total].reorder(r, z, b, o, k)
        s[total].tensorize(b, Target.from_config(CFG).gemm, start=True)
        s[out].pragma(s[out].op.axis[0], "dma_copy")
        with pytest.raises(LoweringError, match="start=True: products are left out where not"):
            lower(s, [data, weight, out])
