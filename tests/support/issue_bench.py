"""The issue stage under Amaranth's simulator, with execution units and token queues around it, and
the accesses of an instruction, entry by entry."""

from collections import defaultdict
from dataclasses import dataclass, field
from functools import partial

from tests.support.hwmemories import serve_uops
from tests.support.hwpeers import StallGenerator, bench, sample
from vta.hw.compute.issue import Issue
from vta.isa import Alu, Gemm, Instruction, Load, MemId, Uop

__all__ = ["Accesses", "IssueRun", "accesses", "depends", "run_issue", "unit_of"]

UNITS = ("load", "gemm", "alu")


@dataclass
class Accesses:
    """Entries as pairs of memory and number; ``acc`` and ``uop`` are the memories."""

    written: set[tuple[str, int]] = field(default_factory=set)
    read: set[tuple[str, int]] = field(default_factory=set)


def unit_of(insn: Instruction) -> str | None:
    """The execution unit of an instruction, or None for FINISH and NOPs."""
    if isinstance(insn, Gemm):
        return "gemm"
    if isinstance(insn, Alu):
        return "alu"
    return "load" if isinstance(insn, Load) and insn.x_size else None


def accesses(insn: Instruction, uops: list[Uop]) -> Accesses:
    """The entries that an instruction reads and writes, by enumeration."""
    found = Accesses()
    if isinstance(insn, Load) and insn.x_size:
        rows = insn.y_pad_0 + insn.y_size + insn.y_pad_1
        columns = insn.x_pad_0 + insn.x_size + insn.x_pad_1
        memory = "uop" if insn.memory is MemId.UOP else "acc"
        found.written = {(memory, insn.sram_base + n) for n in range(rows * columns)}
    elif isinstance(insn, Gemm | Alu):
        for o in range(insn.iter_out):
            for i in range(insn.iter_in):
                for n in range(insn.uop_bgn, insn.uop_end):
                    dst = uops[n].dst + o * insn.dst_factor_out + i * insn.dst_factor_in
                    src = uops[n].src + o * insn.src_factor_out + i * insn.src_factor_in
                    found.written.add(("acc", dst))
                    found.read |= {("uop", n), ("acc", dst)}
                    if isinstance(insn, Alu) and not insn.use_imm:
                        found.read.add(("acc", src))
    return found


def depends(younger: Instruction, older: Instruction, uops: list[Uop]) -> bool:
    """Whether one of the two writes an entry that the other one accesses."""
    a, b = accesses(younger, uops), accesses(older, uops)
    return bool(a.written & (b.written | b.read) or b.written & a.read)


@dataclass
class IssueRun:
    """What a run did. Cycles count from the first one.

    Attributes
    ----------
    issued, done : dict of int to int
        For the number of an instruction with a unit: the cycle of its issue and of its completion.
    pops, pushes : dict of str to list of int
        For ``prev`` and ``next``: the cycles in which a token was popped or pushed.
    retired : list of int
        The cycles of the retirements.
    states : list of ModuleState
        One a cycle.
    finished_at : int or None
        The first cycle in which ``finished`` was high.
    error : tuple
        (code, source) in the last cycle.
    """

    issued: dict[int, int] = field(default_factory=dict)
    done: dict[int, int] = field(default_factory=dict)
    pops: dict[str, list[int]] = field(default_factory=lambda: {"prev": [], "next": []})
    pushes: dict[str, list[int]] = field(default_factory=lambda: {"prev": [], "next": []})
    retired: list[int] = field(default_factory=list)
    states: list[int] = field(default_factory=list)
    finished_at: int | None = None
    error: tuple = (0, 0)


def run_issue(
    isa, insns, *, cycles, duration, uops=(), prev_tokens=0, next_tokens=0, arrivals=None,
    unit_ready=lambda: True,
) -> IssueRun:  # fmt: skip
    """Run instructions for so many cycles.

    Parameters
    ----------
    duration : callable
        Cycles that a unit takes for the instruction of a number, at least 1.
    uops : sequence of Uop
        The micro-ops in the SRAM, from 0 on.
    prev_tokens, next_tokens : int
        Tokens that are available in the first cycle.
    arrivals : dict of int to str
        The cycles in which one more token arrives, and its queue: ``prev`` or ``next``.
    unit_ready : callable
        Whether a unit accepts an instruction in a cycle.
    """
    block, run = bench(Issue, isa), IssueRun()
    dut = block.dut
    memory = [isa.encode_uop(uop) for uop in uops]
    memory += [0] * (isa.cfg.uop_depth - len(memory))

    async def testbench(ctx):
        words = [int.from_bytes(isa.encode(insn), "little") for insn in insns]
        not_issued = [n for n, insn in enumerate(insns) if unit_of(insn)]
        executing = defaultdict(list)  # unit: cycles in which its instructions are done
        tokens = {"prev": prev_tokens, "next": next_tokens}
        for cycle in range(cycles):
            if arrivals and cycle in arrivals:
                tokens[arrivals[cycle]] += 1
            ctx.set(dut.insn.valid, bool(words))
            ctx.set(dut.insn.payload, words[0] if words else 0)
            for side, count in tokens.items():
                ctx.set(getattr(dut.tokens, f"{side}_avail"), count > 0)
            for unit in UNITS:
                done = bool(executing[unit]) and executing[unit][0] <= cycle
                ctx.set(getattr(dut, f"{unit}_done"), done)
                ctx.set(getattr(dut, unit).ready, unit_ready())
                if done:
                    executing[unit].pop(0)
            now = await sample(
                ctx, state=dut.state, accepted=dut.insn.valid & dut.insn.ready,
                **{unit: getattr(dut, unit).valid & getattr(dut, unit).ready for unit in UNITS},
                **{f"pop_{side}": getattr(dut.tokens, f"pop_{side}") for side in tokens},
                **{f"push_{side}": getattr(dut.tokens, f"push_{side}") for side in tokens},
                retired=dut.retired, finished=dut.finished,
                code=dut.error.code, source=dut.error.source,
            )  # fmt: skip
            run.states.append(now.state)
            if now.accepted:
                words.pop(0)
            issued_to = [unit for unit in UNITS if getattr(now, unit)]
            assert len(issued_to) <= 1
            for unit in issued_to:
                number = not_issued.pop(0)
                assert unit == unit_of(insns[number])
                older_done = executing[unit][-1] if executing[unit] else 0
                run.issued[number] = cycle
                run.done[number] = max(older_done + 1, cycle + duration(number))
                executing[unit].append(run.done[number])
            for side in tokens:
                if getattr(now, f"pop_{side}"):
                    assert tokens[side] > 0
                    tokens[side] -= 1
                    run.pops[side].append(cycle)
                if getattr(now, f"push_{side}"):
                    run.pushes[side].append(cycle)
            if now.retired:
                run.retired.append(cycle)
            if now.finished and run.finished_at is None:
                run.finished_at = cycle
            run.error = now.code, now.source

    block.run(
        testbench,
        partial(serve_uops, memory=memory, ports=[dut.uop_read], is_ready=StallGenerator(0.7, 1)),
    )  # fmt: skip
    return run
