"""The timing model: events in the order of their cycles until none is left.

Four things happen in the order of time and not of computation: grants of the read bus, bursts of
read data, those of the write bus, which can share it, and the end of an ALU instruction, which GEMM
can delay until it comes. All other times follow from these as
soon as what they depend on is known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vta.sim.timing.kernel_bus import answer, grant, next_data, release
from vta.sim.timing.kernel_compute import end_alu, issue_compute
from vta.sim.timing.kernel_dma import load_burst, store_burst
from vta.sim.timing.kernel_modules import (
    FETCH_STEP,
    dispatch,
    fetch_burst,
    issue_transfers,
    request_chunks,
)
from vta.sim.timing.kernel_retire import mark, mark_engine
from vta.sim.timing.state import (
    ACCEPTED,
    ALU_HEAD,
    ALU_LIST,
    ALU_TAIL,
    ARRIVED,
    COMPUTE_MODULE,
    DIRTY,
    FETCH,
    GRANT_READY,
    LAST,
    LAST_GRANT,
    LOAD_MODULE,
    NEVER,
    NEXT_ARBITRATION,
    NEXT_GRANT,
    NOW,
    STORE_MODULE,
    WRITE_AT,
)

if TYPE_CHECKING:
    from vta.sim.timing.state import State

__all__ = ["run"]


def run(s: State) -> None:
    """Compute the times of all instructions that come to their end."""
    value = s.value
    request_chunks(s)
    while True:
        settle(s)
        grants = next_grant(s)
        ends = NEVER
        if value[ALU_HEAD] < value[ALU_TAIL]:
            ends = max(s.insn[LAST][s.insn[ALU_LIST][value[ALU_HEAD]]], value[NOW])
        data = next_data(s)
        writes = NEVER if value[WRITE_AT] == NEVER else max(value[WRITE_AT], value[NOW])
        first = min(min(grants, ends), min(data, writes))
        if first == NEVER:
            return
        if ends == first:
            value[NOW] = ends
            end_alu(s)
        elif data == first:
            value[NOW] = data
            arrive(s)
        elif writes == first:
            value[NOW] = writes
            if store_burst(s):
                mark(s, STORE_MODULE)
        else:
            value[NOW] = grants
            arbitrate(s, grants)


def settle(s: State) -> None:
    """Let each module continue as far as times are known."""
    value = s.value
    while value[DIRTY]:
        if value[DIRTY] >> LOAD_MODULE & 1:
            value[DIRTY] ^= 1 << LOAD_MODULE
            issue_transfers(s, LOAD_MODULE)
        elif value[DIRTY] >> COMPUTE_MODULE & 1:
            value[DIRTY] ^= 1 << COMPUTE_MODULE
            issue_compute(s)
        elif value[DIRTY] >> STORE_MODULE & 1:
            value[DIRTY] ^= 1 << STORE_MODULE
            issue_transfers(s, STORE_MODULE)
        else:
            value[DIRTY] ^= 1 << FETCH_STEP
            dispatch(s)


def next_grant(s: State) -> int:
    """The first cycle in which the read bus can grant a burst; NEVER without one."""
    value, ready = s.value, s.each[GRANT_READY]
    at = min(ready[0], min(ready[1], ready[2]))
    # Until the burst arrives that makes room in the memory, its end is not known.
    if at == NEVER or value[ACCEPTED] - s.k.outstanding_reads >= value[ARRIVED]:
        return NEVER
    return max(max(at, value[NEXT_GRANT]), max(value[NOW], value[NEXT_ARBITRATION]))


def arbitrate(s: State, now: int) -> None:
    """Grant a burst round robin."""
    for distance in range(1, 4):
        reader = (s.value[LAST_GRANT] + distance) % 3
        if s.each[GRANT_READY][reader] <= now:
            grant(s, reader, now)
            break
    s.value[NEXT_ARBITRATION] = now + 1


def arrive(s: State) -> None:
    """The data of the oldest granted burst arrives."""
    reader, beats, first, last = answer(s)
    consumed = last
    if reader == FETCH:
        fetch_burst(s, beats, first, last)
    else:
        consumed, finished = load_burst(s, reader, beats, first, last)
        if finished:
            mark_engine(s, reader)
    release(s, reader, beats, first, last, consumed)
