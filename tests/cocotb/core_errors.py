"""The core's pins: the memory answers with errors, and runs end in other ways than well.

Every error ends the run, with a register that says where, and the next launch works.
"""

import random

import cocotb
from cocotbext.axi import AxiResp

from tests.support.cocotb_machine import Machine, Sample
from tests.support.cocotb_tops import ISA
from vta import memmap
from vta.isa import Finish, Gemm, Load, MemId, Store
from vta.memmap import ErrorCode, Source

FAILED = memmap.STATUS_DONE | memmap.STATUS_ERROR
CODES = {AxiResp.SLVERR: ErrorCode.AXI_SLVERR, AxiResp.DECERR: ErrorCode.AXI_DECERR}
STALLS = [0.0, 0.5]

# Where a reader, or store, is refused; a read error names the beat, a write error its burst.
PLACES = {
    "stream": (Source.FETCH, Sample.STREAM + 24, Sample.STREAM + 24),
    "inputs": (Source.LOAD, Sample.X + 8, Sample.X + 8),
    "weights": (Source.LOAD, Sample.W, Sample.W),
    "micro-ops": (Source.COMPUTE, Sample.UOPS, Sample.UOPS),
    "accumulators": (Source.COMPUTE, Sample.B + 160, Sample.B + 160),
    "outputs": (Source.STORE, Sample.C + 80, Sample.C),
}


async def prepared(dut, probability, seed=""):
    """A machine after power-up on the memory of a sample, and the sample."""
    sample = Sample()
    machine = Machine(dut, sample.dram())
    machine.watch()
    await machine.power_up()
    machine.stall(probability, seed)
    return machine, sample


async def ended_in(machine, code, source, addr):
    """The run has ended with this error; the bus is silent and the modules are idle."""
    await machine.finished()
    assert await machine.error() == (code, source, addr)
    assert await machine.read("STATUS") == FAILED
    await machine.quiet()


async def works(machine, sample):
    """The sample runs well now."""
    machine.use(sample.dram())
    await sample.launch(machine)
    await machine.finished()
    await sample.check(machine)


@cocotb.test()
@cocotb.parametrize(
    place=list(PLACES), answer=[AxiResp.SLVERR, AxiResp.DECERR], probability=STALLS
)  # fmt: skip
async def refused(dut, place, answer, probability):
    """One beat of what a module asks for is answered with an error."""
    machine, sample = await prepared(dut, probability, place)
    source, where, reported = PLACES[place]
    machine.dram.refuse(range(where, where + 1), answer)
    await sample.launch(machine)
    await ended_in(machine, CODES[answer], source, reported)
    sample.untouched(machine)
    await works(machine, sample)


@cocotb.test()
@cocotb.parametrize(probability=STALLS)
async def everything_refused(dut, probability):
    """Several readers fail: one error is reported, nothing hangs, again and again."""
    machine, sample = await prepared(dut, probability)
    for _ in range(3):
        machine.dram.refuse(range(Sample.UOPS), AxiResp.SLVERR)
        machine.dram.refuse(range(Sample.X, Sample.BYTES), AxiResp.SLVERR)
        await sample.launch(machine)
        await machine.finished()
        code, source, _ = await machine.error()
        assert code == ErrorCode.AXI_SLVERR and source in (Source.LOAD, Source.COMPUTE)
        sample.untouched(machine)
        await works(machine, sample)


@cocotb.test()
async def refused_anywhere(dut):
    """Any page that the program uses, from any byte on: the error is that of the page's user."""
    machine, sample = await prepared(dut, 0.0)
    rng = random.Random(17)
    pages = {where // 4096: (source, where & ~4095) for source, where, _ in PLACES.values()}
    pages[Sample.A // 4096] = (Source.COMPUTE, Sample.A)
    for number in range(24):
        machine.stall(rng.choice((0.0, 0.2, 0.6)), f"{number}")
        source, first = pages[rng.choice(list(pages))]
        length = {Sample.UOPS: 8, Sample.W: 16}.get(first, 128)
        answer = rng.choice((AxiResp.SLVERR, AxiResp.DECERR))
        where = first + rng.randrange(length)
        machine.use(sample.dram())
        machine.dram.refuse(range(where, first + 4096), answer)
        await sample.launch(machine)
        reported = first if source == Source.STORE else where & ~7
        await ended_in(machine, CODES[answer], source, reported)
        sample.untouched(machine)
        await works(machine, sample)


@cocotb.test()
async def nothing_is_there(dut):
    """A stream, and a transfer, outside of the memory: the slave answers DECERR."""
    machine, sample = await prepared(dut, 0.3)
    await machine.launch(0x10_0000, 4)
    await ended_in(machine, ErrorCode.AXI_DECERR, Source.FETCH, 0x10_0000)
    outside = Load(memory=MemId.INP, dram_base=0x20_0000, y_size=2, x_size=4, x_stride=64)
    machine.dram[sample.STREAM] = ISA.encode_all([outside, Finish()])
    await machine.launch(sample.STREAM, 2)
    await ended_in(machine, ErrorCode.AXI_DECERR, Source.LOAD, 0x80_0000)
    await works(machine, sample)


BROKEN = {
    "no such opcode": (b"\x07" + bytes(15), ErrorCode.ILLEGAL_INSTRUCTION, Source.FETCH,
                       Sample.STREAM),
    "no token": (ISA.encode_all([Gemm(pop_prev=True), Finish()]), ErrorCode.DEADLOCK, Source.CORE,
                 0),
    "no finish": (ISA.encode_all([Gemm(iter_in=0)]), ErrorCode.MISSING_FINISH, Source.CORE, 0),
    "after finish": (
        ISA.encode_all([Finish(), Finish()]), ErrorCode.AFTER_FINISH, Source.COMPUTE, 0
    ),
    "sram": (ISA.encode_all([Store(sram_base=63, y_size=1, x_size=2, x_stride=2), Finish()]),
             ErrorCode.SRAM_RANGE, Source.STORE, 64),
}  # fmt: skip


@cocotb.test()
@cocotb.parametrize(fault=list(BROKEN), probability=STALLS)
async def broken_stream(dut, fault, probability):
    """The stream is at fault, not the memory."""
    machine, sample = await prepared(dut, probability, fault)
    stream, code, source, addr = BROKEN[fault]
    machine.dram[sample.STREAM] = stream
    await machine.launch(sample.STREAM, len(stream) // 16)
    await machine.finished()
    assert (await machine.error())[:2] == (code, source)
    if addr:
        assert await machine.read("ERROR_ADDR") == addr
    await works(machine, sample)


@cocotb.test()
async def misplaced_stream(dut):
    """A stream that is not aligned to 16 bytes is refused before anything is read."""
    machine, sample = await prepared(dut, 0.0)
    await machine.launch(sample.STREAM + 8, 1)
    await ended_in(machine, ErrorCode.ADDRESS, Source.FETCH, sample.STREAM + 8)
    await works(machine, sample)
