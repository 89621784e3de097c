"""The compute module as a whole: streams of LOAD, GEMM and ALU against the slow model; overlap."""

import random
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from tests.support.hwmemories import machine, pack, serve_sram, unpack
from tests.support.hwpeers import (
    READY_PROBABILITIES,
    StallGenerator,
    bench,
    sample,
    send,
    serve_reads,
)
from vta.config import VTAConfig
from vta.hw.compute.compute import Compute
from vta.isa import Alu, AluOpcode, Finish, Gemm, Load, MemId, Uop
from vta.memmap import ErrorCode, ModuleState, Source

TINY = VTAConfig.preset("tiny")
BATCHED = VTAConfig(
    log_batch=1, log_block=1, log_inp_width=4, log_wgt_width=2, log_uop_buff_size=6,
    log_inp_buff_size=6, log_wgt_buff_size=4, log_acc_buff_size=10, log_bus_width=7,
)  # fmt: skip
DRAM_BYTES = 1 << 13


def run(model, insns, dram, *, probability=1.0, cycles=20000):
    """Runs a stream with all tokens available, to the end or an error.

    Gives a dict: ``out`` (the mirror tiles, lists of lists), counts of events and tokens pushed,
    ``error``, ``cycles``.
    """
    cfg, isa = model.cfg, model.isa
    block = bench(Compute, cfg)
    dut = block.dut
    words = [int.from_bytes(isa.encode(insn), "little") for insn in insns]
    seen = dict.fromkeys(
        ("loaded_uop", "loaded_acc", "product", "tile", "retired", "prev", "next"), 0
    )

    async def watch(ctx):
        ctx.set(dut.tokens.prev_avail, 1)
        ctx.set(dut.tokens.next_avail, 1)
        signals = {
            "loaded_uop": dut.loaded_uop, "loaded_acc": dut.loaded_acc, "product": dut.product,
            "tile": dut.tile, "retired": dut.retired, "prev": dut.tokens.push_prev,
            "next": dut.tokens.push_next,
        }  # fmt: skip
        for cycle in range(cycles):
            now = await sample(
                ctx, **signals, finished=dut.finished,
                code=dut.error.code, source=dut.error.source, addr=dut.error.addr,
            )  # fmt: skip
            for name in signals:
                seen[name] += vars(now)[name]
            idle = ctx.get(dut.state) == ModuleState.IDLE and not ctx.get(dut.insn.valid)
            if now.code or (now.finished and idle):
                seen["cycles"], seen["error"] = cycle, (now.code, now.source, now.addr)
                break
        else:
            raise AssertionError(f"{seen['retired']} of {len(insns)} retired in {cycles} cycles")
        if not now.code:
            assert ctx.get(dut.state) == ModuleState.IDLE
        tiles = []
        for addr in range(cfg.acc_depth):
            ctx.set(dut.out_read.en, 1)
            ctx.set(dut.out_read.addr, addr)
            await ctx.tick()
            tiles.append(
                unpack(ctx.get(dut.out_read.data), cfg.out_width, cfg.batch * cfg.block_out)
            )
        seen["out"] = tiles

    peers = [
        partial(send, stream=dut.insn, items=words, is_ready=StallGenerator(probability, 1)),
        partial(serve_reads, port=dut.read, memory=dram, is_ready=StallGenerator(probability, 2)),
        partial(
            serve_sram,
            memory=[pack(row, cfg.inp_width) for row in model.inp], reads=[dut.inp_read],
        ),
        partial(
            serve_sram,
            memory=[pack(row, cfg.wgt_width) for row in model.wgt], reads=[dut.wgt_read],
        ),
    ]  # fmt: skip
    block.run(watch, *peers)
    return seen


def blank(cfg, seed=0):
    """Random inp and wgt; uop and acc are zero, as after power-up."""
    model = machine(cfg, seed)
    for row in model.acc:
        row[:] = [0] * len(row)
    return model


def reference(model, insns, dram):
    """The mirror tiles after the stream, by the slow model."""
    model.dram, model.base = bytearray(dram.tobytes()), 0
    for insn in insns:
        model.execute(insn)
    bits = model.cfg.out_width
    return [
        [(value + 2 ** (bits - 1)) % 2**bits - 2 ** (bits - 1) for value in row]
        for row in model.acc
    ]


def check(model, insns, dram, **options):
    seen = run(model, insns, dram, **options)
    want = reference(model, insns, dram)
    assert seen["error"] == (ErrorCode.NONE, 0, 0)
    assert seen["out"] == want
    assert seen["retired"] == len(insns)
    counters, cfg = model.counters, model.cfg
    assert seen["product"] == counters["gemm_counter"]
    assert seen["tile"] == counters["alu_counter"]
    assert seen["loaded_uop"] * 4 == counters["uop_load_nbytes"]
    assert seen["loaded_acc"] * cfg.acc_elem_bytes == counters["acc_load_nbytes"]
    for side in ("prev", "next"):
        assert seen[side] == sum(getattr(insn, f"push_{side}") for insn in insns)
    return seen


def dram_with(model, uops, seed=0):
    """DRAM of random bytes with micro-ops at element 0."""
    dram = np.random.default_rng(seed).integers(0, 256, DRAM_BYTES, dtype=np.uint8)
    words = model.isa.encode_uops(uops)
    dram[: words.nbytes] = words.view(np.uint8)
    return dram


def random_stream(cfg, rng, uops, length):
    """Instructions on few accumulators, so that most have a hazard with an older one."""
    flags = ("pop_prev", "pop_next", "push_prev", "push_next")
    half = cfg.acc_depth // 2
    insns = [Load(memory=MemId.UOP, x_size=uops, y_size=1, x_stride=uops)]
    for _ in range(length):
        given = {flag: rng.random() < 0.2 for flag in flags}
        bgn = rng.randrange(uops)
        loop = {
            "uop_bgn": bgn, "uop_end": rng.randint(bgn, min(bgn + 3, uops)),
            "reset": rng.random() < 0.2, "iter_out": rng.choice([0, 1, 1, 2]),
            "iter_in": rng.choice([1, 2, 3]),
            "dst_factor_in": rng.randrange(2), "src_factor_in": rng.randrange(2),
        }  # fmt: skip
        kind = rng.choice(["gemm", "gemm", "alu", "alu", "acc", "acc8", "uop", "nop"])
        if kind == "gemm":
            insns.append(Gemm(**loop, **given))
        elif kind == "alu":
            opcode = rng.choice(list(AluOpcode))
            insns.append(Alu(alu_opcode=opcode, use_imm=rng.choice(opcode.y_sources) == "imm",
                             imm=rng.randint(-9, 9), **loop, **given))  # fmt: skip
        elif kind == "uop":
            insns.append(Load(memory=MemId.UOP, sram_base=bgn, dram_base=bgn, y_size=1,
                              x_size=uops - bgn, x_stride=1, **given))  # fmt: skip
        elif kind == "nop":
            insns.append(Load(memory=MemId.ACC, y_size=3, **given))
        else:
            insns.append(
                Load(
                    memory=MemId.ACC if kind == "acc" else MemId.ACC_8BIT,
                    sram_base=rng.randrange(half), dram_base=rng.randrange(16),
                    y_size=rng.randrange(3), x_size=rng.randint(1, 2), x_stride=rng.randint(1, 3),
                    x_pad_0=rng.randrange(2), x_pad_1=rng.randrange(2), y_pad_0=rng.randrange(2),
                    **given,
                )
            )  # fmt: skip
    return [*insns, Finish(push_next=True)]


@pytest.mark.parametrize("cfg", [TINY, BATCHED], ids=["tiny", "2x2x2, 16 by 4 bits, 128-bit bus"])
@pytest.mark.parametrize(
    "probability", READY_PROBABILITIES.values(), ids=READY_PROBABILITIES.keys()
)
def test_random_streams(cfg, probability):
    rng = random.Random(21)
    model = blank(cfg)
    uops = [
        Uop(rng.randrange(4), rng.randrange(4), rng.randrange(cfg.wgt_depth - 1)) for _ in range(8)
    ]
    insns = random_stream(cfg, rng, len(uops), 60 if probability > 0.1 else 15)
    check(model, insns, dram_with(model, uops), probability=probability)


def test_loaded_tiles_are_in_the_mirror():
    model = blank(TINY)
    insns = [
        Load(memory=MemId.ACC, sram_base=3, dram_base=1, y_size=1, x_size=5, x_stride=5),
        Finish(),
    ]
    check(model, insns, dram_with(model, []))


def test_a_chain_over_all_units():
    """LOAD, GEMM, ALU, GEMM, LOAD, ALU: RAW and WAW hazards from unit to unit."""
    model = blank(TINY)
    uops = [Uop(0, 1, 2), Uop(1, 0, 3)]
    insns = [
        Load(memory=MemId.UOP, x_size=2, y_size=1, x_stride=2),
        Load(memory=MemId.ACC, sram_base=0, dram_base=7, x_size=2, y_size=1, x_stride=2),
        Gemm(uop_bgn=0, uop_end=2, iter_in=2),
        Alu(alu_opcode=AluOpcode.ADD, uop_bgn=0, uop_end=2),
        Gemm(uop_bgn=0, uop_end=1),
        Load(memory=MemId.ACC_8BIT, sram_base=1, dram_base=9, x_size=1, y_size=1),
        Alu(alu_opcode=AluOpcode.MUL, uop_bgn=0, uop_end=1),
        Load(memory=MemId.UOP, sram_base=0, dram_base=1, x_size=1, y_size=1),
        Gemm(uop_bgn=0, uop_end=1),
        Finish(),
    ]
    check(model, insns, dram_with(model, uops))


def test_cycles_between_instructions():
    """GEMM after GEMM and ALU after ALU have no gap; a hazard between units costs the latency of
    both pipelines."""
    model = blank(TINY)
    uops = [Uop(n, n, n) for n in range(8)]
    load = Load(memory=MemId.UOP, x_size=8, y_size=1, x_stride=8)
    gemm = Gemm(uop_bgn=0, uop_end=8)
    alu = Alu(alu_opcode=AluOpcode.ADD, use_imm=True, imm=1, uop_bgn=0, uop_end=8)

    def cycles(*insns):
        return run(model, [load, *insns, Finish()], dram_with(model, uops))["cycles"]

    empty = cycles()
    access_ranges = 15  # with the bounds of micro-ops, which are loaded before
    unit_queue = 1
    assert cycles(gemm) - empty == access_ranges + unit_queue + 8 + 12
    assert cycles(*[gemm] * 10) - cycles(gemm) == 72
    assert cycles(*[alu] * 10) - cycles(alu) == 72
    dependency_cleared = 1  # after the older instruction is done
    assert cycles(gemm, alu) - cycles(gemm) == dependency_cleared + unit_queue + 8 + 12


@pytest.mark.parametrize("offset", range(4))
def test_gemm_and_alu_overlap(offset):
    """On disjoint tiles GEMM and ALU overlap: the shorter one costs a few cycles."""
    half = TINY.acc_depth // 2
    uops = [Uop(0, 0, 0), Uop(half + offset, 0, 0), Uop(half + offset, 4, 0)]
    load = Load(memory=MemId.UOP, x_size=3, y_size=1, x_stride=3)
    gemm = Gemm(uop_bgn=0, uop_end=1, iter_out=6, iter_in=half, dst_factor_in=1)
    loop = {"iter_out": 4, "iter_in": half - 4, "dst_factor_in": 1}
    immediate = Alu(alu_opcode=AluOpcode.MAX, use_imm=True, uop_bgn=1, uop_end=2, **loop)
    apart = Alu(alu_opcode=AluOpcode.ADD, uop_bgn=2, uop_end=3, src_factor_in=1, **loop)
    dram = dram_with(blank(TINY), uops)

    def cycles(*insns):
        return check(blank(TINY), [load, *insns, Finish()], dram)["cycles"]

    alone = cycles(gemm)
    assert cycles(gemm, immediate) - alone < 30
    assert cycles(immediate, gemm) - alone < 30
    assert cycles(apart, apart) - cycles(apart) < 1.2 * apart.operations


def test_loads_and_gemm_overlap():
    half = TINY.acc_depth // 2
    uops = [Uop(0, 0, 0)]
    insns = [
        Load(memory=MemId.UOP, x_size=1, y_size=1),
        Gemm(uop_bgn=0, uop_end=1, iter_out=8, iter_in=half, dst_factor_in=1),
        Load(memory=MemId.ACC, sram_base=half, dram_base=1, x_size=half, y_size=1),
        Load(memory=MemId.UOP, sram_base=4, dram_base=1, x_size=20, y_size=1),
    ]
    dram = dram_with(blank(TINY), uops)
    alone = check(blank(TINY), [*insns[:2], Finish()], dram)["cycles"]
    assert check(blank(TINY), [*insns, Finish()], dram)["cycles"] - alone < 10


@pytest.mark.parametrize(
    ("insn", "addr"),
    [
        (Gemm(uop_bgn=0, uop_end=1, iter_in=2, dst_factor_in=TINY.acc_depth - 1), TINY.acc_depth),
        (Alu(uop_bgn=0, uop_end=1, iter_in=2, src_factor_in=TINY.acc_depth - 1), TINY.acc_depth),
        (Load(memory=MemId.ACC, sram_base=TINY.acc_depth - 1, x_size=2, y_size=1), TINY.acc_depth),
    ],
    ids=["gemm", "alu", "load"],
)
def test_errors_of_the_units_are_reported(insn, addr):
    model = blank(TINY)
    insns = [Load(memory=MemId.UOP, x_size=1, y_size=1), insn, Finish()]
    seen = run(model, insns, dram_with(model, [Uop(1, 1, 0)]))
    assert seen["error"] == (ErrorCode.SRAM_RANGE, Source.COMPUTE, addr)


def test_an_instruction_after_finish_is_reported():
    model = blank(TINY)
    seen = run(model, [Finish(), replace(Finish(), push_next=True)], dram_with(model, []))
    assert seen["retired"] == 1
    assert seen["error"][:2] == (ErrorCode.AFTER_FINISH, Source.COMPUTE)
