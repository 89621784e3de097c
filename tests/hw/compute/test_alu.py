"""The ALU, from instructions to tiles, against the slow executor: results and cycles."""

from dataclasses import dataclass, field
from functools import partial
from types import SimpleNamespace

import pytest

from tests.support.alu_programs import random_alu_program
from tests.support.hwmemories import (
    machine,
    pack,
    serve_banks,
    serve_uops,
    set_uops,
    unpack,
)
from tests.support.hwpeers import StallGenerator, bench, send
from vta.config import VTAConfig
from vta.hw.compute.accumulators import bank_index
from vta.hw.compute.alu import Alu
from vta.hw.compute.alu_lane import TWO_CYCLE_OPERATIONS, WB_OPERATIONS
from vta.hw.compute.alu_pipeline import AluPipeline
from vta.hw.compute.alu_serial import product_period
from vta.hw.compute.sequencer import Sequencer
from vta.isa import Alu as AluInsn
from vta.isa import AluOpcode, Uop
from vta.memmap import ErrorCode, Source

TINY = VTAConfig.preset("tiny")


@dataclass
class Trace:
    """What the ALU did: the cycles of each kind of event, the error in the end, and the
    accumulators in the end, as rows of lanes."""

    started: list[int] = field(default_factory=list)
    """An instruction was accepted."""
    issued: list[int] = field(default_factory=list)
    written: list[int] = field(default_factory=list)
    done: list[int] = field(default_factory=list)
    error: tuple[int, int, int] = (0, 0, 0)
    """Code, source, address."""
    acc: list[list[int]] = field(default_factory=list)

    @property
    def issue_span(self):
        """Cycles from the first issue to the last, both counted."""
        return self.issued[-1] - self.issued[0] + 1

    @property
    def stalls(self):
        """Cycles between the first issue and the last without an issue."""
        return self.issue_span - len(self.issued)


class Monitor:
    """Samples the ports of the ALU in every cycle: records a :class:`Trace`, and checks the
    contract with the accumulators."""

    def __init__(self, dut):
        cfg = dut.isa.cfg
        self.bank = partial(bank_index, log_depth=cfg.log_acc_depth, most=cfg.log_acc_banks)
        self.signals = {
            "start": dut.insn.valid & dut.insn.ready, "tile": dut.tile, "done": dut.done,
            "both_read": dut.dst_read.en & dut.src_read.en,
            "dst": dut.dst_read.addr, "src": dut.src_read.addr,
            "dst_reserved": dut.dst_reserved,
            "write": dut.acc_write.mask, "write_addr": dut.acc_write.addr,
            "announce": dut.acc_write_lookahead.valid,
            "announced_addr": dut.acc_write_lookahead.addr,
            "code": dut.error.code, "source": dut.error.source, "addr": dut.error.addr,
        }  # fmt: skip
        self.trace = Trace()
        self.announced_write = None
        self.reserved_at_read = [0] * AluPipeline.LATENCY
        """``dst_reserved`` in the last cycles, the oldest first."""

    async def watch(self, ctx, cycles):
        for cycle in range(cycles):
            _, _, *values = await ctx.tick().sample(*self.signals.values())
            now = SimpleNamespace(**dict(zip(self.signals, values, strict=True)))
            self._record(now, cycle)
            if now.both_read:
                assert now.dst == now.src or self.bank(now.dst) != self.bank(now.src), cycle
            self._check_write(now, cycle)

    def _record(self, now, cycle):
        trace = self.trace
        for happens, cycles in (
            (now.start, trace.started), (now.tile, trace.issued), (now.write, trace.written),
            (now.done, trace.done),
        ):  # fmt: skip
            if happens:
                cycles.append(cycle)
        trace.error = now.code, now.source, now.addr

    def _check_write(self, now, cycle):
        """Every write was announced, and its bank was not reserved when ``dst`` was read."""
        tile = now.write_addr if now.write else None
        assert tile == self.announced_write, cycle
        self.announced_write = now.announced_addr if now.announce else None
        self.reserved_at_read.append(now.dst_reserved)
        reserved = self.reserved_at_read.pop(0)
        assert tile is None or not reserved >> self.bank(tile) & 1, cycle


def run(model, insns, *, start_probability=1.0, bank_probability=1.0):
    """Runs ALU instructions on a copy of the accumulators of ``model``. In each cycle, an
    instruction is offered and a bank is free with these probabilities. Returns the trace."""
    cfg, isa = model.cfg, model.isa
    block = bench(Alu, isa)
    dut = block.dut
    layout = dut.insn.payload.shape()
    words = [layout.from_bits(int.from_bytes(isa.encode(insn), "little")) for insn in insns]
    acc = [pack(row, 32) for row in model.acc]
    operations = sum(insn.operations for insn in insns)
    each = 5 if any(insn.alu_opcode in WB_OPERATIONS for insn in insns) else 2
    each = max(each, 2 * cfg.alu_beats)
    if not cfg.alu_multiplier:
        each = max(product_period(opcode) for opcode in AluOpcode) * cfg.alu_beats
    cycles = 40 + int(each * operations / bank_probability**2 + 4 * len(insns) / start_probability)
    monitor = Monitor(dut)

    block.run(
        partial(monitor.watch, cycles=cycles),
        partial(serve_uops, memory=[word % 2**32 for word in model.uop], ports=[dut.uop_read]),
        partial(
            serve_banks, memory=acc,
            reads=[(dut.dst_read, dut.dst_reserved), (dut.src_read, dut.src_reserved)],
            writes=[dut.acc_write], is_ready=StallGenerator(bank_probability, 6),
        ),
        partial(send, stream=dut.insn, items=words, is_ready=StallGenerator(start_probability, 5)),
    )  # fmt: skip
    trace = monitor.trace
    trace.acc = [unpack(word, 32, cfg.batch * cfg.block_out) for word in acc]
    return trace


def check(model, insns, **probabilities):
    """Runs instructions on the ALU and on ``model``; the accumulators must be equal."""
    trace = run(model, insns, **probabilities)
    for insn in insns:
        model.alu(insn)
    assert trace.acc == model.acc
    assert len(trace.issued) == sum(insn.operations for insn in insns)
    assert len(trace.done) == len(insns)
    return trace


def test_latencies():
    assert (AluPipeline.LATENCY, Alu.LATENCY) == (4, 12)
    trace = check(machine(TINY), [AluInsn(uop_bgn=0, uop_end=1, use_imm=True, imm=3)])
    assert trace.written == trace.done == [trace.started[0] + Alu.LATENCY]


@pytest.mark.parametrize(
    ("opcode", "use_imm"),
    [(opcode, source == "imm") for opcode in AluOpcode for source in opcode.y_sources],
)
def test_independent_tiles_run_at_one_a_cycle(opcode, use_imm):
    model = machine(TINY)
    half = TINY.acc_depth // 2
    set_uops(model, [Uop(0, half, 0)])
    insn = AluInsn(
        alu_opcode=opcode, use_imm=use_imm, imm=-3, uop_bgn=0, uop_end=1, iter_in=half,
        dst_factor_in=1, src_factor_in=1,
    )  # fmt: skip
    trace = check(model, [insn, insn])
    assert trace.stalls == 0
    # dst and src of each micro-op are in different banks.
    first_read = trace.started[0] + Sequencer.LATENCY + AluPipeline.ISSUE_LATENCY
    assert trace.issued[0] == first_read


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("offset", range(4))
def test_bank_conflicts_of_two_walks_are_rare(offset, stride):
    """A conflict costs a cycle; less than one micro-op in three has one."""
    model = machine(TINY)
    half = TINY.acc_depth // 2
    set_uops(model, [Uop(0, half + offset, 0)])
    insn = AluInsn(
        alu_opcode=AluOpcode.ADD, uop_bgn=0, uop_end=1, iter_in=(half - 4) // stride,
        dst_factor_in=stride, src_factor_in=stride,
    )  # fmt: skip
    trace = check(model, [insn, insn])
    assert 3 * trace.stalls < len(trace.issued)


@pytest.mark.parametrize("distance", range(1, 8))
@pytest.mark.parametrize("opcode", list(AluOpcode))
@pytest.mark.parametrize("operand", ["dst", "src"])
def test_raw_hazard_at_every_distance(operand, opcode, distance):
    """Each micro-op reads, as ``operand``, what the micro-op ``distance`` before it wrote."""
    model = machine(TINY, seed=3)
    if operand == "dst":
        uops = [Uop(n, 32 + n, 0) for n in range(distance)]  # in different banks
        insn = AluInsn(alu_opcode=opcode, uop_bgn=0, uop_end=distance, iter_in=6)
    else:
        uops = [Uop(distance, 0, 0)]
        insn = AluInsn(
            alu_opcode=opcode, uop_bgn=0, uop_end=1, iter_in=20, dst_factor_in=1, src_factor_in=1
        )
    set_uops(model, uops)
    trace = check(model, [insn])
    stalls_each = 1 if distance == 1 and opcode in TWO_CYCLE_OPERATIONS else 0
    if opcode in WB_OPERATIONS:  # the result is read a cycle after its write
        later = range(distance, len(trace.issued))
        assert all(trace.issued[n] > trace.written[n - distance] for n in later)
        # A cycle more for each micro-op of the run whose dst and src are in one bank, at most 3.
        first = max(distance, 5)
        assert first <= trace.issued[distance] - trace.issued[0] <= first + 3
        return
    assert trace.stalls >= stalls_each * (len(trace.issued) - 1)
    # From distance 3 on src may be read from its bank, where some conflict with a dst.
    bank_conflicts = 3 if operand == "src" and distance > 2 else 0
    assert trace.stalls <= stalls_each * (len(trace.issued) - 1) + bank_conflicts


def test_raw_hazard_of_both_operands_on_one_tile():
    model = machine(TINY)
    set_uops(model, [Uop(1, 1, 0)])
    for opcode in AluOpcode:
        check(model, [AluInsn(alu_opcode=opcode, uop_bgn=0, uop_end=1, iter_in=7)])


@pytest.mark.parametrize("bank_probability", [1.0, 0.7, 0.3])
@pytest.mark.parametrize("start_probability", [1.0, 0.3])
def test_random_instructions(start_probability, bank_probability):
    model, insns = random_alu_program(TINY, 80)
    check(model, insns, start_probability=start_probability, bank_probability=bank_probability)


def test_an_immediate_has_no_hazard_on_src():
    model = machine(TINY)
    set_uops(model, [Uop(1, 0, 0)])
    insn = AluInsn(
        alu_opcode=AluOpcode.SHR, use_imm=True, imm=1, uop_bgn=0, uop_end=1, iter_in=9,
        dst_factor_in=1, src_factor_in=1,
    )  # fmt: skip
    assert check(model, [insn]).stalls == 0


def test_an_immediate_does_not_check_src():
    model = machine(TINY)
    top = TINY.acc_depth - 1
    set_uops(model, [Uop(0, top, 0)])
    insn = AluInsn(
        alu_opcode=AluOpcode.ADD, use_imm=True, imm=-5, uop_bgn=0, uop_end=1, iter_in=3,
        src_factor_in=top,
    )  # fmt: skip
    check(model, [insn])


@pytest.mark.parametrize("operand", ["dst", "src"])
def test_an_index_beyond_the_end_is_an_error_and_is_not_written(operand):
    model = machine(TINY)
    set_uops(model, [Uop(**{operand: TINY.acc_depth - 2})])
    factor = {f"{operand}_factor_in": 1}
    trace = run(model, [AluInsn(uop_bgn=0, uop_end=1, iter_in=4, **factor)])
    model.alu(AluInsn(uop_bgn=0, uop_end=1, iter_in=2, **factor))
    assert trace.acc == model.acc
    assert trace.error == (ErrorCode.SRAM_RANGE, Source.COMPUTE, TINY.acc_depth)
    assert not trace.done
