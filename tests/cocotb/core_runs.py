"""The core's pins: launches, resets, the interrupt, the counters of runs."""

import random

import cocotb
from cocotb.simtime import get_sim_time

from tests.support.cocotb_machine import CYCLE_NS, Machine, Sample
from vta import memmap
from vta.memmap import CONTROL_LAUNCH, CONTROL_RESET, COUNTERS, STATUS_BUSY, STATUS_DONE

ANSWER_CYCLES = 16
"""Most cycles between what the core does and when the host of these tests knows it, or back."""


async def prepared(dut, probability=0.0, seed=""):
    """A machine after power-up on the memory of a sample, and the sample."""
    sample = Sample()
    machine = Machine(dut, sample.dram())
    machine.watch()
    await machine.power_up()
    machine.stall(probability, seed)
    return machine, sample


async def as_after_power_up(machine):
    """Idle, and nothing is left of a run."""
    assert not int(machine.dut.irq.value)
    for name in ("STATUS", "ERROR", "ERROR_ADDR", "CYCLES"):
        assert await machine.read(name) == 0, name
    for name in (*COUNTERS, "tokens_l2g", "tokens_g2l", "tokens_g2s", "tokens_s2g",
                 "insns_load", "insns_compute", "insns_store"):  # fmt: skip
        assert await machine.read(name.upper()) == 0, name


@cocotb.test()
@cocotb.parametrize(clear=[False, True])
async def launches_in_a_row(dut, clear):
    """Launch works whether or not ``done`` was cleared; counters start anew."""
    machine, sample = await prepared(dut, 0.2)
    for _ in range(3):
        machine.use(sample.dram())
        await sample.launch(machine)
        assert await machine.read("STATUS") == STATUS_BUSY
        assert not int(dut.irq.value)
        await machine.finished()
        await sample.check(machine)
        if clear:
            await machine.write("STATUS", STATUS_DONE)
            assert not int(dut.irq.value)
            assert await machine.read("STATUS") == 0
            assert await machine.read("ALU_COUNTER") == sample.counters["alu_counter"]


@cocotb.test()
async def different_programs_in_a_row(dut):
    """Operands of the run before are gone."""
    machine, _ = await prepared(dut)
    for seed in range(4):
        sample = Sample(seed)
        machine.use(sample.dram())
        await sample.launch(machine)
        await machine.finished()
        await sample.check(machine)


@cocotb.test()
@cocotb.parametrize(probability=[0.0, 0.6])
async def launch_while_busy(dut, probability):
    """It is ignored, also with another stream in the registers, and is not kept for later."""
    machine, sample = await prepared(dut, probability)
    await sample.launch(machine)
    for _ in range(3):
        await machine.launch(0x10_0000, 5)
    assert await machine.read("STATUS") == STATUS_BUSY
    await machine.finished()
    await sample.check(machine)
    await machine.quiet(300)
    assert await machine.read("STATUS") == STATUS_DONE


@cocotb.test()
@cocotb.parametrize(probability=[0.0, 0.5])
async def reset_by_the_host(dut, probability):
    """CONTROL's reset at many moments of a run: bursts that were begun are finished, nothing is
    left of the run, the next one is as ever."""
    machine, sample = await prepared(dut, probability)
    rng = random.Random(probability)
    for wait in [0, 1, 2, *(rng.randrange(700) for _ in range(9))]:
        machine.use(sample.dram())
        await sample.launch(machine)
        await machine.cycles(wait)
        await machine.write("CONTROL", CONTROL_RESET)
        for _ in range(2000):
            if not await machine.read("STATUS") & STATUS_BUSY:
                break
        await as_after_power_up(machine)
        await machine.quiet(30)
        sample.untouched(machine)
        machine.use(sample.dram())
        await sample.launch(machine)
        await machine.finished()
        await sample.check(machine)


@cocotb.test()
async def reset_while_idle(dut):
    """After power-up, after a run, together with launch: idle, and no run."""
    machine, sample = await prepared(dut)
    for control in (CONTROL_RESET, CONTROL_RESET | CONTROL_LAUNCH):
        await machine.write("CONTROL", control)
        await machine.cycles(10)
        await as_after_power_up(machine)
        await sample.launch(machine)
        await machine.finished()
        await sample.check(machine)
        await machine.write("CONTROL", control)
        await machine.cycles(10)
        await as_after_power_up(machine)
        await machine.quiet()


@cocotb.test()
@cocotb.parametrize(probability=[0.0, 0.5])
async def reset_pin(dut, probability):
    """``rst`` at many moments of a run, of the memory too: at once nothing is on the bus."""
    machine, sample = await prepared(dut, probability)
    rng = random.Random(probability)
    for _ in range(12):
        machine.use(sample.dram())
        await sample.launch(machine)
        await machine.cycles(rng.randrange(600))
        dut.rst.value = 1
        await machine.cycles(2)
        for name in ("arvalid", "awvalid", "wvalid"):
            assert not int(getattr(dut, f"m_axi_{name}").value), name
        await machine.cycles(3)
        dut.rst.value = 0
        await machine.cycles(2)
        await as_after_power_up(machine)
        assert await machine.read("INSN_COUNT") == 0
        sample.untouched(machine)
        machine.use(sample.dram())
        await sample.launch(machine)
        await machine.finished()
        await sample.check(machine)


@cocotb.test()
@cocotb.parametrize(probability=[0.0, 0.7])
async def cycles_are_counted(dut, probability):
    """CYCLES agrees with the clock outside, rises while busy, and stops at ``done``."""
    machine, sample = await prepared(dut, probability)
    await sample.launch(machine)
    begun = get_sim_time("ns")
    seen = [await machine.read("CYCLES") for _ in range(5)]
    assert seen == sorted(seen) and len(set(seen)) == 5
    await machine.finished()
    outside = (get_sim_time("ns") - begun) / CYCLE_NS
    counted = await machine.read("CYCLES")
    assert outside <= counted <= outside + ANSWER_CYCLES
    await machine.cycles(50)
    assert await machine.read("CYCLES") == counted


@cocotb.test()
async def interrupt(dut):
    """``irq`` stays until ``done`` is cleared with a one, or the next launch."""
    machine, sample = await prepared(dut)
    await sample.launch(machine)
    await machine.finished()
    await machine.write("STATUS", 0)
    await machine.write("STATUS", ~STATUS_DONE & 0xFFFF_FFFF)
    await machine.cycles(50)
    assert int(dut.irq.value)
    await machine.write("CONTROL", memmap.CONTROL_LAUNCH)
    assert not int(dut.irq.value)
    await machine.finished()
    await machine.write("STATUS", STATUS_DONE)
    assert not int(dut.irq.value)


@cocotb.test()
async def empty_stream(dut):
    """No instruction, no FINISH: the run ends at once and says so."""
    machine, sample = await prepared(dut)
    await machine.launch(sample.STREAM, 0)
    await machine.finished()
    code, source, _ = await machine.error()
    assert (code, source) == (memmap.ErrorCode.MISSING_FINISH, memmap.Source.CORE)
    await machine.quiet()
