"""The loops that the tensor instruction replaces, and the errors for all others."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests.support.workloads import matmul
from vta import te
from vta.compiler.lower.lower import lower
from vta.compiler.target import GemmIntrin
from vta.compiler.tir.ir import GemmTile, PrimFunc
from vta.compiler.tir.visitor import walk
from vta.errors import LoweringError

GEMM = GemmIntrin(2, 4, 4, "int8", "int8", "int32")


def scheduled(ops: SimpleNamespace) -> te.Schedule:
    """Scopes set, tile loops innermost; not tensorized yet."""
    s = te.create_schedule(ops.gem.op)
    s[ops.data_buf].set_scope("local.inp_buffer")
    s[ops.weight_buf].set_scope("local.wgt_buffer")
    copy = s.cache_write(ops.gem, "local.acc_buffer")
    bo, co, bi, ci = s[copy].op.axis
    s[copy].reorder(bo, co, ops.ic, bi, ci, ops.ic_tns)
    ops.acc, ops.tile = copy, (bi, ci, ops.ic_tns)
    return s


def lowered(s: te.Schedule, ops: SimpleNamespace) -> PrimFunc:
    return lower(s, [ops.data, ops.weight, ops.gem])


def tiles(func: PrimFunc) -> list[str]:
    return [str(node) for node in walk(func.body) if isinstance(node, GemmTile)]


def test_reset_and_update() -> None:
    ops = matmul(o=3, n=5, m=2, batch=2, block=4)
    s = scheduled(ops)
    s[ops.acc].tensorize(ops.tile[0], GEMM)
    assert tiles(lowered(s, ops)) == [
        "gemm_reset(acc=res_gem_acc[bo, co, 0, 0])",
        "gemm(acc=res_gem_acc[bo, co, 0, 0], inp=data_buf[bo, ic, 0, 0], "
        "wgt=weight_buf[co, ic, 0, 0])",
    ]


def test_order_of_the_tile_loops_does_not_matter() -> None:
    ops = matmul(o=3, n=5, m=2, batch=2, block=4)
    s = scheduled(ops)
    bi, ci, k = ops.tile
    k_out, k_in = s[ops.acc].split(k, 2)
    s[ops.acc].reorder(k_in, ci, k_out, bi)
    s[ops.acc].tensorize(k_in, GEMM)
    assert len(tiles(lowered(s, ops))) == 2


def test_mock_intrinsic_leaves_nothing() -> None:
    ops = matmul(o=1, n=5, m=2, batch=2, block=4)
    s = scheduled(ops)
    mock = GemmIntrin(2, 4, 4, "int8", "int8", "int32", emit=False)
    s[ops.acc].tensorize(ops.tile[0], mock)
    func = lowered(s, ops)
    assert tiles(func) == [] and "res_gem[0, co" in str(func)


def mismatch(s: te.Schedule, ops: SimpleNamespace, message: str, axis: int = 0) -> None:
    s[ops.acc].tensorize(ops.tile[axis], GEMM)
    with pytest.raises(LoweringError, match=message) as caught:
        lowered(s, ops)
    assert "tensorize at axis" in str(caught.value)


def test_wrong_tile() -> None:
    ops = matmul(o=1, n=2, m=2, batch=1, block=4)
    mismatch(scheduled(ops), ops, "dimension 2 of res_gem_acc has extent 1; b has 2")
    ops = matmul(o=1, n=2, m=2, batch=2, block=8)
    mismatch(scheduled(ops), ops, "dimension 3 of res_gem_acc has extent 8; c has 4")


def test_a_tile_loop_outside() -> None:
    ops = matmul(o=1, n=2, m=2, batch=2, block=4)
    mismatch(scheduled(ops), ops, "dimension 2 of res_gem_acc starts at `bi`; a tile must", axis=1)


def test_too_many_loops_inside() -> None:
    ops = matmul(o=1, n=2, m=2, batch=2, block=4)
    s = scheduled(ops)
    ops.tile = (ops.ic, *ops.tile)
    mismatch(s, ops, "dimension 1 of data_buf varies with `ic` inside the tile")


def test_part_of_a_tile() -> None:
    ops = matmul(o=1, n=2, m=2, batch=2, block=4)
    s = scheduled(ops)
    _, ci, _ = ops.tile
    outer, _ = s[ops.acc].split(ci, 2)
    s[ops.acc].reorder(outer, ops.tile[0])
    mismatch(
        s, ops, r"dimension 3 of res_gem_acc starts at `ci_outer \* 2`; a tile must start at 0"
    )


def test_a_tile_that_is_not_whole() -> None:
    ops = matmul(o=1, n=2, m=2, batch=2, block=4)
    s = scheduled(ops)
    s[ops.acc].split(ops.tile[1], 3)
    mismatch(s, ops, r"the condition `ci_outer \* 3 \+ ci_inner < 4` ends the loops inside")


def test_wrong_scope() -> None:
    ops = matmul(o=1, n=2, m=2, batch=2, block=4)
    s = scheduled(ops)
    s[ops.weight_buf].set_scope("local.inp_buffer")
    mismatch(s, ops, "both factors are in local.inp_buffer")
    s = scheduled(ops)
    s[ops.weight_buf].set_scope("global")
    mismatch(s, ops, "weight_buf is in global; must be in local.inp_buffer or local.wgt_buffer")
    s = scheduled(ops)
    s[ops.acc].set_scope("global")
    mismatch(s, ops, "res_gem_acc is in global; must be in local.acc_buffer")


def test_wrong_body() -> None:
    a = te.placeholder((2, 4), "int8", "A")
    k = te.reduce_axis((0, 4), "k")
    for body, message in (
        (lambda i, j: te.max(a[i, k], axis=k), r"computes `max\(A"),
        (lambda i, j: te.sum(a[i, k] + a[i, j], axis=k), "must be a sum of products"),
        (lambda i, j: te.sum(a[i, k] * 3, axis=k), "the factor `3` must be an element of a tensor"),
        (lambda i, j: te.sum(3 * (a[i, k] + 1), axis=k), "the factor `3` must be an element"),
    ):
        b = te.compute((2, 4), body, "B")
        s = te.create_schedule(b.op)
        s[b].tensorize(b.op.axis[0], GEMM)
        with pytest.raises(LoweringError, match=message):
            lower(s, [a, b])


def test_wrong_type() -> None:
    ops = matmul(o=1, n=2, m=2, batch=2, block=4)
    s = scheduled(ops)
    s[ops.acc].tensorize(ops.tile[0], GemmIntrin(2, 4, 4, "int4", "int8", "int32"))
    with pytest.raises(LoweringError, match="data_buf is int8; inp must be int4"):
        lowered(s, ops)


def test_transposed_weights() -> None:
    """inp · wgt instead of inp · wgtᵀ."""
    ops = matmul(o=1, n=2, m=2, batch=2, block=4)
    ops.gem = te.compute(
        ops.gem.shape,
        lambda bo, co, bi, ci: te.sum(
            ops.data_buf[bo, ops.ic, bi, ops.ic_tns].astype("int32")
            * ops.weight_buf[co, ops.ic, ops.ic_tns, ci].astype("int32"),
            axis=[ops.ic, ops.ic_tns],
        ),
        name="res_gem",
    )
    mismatch(
        scheduled(ops), ops, "dimension 3 of res_gem_acc varies with `ci` and dimension 2 of wei"
    )


@pytest.mark.parametrize(
    ("inp", "wgt", "message"),
    [
        (lambda b, c, k: (b, 0), lambda b, c, k: (c, 0),
         r"dimension 3 of data_buf runs over 1 values \(loops: none\); k runs over 4"),
        (lambda b, c, k: (b, c), lambda b, c, k: (c, c), "loop ci runs over both c and k"),
        (lambda b, c, k: (b, k), lambda b, c, k: (c, k // 2 * 2), "is not a sum of loops"),
        (lambda b, c, k: (b, 3 - k), lambda b, c, k: (c, 3 - k), "starts at `3`; a tile must"),
    ],
)  # fmt: skip
def test_other_indices_in_the_tile(inp: object, wgt: object, message: str) -> None:
    ops = matmul(o=1, n=2, m=2, batch=2, block=4)
    ops.gem = te.compute(
        ops.gem.shape,
        lambda bo, co, bi, ci: te.sum(
            ops.data_buf[bo, ops.ic, *inp(bi, ci, ops.ic_tns)].astype("int32")
            * ops.weight_buf[co, ops.ic, *wgt(bi, ci, ops.ic_tns)].astype("int32"),
            axis=[ops.ic, ops.ic_tns],
        ),
        name="res_gem",
    )
    mismatch(scheduled(ops), ops, message)


def test_requests_on_replaced_loops() -> None:
    ops = matmul(o=1, n=2, m=2, batch=2, block=4)
    s = scheduled(ops)
    s[ops.acc].pragma(ops.tile[1], "alu")
    mismatch(s, ops, "replaces the loop ci, but the schedule asks for alu on it")
