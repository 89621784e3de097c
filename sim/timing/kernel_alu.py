"""Stage READ of the ALU, cycle by cycle: what an instruction of the ALU stalls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vta.sim.timing.state import (
    BANK_BITS,
    BANKS,
    BANKS_AT,
    DISTANCE_AT,
    DISTANCE_BITS,
    GEMM_FIRST,
    GEMM_INSN,
    GEMMS,
    LATE,
    MARK,
    MAY_STALL,
    NEST,
    NEVER,
    RING,
    UNKNOWN,
)

if TYPE_CHECKING:
    from vta.sim.timing.state import State

__all__ = ["alu_stalls"]

HISTORY = 64
"""GEMM instructions that are remembered: those that an instruction of the ALU can overlap."""


def alu_stalls(s: State, i: int, first: int) -> int:
    """Cycles that an ALU instruction stalls: for results that come late, for banks that two of its
    own tiles share, and for those that GEMM reads or writes; its first micro-op is offered in
    ``first``.

    An instruction without a GEMM instruction beside it stalls as often each time: its nest is
    walked through once.
    """
    work, ring = s.work, s.ring
    if not work[BANKS][i]:
        return 0
    gemms = s.value[GEMMS]
    start = first + s.k.alu_read
    oldest = max(gemms - HISTORY, 0)
    while oldest < gemms:
        gemm = ring[GEMM_INSN][oldest & (RING - 1)]
        if ring[GEMM_FIRST][oldest & (RING - 1)] + work[BANKS][gemm] + s.k.gemm_write >= start:
            return walk_nest(s, i, start, oldest)
        oldest += 1
    if not work[MAY_STALL][i]:
        return 0
    nest = work[NEST][i]
    if s.nest_stalls[nest] == UNKNOWN:
        s.nest_stalls[nest] = walk_nest(s, i, start, oldest)
    return int(s.nest_stalls[nest])


def walk_nest(s: State, i: int, start: int, oldest: int) -> int:
    """The stalls of an instruction that is in stage READ from cycle ``start``, beside the GEMM
    instructions from ``oldest`` on.

    As ``vta.hw.compute.alu_hazards`` and ``.alu_operands``: a tile that was written in the last
    cycles is forwarded, any other is read from its bank. A micro-op whose source is read and whose
    destination stalls waits in the early slot, and the source of the next one is read in the cycle
    in which its destination is.
    """
    value, work, ring, k = s.value, s.work, s.ring, s.k
    count, at, late = work[BANKS][i], work[BANKS_AT][i], work[LATE][i]
    may_stall = work[MAY_STALL][i] > 0
    # GEMM instructions in the order of time: `reading` reads, and `writing` writes, in this cycle.
    reading = writing = oldest
    cycle = start
    issued = 0
    number = 0  # the micro-op in the current slot, if there is one
    early = 0  # 1: the older one is in the early slot
    early_stalls = False  # for a late result
    # When the last five micro-ops were issued, the last one first.
    issued_1 = issued_2 = issued_3 = issued_4 = issued_5 = -NEVER
    while issued < count:
        reads = 0
        while reading < value[GEMMS]:
            gemm = ring[GEMM_INSN][reading & (RING - 1)]
            offset = cycle - ring[GEMM_FIRST][reading & (RING - 1)] - k.gemm_read
            if offset < work[BANKS][gemm]:
                if offset >= 0:
                    reads = s.first_bank[work[BANKS_AT][gemm] + offset]
                break
            reading += 1
        writes = 0
        while writing < value[GEMMS]:
            gemm = ring[GEMM_INSN][writing & (RING - 1)]
            offset = cycle + k.alu_write - ring[GEMM_FIRST][writing & (RING - 1)] - k.gemm_write
            if offset < work[BANKS][gemm]:
                if offset >= 0:
                    writes = s.second_bank[work[BANKS_AT][gemm] + offset]
                break
            writing += 1
        if writing == value[GEMMS] and reading == value[GEMMS] and not may_stall:
            break
        # The micro-op in the current slot: when its producers were issued, where its tiles are.
        valid = number < count
        dst = src = dst_distance = src_distance = 0
        dst_issued = src_issued = -NEVER
        if valid:
            dst, src = int(s.first_bank[at + number]), int(s.second_bank[at + number])
            dst_distance = dst >> DISTANCE_AT & DISTANCE_BITS
            src_distance = src >> DISTANCE_AT & DISTANCE_BITS
            dst_issued = nth_last(
                dst_distance - early, issued_1, issued_2, issued_3, issued_4, issued_5
            )
            src_issued = nth_last(
                src_distance - early, issued_1, issued_2, issued_3, issued_4, issued_5
            )
            if late == k.alu_write:
                # Not forwarded: the gate before HAZARD.
                last = max(dst_issued, src_issued)
                valid = last + k.alu_write + k.alu_read <= cycle
                if early and (dst_distance == 1 or src_distance == 1):
                    valid = False
        oldest_forwarded = cycle - k.alu_write
        src_bank = src & BANK_BITS
        src_in_bank = valid and src_bank > 0 and src_issued < oldest_forwarded
        src_granted = src_in_bank and not reads & src_bank
        issues = False
        if early:
            older = int(s.first_bank[at + number - 1])
            issues = not early_stalls and not (reads | writes) & older & BANK_BITS
            early_stalls = False
            if issues:
                older_issued = nth_last(
                    older >> DISTANCE_AT & DISTANCE_BITS,
                    issued_1, issued_2, issued_3, issued_4, issued_5,
                )  # fmt: skip
                older_in_bank = not older & MARK and older_issued < oldest_forwarded
                if src_granted and src_distance != 1 and not (older_in_bank and src_bank & older):
                    early_stalls = dst_distance == 1 and late == 1 and not older & MARK
                    number += 1
                else:
                    early = 0
        elif valid:
            dst_in_bank = not dst & MARK and dst_issued < oldest_forwarded
            stalls = bool((reads | writes) & dst & BANK_BITS)
            if late == 1 and issued_1 == cycle - 1 and (dst_distance == 1 or src_distance == 1):
                stalls = stalls or not s.first_bank[at + number - 1] & MARK
            if src_in_bank and dst_in_bank and src_bank & dst and not src & MARK:
                stalls = True
            if src_in_bank:
                if src_granted:
                    issues = not stalls
                    early = int(stalls)
                    number += 1
            elif not stalls:
                issues = True
                number += 1
        if issues:
            issued += 1
            issued_5, issued_4, issued_3 = issued_4, issued_3, issued_2
            issued_2, issued_1 = issued_1, cycle
        cycle += 1
    return int(cycle - start - issued)


def nth_last(
    n: int, issued_1: int, issued_2: int, issued_3: int, issued_4: int, issued_5: int
) -> int:
    """When the micro-op ``n`` before was issued.

    ``NEVER`` in the past without one: for 0 there is no producer, or it is issued in this cycle.
    """
    if n == 1:
        return issued_1
    if n == 2:
        return issued_2
    if n == 3:
        return issued_3
    if n == 4:
        return issued_4
    return issued_5 if n == 5 else -NEVER
