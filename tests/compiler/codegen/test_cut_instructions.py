"""GEMM and LOAD instructions in parts touch what the whole touches, each entry once."""

from __future__ import annotations

import numpy as np
import pytest

from vta.check.accesses import operand_reach
from vta.compiler.codegen.cut_instructions import GemmPart, cut_by_rows, cut_by_weights, cut_load
from vta.config import VTAConfig
from vta.isa import Gemm, Isa, Load, MemId

ISA = Isa.of(VTAConfig.preset("default"))


def entries(insn):
    """Entry on chip -> element in DRAM, None for padding, of a load."""
    width = insn.x_pad_0 + insn.x_size + insn.x_pad_1
    found = {}
    for row in range(insn.y_pad_0 + insn.y_size + insn.y_pad_1):
        for column in range(width):
            y, x = row - insn.y_pad_0, column - insn.x_pad_0
            inside = 0 <= y < insn.y_size and 0 <= x < insn.x_size
            place = insn.sram_base + row * width + column
            found[place] = insn.dram_base + y * insn.x_stride + x if inside else None
    return found


@pytest.mark.parametrize("ends", [[], [107], [104, 111], [90], [400], [101, 102, 103]])
@pytest.mark.parametrize(
    "sizes",
    [
        {"y_size": 6, "x_size": 3, "x_stride": 9},
        {"y_size": 5, "x_size": 3, "x_stride": 9, "y_pad_0": 1, "y_pad_1": 1, "x_pad_0": 1},
        {"y_size": 1, "x_size": 18, "x_stride": 18},
        {"y_size": 1, "x_size": 8, "x_stride": 8, "y_pad_0": 1, "x_pad_1": 1},
        {"y_size": 0, "x_size": 8, "x_stride": 8, "y_pad_0": 2},
    ],
)
def test_a_load_in_parts_loads_the_same(sizes, ends):
    whole = Load(memory=MemId.INP, sram_base=100, dram_base=40, **sizes)
    parts = cut_load(whole, ends)
    found = [item for part in parts for item in entries(part).items()]
    assert dict(found) == entries(whole)
    assert len(found) == len(entries(whole))


def part(count, **fields):
    """Products of 3 tiles with 2 products each, in two loops."""
    index = np.arange(count, dtype=np.int64)
    indices = {"dst": index // 2, "src": index % 2, "wgt": index}
    factors = {
        "iter_out": 4, "iter_in": 5, "dst_factor_out": 20, "dst_factor_in": 3,
        "src_factor_out": 10, "src_factor_in": 2,
    }  # fmt: skip
    return GemmPart(Gemm(uop_bgn=7, uop_end=7 + count, **{**factors, **fields}), indices)


def reached(parts, operand):
    return sorted(
        place
        for each in parts
        for place in operand_reach(each.insn, operand, each.indices[operand]).tolist()
    )


@pytest.mark.parametrize("count", [1, 2, 3, 9])
def test_parts_by_micro_ops(count):
    whole = part(6)
    parts = cut_by_weights(whole, count, loops=True)
    assert len(parts) == min(count, 3)
    assert all(each.is_loaded for each in parts)
    assert reached(parts, "wgt") == reached([whole], "wgt")
    assert [each.insn.uop_bgn for each in parts][1:] == [each.insn.uop_end for each in parts][:-1]


def test_a_loop_over_the_sum_is_not_cut():
    whole = part(1, wgt_factor_in=1, dst_factor_in=0)
    assert cut_by_weights(whole, 4, loops=True) == [whole]
    assert cut_by_rows(part(1, iter_out=1, dst_factor_in=0), 2) == [
        part(1, iter_out=1, dst_factor_in=0)
    ]


def test_parts_by_a_loop_have_micro_ops_of_their_own():
    whole = part(2, wgt_factor_out=2)
    assert cut_by_weights(whole, 4, loops=False) == [whole]
    parts = cut_by_weights(whole, 4, loops=True)
    assert [each.is_loaded for each in parts] == [True, False, False, False]
    assert reached(parts, "wgt") == reached([whole], "wgt") == [*range(8)]
    assert reached(parts, "dst") == reached([whole], "dst")
    words = np.frombuffer(parts[2].words(ISA), np.uint32)
    assert ISA.uop_indices(words)["wgt"].tolist() == [4, 5]


def test_the_first_share_of_the_rows():
    whole = part(6)
    first, rest = cut_by_rows(whole, 4)
    assert (first.insn.iter_out, rest.insn.iter_out) == (1, 3)
    assert reached([first, rest], "dst") == reached([whole], "dst")
    assert first.span("src") == (0, 10)
    assert len(cut_by_rows(part(6, iter_out=1, iter_in=1), 4)) == 1
