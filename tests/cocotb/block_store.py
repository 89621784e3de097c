"""The store module behind its write master: instructions, tokens and an SRAM in, writes out."""

import random

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles, RisingEdge
from cocotbext.axi import AxiResp, AxiSlaveWrite, AxiWriteBus

from tests.support.cocotb_bus import Dram, say_which_error, stall, watch_master
from tests.support.cocotb_streams import StallGenerator, Tokens, error_at, power_up, send, until
from tests.support.cocotb_tops import CFG, ISA
from vta.isa import MemId, Store
from vta.memmap import ErrorCode, ModuleState, Source

BASE, BYTES = 0x2000, 0x3000
TILE = CFG.out_elem_bytes


class Bench:
    """The module, the out SRAM, the slave.

    Attributes
    ----------
    sram : ndarray of uint8, shape (depth, bytes of a tile)
    stored : int
        Tiles so far.
    retired : list of bytes
        The memory as each instruction retired.
    """

    def __init__(self, dut) -> None:
        self.dut = dut
        rng = np.random.default_rng(4)
        self.sram = rng.integers(0, 256, (CFG.acc_depth, TILE), np.uint8)
        self.before = rng.integers(0, 256, BYTES, np.uint8).tobytes()
        self.dram = Dram(image=(BASE, self.before))
        bus = AxiWriteBus.from_prefix(dut, "m_axi")
        self.slave = AxiSlaveWrite(bus, dut.clk, dut.rst, target=self.dram)
        say_which_error(self.slave)
        watch_master(dut, "m_axi_", "aw", "w")
        self.stored = 0
        self.retired: list[bytes] = []
        self.tokens = Tokens(dut, available="prev_avail", pop="pop_prev", push="push_prev")

    async def start(self, probability: float) -> None:
        await power_up(self.dut, restart=0, insn_valid=0, tokens_prev_avail=0, tokens_next_avail=0)
        slave = self.slave
        stall(probability, "store", slave.aw_channel, slave.w_channel, slave.b_channel)
        cocotb.start_soon(self._serve())

    def feed(self, insns: list[Store], ready_probability: float = 1.0) -> None:
        """Send instructions, and the tokens that they pop."""
        words = [int.from_bytes(ISA.encode(insn), "little") for insn in insns]
        cocotb.start_soon(send(self.dut, "insn", words, StallGenerator(ready_probability, "insn")))
        pops = sum(insn.pop_prev for insn in insns)
        cocotb.start_soon(self.tokens.run(pops, StallGenerator(ready_probability / 8, "tokens")))

    async def _serve(self) -> None:
        """The SRAM: data in the next cycle, kept until the next read. And the watch."""
        dut, edge = self.dut, RisingEdge(self.dut.clk)
        while True:
            await edge
            if int(dut.out_read_en.value):
                tile = self.sram[int(dut.out_read_addr.value)]
                dut.out_read_data.value = int.from_bytes(tile.tobytes(), "little")
            self.stored += int(dut.stored.value)
            if int(dut.tokens_push_prev.value):
                assert int(dut.retired.value), "a token before its instruction was done"
            if int(dut.retired.value):
                self.retired.append(self.dram[BASE : BASE + BYTES])

    def expected(self, insns: list[Store]) -> list[bytes]:
        """The memory after each instruction."""
        image, images = bytearray(self.before), []
        for insn in insns:
            for y in range(insn.y_size):
                for x in range(insn.x_size):
                    at = (insn.dram_base + y * insn.x_stride + x) * TILE - BASE
                    tile = self.sram[insn.sram_base + y * insn.x_size + x]
                    image[at : at + TILE] = tile.tobytes()
            images.append(bytes(image))
        return images


def random_stores(rng, count):
    """Rows of all lengths and strides, further and further up in memory, and NOPs."""
    insns, at = [], BASE // TILE
    while len(insns) < count:
        flags = {"pop_prev": rng.random() < 0.4, "push_prev": rng.random() < 0.5}
        x, y = rng.choice((0, 1, 2, 3, 7, 16)), rng.choice((0, 1, 1, 2, 4))
        stride = x + rng.choice((0, 0, 1, 5))
        if x == 0:
            insns.append(Store(memory=MemId.UOP, dram_base=rng.getrandbits(32), **flags))
            continue
        at += rng.randrange(4)
        sram_base = rng.randrange(CFG.acc_depth - x * y + 1)
        insns.append(
            Store(dram_base=at, sram_base=sram_base, x_size=x, y_size=y, x_stride=stride, **flags)
        )
        at += y * stride + x
    assert at * TILE < BASE + BYTES
    return insns


@cocotb.test()
@cocotb.parametrize(
    (("bus", "ready_probability"), [(0.0, 1.0), (0.5, 0.5), (0.8, 1.0), (0.0, 0.1)])
)
async def random_instructions(dut, bus, ready_probability):
    """Memory, tokens, retirements, counts of 60 instructions."""
    bench = Bench(dut)
    await bench.start(bus)
    insns = random_stores(random.Random(f"{bus} {ready_probability}"), 60)
    bench.feed(insns, ready_probability)
    await until(dut, lambda: len(bench.retired) == len(insns))
    await ClockCycles(dut.clk, 50)
    images = bench.expected(insns)
    assert bench.dram[BASE : BASE + BYTES] == images[-1]
    # as an instruction retires, all that it wrote is there; they go up in memory
    for insn, seen, image in zip(insns, bench.retired, images, strict=True):
        if insn.x_size and insn.y_size:
            end = (insn.dram_base + (insn.y_size - 1) * insn.x_stride + insn.x_size) * TILE - BASE
            assert seen[:end] == image[:end]
    assert bench.stored == sum(insn.x_size * insn.y_size for insn in insns)
    assert bench.tokens.popped == sum(insn.pop_prev for insn in insns)
    assert bench.tokens.pushed == sum(insn.push_prev for insn in insns)
    assert int(dut.state.value) == ModuleState.IDLE.value
    assert error_at(dut)[0] == error_at(dut, "bus_error")[0] == ErrorCode.NONE


@cocotb.test()
async def overlapping_stores(dut):
    """The later of two stores to one place wins, however slow the memory is."""
    bench = Bench(dut)
    await bench.start(0.7)
    at = BASE // TILE
    insns = [
        Store(dram_base=at + n % 3, sram_base=n, y_size=1, x_size=5, x_stride=5) for n in range(30)
    ]
    bench.feed(insns)
    await until(dut, lambda: len(bench.retired) == len(insns))
    assert bench.dram[BASE : BASE + BYTES] == bench.expected(insns)[-1]


@cocotb.test()
@cocotb.parametrize(fault=["beyond the SRAM", "beyond the bus", "refused"])
async def errors(dut, fault):
    """Who, why and where; the instruction before it is done, it never retires."""
    bench = Bench(dut)
    await bench.start(0.3)
    at = BASE // TILE
    good = Store(dram_base=at, sram_base=0, y_size=1, x_size=3, x_stride=3)
    fields = {"dram_base": at + 64, "sram_base": 60, "y_size": 1, "x_size": 4, "x_stride": 4}
    pin, code, addr = "error", ErrorCode.SRAM_RANGE, CFG.acc_depth
    if fault == "beyond the SRAM":
        fields["x_size"] = 5
    elif fault == "beyond the bus":
        fields["dram_base"] = (1 << CFG.addr_bits) // TILE + 2
        code, addr = ErrorCode.ADDRESS, (1 << CFG.addr_bits) + 2 * TILE
    else:
        pin, code, addr = "bus_error", ErrorCode.AXI_SLVERR, (at + 64) * TILE
        bench.dram.refuse(range(addr, addr + 8), AxiResp.SLVERR)
    bench.feed([good, Store(push_prev=True, **fields)])
    await until(dut, lambda: error_at(dut, pin)[0] != ErrorCode.NONE)
    await ClockCycles(dut.clk, 50)
    assert error_at(dut, pin) == (code, Source.STORE, addr)
    assert len(bench.retired) == 1 and bench.tokens.pushed == 0
