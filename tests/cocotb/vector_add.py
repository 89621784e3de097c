"""A test bench for the core's pins, run inside the simulator: C = A + B.

Nothing of this project's harness takes part: cocotbext-axi is the memory and the host.
"""

import itertools
import random

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge, with_timeout
from cocotbext.axi import AxiBus, AxiLiteBus, AxiLiteMaster, AxiRam

from vta import memmap
from vta.config import VTAConfig
from vta.isa import Alu, AluOpcode, Finish, Isa, Load, MemId, Store, Uop

CFG = VTAConfig.preset("tiny")
TILES = 32  # half of the accumulator for A, half for B
A, B, C, UOPS, STREAM = 0x1000, 0x2000, 0x3000, 0x4000, 0x5000
RAM_BYTES = 0x8000


def rows(memory, elem_bytes, addr, sram_base, count):
    """The fields of a transfer of ``count`` elements in one row."""
    where = {"memory": memory, "dram_base": addr // elem_bytes, "sram_base": sram_base}
    return where | {"y_size": 1, "x_size": count, "x_stride": count}


def program():
    """The stream of the vector addition, and its micro-ops."""
    isa = Isa.of(CFG)
    acc, out = CFG.acc_elem_bytes, CFG.out_elem_bytes
    add = Alu(
        alu_opcode=AluOpcode.ADD, uop_bgn=0, uop_end=1,
        iter_in=TILES, dst_factor_in=1, src_factor_in=1, push_next=True,
    )  # fmt: skip
    stream = isa.encode_all([
        Load(**rows(MemId.UOP, 4, UOPS, 0, 1)),
        Load(**rows(MemId.ACC, acc, A, 0, TILES)),
        Load(**rows(MemId.ACC, acc, B, TILES, TILES)),
        add,
        Store(**rows(MemId.OUT, out, C, 0, TILES), pop_prev=True, push_prev=True),
        Finish(pop_next=True),
    ])  # fmt: skip
    return stream, isa.encode_uops([Uop(dst=0, src=TILES)]).tobytes()


def stall(probability, rng):
    """Endless booleans for a channel's pauses."""
    return (rng.random() < probability for _ in itertools.count())


def pause(ram, probability):
    rng = random.Random(int(1000 * probability))
    channels = (
        ram.read_if.ar_channel, ram.read_if.r_channel,
        ram.write_if.aw_channel, ram.write_if.w_channel, ram.write_if.b_channel,
    )  # fmt: skip
    for channel in channels:
        channel.set_pause_generator(stall(probability, rng))


async def launch(host, insn_count):
    for name, value in (
        ("INSN_COUNT", insn_count),
        ("INSN_ADDR", STREAM),
        ("INSN_ADDR_HI", 0),
        ("CONTROL", memmap.CONTROL_LAUNCH),
    ):
        await host.write_dword(memmap.register(name).offset, value)


@cocotb.test()
@cocotb.parametrize(probability=[0.0, 0.3, 0.8])
async def vector_add(dut, probability):
    """``probability``: how often the memory stalls each of its channels."""
    cocotb.start_soon(Clock(dut.clk, 10, "ns").start())
    ram = AxiRam(AxiBus.from_prefix(dut, "m_axi"), dut.clk, dut.rst, size=RAM_BYTES)
    host = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axi"), dut.clk, dut.rst)
    dut.rst.value = 1
    await ClockCycles(dut.clk, 5)
    dut.rst.value = 0
    pause(ram, probability)

    data = np.random.default_rng(7)
    a, b = data.integers(-(2**31), 2**31, (2, TILES * CFG.batch * CFG.block_out), np.int64)
    stream, uops = program()
    before = bytes(data.integers(0, 256, RAM_BYTES, np.uint8))
    ram.write(0, before)
    ram.write(A, a.astype("<i4").tobytes())
    ram.write(B, b.astype("<i4").tobytes())
    ram.write(UOPS, uops)
    ram.write(STREAM, stream)
    image = bytearray(ram.read(0, RAM_BYTES))

    assert await host.read_dword(memmap.register("ID").offset) == memmap.IDENTITY
    await launch(host, len(stream) // 16)
    await with_timeout(RisingEdge(dut.irq), 200, "us")

    expected = (a + b).astype(np.int8).tobytes()
    image[C : C + len(expected)] = expected
    assert bytes(ram.read(0, RAM_BYTES)) == bytes(image)

    async def register(name):
        return await host.read_dword(memmap.register(name).offset)

    assert await register("STATUS") == memmap.STATUS_DONE
    assert await register("ERROR") == memmap.ErrorCode.NONE
    assert await register("ALU_COUNTER") == TILES
    assert await register("ACC_LOAD_NBYTES") == 2 * TILES * CFG.acc_elem_bytes
    assert await register("OUT_STORE_NBYTES") == TILES * CFG.out_elem_bytes
    assert await register("UOP_LOAD_NBYTES") == 4

    await host.write_dword(memmap.register("STATUS").offset, memmap.STATUS_DONE)
    await ClockCycles(dut.clk, 2)
    assert dut.irq.value == 0
