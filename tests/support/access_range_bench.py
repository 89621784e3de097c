"""The access ranges of the hardware under Amaranth's simulator, and by enumeration."""

import random
from collections import deque
from dataclasses import dataclass
from functools import partial

from tests.support.hwmemories import pack, serve_shared
from tests.support.hwpeers import StallGenerator, bench, sample
from vta.hw.compute.access_ranges import AccessRanges
from vta.hw.compute.issue_request import ExecutionUnit
from vta.hw.compute.uop_memory import log_lanes
from vta.isa import Alu, Finish, Gemm, Load, MemId

__all__ = ["NO_RANGES", "Ranges", "Request", "enumerated", "run_access_ranges", "unit_of"]

UOP_BITS = 32
LOAD_CYCLES = 40
"""A LOAD takes fewer cycles than this."""


@dataclass(frozen=True)
class Ranges:
    """The first and the last entry of each range, or None. ``reads`` are those of the ALU; in a
    request, the other units have their ``writes`` there."""

    writes: tuple[int, int] | None = None
    reads: tuple[int, int] | None = None
    uops: tuple[int, int] | None = None


NO_RANGES = Ranges()


@dataclass(frozen=True)
class Request:
    """An issue request, and the cycle in which it was taken."""

    cycle: int
    unit: ExecutionUnit
    ranges: Ranges


def unit_of(insn) -> ExecutionUnit:
    if isinstance(insn, Load) and insn.x_size:
        return ExecutionUnit.LOAD
    units = {Gemm: ExecutionUnit.GEMM, Alu: ExecutionUnit.ALU}
    return units.get(type(insn), ExecutionUnit.NONE)


def enumerated(cfg, insn, uops) -> Ranges:
    """The ranges of an instruction, from the set of all entries that it accesses."""

    def bounds(entries, depth):
        return tuple(min(end, depth - 1) for end in (min(entries), max(entries)))

    if isinstance(insn, Finish):
        return NO_RANGES
    if isinstance(insn, Load):
        rows = insn.y_pad_0 + insn.y_size + insn.y_pad_1
        size = rows * (insn.x_pad_0 + insn.x_size + insn.x_pad_1)
        entries = {insn.sram_base + n for n in range(size)}
        if not insn.x_size or not entries:
            return NO_RANGES
        if insn.memory is MemId.UOP:
            return Ranges(uops=bounds(entries, cfg.uop_depth))
        return Ranges(writes=bounds(entries, cfg.acc_depth))
    dst, src, numbers = set(), set(), set()
    for o in range(insn.iter_out):
        for i in range(insn.iter_in):
            for n in range(insn.uop_bgn, insn.uop_end):
                numbers.add(n)
                dst.add(uops[n].dst + o * insn.dst_factor_out + i * insn.dst_factor_in)
                src.add(uops[n].src + o * insn.src_factor_out + i * insn.src_factor_in)
    if not numbers:
        return NO_RANGES
    two_operands = isinstance(insn, Alu) and not insn.use_imm
    return Ranges(
        writes=bounds(dst, cfg.acc_depth),
        reads=bounds(src, cfg.acc_depth) if two_operands else None,
        uops=bounds(numbers, cfg.uop_depth),
    )


class UopSram:
    """Words of micro-ops."""

    def __init__(self, isa, uops):
        self.isa, self.lanes = isa, 1 << log_lanes(isa.cfg.log_uop_depth)
        self.words = [0] * (isa.cfg.uop_depth // self.lanes)
        for number, uop in enumerate(uops):
            self.write(number, isa.encode_uop(uop))

    def write(self, number, bits):
        lane = UOP_BITS * (number % self.lanes)
        others = self.words[number // self.lanes] & ~((2**UOP_BITS - 1) << lane)
        self.words[number // self.lanes] = others | pack([bits], UOP_BITS) << lane


def run_access_ranges(isa, insns, uops, loads=None, *, probability=1.0, seed=0) -> list[Request]:
    """The request of each instruction.

    ``loads``: for the number of a LOAD of micro-ops, what it writes: {number: micro-op}. The LOAD
    is done some time after its request; until then these micro-ops are random. ``probability``:
    that a request is accepted, and that the port of the SRAM is granted.
    """
    block, rng, loads = bench(AccessRanges, isa), random.Random(seed), loads or {}
    dut = block.dut
    sram, requests = UopSram(isa, uops), []
    words = [int.from_bytes(isa.encode(insn), "little") for insn in insns]

    async def testbench(ctx):
        accepted, takes = 0, StallGenerator(probability, seed + 1)
        in_flight = deque()  # (cycle in which it is done, number) of each LOAD
        hazard = False
        for cycle in range(200_000):
            if len(requests) == len(insns):
                return
            offered = accepted < len(insns)
            ctx.set(dut.insn.valid, offered)
            ctx.set(dut.insn.payload, words[accepted] if offered else 0)
            ctx.set(dut.request.ready, takes())
            ctx.set(dut.uop_hazard, hazard)  # of the cycle before
            request = dut.request.payload
            now = await sample(
                ctx, accepts=dut.insn.valid & dut.insn.ready, valid=dut.request.valid,
                taken=dut.request.valid & dut.request.ready, insn=request.insn, unit=request.unit,
                ranges=request.ranges, begin=dut.uops.begin, end=dut.uops.end,
            )  # fmt: skip
            number = len(requests)
            older_loads = [number, *(one for _, one in in_flight)] if now.valid else [
                one for _, one in in_flight
            ]  # fmt: skip
            unwritten = {uop for one in older_loads for uop in loads.get(one, ())}
            hazard = any(uop in unwritten for uop in range(now.begin, now.end))
            if now.valid:
                assert now.insn == words[number]
            if now.taken:
                given = {
                    name: (one.low, one.high) if one.used else None
                    for name, one in ((n, now.ranges[n]) for n in ("writes", "reads", "uops"))
                }
                if now.unit is not ExecutionUnit.ALU:
                    assert given["reads"] == given["writes"]
                    given["reads"] = None
                requests.append(Request(cycle, now.unit, Ranges(**given)))
                if number in loads:
                    in_flight.append((cycle + rng.randrange(LOAD_CYCLES), number))
                    for uop in loads[number]:
                        sram.write(uop, rng.getrandbits(UOP_BITS))
            accepted += now.accepts
            if in_flight and in_flight[0][0] <= cycle:
                _, done = in_flight.popleft()
                for uop, value in loads[done].items():
                    sram.write(uop, isa.encode_uop(value))
        raise AssertionError(f"{len(requests)} of {len(insns)} requests in {cycle} cycles")

    block.run(
        testbench,
        partial(
            serve_shared, memory=sram.words, reads=[dut.uop_read],
            is_ready=StallGenerator(probability, seed + 2),
        ),
    )  # fmt: skip
    return requests
