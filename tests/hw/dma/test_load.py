"""The load engine against the rules of docs/hardware/machine.md, worked out element by element in
NumPy."""

import random
from functools import cache, partial

import numpy as np
import pytest
from amaranth.back import verilog

from tests.support.configurations import machine
from tests.support.hwpeers import (
    READY_PROBABILITIES,
    Bench,
    StallGenerator,
    hold_writes,
    send,
    serve_reads,
)
from vta.config import VTAConfig
from vta.hw.dma.load import LoadEngine, pad_load_of
from vta.hw.dma.row_writer import RowWriter
from vta.hw.dma.rows import MemoryKind
from vta.isa import PAD_VALUE_MEMORIES, Isa, Load, MemId
from vta.memmap import ErrorCode, Source

TINY = VTAConfig.preset("tiny")
WIDE = TINY.replace(log_bus_width=8)
NIBBLES = TINY.replace(
    log_inp_width=2, log_block=1, log_inp_buff_size=4, log_wgt_buff_size=4, log_acc_buff_size=6
)
BATCHED = VTAConfig(
    log_batch=1, log_block=3, log_uop_buff_size=6, log_inp_buff_size=9, log_wgt_buff_size=10,
    log_acc_buff_size=11, log_bus_width=7,
)  # fmt: skip
INT16 = TINY.replace(log_inp_width=4, log_inp_buff_size=9)
CONFIGS = {
    "tiny": TINY, "wide bus": WIDE, "nibbles": NIBBLES, "batched": BATCHED, "int16": INT16,
}  # fmt: skip
DRAM_BYTES = 1 << 16
DRAM = np.random.default_rng(1).integers(0, 256, DRAM_BYTES, dtype=np.uint8)


def elements(cfg, memory):
    """Bytes of an element in DRAM and in the SRAM, and the depth, from the bits of a tile."""
    lanes = cfg.batch * cfg.block_out
    return {
        MemId.UOP: (4, 4, cfg.uop_depth),
        MemId.INP: (cfg.inp_elem_bits // 8, cfg.inp_elem_bits // 8, cfg.inp_depth),
        MemId.WGT: (cfg.wgt_elem_bits // 8, cfg.wgt_elem_bits // 8, cfg.wgt_depth),
        MemId.ACC: (lanes * 4, lanes * 4, cfg.acc_depth),
        MemId.ACC_8BIT: (lanes, lanes * 4, cfg.acc_depth),
    }[memory]


def padding(cfg, insn):
    """The bytes of an element of padding in the SRAM."""
    bits = {MemId.INP: cfg.inp_width, MemId.ACC: 32, MemId.ACC_8BIT: 32}.get(insn.memory, 8)
    if bits == 4:
        return (insn.pad_value & 15) * 0x11
    lane = (insn.pad_value % (1 << bits)).to_bytes(bits // 8, "little")
    return np.frombuffer(lane * (elements(cfg, insn.memory)[1] * 8 // bits), np.uint8)


def expect(cfg, insn, sram):
    """Execute one LOAD on ``sram``, uint8 (depth, bytes): one element at a time, by the page."""
    if insn.x_size == 0:
        return 0
    size, _, _ = elements(cfg, insn.memory)
    width = insn.x_pad_0 + insn.x_size + insn.x_pad_1
    at = insn.sram_base
    for y in range(insn.y_pad_0 + insn.y_size + insn.y_pad_1):
        for x in range(width):
            row, column = y - insn.y_pad_0, x - insn.x_pad_0
            sram[at] = padding(cfg, insn)
            if 0 <= row < insn.y_size and 0 <= column < insn.x_size:
                begin = (insn.dram_base + row * insn.x_stride + column) * size
                raw = DRAM[begin : begin + size]
                if insn.memory is MemId.ACC_8BIT:
                    raw = raw.view(np.int8).astype("<i4").view(np.uint8)
                sram[at] = raw
            at += 1
    return insn.x_size * insn.y_size


@cache
def engine(cfg, memories):
    isa = Isa.of(cfg)
    kinds = [MemoryKind.of(cfg, memory) for memory in memories]
    return Bench(
        LoadEngine(
            isa.memory, kinds, addr_bits=cfg.addr_bits, data_bits=cfg.bus_bits, source=Source.LOAD,
            pad_load=pad_load_of(isa),
        )
    )  # fmt: skip


def run(cfg, memories, insns, probability=1.0, *, cycles=40000):
    """Run LOADs on an engine; returns (SRAMs by name, elements loaded, cycles, requests, error)."""
    isa = Isa.of(cfg)
    kinds = [MemoryKind.of(cfg, memory) for memory in memories]
    block = engine(cfg, tuple(memories))
    dut = block.dut
    srams = {
        kind.sram: np.full((1 << kind.log_depth, kind.sram_bits // 8), 0xA5, np.uint8)
        for kind in kinds
    }
    layout = dut.request.payload.shape()
    words = [layout.from_bits(int.from_bytes(isa.encode(insn), "little")) for insn in insns]
    result = {"loaded": dict.fromkeys(srams, 0), "log": [], "error": (0, 0), "cycles": 0}

    async def watch(ctx):
        done = 0
        loaded = [getattr(dut, f"loaded_{name}") for name in srams]
        for cycle in range(cycles):
            _, _, finished, code, addr, *pulses = await ctx.tick().sample(
                dut.done, dut.error.code, dut.error.addr, *loaded
            )
            done += finished
            for name, pulse in zip(srams, pulses):
                result["loaded"][name] += pulse
            if done == len(insns) or code:
                result["cycles"], result["error"] = cycle, (code, addr)
                await ctx.tick()
                assert code or not ctx.get(dut.busy)
                return
        raise AssertionError(f"{done} of {len(insns)} loads done after {cycles} cycles")

    peers = [
        partial(send, stream=dut.request, items=words, is_ready=StallGenerator(probability, 3)),
        partial(
            serve_reads,
            port=dut.read,
            memory=DRAM,
            is_ready=StallGenerator(probability, 2),
            log=result["log"],
        ),
    ]
    for name, sram in srams.items():
        peers.append(partial(hold_writes, port=getattr(dut, f"write_{name}"), memory=sram))
    block.run(watch, *peers)
    return srams, result


def check(cfg, memories, insns, probability=1.0):
    srams, result = run(cfg, memories, insns, probability)
    want = {name: np.full_like(sram, 0xA5) for name, sram in srams.items()}
    loaded = dict.fromkeys(srams, 0)
    for insn in insns:
        name = "acc" if insn.memory is MemId.ACC_8BIT else insn.memory.name.lower()
        loaded[name] += expect(cfg, insn, want[name])
    for name in srams:
        np.testing.assert_array_equal(srams[name], want[name], err_msg=name)
    assert result["loaded"] == loaded
    assert result["error"][0] == 0
    return result


def random_load(rng, cfg, memories):
    memory = rng.choice(memories)
    size, _, depth = elements(cfg, memory)
    while True:
        x, y = rng.choice([0, 1, 1, 2, 3, rng.randint(1, depth)]), rng.choice([0, 1, 2, 3, 5])
        pads = [rng.choice([0, 0, 0, 1, 2, 15]) for _ in range(4)]
        stride = rng.choice([x, x, x + 1, rng.randint(0, 40)])
        used = (pads[2] + x + pads[3]) * (pads[0] + y + pads[1]) if x else 0
        span = (stride * max(y - 1, 0) + x) * size
        if used <= depth and span < DRAM_BYTES:
            break
    pad_value = rng.choice([0, -128, 127, rng.randint(-128, 127)])
    return Load(
        memory=memory, sram_base=rng.randint(0, depth - used) if used < depth else 0,
        dram_base=rng.randint(0, (DRAM_BYTES - span) // size - 1) if span else 7,
        x_size=x, y_size=y, x_stride=stride,
        y_pad_0=pads[0], y_pad_1=pads[1], x_pad_0=pads[2], x_pad_1=pads[3],
        pad_value=pad_value if memory in PAD_VALUE_MEMORIES else 0,
    )  # fmt: skip


LOAD_SIDE = (MemId.INP, MemId.WGT)
COMPUTE_SIDE = (MemId.UOP, MemId.ACC, MemId.ACC_8BIT)


@pytest.mark.parametrize("stalls", READY_PROBABILITIES)
@pytest.mark.parametrize(
    "insn",
    [
        Load(memory=MemId.INP, x_size=0, y_size=3, x_pad_0=2, y_pad_1=1),
        Load(memory=MemId.INP, x_size=1, y_size=1, x_stride=1),
        Load(memory=MemId.INP, x_size=2, y_size=0, y_pad_0=1, y_pad_1=2, x_pad_0=1),
        Load(memory=MemId.INP, x_size=2, y_size=0),
        Load(memory=MemId.INP, sram_base=3, dram_base=5, x_size=3, y_size=4, x_stride=3),
        Load(memory=MemId.INP, dram_base=5, x_size=3, y_size=4, x_stride=4, x_pad_1=1),
        Load(memory=MemId.INP, dram_base=5, x_size=3, y_size=4, x_stride=0, y_pad_1=1),
        Load(memory=MemId.WGT, dram_base=9, x_size=8, y_size=2, x_stride=16),
        Load(memory=MemId.WGT, dram_base=9, x_size=64, y_size=1, x_stride=1),
        Load(
            memory=MemId.INP,
            dram_base=9,
            x_size=2,
            y_size=2,
            x_stride=2,
            x_pad_1=1,
            y_pad_0=1,
            pad_value=-3,
        ),
        Load(
            memory=MemId.INP, dram_base=(1 << 29) - 1, x_size=3, y_size=0, y_pad_1=2, pad_value=127
        ),
    ],
    ids=lambda insn: f"{insn.memory.name}-{insn.y_size}x{insn.x_size}",
)
def test_degenerate_and_plain_loads(insn, stalls):
    check(TINY, LOAD_SIDE, [insn], READY_PROBABILITIES[stalls])


@pytest.mark.parametrize("cfg", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("memories", [LOAD_SIDE, COMPUTE_SIDE], ids=["load", "compute"])
@pytest.mark.parametrize("stalls", ["no stalls", "random stalls"])
def test_random_loads(cfg, memories, stalls):
    rng = random.Random(f"{cfg.fingerprint} {memories} {stalls}")
    check(
        cfg,
        memories,
        [random_load(rng, cfg, memories) for _ in range(12)],
        READY_PROBABILITIES[stalls],
    )


def test_full_bus_rate_and_merged_rows():
    """Elements at least a beat wide come at a beat a cycle, over the seams of rows and of LOADs."""
    loads = [
        Load(memory=MemId.WGT, dram_base=0, x_size=4, y_size=4, x_stride=4),
        Load(memory=MemId.WGT, sram_base=16, dram_base=40, x_size=8, y_size=4, x_stride=16),
    ]
    result = check(TINY, LOAD_SIDE, loads)
    beats = (16 + 32) * 16 // 8
    assert result["cycles"] <= beats + 12
    assert result["log"][0] == (0, 32), "rows without a gap are one request"
    assert len(result["log"]) == 5


@pytest.mark.parametrize(
    ("insn", "index"),
    [
        (Load(memory=MemId.INP, sram_base=60, x_size=5, y_size=1, x_stride=5), 64),
        (Load(memory=MemId.INP, sram_base=63, x_size=1, y_size=1, x_stride=1, x_pad_1=1), 64),
        (Load(memory=MemId.INP, sram_base=65535, x_size=1, y_size=1, x_stride=1), 65535),
        (Load(memory=MemId.INP, x_size=65535, y_size=65535, x_stride=65535, dram_base=0), 64),
    ],
)
def test_sram_range(insn, index):
    cfg = TINY.replace(addr_bits=48)
    _, result = run(cfg, LOAD_SIDE, [insn])
    assert result["error"] == (ErrorCode.SRAM_RANGE, index)


@pytest.mark.parametrize(
    "insn",
    [
        Load(memory=MemId.INP, dram_base=(1 << 30) - 1, x_size=2, y_size=1, x_stride=1),
        Load(memory=MemId.INP, dram_base=(1 << 32) - 1, x_size=1, y_size=1, x_stride=1),
        Load(memory=MemId.INP, dram_base=(1 << 30) - 3, x_size=1, y_size=4, x_stride=2),
    ],
)
def test_address_beyond_the_bus(insn):
    _, result = run(TINY, LOAD_SIDE, [insn])
    assert result["error"][0] == ErrorCode.ADDRESS


def test_last_address_of_the_bus_is_legal():
    insn = Load(memory=MemId.INP, dram_base=(1 << 30) - 2, x_size=2, y_size=1, x_stride=1)
    _, result = run(TINY, LOAD_SIDE, [insn])
    assert result["error"][0] == ErrorCode.NONE
    assert result["log"] == [((1 << 32) - 8, 1)]


def test_no_line_of_the_verilog_is_too_long():
    """Verilator takes 40,000 tokens a line: int8 lanes that become int32 are not spelled out once
    for each beat of a large tile."""
    cfg = machine(batch=2, block=6, inp=2, wgt=2, log_bus_width=7)
    kinds = tuple(MemoryKind.of(cfg, memory) for memory in (MemId.ACC, MemId.ACC_8BIT))
    writer = RowWriter(kinds, data_bits=cfg.bus_bits, source=Source.COMPUTE)
    text = verilog.convert(writer, emit_src=False)
    assert max(map(len, text.splitlines())) < 20_000
