"""The compute module in time: access ranges, issue, three execution units."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vta.sim.timing.kernel_alu import alu_stalls
from vta.sim.timing.kernel_dma import accept_transfer, engine_free
from vta.sim.timing.kernel_modules import (
    bound,
    pop_tokens,
    queue_head,
    queue_pop,
    token_bounds,
    waits_until,
)
from vta.sim.timing.kernel_retire import add_wait, mark, mark_engine, retire_in_order
from vta.sim.timing.state import (
    ADVANCE,
    ALU_ACCEPT,
    ALU_ACCEPTS,
    ALU_FREE,
    ALU_HEAD,
    ALU_LIST,
    ALU_STARTED,
    ALU_TAIL,
    ALU_UNIT,
    BANKED,
    BUSY,
    COMPUTE_MODULE,
    DECODE,
    DECODES,
    DONE,
    END,
    FULL,
    GEMM_ACCEPT,
    GEMM_FIRST,
    GEMM_FREE,
    GEMM_INSN,
    GEMM_STARTED,
    GEMM_UNIT,
    GEMMS,
    HAZARDS,
    HEAD,
    ISSUE,
    ISSUED,
    LAST,
    LOADER_UNIT,
    NEVER,
    NEXT,
    OPERATIONS,
    QUEUE_HEAD,
    QUEUE_PUT,
    READ_LOW,
    READS_UOPS,
    REQUEST,
    RETIRE,
    RING,
    SEQUENCE,
    START,
    TAKEN,
    UNIT,
    UNITS,
    UNKNOWN,
    UOP_HIGH,
    UOP_LOAD,
    UOP_LOADS,
    UOP_LOW,
    WRITE_LOW,
)

if TYPE_CHECKING:
    from vta.sim.timing.state import State

__all__ = ["end_alu", "issue_compute"]

RECENT_LOADS = 16
"""LOADs of micro-ops that are remembered: more than can be in flight."""


def overlap(s: State, low: int, i: int, other_low: int, other: int) -> bool:
    """Whether two access ranges overlap; the high end of a range is the field behind the low."""
    return bool(
        s.work[low][i] <= s.work[other_low + 1][other]
        and s.work[other_low][other] <= s.work[low + 1][i]
    )


def has_hazard(s: State, younger: int, older: int) -> bool:
    """As ``vta.hw.compute.issue_request.hazards_between``, for two different units."""
    unit = s.work[UNIT]
    return (
        overlap(s, WRITE_LOW, younger, WRITE_LOW, older)
        or overlap(s, WRITE_LOW, younger, READ_LOW, older)
        or overlap(s, READ_LOW, younger, WRITE_LOW, older)
        or (
            (unit[younger] == LOADER_UNIT or unit[older] == LOADER_UNIT)
            and overlap(s, UOP_LOW, younger, UOP_LOW, older)
        )
    )


# ---- issue --------------------------------------------------------------------------------------


def issue_compute(s: State) -> None:
    """Issue the instructions of the compute module that can issue."""
    while s.value[NEXT] >= 0 or accept(s):
        if not issue_bounds(s, s.value[NEXT]):
            return
        issue(s, s.value[NEXT])


def accept(s: State) -> bool:
    """Compute the access ranges of the next instruction, if there is one."""
    value, work, k = s.value, s.work, s.k
    if s.each[QUEUE_HEAD][COMPUTE_MODULE] == s.each[QUEUE_PUT][COMPUTE_MODULE]:
        return False
    i, head = queue_head(s, COMPUTE_MODULE)
    head = max(head, value[ADVANCE] + 1)
    advance = head + work[DECODE][i]
    if work[READS_UOPS][i]:
        for number in range(max(value[UOP_LOADS] - RECENT_LOADS, 0), value[UOP_LOADS]):
            load = s.ring[UOP_LOAD][number & (RING - 1)]
            if overlap(s, UOP_LOW, load, UOP_LOW, i):
                if s.insn[DONE][load] == UNKNOWN:
                    return False
                further = work[DECODE][i] - k.BOUNDS_READ
                advance = max(advance, s.insn[DONE][load] + k.BOUNDS_AFTER_LOAD + further)
    queue_pop(s, COMPUTE_MODULE, head)
    value[ADVANCE] = max(advance, value[TAKEN] + 1)
    value[REQUEST] = max(value[ADVANCE] + k.ADVANCE_TO_REQUEST, value[ISSUED] + 1)
    value[TAKEN] = value[REQUEST]
    value[NEXT] = i
    s.insn[HEAD][i] = head
    return True


def issue_bounds(s: State, i: int) -> bool:
    """What the issue of an instruction depends on; False if a time is not known yet."""
    value, work, insn, k = s.value, s.work, s.insn, s.k
    unit = work[UNIT][i]
    if not token_bounds(s, i, k.TOKEN_TO_ISSUE):
        return False
    bound(s, DECODES, value[REQUEST] + k.REQUEST_TO_ISSUE, -1)
    issued = s.each[QUEUE_HEAD][COMPUTE_MODULE] - 1
    sequence = work[SEQUENCE + COMPUTE_MODULE]
    for number in range(max(issued - k.scoreboard, 0), issued):
        older = sequence[number]
        if work[UNIT][older] != unit and has_hazard(s, i, older):
            if insn[DONE][older] == UNKNOWN:
                return False
            bound(s, HAZARDS, insn[DONE][older] + k.DONE_TO_ISSUE, older)
    if issued >= k.scoreboard:
        retire = insn[RETIRE][sequence[issued - k.scoreboard]]
        if retire == UNKNOWN:
            return False
        bound(s, FULL, retire + k.RETIRE_TO_ISSUE, -1)
    if unit == LOADER_UNIT:
        free = engine_free(s, k.loader)
        if free == NEVER:
            return False
        bound(s, UNITS, free, -1)
    elif unit == GEMM_UNIT:
        full = value[GEMMS] - k.unit_queue
        if full >= 0:
            bound(s, FULL, insn[GEMM_ACCEPT][full] + 1, -1)
    elif unit == ALU_UNIT:
        full = value[ALU_TAIL] - k.unit_queue
        if full >= value[ALU_ACCEPTS]:
            return False
        if full >= 0:
            bound(s, FULL, insn[ALU_ACCEPT][full] + 1, -1)
    return True


def issue(s: State, i: int) -> None:
    """Issue the instruction whose bounds are known."""
    value, insn = s.value, s.insn
    unit = s.work[UNIT][i]
    cycle = waits_until(s, i, insn[HEAD][i])
    insn[ISSUE][i] = cycle
    value[ISSUED] = cycle
    value[NEXT] = -1
    pop_tokens(s, i)
    if unit == GEMM_UNIT:
        start_gemm(s, i)
    elif unit == ALU_UNIT:
        tail = value[ALU_TAIL]
        insn[ALU_LIST][tail] = i
        value[ALU_TAIL] = tail + 1
        if tail == value[ALU_HEAD]:
            start_alu(s, i)
    elif unit == LOADER_UNIT:
        if s.work[UOP_LOW][i] <= s.work[UOP_HIGH][i]:
            s.ring[UOP_LOAD][value[UOP_LOADS] & (RING - 1)] = i
            value[UOP_LOADS] += 1
        if accept_transfer(s, s.k.loader, i, cycle):
            mark_engine(s, s.k.loader)
    else:
        insn[START][i] = cycle
        insn[END][i] = cycle
        insn[DONE][i] = cycle
        retire_in_order(s)


# ---- units --------------------------------------------------------------------------------------


def begin(s: State, i: int, accepts: int, count: int, started: int, free: int) -> int:
    """Start an instruction on GEMM or the ALU; its predecessor there ends in cycle ``free - 1``;
    returns the cycle of its first micro-op.

    ``accepts`` is the list of the unit, with ``count`` entries, ``started`` the cycle of
    the predecessor's first micro-op.
    """
    insn, k = s.insn, s.k
    accepted = insn[ISSUE][i] + k.ISSUE_TO_START
    if count:
        accepted = max(accepted, started - (k.sequencer - k.START_TO_LOOP))
    insn[accepts][count] = accepted
    first = max(accepted + k.sequencer, free)
    insn[START][i] = first
    insn[BUSY][i] = s.work[OPERATIONS][i]
    insn[LAST][i] = first + s.work[OPERATIONS][i] - 1
    usual = insn[ISSUE][i] + k.ISSUE_TO_START + k.sequencer
    if first > usual:
        add_wait(s, i, UNITS, usual, first, -1)
    return first


def start_gemm(s: State, i: int) -> None:
    value, insn, k = s.value, s.insn, s.k
    first = begin(s, i, GEMM_ACCEPT, value[GEMMS], value[GEMM_STARTED], value[GEMM_FREE])
    at = value[GEMMS] & (RING - 1)
    s.ring[GEMM_FIRST][at] = first
    s.ring[GEMM_INSN][at] = i
    value[GEMMS] += 1
    value[GEMM_STARTED] = first
    value[GEMM_FREE] = insn[LAST][i] + 1
    insn[END][i] = insn[LAST][i] + k.gemm - k.sequencer
    insn[DONE][i] = insn[END][i]
    if value[ALU_HEAD] < value[ALU_TAIL]:
        alu = insn[ALU_LIST][value[ALU_HEAD]]
        if first <= insn[LAST][alu]:
            delay_alu(s, alu)
    retire_in_order(s)


def start_alu(s: State, i: int) -> None:
    value = s.value
    value[ALU_STARTED] = begin(
        s, i, ALU_ACCEPT, value[ALU_ACCEPTS], value[ALU_STARTED], value[ALU_FREE]
    )
    value[ALU_ACCEPTS] += 1
    delay_alu(s, i)


def delay_alu(s: State, i: int) -> None:
    """Add the stalls; the ALU ends in a cycle that may change as long as GEMM issues."""
    first = s.insn[START][i]
    s.insn[LAST][i] = first + s.work[OPERATIONS][i] + alu_stalls(s, i, first) - 1


def end_alu(s: State) -> None:
    """The oldest instruction of the ALU has made its last micro-op."""
    value, insn = s.value, s.insn
    i = insn[ALU_LIST][value[ALU_HEAD]]
    value[ALU_HEAD] += 1
    last = insn[LAST][i]
    value[ALU_FREE] = last + 1
    stalled = last - insn[START][i] + 1 - s.work[OPERATIONS][i]
    if stalled:
        add_wait(s, i, BANKED, last + 1 - stalled, last + 1, -1)
    insn[END][i] = last + s.k.alu - s.k.sequencer
    insn[DONE][i] = insn[END][i]
    if value[ALU_HEAD] < value[ALU_TAIL]:
        start_alu(s, insn[ALU_LIST][value[ALU_HEAD]])
    retire_in_order(s)
    mark(s, COMPUTE_MODULE)
