"""The compute module behind its read master: instructions and tokens in, accumulators out."""

import random

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles, RisingEdge
from cocotbext.axi import AxiReadBus, AxiResp, AxiSlaveRead

from tests.support.cocotb_bus import Dram, say_which_error, stall, watch_master
from tests.support.cocotb_streams import StallGenerator, Tokens, error_at, power_up, send, until
from tests.support.cocotb_tops import CFG, ISA
from tests.support.slow_model import SlowModel
from vta.isa import Alu, AluOpcode, Finish, Gemm, Instruction, Load, MemId, PipelineModule
from vta.memmap import ErrorCode, ModuleState, Source
from vta.sim.fuzzing.random_programs import RandomProgram, random_program

BASE = 0x4000
EVENTS = {"product": 1, "tile": 1, "loaded_uop": 4, "loaded_acc": CFG.acc_elem_bytes}
"""Event outputs, and what one pulse adds to the counter."""
OPERANDS = {"inp": (CFG.inp_depth, CFG.inp_elem_bytes), "wgt": (CFG.wgt_depth, CFG.wgt_elem_bytes)}
ACC_DEPTH, LANES = CFG.acc_depth, CFG.batch * CFG.block_out


class Bench:
    """The module with input and weight SRAM of random values, an AXI memory and both token queues.

    Attributes
    ----------
    retired : int
        Retired instructions.
    events : dict of str to int
        Pulses of each event output.
    """

    def __init__(self, dut, image: tuple[int, bytes]) -> None:
        self.dut, self.dram = dut, Dram(image=image)
        rng = np.random.default_rng(3)
        self.operands = {
            name: rng.integers(0, 256, shape, np.uint8) for name, shape in OPERANDS.items()
        }
        bus = AxiReadBus.from_prefix(dut, "m_axi")
        self.slave = AxiSlaveRead(bus, dut.clk, dut.rst, target=self.dram)
        say_which_error(self.slave)
        watch_master(dut, "m_axi_", "ar")
        self.retired, self.events = 0, dict.fromkeys(EVENTS, 0)
        self.tokens = {
            side: Tokens(
                dut, available=f"{side}_avail", pop=f"pop_{side}", push=f"push_{side}"
            )
            for side in ("prev", "next")
        }  # fmt: skip

    async def start(self, probability: float = 0.0) -> None:
        idle = dict.fromkeys(("insn_valid", "tokens_prev_avail", "tokens_next_avail"), 0)
        await power_up(self.dut, restart=0, out_read_en=0, **idle)
        stall(probability, "compute", self.slave.ar_channel, self.slave.r_channel)
        cocotb.start_soon(self._serve())

    def feed(self, insns: list[Instruction], ready_probability: float = 1.0) -> None:
        """Send instructions, and the tokens that they pop."""
        words = [int.from_bytes(ISA.encode(insn), "little") for insn in insns]
        cocotb.start_soon(send(self.dut, "insn", words, StallGenerator(ready_probability, "insn")))
        for side, queue in self.tokens.items():
            pops = sum(getattr(insn, f"pop_{side}") for insn in insns)
            cocotb.start_soon(
                queue.run(pops, StallGenerator(ready_probability / 8, f"tokens {side}"))
            )

    async def _serve(self) -> None:
        """Operand reads, with data from the next cycle to the next read; counts of the events."""
        dut, edge = self.dut, RisingEdge(self.dut.clk)
        while True:
            await edge
            for name, sram in self.operands.items():
                if int(getattr(dut, f"{name}_read_en").value):
                    tile = sram[int(getattr(dut, f"{name}_read_addr").value)]
                    data = int.from_bytes(tile.tobytes(), "little")
                    getattr(dut, f"{name}_read_data").value = data
            for name in EVENTS:
                self.events[name] += int(getattr(dut, name).value)
            retires = int(dut.retired.value)
            for side in ("prev", "next"):
                pushes = int(getattr(dut, f"tokens_push_{side}").value)
                assert retires or not pushes, "a token is pushed without a retirement"
            self.retired += retires

    async def outputs(self) -> np.ndarray:
        """The tiles at the port of the store module: uint8, shape (depth, lanes)."""
        dut, tiles = self.dut, []
        for addr in range(ACC_DEPTH):
            dut.out_read_en.value, dut.out_read_addr.value = 1, addr
            await ClockCycles(dut.clk, 2)
            tiles.append(int(dut.out_read_data.value).to_bytes(LANES, "little"))
        dut.out_read_en.value = 0
        return np.frombuffer(b"".join(tiles), np.uint8).reshape(ACC_DEPTH, LANES)

    async def accumulators(self, zero_uop: int) -> np.ndarray:
        """All bits of the accumulators, int32 of shape (depth, lanes), by shifting them out."""
        each = {"uop_end": 1, "iter_in": ACC_DEPTH, "dst_factor_in": 1}
        shift = Alu(alu_opcode=AluOpcode.SHR, use_imm=True, imm=CFG.out_width, **each)
        where = {"dram_base": zero_uop, "y_size": 1, "x_size": 1, "x_stride": 1}
        parts = [await self.outputs()]
        for insns in ([Load(memory=MemId.UOP, **where), shift], [shift], [shift]):
            end = self.retired + len(insns)
            words = [int.from_bytes(ISA.encode(insn), "little") for insn in insns]
            await send(self.dut, "insn", words, StallGenerator(1.0, ""))
            await until(self.dut, lambda end=end: self.retired == end)
            parts.append(await self.outputs())
        return np.stack(parts, axis=-1).view("<i4")[..., 0]


CLEAR = [
    Load(memory=memory, y_pad_0=rows, x_size=1, x_pad_0=15)
    for memory, rows in ((MemId.UOP, CFG.uop_depth // 16), (MemId.ACC, ACC_DEPTH // 16))
]
"""Zeros into all entries of both memories, which a reset does not clear."""


def work_of(seed: str, steps: int = 40) -> tuple[RandomProgram, list[Instruction]]:
    """A random program and its instructions of the compute module without FINISH, behind CLEAR."""
    program = random_program(CFG, random.Random(seed), steps=steps)
    insns = [
        insn for insn in program.instructions
        if insn.module is PipelineModule.COMPUTE and not isinstance(insn, Finish)
    ]  # fmt: skip
    return program, CLEAR + insns


def zero_uop(program: RandomProgram) -> int:
    """The DRAM index of a micro-op that is all zeros."""
    words = program.image.view("<u4")
    return (program.base + 4 * int(np.flatnonzero(words == 0)[-1])) // CFG.uop_elem_bytes


def expected(bench: Bench, program: RandomProgram, insns: list[Instruction]) -> SlowModel:
    """A slow model that has executed the instructions."""
    model = SlowModel(CFG)
    model.run(b"", program.image.tobytes(), program.base)
    model.inp = bench.operands["inp"].view(np.int8).tolist()
    model.wgt = bench.operands["wgt"].view(np.int8).tolist()
    for insn in insns:
        model.execute(insn)
    return model


def idle_without_error(dut) -> bool:
    """No error, and the module is idle."""
    errors = {error_at(dut)[0], error_at(dut, "bus_error")[0]} - {ErrorCode.NONE}
    return not errors and int(dut.state.value) == ModuleState.IDLE.value


@cocotb.test()
@cocotb.parametrize(
    (("bus", "ready_probability"), [(0.0, 1.0), (0.5, 0.5), (0.8, 1.0), (0.0, 0.1)]), seed=[1, 2, 3]
)
async def random_instructions(dut, bus, ready_probability, seed):
    """Accumulators, counters and tokens of a random program; then FINISH."""
    program, insns = work_of(f"{bus} {ready_probability} {seed}")
    bench = Bench(dut, (program.base, program.image.tobytes()))
    await bench.start(bus)
    bench.feed(insns, ready_probability)
    await until(dut, lambda: bench.retired == len(insns), 60_000)
    await ClockCycles(dut.clk, 20)
    assert idle_without_error(dut) and bench.retired == len(insns)
    model = expected(bench, program, insns)
    counters = [model.counters[name] for name in
                ("gemm_counter", "alu_counter", "uop_load_nbytes", "acc_load_nbytes")]  # fmt: skip
    assert [bench.events[name] * each for name, each in EVENTS.items()] == counters
    for side, queue in bench.tokens.items():
        assert queue.popped == sum(getattr(insn, f"pop_{side}") for insn in insns)
        assert queue.pushed == sum(getattr(insn, f"push_{side}") for insn in insns)
    stall(0.0, "", bench.slave.ar_channel, bench.slave.r_channel)
    got = await bench.accumulators(zero_uop(program))
    np.testing.assert_array_equal(got, np.array(model.acc, np.int32))

    assert not int(dut.finished.value)
    bench.feed([Finish()])
    await until(dut, lambda: int(dut.finished.value))


@cocotb.test()
@cocotb.parametrize(first=["prev", "next"])
async def pops_both_tokens_at_once(dut, first):
    """An instruction that pops two tokens pops none while only one is available."""
    program, _ = work_of("tokens")
    bench = Bench(dut, (program.base, program.image.tobytes()))
    await bench.start()
    load = Load(memory=MemId.ACC, dram_base=program.base // CFG.acc_elem_bytes, y_size=1,
                x_size=9, x_stride=9, pop_prev=True, pop_next=True, push_prev=True)  # fmt: skip
    word = int.from_bytes(ISA.encode(load), "little")
    cocotb.start_soon(send(dut, "insn", [word], StallGenerator(1.0, "")))
    cocotb.start_soon(bench.tokens[first].run(1, StallGenerator(1.0, "")))
    for _ in range(100):
        await ClockCycles(dut.clk, 1)
        assert not int(dut.m_axi_arvalid.value)
    assert int(dut.state.value) == ModuleState.WAITING.value
    assert bench.tokens[first].popped == 0
    (other,) = set(bench.tokens) - {first}
    cocotb.start_soon(bench.tokens[other].run(1, StallGenerator(1.0, "")))
    await until(dut, lambda: bench.retired)
    await ClockCycles(dut.clk, 1)
    assert bench.events["loaded_acc"] == 9
    assert [queue.popped for queue in bench.tokens.values()] == [1, 1]
    assert [queue.pushed for queue in bench.tokens.values()] == [1, 0]


FAULTS = {
    "load beyond the accumulators": (
        [Load(memory=MemId.ACC, dram_base=BASE // CFG.acc_elem_bytes, sram_base=ACC_DEPTH - 1,
              y_size=1, x_size=2, x_stride=2)],
        ErrorCode.SRAM_RANGE, ACC_DEPTH,
    ),
    "zeros beyond the micro-ops": (
        [Load(memory=MemId.UOP, sram_base=CFG.uop_depth - 2, y_pad_0=1, x_size=1, x_pad_0=2)],
        ErrorCode.SRAM_RANGE, CFG.uop_depth,
    ),
    "load beyond the bus": (
        [Load(memory=MemId.ACC_8BIT, dram_base=(1 << CFG.addr_bits) // CFG.acc8_elem_bytes - 1,
              y_size=1, x_size=2, x_stride=2)],
        ErrorCode.ADDRESS, (1 << CFG.addr_bits) - CFG.acc8_elem_bytes,
    ),
    "dst of GEMM": (
        [Gemm(uop_end=1, iter_out=3, dst_factor_out=ACC_DEPTH // 2)],
        ErrorCode.SRAM_RANGE, ACC_DEPTH,
    ),
    "src of GEMM": (
        [Gemm(uop_end=1, iter_in=2, iter_out=2, src_factor_in=CFG.inp_depth - 1, src_factor_out=1)],
        ErrorCode.SRAM_RANGE, CFG.inp_depth,
    ),
    "wgt of GEMM": (
        [Gemm(uop_end=1, iter_in=3, wgt_factor_in=CFG.wgt_depth - 1)],
        ErrorCode.SRAM_RANGE, 2 * CFG.wgt_depth - 2,
    ),
    "src of the ALU": (
        [Alu(uop_end=1, iter_in=2, iter_out=2, src_factor_in=ACC_DEPTH - 1, src_factor_out=1)],
        ErrorCode.SRAM_RANGE, ACC_DEPTH,
    ),
    "after FINISH": ([Finish(), Gemm()], ErrorCode.AFTER_FINISH, 0),
}  # fmt: skip
"""Name: (instructions, the last one faulty; error code; address)."""


@cocotb.test()
@cocotb.parametrize(fault=list(FAULTS))
async def errors(dut, fault):
    """Code, source and address; the older instructions retire, the faulty one never does."""
    insns, code, addr = FAULTS[fault]
    bench = Bench(dut, (BASE, bytes(4096)))
    await bench.start(0.3)
    each = {"uop_end": 1, "iter_in": 5, "dst_factor_in": 1}
    good = [
        Load(memory=MemId.UOP, dram_base=BASE // 4, y_size=1, x_size=1, x_stride=1),
        Gemm(**each), Alu(use_imm=True, imm=3, **each),
    ]  # fmt: skip
    bench.feed([*good, *insns])
    await until(dut, lambda: error_at(dut)[0] != ErrorCode.NONE)
    await ClockCycles(dut.clk, 100)
    assert error_at(dut) == (code, Source.COMPUTE, addr)
    assert bench.retired == len(good) + len(insns) - 1


@cocotb.test()
@cocotb.parametrize(answer=[AxiResp.SLVERR, AxiResp.DECERR], memory=[MemId.UOP, MemId.ACC])
async def refused_by_the_bus(dut, answer, memory):
    """The error has the address of the beat; the bus is idle afterwards."""
    bench = Bench(dut, (BASE, bytes(4096)))
    bench.dram.refuse(range(BASE + 0x88, BASE + 0x90), answer)
    await bench.start(0.3)
    count = 0x200 // ISA.elem_bytes(memory)
    insn = Load(memory=memory, dram_base=BASE // ISA.elem_bytes(memory), y_size=1, x_size=count,
                x_stride=count)  # fmt: skip
    bench.feed([insn])
    await until(dut, lambda: error_at(dut, "bus_error")[0] != ErrorCode.NONE)
    code = ErrorCode.AXI_DECERR if answer is AxiResp.DECERR else ErrorCode.AXI_SLVERR
    # the source is the number of the reader, and here there is one
    assert error_at(dut, "bus_error") == (code, 0, BASE + 0x88)
    dut.restart.value = 1
    await until(dut, lambda: int(dut.bus_idle.value))
    assert not int(dut.m_axi_arvalid.value)


@cocotb.test()
@cocotb.parametrize(cycles=[40, 90, 137, 300, 550])
async def restart_in_the_middle(dut, cycles):
    """After a restart in any cycle of a program, the program runs from its start as usual."""
    program, insns = work_of(f"restart {cycles}")
    bench = Bench(dut, (program.base, program.image.tobytes()))
    await bench.start(0.3)
    feeding = cocotb.start_soon(
        send(
            dut,
            "insn",
            [int.from_bytes(ISA.encode(i), "little") for i in insns],
            StallGenerator(1.0, ""),
        )
    )
    dut.tokens_prev_avail.value = dut.tokens_next_avail.value = 1
    await ClockCycles(dut.clk, cycles)
    feeding.cancel()
    dut.insn_valid.value = 0
    dut.restart.value = 1
    await ClockCycles(dut.clk, 2)
    await until(dut, lambda: int(dut.bus_idle.value))
    dut.tokens_prev_avail.value = dut.tokens_next_avail.value = 0
    dut.restart.value = 0
    await ClockCycles(dut.clk, 1)
    assert idle_without_error(dut)

    bench.retired = 0
    bench.feed(insns)
    await until(dut, lambda: bench.retired == len(insns), 60_000)
    model = expected(bench, program, insns)
    got = await bench.accumulators(zero_uop(program))
    np.testing.assert_array_equal(got, np.array(model.acc, np.int32))
