"""The load module behind its read master: instructions and tokens in, writes of two SRAMs out."""

import random

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles, RisingEdge
from cocotbext.axi import AxiReadBus, AxiResp, AxiSlaveRead

from tests.support.cocotb_bus import Dram, say_which_error, stall, watch_master
from tests.support.cocotb_streams import StallGenerator, Tokens, error_at, power_up, send, until
from tests.support.cocotb_tops import CFG, ISA
from vta.isa import Load, MemId
from vta.memmap import ErrorCode, ModuleState, Source

BASE, BYTES = 0x2000, 0x4000
SRAMS = {"inp": MemId.INP, "wgt": MemId.WGT}


class Bench:
    """The module, the slave, the SRAMs as the writes leave them.

    Attributes
    ----------
    srams : dict of ndarray of uint8, shape (depth, bytes of an element)
    loaded : int
        Elements from DRAM so far.
    retired : list of int
        ``loaded`` as each instruction retired.
    """

    def __init__(self, dut) -> None:
        self.dut = dut
        image = np.random.default_rng(8).integers(1, 256, BYTES, np.uint8)
        self.dram = Dram(image=(BASE, image.tobytes()))
        bus = AxiReadBus.from_prefix(dut, "m_axi")
        self.slave = AxiSlaveRead(bus, dut.clk, dut.rst, target=self.dram)
        say_which_error(self.slave)
        watch_master(dut, "m_axi_", "ar")
        self.srams = empty_srams()
        self.loaded = 0
        self.retired: list[int] = []
        self.tokens = Tokens(dut, available="next_avail", pop="pop_next", push="push_next")

    async def start(self, probability: float) -> None:
        await power_up(self.dut, restart=0, insn_valid=0, tokens_prev_avail=0, tokens_next_avail=0)
        stall(probability, "load", self.slave.ar_channel, self.slave.r_channel)
        cocotb.start_soon(self._watch())

    def feed(self, insns: list[Load], ready_probability: float = 1.0) -> None:
        """Send instructions, and the tokens that they pop."""
        words = [int.from_bytes(ISA.encode(insn), "little") for insn in insns]
        cocotb.start_soon(send(self.dut, "insn", words, StallGenerator(ready_probability, "insn")))
        pops = sum(insn.pop_next for insn in insns)
        cocotb.start_soon(self.tokens.run(pops, StallGenerator(ready_probability / 8, "tokens")))

    async def _watch(self) -> None:
        dut, edge = self.dut, RisingEdge(self.dut.clk)
        while True:
            await edge
            for name, sram in self.srams.items():
                mask = int(getattr(dut, f"write_{name}_mask").value)
                if mask:
                    self._write(name, sram, mask)
                self.loaded += int(getattr(dut, f"loaded_{name}").value)
            if int(dut.tokens_push_next.value):
                assert int(dut.retired.value), "a token before its instruction was done"
            if int(dut.retired.value):
                self.retired.append(self.loaded)

    def _write(self, name: str, sram: np.ndarray, mask: int) -> None:
        entry = sram[int(getattr(self.dut, f"write_{name}_addr").value)]
        data = int(getattr(self.dut, f"write_{name}_data").value).to_bytes(entry.size, "little")
        lanes = len(getattr(self.dut, f"write_{name}_mask"))
        width = entry.size // lanes
        for lane in range(lanes):
            if mask >> lane & 1:
                part = slice(lane * width, (lane + 1) * width)
                entry[part] = np.frombuffer(data, np.uint8)[part]


def empty_srams():
    """Entries that nothing has written yet, as 0xEE."""
    return {
        name: np.full((ISA.depth(memory), ISA.elem_bytes(memory)), 0xEE, np.uint8)
        for name, memory in SRAMS.items()
    }


def expected(insns, dram):
    """What the SRAMs are to hold, element by element."""
    srams = empty_srams()
    for insn in insns:
        name = next(key for key, memory in SRAMS.items() if memory is insn.memory)
        size, at = ISA.elem_bytes(insn.memory), insn.sram_base
        for y in range(-insn.y_pad_0, insn.y_size + insn.y_pad_1):
            for x in range(-insn.x_pad_0, insn.x_size + insn.x_pad_1):
                inside = 0 <= y < insn.y_size and 0 <= x < insn.x_size
                addr = (insn.dram_base + y * insn.x_stride + x) * size
                data = dram[addr : addr + size] if inside else bytes(size)
                srams[name][at] = np.frombuffer(data, np.uint8)
                at += 1
    return srams


def random_loads(rng, count):
    """Loads of both memories with pads and strides, and NOPs; the last pushes."""
    insns = []
    while len(insns) < count:
        memory = rng.choice(list(SRAMS.values()))
        size, depth = ISA.elem_bytes(memory), ISA.depth(memory)
        pads = {f"{axis}_pad_{end}": rng.choice((0, 0, 1, 3)) for axis in "xy" for end in (0, 1)}
        x, y = rng.choice((0, 1, 2, 5, 9)), rng.choice((0, 1, 1, 3))
        stride = rng.choice((x, x + 3, 0))
        entries = (y + pads["y_pad_0"] + pads["y_pad_1"]) * (x + pads["x_pad_0"] + pads["x_pad_1"])
        flags = {"pop_next": rng.random() < 0.4, "push_next": rng.random() < 0.5}
        if x == 0:
            insns.append(Load(memory=memory, dram_base=rng.getrandbits(32), **flags))
        elif entries <= depth:
            first, end = BASE // size, (BASE + BYTES) // size
            where = {
                "dram_base": rng.randrange(first, end - y * stride - x),
                "sram_base": rng.randrange(depth - entries + 1),
            }
            insns.append(
                Load(memory=memory, x_size=x, y_size=y, x_stride=stride, **where, **pads, **flags)
            )
    return insns


@cocotb.test()
@cocotb.parametrize(
    (("bus", "ready_probability"), [(0.0, 1.0), (0.5, 0.5), (0.8, 1.0), (0.0, 0.1)])
)
async def random_instructions(dut, bus, ready_probability):
    """SRAMs, tokens, retirements, counts of 60 instructions."""
    bench = Bench(dut)
    await bench.start(bus)
    insns = random_loads(random.Random(f"{bus} {ready_probability}"), 60)
    bench.feed(insns, ready_probability)
    await until(dut, lambda: len(bench.retired) == len(insns))
    await ClockCycles(dut.clk, 20)
    assert len(bench.retired) == len(insns)
    want = expected(insns, bench.dram)
    for name, sram in bench.srams.items():
        np.testing.assert_array_equal(sram, want[name], name)
    total = 0
    for insn, seen in zip(insns, bench.retired, strict=True):
        total += insn.x_size * insn.y_size
        assert seen >= total, "an instruction retired before its last element"
    assert bench.loaded == total
    assert bench.tokens.popped == sum(insn.pop_next for insn in insns)
    assert bench.tokens.pushed == sum(insn.push_next for insn in insns)
    assert int(dut.state.value) == ModuleState.IDLE.value
    assert error_at(dut)[0] == error_at(dut, "bus_error")[0] == ErrorCode.NONE


@cocotb.test()
async def waits_for_its_token(dut):
    """Without the token there is no read and no write; with it there is."""
    bench = Bench(dut)
    await bench.start(0.0)
    insn = Load(memory=MemId.INP, dram_base=BASE // CFG.inp_elem_bytes, y_size=1, x_size=4,
                x_stride=4, pop_next=True)  # fmt: skip
    word = int.from_bytes(ISA.encode(insn), "little")
    cocotb.start_soon(send(dut, "insn", [word], StallGenerator(1.0, "insn")))
    for _ in range(60):
        await ClockCycles(dut.clk, 1)
        assert not int(dut.m_axi_arvalid.value)
    assert int(dut.state.value) == ModuleState.WAITING.value
    cocotb.start_soon(bench.tokens.run(1, StallGenerator(1.0, "")))
    await until(dut, lambda: bench.retired)
    assert bench.loaded == 4


@cocotb.test()
@cocotb.parametrize(
    fault=["beyond the SRAM", "beyond the SRAM by a pad", "beyond the bus", "refused"]
)  # fmt: skip
async def errors(dut, fault):
    """Who, why and where. After an error of the module itself the instruction never retires."""
    bench = Bench(dut)
    await bench.start(0.3)
    first = BASE // CFG.inp_elem_bytes
    good = Load(memory=MemId.INP, dram_base=first, y_size=1, x_size=3, x_stride=3)
    fields = {"dram_base": first, "sram_base": 60, "y_size": 1, "x_size": 4, "x_stride": 4}
    pin, code, addr = "error", ErrorCode.SRAM_RANGE, CFG.inp_depth
    if fault == "beyond the SRAM":
        fields["x_size"] = 5
    elif fault == "beyond the SRAM by a pad":
        fields["x_pad_1"] = 1
    elif fault == "beyond the bus":
        fields["dram_base"] = (1 << CFG.addr_bits) // CFG.inp_elem_bytes + 2
        code, addr = ErrorCode.ADDRESS, (1 << CFG.addr_bits) + 2 * CFG.inp_elem_bytes
    else:
        pin, code, addr = "bus_error", ErrorCode.AXI_DECERR, BASE + 0x100
        fields["dram_base"] = addr // CFG.inp_elem_bytes
        bench.dram.refuse(range(addr, addr + 8), AxiResp.DECERR)
    bench.feed([good, Load(memory=MemId.INP, **fields)])
    await until(dut, lambda: error_at(dut, pin)[0] != ErrorCode.NONE)
    await ClockCycles(dut.clk, 50)
    # of the bus errors the source is the number of the reader, and here there is one
    source = Source.LOAD if pin == "error" else 0
    assert error_at(dut, pin) == (code, source, addr)
    if pin == "error":
        assert len(bench.retired) == 1
