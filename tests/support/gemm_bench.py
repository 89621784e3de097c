"""GEMM under Amaranth's simulator, with the memories of a slow model around it."""

from collections import deque
from dataclasses import dataclass, field
from functools import partial

from tests.support.hwmemories import pack, serve_sram, serve_uops, unpack
from tests.support.hwpeers import StallGenerator, bench, sample, send
from vta.hw.compute.gemm import Gemm
from vta.hw.compute.lookahead import GEMM_READ_LOOKAHEAD, GEMM_WRITE_LOOKAHEAD
from vta.memmap import ErrorCode

__all__ = ["GemmRun", "run_gemm"]


@dataclass
class GemmRun:
    """What a run of instructions did.

    Attributes
    ----------
    latency : int
        Cycles from ``insn`` to the first write, as the block declares it.
    starts, products, reads, writes, dones : list of int
        Cycles in which an instruction was accepted, a product was issued, a tile was read, a tile
        was written, and an instruction was done.
    error : tuple
        (code, source, address) in the last cycle.
    accumulators : list of list of int
        The tiles at the end.
    """

    latency: int
    starts: list[int] = field(default_factory=list)
    products: list[int] = field(default_factory=list)
    reads: list[int] = field(default_factory=list)
    writes: list[int] = field(default_factory=list)
    dones: list[int] = field(default_factory=list)
    error: tuple = (ErrorCode.NONE, 0, 0)
    accumulators: list[list[int]] = field(default_factory=list)


def run_gemm(
    model, insns, *, start_probability=1.0, port_probability=1.0, cycles=None, dsp48=False
) -> GemmRun:
    """Run GEMM instructions on the memories of ``model``, which keeps its own accumulators.

    ``start_probability`` and ``port_probability``: that an instruction is offered, and that the
    port of the micro-op SRAM is granted. Each access of the accumulators is compared with its
    announcement.
    """
    cfg, isa = model.cfg, model.isa
    block = bench(Gemm, isa, dsp48=dsp48)
    dut = block.dut
    result = GemmRun(dut.latency)
    if cycles is None:
        operations = sum(insn.operations for insn in insns)
        cycles = operations + int(4 * len(insns) / start_probability) + 40

    async def watch(ctx):
        announced_reads = deque([None] * GEMM_READ_LOOKAHEAD)
        announced_writes = deque([None] * GEMM_WRITE_LOOKAHEAD)
        for cycle in range(cycles):
            now = await sample(
                ctx,
                start=dut.insn.valid & dut.insn.ready, product=dut.product, done=dut.done,
                reads=dut.acc_read.en, read=dut.acc_read.addr,
                writes=dut.acc_write.mask, written=dut.acc_write.addr,
                will_read=dut.acc_read_lookahead.valid, read_ahead=dut.acc_read_lookahead.addr,
                will_write=dut.acc_write_lookahead.valid, write_ahead=dut.acc_write_lookahead.addr,
                code=dut.error.code, source=dut.error.source, addr=dut.error.addr,
            )  # fmt: skip
            for happens, cycles_of in (
                (now.start, result.starts), (now.product, result.products),
                (now.reads, result.reads), (now.writes, result.writes), (now.done, result.dones),
            ):  # fmt: skip
                if happens:
                    cycles_of.append(cycle)
            announced_reads.append(now.read_ahead if now.will_read else None)
            announced_writes.append(now.write_ahead if now.will_write else None)
            assert announced_reads.popleft() == (now.read if now.reads else None), cycle
            assert announced_writes.popleft() == (now.written if now.writes else None), cycle
        result.error = now.code, now.source, now.addr

    layout = dut.insn.payload.shape()
    words = [layout.from_bits(int.from_bytes(isa.encode(insn), "little")) for insn in insns]
    accumulators = [pack(row, 32) for row in model.acc]
    inp = [pack(row, cfg.inp_width) for row in model.inp]
    wgt = [pack(row, cfg.wgt_width) for row in model.wgt]
    uops = [word % 2**32 for word in model.uop]
    block.run(
        watch,
        partial(serve_sram, memory=inp, reads=[dut.inp_read]),
        partial(serve_sram, memory=wgt, reads=[dut.wgt_read]),
        partial(serve_sram, memory=accumulators, reads=[dut.acc_read], writes=[dut.acc_write]),
        partial(
            serve_uops,
            memory=uops,
            ports=[dut.uop_read],
            is_ready=StallGenerator(port_probability, 7),
        ),
        partial(send, stream=dut.insn, items=words, is_ready=StallGenerator(start_probability, 5)),
    )
    lanes = cfg.batch * cfg.block_out
    result.accumulators = [unpack(word, 32, lanes) for word in accumulators]
    return result
