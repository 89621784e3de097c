"""The control registers: every register, write strobes, the latency of a read, pulses."""

import random

import pytest

from tests.support.axipeer import LiteHost
from tests.support.hwpeers import simulate
from vta import memmap
from vta.config import VTAConfig
from vta.hw.control.csr import COUNTERS, ControlRegisters
from vta.memmap import REGISTERS, config_words, register

TINY = VTAConfig.preset("tiny")


def test_every_register_reads_what_it_should():
    dut = ControlRegisters(config_words(TINY), 0x5A)
    shown = {name: random.Random(name).getrandbits(64) for name, _ in dut.values.shape()}

    counters = [random.Random(index).getrandbits(64) for index in range(len(COUNTERS))]
    shown |= {name.lower(): value for name, value in zip(COUNTERS, counters)}

    async def counter_memory(ctx):
        while True:
            await ctx.delay(1e-8)
            read, index = ctx.get(dut.counter_read), ctx.get(dut.counter_index)
            await ctx.tick()
            ctx.set(dut.counter_value, counters[index] if read else 0)

    async def body(ctx):
        host = LiteHost(ctx, dut.bus)
        for name, field in dut.values.shape():
            shown[name] &= (1 << field.width) - 1
            ctx.set(dut.values[name], shown[name])
        ctx.set(dut.busy, 1)
        ctx.set(dut.failed, 1)
        want = {
            "ID": 0x56544131, "VERSION": 0x0001_0000, "CAPS": 0x5A, "CONTROL": 0, "STATUS": 0b101,
            # 8, 8, 32 bits, 1x4x4, bus 64, 32 address bits; buffers 256, 256, 1K, 1K
            "CONFIG0": 0x2062_0533, "CONFIG1": 0x0A0A_0808,
            "INSN_COUNT": 0, "INSN_ADDR": 0, "INSN_ADDR_HI": 0,
        }  # fmt: skip
        for item in REGISTERS:
            name = item.name.lower()
            if item.name in want:
                expected = want[item.name]
            elif name.endswith("_hi"):
                expected = shown[name[:-3]] >> 32
            else:
                expected = shown[name] & 0xFFFF_FFFF
            assert await host.read(item.offset) == expected, item.name
        for hole in (0x038, 0x0AC, 0xFFC):
            assert await host.read(hole) == 0

    simulate(dut, body, counter_memory)


def test_reading_the_low_half_keeps_the_high_half():
    dut = ControlRegisters(config_words(TINY))

    async def body(ctx):
        host = LiteHost(ctx, dut.bus)
        ctx.set(dut.counter_value, 0x1_FFFF_FFFF)
        assert await host.read(register("CYCLES").offset) == 0xFFFF_FFFF
        ctx.set(dut.counter_value, 0)
        assert await host.read(register("CYCLES_HI").offset) == 1

    simulate(dut, body)


def test_read_data_is_valid_three_cycles_after_the_address():
    dut = ControlRegisters(config_words(TINY))

    async def body(ctx):
        ctx.set(dut.bus.araddr, register("ID").offset)
        ctx.set(dut.bus.arvalid, 1)
        seen = []
        for _ in range(8):
            ready, valid = ctx.get(dut.bus.arready), ctx.get(dut.bus.rvalid)
            seen.append((ready, valid))
            await ctx.tick()
            ctx.set(dut.bus.arvalid, 0)
            ctx.set(dut.bus.rready, len(seen) == 5)
        # The address is accepted at once; the data is stable until accepted, and only then is the
        # next address accepted.
        assert [valid for _, valid in seen].index(1) == ControlRegisters.READ_LATENCY == 3
        assert seen == [(1, 0), (0, 0), (0, 0), (0, 1), (0, 1), (0, 1), (1, 0), (1, 0)]

    simulate(dut, body)


@pytest.mark.parametrize("order", ["both", "aw", "w"])
def test_writes_in_any_order_with_strobes(order):
    dut = ControlRegisters(config_words(TINY))

    async def body(ctx):
        host = LiteHost(ctx, dut.bus)
        await host.write(register("INSN_COUNT").offset, 0x11223344, order=order)
        await host.write(register("INSN_COUNT").offset, 0xAABBCCDD, strb=0b0101, order=order)
        await host.write(register("INSN_ADDR").offset, 0x89ABCDEF, order=order)
        await host.write(register("INSN_ADDR_HI").offset, 0x01234567, order=order)
        await host.write(register("ID").offset, 5, order=order)
        await host.write(0xABC, 5, order=order)
        assert await host.read(register("INSN_COUNT").offset) == 0x11BB33DD
        assert ctx.get(dut.insn_count) == 0x11BB33DD
        assert ctx.get(dut.insn_addr) == 0x0123456789ABCDEF
        assert await host.read(register("ID").offset) == memmap.IDENTITY

    simulate(dut, body)


def test_control_and_status_pulse_once_a_write():
    dut = ControlRegisters(config_words(TINY))
    seen = {"launch": 0, "reset": 0, "clear_done": 0}

    async def watch(ctx):
        while True:
            _, _, *pulses = await ctx.tick().sample(*(getattr(dut, name) for name in seen))
            for name, pulse in zip(seen, pulses):
                seen[name] += pulse

    async def body(ctx):
        host = LiteHost(ctx, dut.bus)
        await host.write(register("CONTROL").offset, 1)
        await host.write(register("CONTROL").offset, 2)
        await host.write(register("CONTROL").offset, 3, strb=0b1110)
        await host.write(register("STATUS").offset, 1)
        await host.write(register("STATUS").offset, 2)
        assert seen == {"launch": 1, "reset": 1, "clear_done": 1}

    simulate(dut, body, watch)
