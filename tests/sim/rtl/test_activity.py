"""The activity that an active machine records, against the counters of its runs."""

from functools import cache

import numpy as np
import pytest

from tests.sim.timing.test_timing import compiled
from tests.support.compiled import run_program
from tests.support.verilated import verilated
from vta.config import INSN_BYTES, VTAConfig
from vta.hw.debug.activity_probes import ACTIVITY
from vta.isa import PipelineModule
from vta.memmap import Source
from vta.sim.rtl.machine import VerilatedMachine

TINY = VTAConfig.preset("tiny")


@cache
def active():
    return VerilatedMachine(TINY, "ddr", active=True, progress=lambda _: None)


def run(kind):
    program = compiled(kind, TINY)
    inputs = [np.zeros(t.shape, t.dtype) for t in program.tensors if not t.written]
    _, result = run_program(program, inputs, machine=active())
    changes = active().activity().astype(np.int64)
    lengths = np.diff(changes[:, 0], append=changes[-1, 0])
    counts = {
        name: int((lengths * (changes[:, 1] >> bit & 1)).sum()) for bit, name in enumerate(ACTIVITY)
    }
    return program, result, counts


@pytest.mark.parametrize("kind", ["vadd", "matmul"])
def test_recorded_cycles_are_those_of_the_run(kind):
    program, result, counts = run(kind)
    assert counts["running"] == result.cycle_count
    assert counts["gemm product"] == result.counters.gemm_counter
    assert counts["alu uop"] == result.counters.alu_counter
    assert counts["dispatched"] == program.instruction_count
    for name in ("load", "compute", "store"):
        module = PipelineModule[name.upper()]
        number = sum(insn.module is module for insn in program.instructions)
        assert counts[f"{name} issued"] == counts[f"{name} retired"] == number
    assert counts["write beat"] == active().bus.write_beats
    beats = counts["fetch beat"] + counts["load beat"] + counts["compute beat"]
    assert beats == active().bus.read_beats


@pytest.mark.parametrize("kind", ["vadd", "matmul"])
def test_bursts_are_the_beats_and_bytes_of_the_run(kind):
    program, _, counts = run(kind)
    bursts = active().bursts()
    reads, writes = bursts[bursts["write"] == 0], bursts[bursts["write"] == 1]
    assert writes["beats"].sum() == active().bus.write_beats == counts["write beat"]
    for source in (Source.FETCH, Source.LOAD, Source.COMPUTE):
        beats = reads["beats"][reads["id"] == source].sum()
        assert beats == counts[f"{source.name.lower()} beat"]
    fetched = reads["beats"][reads["id"] == Source.FETCH].sum() * TINY.bus_bytes
    assert fetched >= program.instruction_count * INSN_BYTES
    assert (bursts["requested"] < bursts["first"]).all()
    assert (bursts["last"] - bursts["first"] + 1 >= bursts["beats"]).all()
    assert (bursts["response"] >= bursts["last"]).all()
    cycles = active().activity()[[0, -1], 0]
    assert cycles[0] <= bursts["requested"].min() and bursts["response"].max() <= cycles[1]


def test_a_record_begins_with_its_run():
    first = run("matmul")[2]
    assert run("matmul")[2] == first


def test_a_machine_without_probes_records_nothing():
    machine = verilated("tiny", "ddr")
    program = compiled("vadd", TINY)
    inputs = [np.zeros(t.shape, t.dtype) for t in program.tensors if not t.written]
    run_program(program, inputs, machine=machine)
    assert machine.activity().shape == (0, 2) and not len(machine.bursts())
