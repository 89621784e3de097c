"""Entries of the on-chip memories in use over time, on programs small enough to count by hand."""

import numpy as np
import pytest

from tests.sim.timing.test_timing import compiled
from vta.config import VTAConfig
from vta.isa import Alu, AluOpcode, Finish, Gemm, Isa, Load, MemId, Store, Uop
from vta.profiling import profile_program
from vta.profiling.occupancy import occupancy
from vta.program import Program, Relocation, TensorSpec
from vta.program_sources import InstructionSource, ProgramSources
from vta.sim.timing import InstructionTiming, Timing

TINY = VTAConfig.preset("tiny")
ISA = Isa.of(TINY)


def program(insns, stages):
    """A program whose loads and stores are of one tensor; a UOP load is of two micro-ops."""
    relocations = tuple(
        Relocation(n, -1 if insn.memory is MemId.UOP else 0)
        for n, insn in enumerate(insns)
        if isinstance(insn, Load | Store)
    )
    sources = [None if s is None else InstructionSource(s, 1, s) for s in stages]
    words = [ISA.encode_uop(Uop(tile, 0, 0)) for tile in range(2)]
    uops = np.array(words, "<u4").tobytes()
    tensor = TensorSpec("t", (1 << 16,), "int8", True, True)
    return Program(
        "p", TINY, ISA.encode_all(insns), uops, (tensor,), relocations,
        ProgramSources.of_each(sources),
    )  # fmt: skip


def timed(insns, times, cycles):
    """Instruction n executes in the cycles ``times[n]``, both included."""
    rows = [
        InstructionTiming(n, insn.module, "none", 0, 0, start, start, end, end, 0)
        for n, (insn, (start, end)) in enumerate(zip(insns, times))
    ]
    return Timing(cycles, tuple(rows), 0, 0)


def load(memory, size, base=0):
    return Load(memory=memory, sram_base=base, y_size=1, x_size=size, x_stride=size)


def test_data_is_in_use_from_its_load_to_its_last_read():
    nest = {"uop_bgn": 0, "uop_end": 2}
    insns = [
        load(MemId.UOP, 2), load(MemId.INP, 1), load(MemId.WGT, 3), Gemm(**nest, reset=True),
        Gemm(**nest), Alu(**nest, alu_opcode=AluOpcode.ADD, use_imm=True, imm=1),
        Store(sram_base=0, y_size=1, x_size=2, x_stride=2), load(MemId.INP, 2), Finish(),
    ]  # fmt: skip
    stages = ["u", "inp_buf", "wgt_buf", "res", "res", "res", "out", "other", None]
    times = [(0, 1), (1, 3), (2, 4), (3, 4), (5, 6), (7, 8), (10, 11), (12, 13), (14, 14)]
    width, found = occupancy(program(insns, stages), timed(insns, times, 15), 15)
    assert width == 1
    expected = {
        (MemId.UOP, "micro-ops"): [2] * 9,
        (MemId.INP, "inp_buf"): [0, 1, 1, 1, 1, 1, 1],
        (MemId.INP, "other"): [0] * 12 + [2, 2],  # nothing reads it: while it is written
        (MemId.WGT, "wgt_buf"): [0, 0, 3, 1 + 2, 3, 1, 1],  # two are never read
        (MemId.ACC, "res"): [0, 0, 0] + [2] * 9,
    }
    assert found.keys() == expected.keys()
    for key, values in expected.items():
        assert found[key].tolist() == values + [0] * (15 - len(values)), key


def test_points_hold_the_most_of_their_cycles():
    insns = [load(MemId.INP, 3), load(MemId.INP, 1, base=8), Finish()]
    found = occupancy(
        program(insns, ["a", "a", None]), timed(insns, [(0, 0), (6, 6), (7, 7)], 8), 3
    )
    assert found[0] == 3
    assert found[1][MemId.INP, "a"].tolist() == [3, 0, 1]


@pytest.mark.parametrize("kind", ["vadd", "matmul"])
def test_no_memory_holds_more_than_its_depth(kind):
    layer = profile_program(compiled(kind, TINY)).layers[0]
    width, found = layer.occupancy(100)
    for memory in {memory for memory, _ in found}:
        total = np.sum([v for (m, _), v in found.items() if m is memory], axis=0)
        assert 0 < total.max() <= ISA.depth(memory)
        assert len(total) == -(-layer.cycles // width) <= 100
