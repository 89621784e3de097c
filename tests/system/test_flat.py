"""The flat module that tsim runs and the modules that synthesis reads are one machine, cycle by
cycle."""

import random

from tests.support.configurations import CONFIGURATIONS
from tests.support.verilated import verilated
from vta.hw.emit import emit_verilog
from vta.sim.fuzzing.random_programs import random_program
from vta.sim.rtl import machine as verilator
from vta.sim.rtl.machine import VerilatedMachine

TINY = CONFIGURATIONS["tiny"]


def test_the_same_in_every_cycle(monkeypatch):
    """On a memory that stalls at random a difference of one cycle moves everything after it."""
    text, _ = emit_verilog(TINY)
    assert text.count("\nendmodule") > 1
    monkeypatch.setattr(verilator, "_verilog", lambda cfg, observed, traced, report: text)
    modules = VerilatedMachine(TINY, "chaos")
    flat = verilated("tiny", "chaos")
    for seed in range(40):
        program = random_program(TINY, random.Random(seed), steps=60)
        for machine in (modules, flat):
            machine.reset()
            machine.seed = seed
        one, other = program.memory(), program.memory()
        assert modules.run(program.stream, one) == flat.run(program.stream, other), seed
        assert modules.bus == flat.bus, seed
        assert (one.data == other.data).all(), seed
    modules.close()
