"""Programs that begin in parts: the same results, and products before all data is on chip."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.compiled import check_orders, run_program
from vta.compiler.driver import compile_func
from vta.compiler.lower.lower import lower
from vta.compiler.ops import Requantise, Tiling, conv2d
from vta.compiler.schedule.schedule import create_schedule
from vta.compiler.te.tensor import compute, placeholder
from vta.config import VTAConfig
from vta.errors import ScheduleError
from vta.isa import Gemm, Load, MemId

CFG = VTAConfig.preset("tiny")
BLOCK = CFG.block_in


def build(cfg=CFG, channels=4 * BLOCK, size=8, kernel=3, **start):
    tiling = Tiling(channels // BLOCK, 2, 4, 1, "yo", 2, 1, 1, **start)
    op = conv2d(
        (1, 2 * BLOCK, size, size), channels, kernel, cfg=cfg, requantise=Requantise(3, low=0),
        padding=kernel // 2, tiling=tiling,
    )  # fmt: skip
    return op, compile_func(lower(op.schedule, op.args), cfg)


def letters(program):
    """I, W, C: loads of inputs, weights, constants; P: products; others are left out."""
    text = ""
    for insn in program.instructions:
        if isinstance(insn, Load) and not insn.is_nop:
            text += {MemId.INP: "I", MemId.WGT: "W", MemId.ACC: "C"}.get(insn.memory, "")
        elif isinstance(insn, Gemm) and not insn.reset:
            text += "P"
    return text


@pytest.mark.parametrize(
    ("start", "text"),
    [
        ({}, "CIWPIWP"),
        ({"late_constants": True}, "IWPCIWP"),
        ({"start_parts": 2}, "CIWWPPIWP"),
        ({"start_parts": 4, "late_constants": True}, "IWWWWPCPPPIWP"),
        ({"start_parts": 2, "start_steps": 2}, "CIWWPPIWWPP"),
        ({"start_rows": 2}, "CIWIPPIWP"),
        ({"start_parts": 2, "start_rows": 2, "late_constants": True}, "IWIWPCPPIWP"),
        ({"start_parts": 99}, "CIWWWWPPPPIWP"),  # not more than tiles of channels
    ],
)
def test_the_order_of_a_program_that_begins_in_parts(start, text):
    _, program = build(**start)
    assert letters(program).startswith(text)


@pytest.mark.parametrize("extension", [0, 1])
@pytest.mark.parametrize("columns_first", [False, True])
@pytest.mark.parametrize("kernel", [1, 3])
def test_the_result_is_the_same(extension, columns_first, kernel):
    """Products along columns are cut by a loop, whose parts have micro-ops of their own."""
    cfg = CFG.replace(extension=extension)
    op, program = build(
        cfg, kernel=kernel, start_parts=3, start_steps=5, start_rows=2, late_constants=True,
        columns_first=columns_first,
    )  # fmt: skip
    rng = np.random.default_rng(0)
    arrays = [rng.integers(-9, 9, operand.shape).astype(operand.dtype) for operand in op.operands]
    inputs = op.pack(*arrays)
    (tiles,), _ = run_program(program, inputs)
    np.testing.assert_array_equal(op.unpack(tiles), op.reference(*arrays))
    check_orders(program, inputs, [tiles])


def test_weights_of_one_row_are_cut_too():
    """A chunk of all channels is one row of weights in DRAM."""
    tiling = Tiling(4, 2, 4, 2, "yo", 2, 2, 1, columns_first=False, start_parts=4)
    op = conv2d(
        (1, 2 * BLOCK, 8, 8), 4 * BLOCK, 1, cfg=CFG, requantise=Requantise(3), tiling=tiling
    )
    program = compile_func(lower(op.schedule, op.args), CFG)
    weights = [i for i in program.instructions if isinstance(i, Load) and i.memory is MemId.WGT]
    assert [(i.x_size, i.y_size) for i in weights[:4]] == [(2, 1)] * 4
    assert [i.sram_base for i in weights[:4]] == [weights[0].sram_base + 2 * n for n in range(4)]
    rng = np.random.default_rng(1)
    arrays = [rng.integers(-9, 9, operand.shape).astype(operand.dtype) for operand in op.operands]
    (tiles,), _ = run_program(program, op.pack(*arrays))
    np.testing.assert_array_equal(op.unpack(tiles), op.reference(*arrays))


@pytest.mark.parametrize("blocks", [(1, 1, 3, 2), (1, 3, 1, 2), (2, 1, 1, 2), (4, 2, 2, 1)])
@pytest.mark.parametrize("kernel", [1, 3])
def test_a_sum_is_never_cut(blocks, kernel):
    """In small blocks a loop of the instruction is over the sum, whose products stay together."""
    outputs, rows, columns, inputs = blocks
    tiling = Tiling(
        outputs, rows, columns, inputs, "yo", 1, 1, 1, start_parts=4, start_steps=9, start_rows=2
    )
    op = conv2d(
        (1, 2 * BLOCK, 6, 6), 4 * BLOCK, kernel, cfg=CFG, requantise=Requantise(3), tiling=tiling
    )
    program = compile_func(lower(op.schedule, op.args), CFG)
    rng = np.random.default_rng(2)
    arrays = [rng.integers(-9, 9, operand.shape).astype(operand.dtype) for operand in op.operands]
    (tiles,), _ = run_program(program, op.pack(*arrays))
    np.testing.assert_array_equal(op.unpack(tiles), op.reference(*arrays))


@pytest.mark.parametrize("wrong", [{"parts": 0}, {"steps": -1}, {"parts": True}, {"rows": 1.5}])
def test_numbers_that_are_none(wrong):
    a = placeholder((4,), "int32", "a")
    s = create_schedule(compute((4,), lambda i: a[i] + 1, "b").op)
    name = next(iter(wrong))
    with pytest.raises(ScheduleError, match=f"early_start: {name} is .*; must be a positive"):
        s.early_start(**wrong)


def test_a_log_replays():
    op, program = build(start_parts=2, start_steps=3, start_rows=2, late_constants=True)
    again = create_schedule(op.args[-1].op).replay(op.schedule.log)
    assert compile_func(lower(again, op.args), CFG).code == program.code
    assert "# early start: 2 parts of 3 steps, 1 of 2 shares of rows, constants late" in str(
        lower(again, op.args)
    )
