"""How fast the reference model is: `python -m tests.bench.bench_model`.

The GEMM instructions of a 3x3 convolution, 256 to 256 channels on 14x14, as the convolution
tutorial issues them (64 instructions, 451,584 products of 1x16x16), against `numpy.matmul` of two
1024x1024 float32 matrices. Both on one BLAS thread, in turns in one process; the best of each.

The same convolution while every core runs a loop of another process, with the model's limit of one
BLAS thread and without. Streams of 100,000 and 1,000,000 ALU instructions: the time an instruction.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from unittest import mock

import numpy as np
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits

from vta.config import VTAConfig
from vta.isa import Alu, Finish, Gemm, Isa, Load, MemId, Uop
from vta.sim.memory import Memory
from vta.sim.reference.model import ReferenceModel

CFG = VTAConfig.preset("default")
ROUNDS = 12
BUSY_ROUNDS = 50
MATRIX = 1024


def convolution() -> tuple[bytes, Memory]:
    """The stream and a memory that it runs on: uop loads, then nothing but GEMM.

    Two threads, each with half of the SRAM, take turns; each instruction does a 3x3 window of one
    input tile for 7 rows, 14 columns and 8 output tiles.
    """
    isa = Isa.of(CFG)
    threads = range(2)
    uops = [
        Uop(784 * t + x, 144 * t + 16 * dy + x + dx, 72 * t + 3 * dy + dx)
        for t in threads
        for dy in range(3)
        for dx in range(3)
        for x in range(14)
    ]
    per_thread = len(uops) // 2
    words = isa.encode_uops(uops).view(np.uint8)
    memory = Memory.zeros(0x1000, 1 << 20)
    memory.data[: words.size] = words
    memory.data[words.size :] = np.random.default_rng(1).integers(
        0, 256, memory.data.size - words.size, np.uint8
    )
    row = {"y_size": 1, "x_size": len(uops), "x_stride": len(uops)}
    tensors = {"y_size": 1, "x_size": 288, "x_stride": 288}
    insns = [
        Load(memory=MemId.UOP, dram_base=0x1000 // 4, **row),
        Load(memory=MemId.INP, dram_base=0x2000 // 16, **tensors),
        Load(memory=MemId.WGT, dram_base=0x4000 // 256, push_next=True, **tensors),
        Load(memory=MemId.UOP, x_size=0, pop_prev=True),
    ]
    for number in range(64):
        t = number % 2
        insns.append(
            Gemm(
                uop_bgn=t * per_thread,
                uop_end=(t + 1) * per_thread,
                iter_out=8,
                dst_factor_out=98,
                wgt_factor_out=9,
                iter_in=7,
                dst_factor_in=14,
                src_factor_in=16,
            )
        )
    return isa.encode_all([*insns, Finish()]), memory


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def compare_with_matmul(console: Console) -> None:
    """The convolution and a large product, both on one thread."""
    stream, memory = convolution()
    model = ReferenceModel(CFG)
    products = model.run(stream, memory).counters.gemm_counter
    assert products == 451_584
    macs = products * CFG.batch * CFG.block_in * CFG.block_out

    data = np.random.default_rng(2)
    left, right = (data.random((MATRIX, MATRIX), np.float32) for _ in range(2))

    model_s, matmul_s = [], []
    with threadpool_limits(1, user_api="blas"):
        np.matmul(left, right)
        for _ in range(ROUNDS):
            model_s.append(seconds(lambda: model.run(stream, memory)))
            matmul_s.append(seconds(lambda: np.matmul(left, right)))
    rates = {
        "convolution on the reference model": (macs, min(model_s)),
        "numpy.matmul 1024 float32, one thread": (MATRIX**3, min(matmul_s)),
    }
    table = Table("work", "ms", "billion MAC/s", box=None)
    for name, (count, best) in rates.items():
        table.add_row(name, f"{best * 1e3:.2f}", f"{count / best / 1e9:.2f}")
    console.print(table)
    share = (macs / min(model_s)) / (MATRIX**3 / min(matmul_s))
    console.print(f"the model runs at {share:.1%} of matmul (goal 15 %, stretch goal 30 %)\n")


def _spin() -> None:
    while True:
        pass


@contextmanager
def busy_cores() -> Iterator[None]:
    """A process that never sleeps on each core."""
    spawn = multiprocessing.get_context("spawn")
    spinners = [spawn.Process(target=_spin, daemon=True) for _ in range(os.cpu_count() or 1)]
    for spinner in spinners:
        spinner.start()
    time.sleep(1)
    try:
        yield
    finally:
        for spinner in spinners:
            spinner.kill()


def measure_on_busy_cores(console: Console) -> None:
    """The convolution beside other work, with and without the limit, in turns."""
    stream, memory = convolution()
    model = ReferenceModel(CFG)
    model.run(stream, memory)
    times: dict[tuple[str, str], list[float]] = {}
    for cores, load in (("idle", nullcontext), ("busy", busy_cores)):
        with load():
            for _ in range(BUSY_ROUNDS):
                took = seconds(lambda: model.run(stream, memory))
                times.setdefault((cores, "one"), []).append(took)
                with mock.patch("vta.sim.reference.gemm.one_blas_thread", nullcontext):
                    took = seconds(lambda: model.run(stream, memory))
                times.setdefault((cores, "as many as cores"), []).append(took)
    columns = ("cores", "BLAS threads", "best ms", "median ms", "mean ms", "worst ms")
    table = Table(*columns, box=None)
    for (cores, threads), taken in times.items():
        figures = (min(taken), float(np.median(taken)), float(np.mean(taken)), max(taken))
        table.add_row(cores, threads, *(f"{figure * 1e3:.1f}" for figure in figures))
    console.print(table)
    console.print()


def measure_streams(console: Console) -> None:
    """One operation of the ALU an instruction: what is left is reading and ordering the stream."""
    isa = Isa.of(CFG)
    add = isa.encode_all([Alu(uop_bgn=0, uop_end=1, iter_out=1, iter_in=1, use_imm=True, imm=1)])
    table = Table("ALU instructions", "s", "µs an instruction", box=None)
    for count in (100_000, 1_000_000):
        stream = add * count + isa.encode_all([Finish()])
        memory = Memory.zeros(0x1000, 1 << 12)
        took = seconds(lambda: ReferenceModel(CFG).run(stream, memory))  # noqa: B023
        table.add_row(f"{count:,}", f"{took:.1f}", f"{took / count * 1e6:.1f}")
    console.print(table)


def main() -> None:
    console = Console()
    compare_with_matmul(console)
    measure_on_busy_cores(console)
    measure_streams(console)


if __name__ == "__main__":
    main()
