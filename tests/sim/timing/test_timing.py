"""The timing model against the simulated RTL: cycles within a stated tolerance, beats exactly."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from amaranth.hdl import Fragment, Module, Signal
from amaranth.sim import Simulator

from tests.support.compiled import run_program
from tests.support.verilated import verilated
from tests.support.workloads import (
    conv2d,
    matmul,
    schedule_conv2d,
    schedule_matmul,
    schedule_vadd,
    vadd,
)
from vta.compiler.driver import compile_func, run_passes
from vta.compiler.lower.lower import lower
from vta.compiler.target import Target
from vta.config import VTAConfig
from vta.errors import DeadlockError, DeviceError
from vta.hw.bus.axi import BurstSplitter
from vta.hw.compute.accumulate import Accumulate
from vta.hw.compute.accumulators import bank_select
from vta.hw.compute.alu import Alu as AluUnit
from vta.hw.compute.gemm import Gemm as GemmUnit
from vta.hw.compute.sequencer import Sequencer
from vta.hw.compute.uop_bounds import UopBounds
from vta.hw.dma.row_generator import DescriptorBuilder, RowGenerator
from vta.hw.lib.skid_buffer import SkidBuffer
from vta.isa import Alu, AluOpcode, Finish, Gemm, Isa, Load, MemId, Store, Uop
from vta.memory_timing import MemoryTiming
from vta.sim.memory import Memory
from vta.sim.timing import Cause, estimate, estimate_stream
from vta.sim.timing import compiled as kernels
from vta.sim.timing.constants import Constants, Pipeline
from vta.sim.timing.state import WORK_FIELDS, initial_state

TOLERANCE = 0.03
TINY = VTAConfig.preset("tiny")


def compiled(kind, cfg):
    """One of the tutorials' programs, of a size that fits the machine."""
    batch, block = cfg.batch, cfg.block_out
    target = Target.from_config(cfg)
    if kind == "vadd":
        ops = vadd(64 if block == 16 else 8, batch, block)
        s = schedule_vadd(ops)
    elif kind == "matmul":
        size, tile = (64, 16) if block == 16 else (8, 4)
        ops = matmul(1, size, size, batch, block)
        s = schedule_matmul(ops, target, tile, tile)
    else:
        ops = conv2d()
        s = schedule_conv2d(ops, target)
    func = lower(s, ops.args)
    run_passes(func, target)
    return compile_func(func, cfg)


def assert_close(program, cfg, memory):
    inputs = [np.zeros(t.shape, t.dtype) for t in program.tensors if not t.written]
    machine = verilated(cfg, memory)
    _, result = run_program(program, inputs, machine=machine)
    timing = estimate(program, memory)
    assert timing.cycles == pytest.approx(result.cycle_count, rel=TOLERANCE)
    assert timing.read_beats == machine.bus.read_beats
    assert timing.write_beats == machine.bus.write_beats


@pytest.mark.parametrize("memory", ["ideal", "ddr"])
@pytest.mark.parametrize("kind", ["vadd", "matmul"])
def test_tiny_machine_within_tolerance(kind, memory):
    assert_close(compiled(kind, TINY), TINY, memory)


@pytest.mark.slow
@pytest.mark.parametrize("memory", ["ideal", "ddr"])
@pytest.mark.parametrize(("beats", "multiplier"), [(1, 1), (2, 1), (0, 0), (2, 0)])
def test_a_smaller_alu_within_tolerance(beats, multiplier, memory):
    """Programs of the tutorials, and a chain of each operation that only the ALU delays."""
    cfg = TINY.replace(log_alu_beats=beats, alu_multiplier=multiplier)
    for kind in ("vadd", "matmul"):
        assert_close(compiled(kind, cfg), cfg, memory)
    for opcode in AluOpcode:
        for use_imm in (source == "imm" for source in opcode.y_sources):
            stream = [
                *[Alu(alu_opcode=opcode, use_imm=use_imm, uop_end=1, iter_out=8, iter_in=5,
                      dst_factor_out=1, src_factor_out=1)] * 20,
                Finish(),
            ]  # fmt: skip
            result = verilated(cfg, memory).run(stream, Memory(0x1000, np.zeros(0x8000, np.uint8)))
            timing = estimate_stream(cfg, stream, memory=memory)
            assert result.cycle_count > 800 << (beats if multiplier else 0)
            assert timing.cycles == pytest.approx(result.cycle_count, rel=TOLERANCE), opcode


@pytest.mark.slow
@pytest.mark.parametrize("memory", ["ideal", "ddr"])
@pytest.mark.parametrize("kind", ["vadd", "matmul", "conv2d"])
def test_tutorials_within_tolerance(kind, memory):
    cfg = VTAConfig.preset("default")
    assert_close(compiled(kind, cfg), cfg, memory)


@pytest.mark.parametrize("memory", ["ideal", "ddr"])
def test_runs_that_start_and_stores_of_sums_within_tolerance(memory):
    """Maxima of windows of four tiles, and whole accumulators to DRAM."""
    uops = Isa.of(TINY).encode_uops([Uop(0, 16 + tap) for tap in range(4)])
    stream = [
        Load(memory=MemId.UOP, dram_base=0x400, y_size=1, x_size=4, x_stride=4),
        Load(memory=MemId.ACC_8BIT, sram_base=16, dram_base=0x500, y_size=1, x_size=32,
             x_stride=32),
        *[Alu(alu_opcode=AluOpcode.MAX, start=True, uop_end=4, iter_out=8, iter_in=8,
              dst_factor_in=1, src_factor_in=3)] * 8,
        Alu(alu_opcode=AluOpcode.ADD, use_imm=True, uop_end=1, push_next=True),
        Store(memory=MemId.ACC, dram_base=0x200, y_size=4, x_size=12, x_stride=13,
              pop_prev=True),
        Finish(),
    ]  # fmt: skip
    image = np.zeros(0x4000, np.uint8)
    image[: 4 * len(uops)] = uops.view(np.uint8)
    result = verilated(TINY, memory).run(stream, Memory(0x1000, image))
    timing = estimate_stream(TINY, stream, uops, uop_base=0x400, memory=memory)
    assert timing.cycles == pytest.approx(result.cycle_count, rel=TOLERANCE)


def assert_stream_close(stream, memory):
    """A stream of transfers without tokens, from and to a DRAM of zeros."""
    result = verilated(TINY, memory).run(stream, Memory(0x1000, np.zeros(0x8000, np.uint8)))
    timing = estimate_stream(TINY, stream, memory=memory)
    assert timing.cycles == pytest.approx(result.cycle_count, rel=TOLERANCE)


@pytest.mark.parametrize("memory", ["ideal", "ddr"])
def test_loads_and_stores_side_by_side(memory):
    """On a shared bus each delays the other, also a LOAD a STORE that has begun before."""
    load = Load(memory=MemId.INP, dram_base=0x400, y_size=8, x_size=8, x_stride=64)
    store = Store(memory=MemId.OUT, dram_base=0x1000, y_size=8, x_size=8, x_stride=50)
    assert_stream_close([*[store] * 8, *[load] * 20, *[store] * 8, Finish()], memory)


@pytest.mark.parametrize("memory", ["ideal", "ddr"])
def test_padded_loads_beside_loads_of_the_compute_module(memory):
    """A row writer that writes zeros leaves beats in its queue, behind which others wait."""
    load = Load(memory=MemId.INP, dram_base=0x400, y_size=8, x_size=1, x_stride=40, x_pad_1=7)
    uops = Load(memory=MemId.UOP, dram_base=0x400, y_size=1, x_size=2, x_stride=2)
    assert_stream_close([*[load] * 8, *[uops] * 12, *[load] * 8, *[uops] * 12, Finish()], memory)


def test_times_of_an_instruction_are_in_order():
    timing = estimate(compiled("matmul", TINY))
    for insn in timing.instructions:
        assert insn.dispatched < insn.head <= insn.issue <= insn.start <= insn.end < timing.cycles
        assert insn.end <= insn.retire < timing.cycles


def test_waits_before_issue_add_up():
    """Between head and issue each cycle has one cause."""
    timing = estimate(compiled("matmul", TINY))
    for insn in timing.instructions:
        before = [wait for wait in insn.waits if wait.end <= insn.issue]
        assert sum(wait.cycles for wait in before) == insn.issue - insn.head


@pytest.mark.parametrize("memory", ["ideal", "ddr"])
def test_the_compiled_kernel_gives_what_the_interpreted_one_gives(memory, monkeypatch):
    pytest.importorskip("numba")
    for kind in ("vadd", "matmul", "conv2d"):
        program = compiled(kind, TINY if kind != "conv2d" else VTAConfig.preset("default"))
        monkeypatch.setattr(kernels, "run", kernels.interpreted_run)
        interpreted = estimate(program, memory)
        monkeypatch.setattr(kernels, "run", kernels.compiled_run)
        assert estimate(program, memory) == interpreted


def test_a_process_compiles_once_it_has_estimated_much(monkeypatch, tmp_path):
    pytest.importorskip("numba")
    called = []
    monkeypatch.setattr(kernels, "interpreted_run", lambda state: called.append("interpreted"))
    monkeypatch.setattr(kernels, "compiled_run", lambda state, wait: called.append("compiled"))
    monkeypatch.setattr(kernels, "_kept", lambda: tmp_path / "compiled")  # no process has compiled
    monkeypatch.setattr(kernels, "_estimated", 0)
    empty = np.zeros(0, np.int64), np.zeros(0, np.int64)
    work = np.zeros((WORK_FIELDS, kernels.INTERPRETED_INSTRUCTIONS // 2), np.int64)
    for _ in range(3):
        kernels.run(initial_state(TINY, work, empty, MemoryTiming()))
    assert called == ["interpreted", "interpreted", "compiled"]


def test_a_token_wait_names_its_producer():
    load = Load(memory=MemId.INP, x_size=4, x_stride=4, y_size=1, push_next=True)
    gemm = Gemm(uop_end=1, pop_prev=True)
    timing = estimate_stream(TINY, [load, gemm, Finish()])
    (wait,) = [one for one in timing.instructions[1].waits if one.cause is Cause.TOKEN]
    assert wait.source == 0
    assert wait.end > timing.instructions[0].retire


def test_unknown_memory_preset():
    with pytest.raises(DeviceError, match="no memory preset 'fast'"):
        estimate_stream(TINY, [Finish()], memory="fast")


def test_a_token_without_a_push_is_a_deadlock():
    with pytest.raises(DeadlockError, match="instruction 0 never ends") as caught:
        estimate_stream(TINY, [Gemm(pop_prev=True), Finish()])
    assert caught.value.index == 0


def test_the_table_names_units_and_causes():
    text = str(estimate(compiled("vadd", TINY)))
    assert "cycles" in text and "store" in text and "token" in text


def test_latencies_are_those_of_the_built_gemm():
    """The constants repeat a sum of ``Gemm``, which they do not build."""
    for cfg in (TINY, VTAConfig.preset("default")):
        gemm = GemmUnit(Isa.of(cfg))
        Fragment.get(gemm, None)
        constants = Constants.of(cfg)
        assert constants.gemm == gemm.latency - 1  # `done` is a cycle before the write
        assert constants.gemm_write == gemm.accumulate_after + Accumulate.LATENCY


def test_estimate_leaves_no_design_behind(recwarn):
    Constants.of.__wrapped__(TINY)
    gc.collect()
    assert not recwarn.list


@pytest.mark.parametrize(
    ("block", "attribute"),
    [
        (Sequencer, "LATENCY"),
        (Accumulate, "LATENCY"),
        (AluUnit, "LATENCY"),
        (DescriptorBuilder, "LATENCY"),
        (RowGenerator, "LATENCY"),
        (SkidBuffer, "LATENCY"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_latency_changed_in_the_rtl_changes_the_model(block, attribute, monkeypatch):
    program = compiled("matmul" if block is not AluUnit else "vadd", TINY)
    before = estimate(program).cycles
    monkeypatch.setattr(block, attribute, getattr(block, attribute) + 5)
    Constants.of.cache_clear()
    try:
        assert estimate(program).cycles > before
    finally:
        monkeypatch.undo()
        Constants.of.cache_clear()


def test_sums_of_latencies_that_the_model_repeats():
    assert Pipeline.ROW_TO_BURST == BurstSplitter.LATENCY + SkidBuffer.LATENCY
    assert Pipeline.BOUNDS_CACHED == UopBounds.ENTRIES


def test_banks_are_those_of_the_hardware():
    """The table of the model against the value that the RTL computes for each tile."""

    m = Module()
    tile, bank = Signal(TINY.log_acc_depth), Signal(4)
    m.d.comb += bank.eq(bank_select(1, tile))
    found = []

    async def bench(ctx):
        for number in range(TINY.acc_depth):
            ctx.set(tile, number)
            found.append(ctx.get(bank))

    simulator = Simulator(m)
    simulator.add_testbench(bench)
    simulator.run()
    assert found == [1 << bank for bank in Constants.of(TINY).banks.tolist()]
