"""The control registers on their own: every read and write against the table of vta.memmap."""

import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge, Timer
from cocotbext.axi import AxiLiteBus, AxiLiteMaster

from tests.support.cocotb_bus import stall
from vta import memmap
from vta.hw.control.csr import COUNTERS, Values
from vta.memmap import REGISTERS, register

WRITABLE = ("INSN_COUNT", "INSN_ADDR", "INSN_ADDR_HI")
PULSES = ("launch", "reset", "clear_done")


async def powered(dut):
    """The host, after power-up; all values and states are 0."""
    dut._log.setLevel("WARNING")
    cocotb.start_soon(Clock(dut.clk, 10, "ns").start())
    host = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "bus"), dut.clk, dut.rst)
    for name in ("values", "counter_value", "busy", "done", "failed"):
        getattr(dut, name).value = 0
    dut.rst.value = 1
    await ClockCycles(dut.clk, 3)
    dut.rst.value = 0
    await ClockCycles(dut.clk, 1)
    return host


async def count_pulses(dut, seen):
    """Adds one to ``seen[name]`` for every cycle in which an output is high."""
    while True:
        await RisingEdge(dut.clk)
        for name in PULSES:
            seen[name] += int(getattr(dut, name).value)


def show(dut, values):
    """Drive the read-only registers: name in lower case to number."""
    layout = Values()
    dut.values.value = sum(value << layout[name].offset for name, value in values.items())


async def give_counters(dut, counts):
    """Answers each read of a counter with ``counts[name]``, in the next cycle."""
    answer = 0
    while True:
        await RisingEdge(dut.clk)
        dut.counter_value.value = answer
        await Timer(1, "ns")
        name = COUNTERS[int(dut.counter_index.value)]
        answer = counts[name] if int(dut.counter_read.value) else 0


@cocotb.test()
async def counters_are_shown(dut):
    """Each counter is at its own address, both halves."""
    host = await powered(dut)
    rng = random.Random(2)
    counts = dict.fromkeys(COUNTERS, 0)
    cocotb.start_soon(give_counters(dut, counts))
    for _ in range(3):
        counts.update({name: rng.getrandbits(64) for name in COUNTERS})
        for name, count in counts.items():
            assert await host.read_dword(register(name).offset) == count & 0xFFFF_FFFF, name
            assert await host.read_dword(register(f"{name}_HI").offset) == count >> 32, name


@cocotb.test()
async def values_are_shown(dut):
    """Each read-only value is at its own address, both halves."""
    host = await powered(dut)
    rng = random.Random(1)
    for _ in range(3):
        values = {name: rng.getrandbits(field.width) for name, field in Values()}
        show(dut, values)
        for name, value in values.items():
            low = await host.read_dword(register(name.upper()).offset)
            assert low == value & 0xFFFF_FFFF, name
            if value >> 32:
                assert await host.read_dword(register(f"{name.upper()}_HI").offset) == value >> 32


@cocotb.test()
async def halves_belong_together(dut):
    """The high half is of the moment at which the low half was read."""
    host = await powered(dut)
    counts = {"CYCLES": 0x1_FFFF_FFFF, "GEMM_COUNTER": 0x5_0000_0001}
    cocotb.start_soon(give_counters(dut, counts))
    show(dut, {"error_addr": 0x7_0000_0003})
    assert await host.read_dword(register("CYCLES").offset) == 0xFFFF_FFFF
    counts.update(CYCLES=0x2_0000_0000, GEMM_COUNTER=0x6_0000_0001)
    assert await host.read_dword(register("CYCLES_HI").offset) == 1
    assert await host.read_dword(register("GEMM_COUNTER").offset) == 1
    assert await host.read_dword(register("GEMM_COUNTER_HI").offset) == 6
    assert await host.read_dword(register("ERROR_ADDR").offset) == 3
    show(dut, {"error_addr": 0x8_0000_0004})
    assert await host.read_dword(register("ERROR_ADDR_HI").offset) == 7


@cocotb.test()
async def status(dut):
    """Its three bits, in all combinations."""
    host = await powered(dut)
    for value in range(8):
        for bit, name in enumerate(("busy", "done", "failed")):
            getattr(dut, name).value = value >> bit & 1
        assert await host.read_dword(register("STATUS").offset) == value


@cocotb.test()
@cocotb.parametrize(probability=[0.0, 0.5, 0.9])
async def random_accesses(dut, probability):
    """Reads and writes of any width at any address, several at once, against a table."""
    host = await powered(dut)
    rng = random.Random(f"csr {probability}")
    write, read = host.write_if, host.read_if
    stall(
        probability, "csr",
        write.aw_channel, write.w_channel, write.b_channel, read.ar_channel, read.r_channel,
    )  # fmt: skip
    seen, expected = dict.fromkeys(PULSES, 0), dict.fromkeys(PULSES, 0)
    cocotb.start_soon(count_pulses(dut, seen))
    table = dict.fromkeys(range(0, 1 << memmap.ADDR_BITS), 0)
    writable = {register(name).offset + byte for name in WRITABLE for byte in range(4)}
    places = [each.offset for each in REGISTERS] + [0x038, 0x03C, 0x0AC, 0x800, 0xFFC]
    constants = {"ID", "VERSION", "CONFIG0", "CONFIG1"}
    free = [at for at in places if at not in {register(name).offset for name in constants}]
    for _ in range(60):
        pending = []
        for _ in range(rng.randint(1, 4)):
            word, first = rng.choice(free), rng.randrange(4)
            data = rng.randbytes(rng.randint(1, 4 - first))
            pending.append(host.init_write(word + first, data))
            bits = int.from_bytes(data, "little") << 8 * first
            if word == register("CONTROL").offset:
                expected["launch"] += bits >> 0 & 1
                expected["reset"] += bits >> 1 & 1
            if word == register("STATUS").offset:
                expected["clear_done"] += bits >> 1 & 1
            for index, byte in enumerate(data, word + first):
                if index in writable:
                    table[index] = byte
        for event in pending:
            await event.wait()
        word = rng.choice(free)
        got = await host.read(word, 4)
        assert got.data == bytes(table[word + byte] for byte in range(4)), f"0x{word:03x}"
    await ClockCycles(dut.clk, 3)
    assert seen == expected
    for name, pin in (("INSN_COUNT", dut.insn_count), ("INSN_ADDR", dut.insn_addr)):
        at = register(name).offset
        held = bytes(table[at + byte] for byte in range(len(pin) // 8))
        assert int(pin.value) == int.from_bytes(held, "little"), name
