"""Fetch: every instruction once, in order, to its module; illegal ones stop it."""

import random
from functools import partial

import numpy as np
import pytest

from tests.support.hwpeers import (
    READY_PROBABILITIES,
    StallGenerator,
    bench,
    receive,
    serve_reads,
    simulate,
)
from vta.config import VTAConfig
from vta.hw.frontend.decode import InstructionDecoder
from vta.hw.frontend.fetch import Fetch
from vta.isa import (
    RUN_OPERATIONS,
    Alu,
    AluOpcode,
    Finish,
    Gemm,
    IllegalEncodingError,
    Isa,
    Load,
    MemId,
    PipelineModule,
    Store,
)
from vta.memmap import ErrorCode, Source

TINY = VTAConfig.preset("tiny")
ISA = Isa.of(TINY)


def legal(rng):
    """A legal instruction of any kind."""
    return rng.choice([
        Load(memory=MemId.INP, x_size=rng.randrange(9), pop_next=True),
        Load(memory=MemId.WGT, y_pad_0=3),
        Load(memory=MemId.UOP, x_size=rng.randrange(9), pop_prev=True),
        Load(memory=MemId.ACC, dram_base=rng.getrandbits(32)),
        Load(memory=MemId.ACC_8BIT, x_pad_1=15),
        Store(x_size=rng.randrange(1, 9), push_prev=True),
        Store(memory=MemId.INP, x_size=0, y_pad_1=1),
        Gemm(uop_bgn=rng.randrange(64), uop_end=64, iter_out=0),
        Gemm(reset=True, dst_factor_in=63),
        Gemm(start=True, dst_factor_in=63),
        Alu(alu_opcode=AluOpcode.MUL, use_imm=True, imm=-1),
        Finish(push_prev=True),
    ])  # fmt: skip


ILLEGAL = {
    "opcode 5": bytes([5]) + bytes(15),
    "opcode 7": bytes([7]) + bytes(15),
    "reserved bit of a load": ((1 << 58) | MemId.UOP << 7).to_bytes(16, "little"),
    "reserved bit of FINISH": (3 | 1 << 127).to_bytes(16, "little"),
    "reserved bit of GEMM": (2 | 1 << 62).to_bytes(16, "little"),
    "GEMM that starts sums and resets": ISA.encode(Gemm(start=True, reset=True)),
    "memory 6": (6 << 7).to_bytes(16, "little"),
    "memory 7 in a store": (1 | 7 << 7).to_bytes(16, "little"),
    "load of OUT": ISA.encode(Load(memory=MemId.OUT)),
    "load of weights with a pad value": ISA.encode(Load(memory=MemId.WGT, pad_value=1)),
    "load of micro-ops with a pad value": ISA.encode(Load(memory=MemId.UOP, pad_value=-1)),
    "pad value of 0": (2 << 7 | 1 << 63).to_bytes(16, "little"),
    "load of OUT with a pad value": (4 << 7 | 1 << 55 | 1 << 63).to_bytes(16, "little"),
    "pad value in a store": (1 | 4 << 7 | 1 << 55 | 1 << 63).to_bytes(16, "little"),
    "store of INP": ISA.encode(Store(memory=MemId.INP, x_size=1)),
    "store that pads": ISA.encode(Store(x_size=1, x_pad_1=1)),
    "load without a previous module": ISA.encode(Load(memory=MemId.INP, pop_prev=True)),
    "load pushes to nobody": ISA.encode(Load(memory=MemId.WGT, x_size=1, push_prev=True)),
    "store without a next module": ISA.encode(Store(pop_next=True)),
    "store pushes to nobody": ISA.encode(Store(x_size=1, push_next=True)),
    "uop range that ends before it begins": ISA.encode(Gemm(uop_bgn=2, uop_end=1, iter_out=0)),
    "uop range beyond the end": ISA.encode(Alu(uop_end=65)),
    **{
        f"ALU opcode {code}": (4 | code << ISA.alu["alu_opcode"].offset).to_bytes(16, "little")
        for code in sorted(set(range(8)) - set(AluOpcode))
    },
    **{
        f"{operation.name} with a second operand": ISA.encode(Alu(alu_opcode=operation, **operand))
        for operation in AluOpcode
        if operation.is_unary
        for operand in ({"use_imm": False}, {"use_imm": True, "imm": 1})
    },
    **{
        f"{operation.name} that starts runs": ISA.encode(Alu(alu_opcode=operation, start=True))
        for operation in AluOpcode
        if operation not in RUN_OPERATIONS
    },
    "REQUANTISE with an immediate in place of its parameters": ISA.encode(
        Alu(alu_opcode=AluOpcode.REQUANTISE, use_imm=True)
    ),
}


def fetch(stream, addr, *, bits=64, count=None, probability=1.0, cycles=4000, readers=True):
    """Returns what came out of the three queues, the error, and whether it ended busy/blocked."""
    block = bench(Fetch, ISA, addr_bits=32, data_bits=bits)
    dut = block.dut
    memory = np.zeros(addr + len(stream) + 64, np.uint8)
    memory[addr : addr + len(stream)] = np.frombuffer(stream, np.uint8)
    memory[addr + len(stream) :] = 0xFF  # what follows the stream is no instruction
    count = len(stream) // 16 if count is None else count
    queues = {module: [] for module in PipelineModule}
    log = []
    result = {}

    async def body(ctx):
        ctx.set(dut.addr, addr)
        ctx.set(dut.count, count)
        ctx.set(dut.start, 1)
        await ctx.tick()
        ctx.set(dut.start, 0)
        ctx.set(dut.addr, 0)
        ctx.set(dut.count, 0)
        still = 0
        for _ in range(cycles):
            await ctx.tick()
            idle = not ctx.get(dut.busy) or ctx.get(dut.blocked) or ctx.get(dut.error.code)
            still = still + 1 if idle else 0
            if still > 30 + 40 / probability:
                break
        # The other fields mean nothing without a code.
        fields = ("code", "source", "addr") if ctx.get(dut.error.code) else ()
        result.update(
            error=tuple(ctx.get(dut.error[key]) for key in fields),
            busy=ctx.get(dut.busy),
            blocked=ctx.get(dut.blocked),
        )

    peers = [
        partial(
            serve_reads,
            port=dut.read,
            memory=memory,
            is_ready=StallGenerator(probability, 1),
            log=log,
        )
    ]
    if readers:
        for seed, (module, into) in enumerate(queues.items()):
            port = getattr(dut, module.name.lower())
            peers.append(
                partial(receive, stream=port, into=into, is_ready=StallGenerator(probability, seed))
            )
    block.run(body, *peers)
    return queues, result, log


@pytest.mark.parametrize("stalls", READY_PROBABILITIES)
@pytest.mark.parametrize("bits", [64, 128, 256, 512])
def test_every_instruction_goes_to_its_module(bits, stalls):
    rng = random.Random(f"{bits} {stalls}")
    for count in (0, 1, 2, 37):
        insns = [legal(rng) for _ in range(count)]
        queues, result, log = fetch(
            ISA.encode_all(insns),
            16 * rng.randrange(9),
            bits=bits,
            probability=READY_PROBABILITIES[stalls],
        )
        want = {module: [] for module in PipelineModule}
        for insn in insns:
            want[insn.module].append(int.from_bytes(ISA.encode(insn), "little"))
        assert queues == want
        assert result == {"error": (), "busy": 0, "blocked": 0}
        if not count:
            assert not log, "an empty stream is not read"


@pytest.mark.parametrize("name", ILLEGAL)
def test_illegal_instructions_are_named_by_their_address(name):
    before = [Gemm(uop_end=1), Load(memory=MemId.INP)]
    stream = ISA.encode_all(before) + ILLEGAL[name] + ISA.encode(Finish())
    queues, result, _ = fetch(stream, 0x120)
    assert result["error"] == (ErrorCode.ILLEGAL_INSTRUCTION, Source.FETCH, 0x140)
    assert [len(queue) for queue in queues.values()] == [1, 1, 0]


def test_the_decoder_agrees_with_the_instruction_set_on_random_words():
    rng = random.Random(7)
    dut = InstructionDecoder(ISA)
    words = []
    for _ in range(1500):
        word = int.from_bytes(ISA.encode(legal(rng)), "little")
        for _ in range(rng.randrange(3)):
            word ^= 1 << rng.randrange(128)
        words.append(word)

    async def body(ctx):
        seen = set()
        for word in words:
            ctx.set(dut.word, word)
            try:
                insn = ISA.decode(word.to_bytes(16, "little"))
                illegal = ISA.why_illegal(insn) is not None
            except IllegalEncodingError:
                illegal = True
            assert ctx.get(dut.illegal) == illegal, hex(word)
            if not illegal:
                assert ctx.get(dut.module) == insn.module
            seen.add(illegal)
        assert seen == {True, False}

    simulate(dut, body, clock=False)


def test_a_full_queue_blocks_fetch_and_its_reads():
    """512 instructions fit in a queue, the 513th waits, and the bus is asked for little more."""
    insns = [Gemm(uop_end=0)] * 700 + [Store()]
    _, result, log = fetch(ISA.encode_all(insns), 0, readers=False)
    assert result == {"error": (), "busy": 1, "blocked": 1}
    assert sum(beats for _, beats in log) <= 2 * 514 + 64 + 2


@pytest.mark.parametrize(
    ("addr", "count"), [(8, 1), (0xFFFF_FFF0, 2), (1 << 40, 1)], ids=["misaligned", "end", "beyond"]
)
def test_a_stream_that_the_bus_cannot_reach(addr, count):
    block = bench(Fetch, ISA, addr_bits=32, data_bits=64)
    dut = block.dut

    async def body(ctx):
        ctx.set(dut.addr, addr)
        ctx.set(dut.count, count)
        ctx.set(dut.start, 1)
        await ctx.tick()
        ctx.set(dut.start, 0)
        for _ in range(20):
            await ctx.tick()
            assert not ctx.get(dut.read.request.valid)
        error = tuple(ctx.get(dut.error[key]) for key in ("code", "source", "addr"))
        assert error == (ErrorCode.ADDRESS, Source.FETCH, addr)

    block.run(body)
