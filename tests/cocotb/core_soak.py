"""The core's pins: random programs back to back on one machine, for so many cycles.

``SOAK_CYCLES`` and ``SOAK_SEED`` in the environment say how many and which. The reference model
says what the memory, the counters and the tokens are after each program; its on-chip memories live
on from program to program, as the core's do.
"""

import os
import random

import cocotb

from tests.support.cocotb_bus import Dram, stall
from tests.support.cocotb_machine import Machine
from tests.support.cocotb_tops import CFG, ISA
from vta import memmap
from vta.isa import Load, MemId
from vta.sim.fuzzing.random_programs import random_program
from vta.sim.reference.model import ReferenceModel

STALLS = (0.0, 0.1, 0.4, 0.8)
WIPE = ISA.encode(
    Load(memory=MemId.UOP, y_pad_0=CFG.uop_depth // 16, y_size=0, x_pad_0=15, x_size=1)
)
"""Zeros into the micro-op SRAM: a random program counts on them."""
LONGEST_RUN = 200_000
"""Cycles that no program of this size needs, however much the memory stalls."""


@cocotb.test()
async def soak(dut):
    rng = random.Random(os.environ["SOAK_SEED"])
    goal = int(os.environ["SOAK_CYCLES"])
    machine = Machine(dut, Dram())
    machine.watch()
    await machine.power_up()
    model = ReferenceModel(CFG)
    cycles = programs = 0
    while cycles < goal:
        program = random_program(CFG, rng, steps=40)
        memory, stream = program.memory(), WIPE + program.stream
        size = program.image.size
        stream_addr = program.base + size + 4096 * rng.randrange(1, 4) + 16 * rng.randrange(9)
        dram = Dram(
            image=(program.base, program.image.tobytes()),
            stream=(stream_addr, stream + bytes(64)),
        )
        machine.use(dram)
        machine.stall(rng.choice(STALLS), f"{programs}")
        host = machine.host
        stall(rng.choice(STALLS), f"{programs}", host.write_if.b_channel, host.read_if.r_channel)
        await machine.launch(stream_addr, len(stream) // 16)
        await machine.finished(LONGEST_RUN)

        where = f"program {programs} after {cycles} cycles\n{program!r}"
        result = model.run(stream, memory)
        assert await machine.error() == (0, 0, 0), where
        assert await machine.read("STATUS") == memmap.STATUS_DONE, where
        got = dram[program.base : program.base + size]
        assert got == memory.data.tobytes(), where
        for name, value in result.counters.as_dict().items():
            assert await machine.read(name.upper()) == value, f"{name}, {where}"
        for name, value in result.tokens.items():
            assert await machine.read(f"TOKENS_{name.upper()}") == value, f"{name}, {where}"
        cycles += await machine.read("CYCLES")
        programs += 1
    dut._log.warning("%d programs, %d cycles", programs, cycles)
