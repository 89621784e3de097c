"""The core's pins: a program that uses every module, on a memory that stalls every channel."""

import cocotb

from tests.support.cocotb_machine import Machine, Sample
from vta import memmap


@cocotb.test()
@cocotb.parametrize(probability=[0.0, 0.3, 0.8])
async def whole_program(dut, probability):
    """``probability``: how often the memory stalls each of its channels."""
    sample = Sample()
    machine = Machine(dut, sample.dram())
    machine.watch()
    await machine.power_up()
    machine.stall(probability)
    assert await machine.read("ID") == memmap.IDENTITY
    await sample.launch(machine)
    await machine.finished()
    await sample.check(machine)
    await machine.quiet()


@cocotb.test()
@cocotb.parametrize(slow=["ar", "r", "aw", "w", "b"])
async def one_slow_channel(dut, slow):
    """One channel takes one cycle in twenty, the others are never stalled."""
    sample = Sample(seed=11)
    machine = Machine(dut, sample.dram())
    machine.watch()
    await machine.power_up()
    read, write = machine.slave.read_if, machine.slave.write_if
    side = read if slow in ("ar", "r") else write
    channel = getattr(side, f"{slow}_channel")
    channel.set_pause_generator(cycle % 20 != 0 for cycle in range(10**9))
    await sample.launch(machine)
    await machine.finished()
    await sample.check(machine)
