"""Registers, tokens and counters, each alone."""

import random

import pytest
from amaranth.sim import Simulator

from tests.support.axipeer import LiteHost
from vta import memmap
from vta.config import VTAConfig
from vta.hw.control.counters import Counters
from vta.hw.control.csr import ControlRegisters
from vta.hw.frontend.token_queues import TokenQueues
from vta.memmap import REGISTERS, config_words, register

TINY = VTAConfig.preset("tiny")


def simulate(dut, body):
    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(body)
    sim.run()


def test_every_register_reads_what_it_should():
    dut = ControlRegisters(config_words(TINY))
    shown = {name: random.Random(name).getrandbits(64) for name, _ in dut.values.shape()}

    async def body(ctx):
        host = LiteHost(ctx, dut.bus)
        for name, field in dut.values.shape():
            shown[name] &= (1 << field.width) - 1
            ctx.set(dut.values[name], shown[name])
        ctx.set(dut.busy, 1)
        ctx.set(dut.failed, 1)
        want = {
            "ID": 0x56544131, "VERSION": 0x0001_0000, "CAPS": 0, "CONTROL": 0, "STATUS": 0b101,
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

    simulate(dut, body)


def test_reading_the_low_half_keeps_the_high_half():
    dut = ControlRegisters(config_words(TINY))

    async def body(ctx):
        host = LiteHost(ctx, dut.bus)
        ctx.set(dut.values.cycles, 0x1_FFFF_FFFF)
        assert await host.read(register("CYCLES").offset) == 0xFFFF_FFFF
        ctx.set(dut.values.cycles, 0x2_0000_0000)
        assert await host.read(register("CYCLES_HI").offset) == 1

    simulate(dut, body)


def test_a_read_answers_three_cycles_after_its_address():
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
        # Taken at once; the answer stays until it is taken, and only then comes the next address.
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

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(watch, background=True)
    sim.add_testbench(body)
    sim.run()


def test_tokens_are_counted_in_their_queues():
    """Every queue against a plain count, with pushes and pops in the same cycle."""
    dut = TokenQueues()
    ends = {
        "l2g": (dut.load.push_next, dut.compute.pop_prev, dut.compute.prev_avail),
        "g2l": (dut.compute.push_prev, dut.load.pop_next, dut.load.next_avail),
        "g2s": (dut.compute.push_next, dut.store.pop_prev, dut.store.prev_avail),
        "s2g": (dut.store.push_prev, dut.compute.pop_next, dut.compute.next_avail),
    }
    rng = random.Random(4)

    async def body(ctx):
        counts = dict.fromkeys(ends, 0)
        for step in range(300):
            clear = step == 200
            ctx.set(dut.clear, clear)
            for queue, (push, pop, avail) in ends.items():
                assert ctx.get(avail) == (counts[queue] > 0)
                assert ctx.get(getattr(dut, queue)) == counts[queue]
                pushes, pops = rng.random() < 0.5, counts[queue] > 0 and rng.random() < 0.5
                ctx.set(push, pushes)
                ctx.set(pop, pops)
                counts[queue] = 0 if clear else counts[queue] + pushes - pops
            await ctx.tick()

    simulate(dut, body)


def test_counters_add_their_weights():
    dut = Counters({"one": 1, "tile": 16})

    async def body(ctx):
        ctx.set(dut.run, 1)
        for step in range(10):
            ctx.set(dut.event_one, step % 2)
            ctx.set(dut.event_tile, step < 3)
            await ctx.tick()
        assert [ctx.get(c) for c in (dut.cycles, dut.one, dut.tile)] == [10, 4, 48]
        ctx.set(dut.event_one, 0)
        await ctx.tick()  # an event is seen after a cycle
        assert [ctx.get(c) for c in (dut.cycles, dut.one, dut.tile)] == [11, 5, 48]
        ctx.set(dut.event_one, 1)
        await ctx.tick()
        ctx.set(dut.clear, 1)
        await ctx.tick()
        assert [ctx.get(c) for c in (dut.cycles, dut.one, dut.tile)] == [0, 0, 0]

    simulate(dut, body)
