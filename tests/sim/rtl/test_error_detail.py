"""Machines that report errors without details (ERROR_DETAIL 0): every error of the machine with
details, by the same code and module, and no text that invents an address."""

import random
import re

import pytest

from tests.sim.rtl.test_machine import ERRORS
from tests.support.copy_program import ACC, BASE, CFG, GOOD, check_good, load_acc, memory
from tests.support.verilated import verilated
from vta.errors import ExecutionError, IllegalInstructionError, TimeoutError
from vta.isa import Finish, Gemm, Isa, Load, MemId
from vta.memory_timing import MemoryTiming
from vta.sim.fuzzing.random_programs import random_program
from vta.sim.rtl.harness import Injection
from vta.sim.rtl.machine import VerilatedMachine

WITHOUT = {
    "two-load-engines": CFG.replace(error_detail=0),
    "one-load-engine": CFG.replace(error_detail=0, load_engines=1),
}
SAYS = {
    "deadlock": "deadlock: no module can move\n  at instruction 1: GEMM",
    "deadlock_of_the_store": "deadlock: no module can move\n  at instruction 1: STORE",
    "missing_finish": "without FINISH\n  load module: idle\n  compute module: idle",
    "empty": "without FINISH\n  load module: idle",
    "after_finish": "follows FINISH\n  at instruction 1: GEMM",
    "load_above": "outside the memory, asked for by compute; this machine does not report where",
    "load_beside_gemm": "outside the memory, asked for by compute; this",
    "load_below": "outside the memory, asked for by load; this",
    "store_above": "outside the memory, asked for by store; this",
    "beyond_the_bus": "not fit the bus, asked for by compute; .*\n  at instruction 0: LOAD ACC",
    "sram_load": "on-chip memory, asked for by compute; .*\n  at instruction 0: LOAD ACC",
    "sram_load_beside_gemm": "memory, asked for by compute; .*\n  at instruction 1: LOAD ACC",
    "sram_store": "on-chip memory, asked for by store; .*\n  at instruction 0: STORE",
    "sram_alu": "on-chip memory, asked for by compute; .* .ERROR_DETAIL 0.\n  load module",
    "illegal": "cannot pad.*\n  at instruction 1: STORE",
}
"""What follows from the code, the module and the stream: a transfer that can be seen to be the
cause is named, another one is not."""


@pytest.mark.parametrize("memory_preset", ["ideal", "chaos"])
@pytest.mark.parametrize("machine", WITHOUT)
@pytest.mark.parametrize("name", ERRORS)
def test_errors(name, machine, memory_preset):
    stream, kind, _ = ERRORS[name]
    device = verilated(WITHOUT[machine], memory_preset)
    with pytest.raises(ExecutionError) as caught:
        device.run(stream, memory())
    text = str(caught.value)
    assert type(caught.value) is kind, text
    assert re.search(SAYS[name], text), text
    assert not re.search(r" at 0x|memory: \d", text), text
    check_good(device)


def test_an_opcode_that_does_not_exist():
    device = verilated(WITHOUT["two-load-engines"])
    stream = Isa.of(CFG).encode_all(GOOD[:1]) + b"\x07" + bytes(15)
    with pytest.raises(IllegalInstructionError, match="instruction 1: not an instruction"):
        device.run(stream, memory())
    check_good(device)


@pytest.mark.parametrize(
    ("injection", "who"),
    [
        (Injection(low=BASE + 4 * ACC, high=BASE + 4 * ACC + 1), "compute"),
        (Injection(write_burst=0), "store"),
        (Injection(read_beat=0), "fetch"),
    ],
)
@pytest.mark.parametrize("machine", WITHOUT)
def test_bus_errors(machine, injection, who):
    device = verilated(WITHOUT[machine], "chaos")
    with pytest.raises(ExecutionError, match=f"SLVERR, asked for by {who}; this machine") as caught:
        device.run(GOOD, memory(), injection=injection)
    assert type(caught.value) is ExecutionError
    assert caught.value.index is None
    check_good(device)


@pytest.mark.parametrize("machine", WITHOUT)
@pytest.mark.parametrize("delay", range(0, 40, 3))
def test_the_module_whose_burst_failed(machine, delay):
    """Loads of both modules are in flight; that of the module named fails."""
    device = verilated(WITHOUT[machine], "chaos")
    row = {"y_size": 1, "x_size": 32, "x_stride": 32}
    inputs = Load(memory=MemId.INP, dram_base=(BASE + 0x400) // CFG.inp_elem_bytes, **row)
    stream = [load_acc(4), inputs, load_acc(16), inputs, Gemm(uop_end=0), load_acc(8), Finish()]
    places = {"compute": BASE + 16 * ACC, "load": BASE + 0x440}
    for who, place in places.items():
        device.seed = delay
        injection = Injection(low=place, high=place + 1)
        with pytest.raises(ExecutionError, match=f"SLVERR, asked for by {who}; "):
            device.run(stream, memory(), injection=injection)
    check_good(device)


def test_a_hang_is_told_with_the_states():
    silent = MemoryTiming(stall_b=1)
    device = VerilatedMachine(WITHOUT["two-load-engines"], silent, cycle_limit=3000)
    with pytest.raises(TimeoutError) as caught:
        device.run(GOOD, memory())
    text = str(caught.value)
    assert "store module: running" in text and "compute module: waits for a token" in text
    assert "at instruction" not in text


@pytest.mark.parametrize("memory_preset", ["ideal", "ddr", "chaos"])
def test_cycles_are_those_of_the_machine_with_details(memory_preset):
    """Also the state that runs leave behind: the programs run one after the other."""
    machines = [verilated(cfg, memory_preset) for cfg in ("tiny", WITHOUT["two-load-engines"])]
    for machine in machines:
        machine.reset()
    for seed in range(30):
        program = random_program(CFG, random.Random(seed), steps=20)
        cycles = set()
        for machine in machines:
            machine.seed = seed
            cycles.add(machine.run(program.stream, program.memory()).cycle_count)
        assert len(cycles) == 1, seed
