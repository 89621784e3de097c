"""Selection of ALU operations: nothing is emitted that changes nothing."""

import numpy as np

from tests.support.compiled import run_program
from vta import te
from vta.compiler.driver import compile_func
from vta.compiler.lower.lower import lower
from vta.compiler.target import ACC_SCOPE
from vta.config import VTAConfig
from vta.isa import Alu, AluOpcode

CFG = VTAConfig.preset("tiny")
SHAPE = (3, CFG.batch, CFG.block_out)


def program(function):
    """``out = function(data)`` element by element, on the ALU."""
    data = te.placeholder(SHAPE, "int32", "data")
    loaded = te.compute(SHAPE, lambda *i: data(*i), "loaded")
    value = te.compute(SHAPE, lambda *i: function(loaded(*i)), "value")
    out = te.compute(SHAPE, lambda *i: value(*i).astype("int8"), "out")
    s = te.create_schedule(out.op)
    for stage, key in ((loaded, "dma_copy"), (value, "alu")):
        s[stage].set_scope(ACC_SCOPE)
        s[stage].pragma(s[stage].op.axis[0], key)
    s[out].pragma(s[out].op.axis[0], "dma_copy")
    return compile_func(lower(s, [data, out]), CFG)


def operations(compiled):
    alus = [insn for insn in compiled.instructions if isinstance(insn, Alu)]
    return [(insn.alu_opcode, insn.imm) for insn in alus if insn.use_imm]


def test_a_negation_is_one_operation():
    compiled = program(lambda x: 0 - x)
    assert operations(compiled) == [(AluOpcode.MUL, -1)]
    values = np.arange(12, dtype=np.int32).reshape(SHAPE)
    (out,), _ = run_program(compiled, [values])
    np.testing.assert_array_equal(out, -values)


def test_a_difference_from_another_number_adds_it():
    compiled = program(lambda x: 5 - x)
    assert operations(compiled) == [(AluOpcode.MUL, -1), (AluOpcode.ADD, 5)]
