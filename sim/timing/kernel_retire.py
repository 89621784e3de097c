"""What ends in time: transfers that are done, instructions that retire, and their tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vta.sim.timing.state import (
    BUSY,
    COMPUTE_MODULE,
    DIRTY,
    DONE,
    END,
    ISSUE,
    LAST_RETIRE,
    LOAD_ENGINE,
    LOAD_MODULE,
    LOADER_UNIT,
    LOADING,
    MEMORIES,
    PUSHES,
    QUEUE_HEAD,
    QUEUES,
    RETIRE,
    RETIRED,
    RETIRED_AT,
    RETIRING,
    SEQUENCE,
    START,
    STORE_MODULE,
    TOKEN_AT,
    TOKEN_PUSHED,
    TOKEN_SOURCE,
    UNIT,
    UNKNOWN,
    WAIT_BEGIN,
    WAIT_CAUSE,
    WAIT_END,
    WAIT_LIMIT,
    WAIT_SOURCE,
    WAITS,
)

if TYPE_CHECKING:
    from vta.sim.timing.state import State

__all__ = ["add_wait", "mark", "mark_engine", "push_tokens", "retire_in_order", "transfer_done"]


def mark_engine(s: State, engine: int) -> None:
    """A load engine may accept a transfer."""
    if engine == LOAD_ENGINE:
        mark(s, LOAD_MODULE)
    if engine == s.k.loader:
        mark(s, COMPUTE_MODULE)


def mark(s: State, part: int) -> None:
    """The module ``part``, or fetch behind them, may be able to continue."""
    s.value[DIRTY] |= 1 << part


def add_wait(s: State, i: int, cause: int, begin: int, end: int, source: int) -> None:
    """Instruction ``i`` waits in ``begin <= cycle < end``, for instruction ``source`` or -1."""
    count = s.insn[WAITS][i]
    at = i * WAIT_LIMIT + count
    s.wait[WAIT_CAUSE][at] = cause
    s.wait[WAIT_BEGIN][at] = begin
    s.wait[WAIT_END][at] = end
    s.wait[WAIT_SOURCE][at] = source
    s.insn[WAITS][i] = count + 1


def push_tokens(s: State, i: int, cycle: int) -> None:
    """Push the tokens of an instruction that retires."""
    pushes = s.work[PUSHES][i]
    for queue in range(QUEUES):
        if pushes >> queue & 1:
            number = s.token[TOKEN_PUSHED][queue]
            s.insn[TOKEN_AT + queue][number] = cycle
            s.insn[TOKEN_SOURCE + queue][number] = i
            s.token[TOKEN_PUSHED][queue] = number + 1
            # l2g and s2g wake the compute module
            if queue == 1:
                mark(s, LOAD_MODULE)
            elif queue == 2:
                mark(s, STORE_MODULE)
            else:
                mark(s, COMPUTE_MODULE)


def transfer_done(s: State, engine: int, i: int, first: int, last: int, busy: int) -> None:
    """A transfer is done: its first and last write, or its first beat and last response."""
    insn, each, k = s.insn, s.each, s.k
    first = min(first, last)
    begin = insn[ISSUE][i] + k.row_generator
    if first > begin:
        add_wait(s, i, MEMORIES, begin, first, -1)
    idle = last - first + 1 - busy
    if idle > 0 and busy:
        add_wait(s, i, MEMORIES, last + 1 - idle, last + 1, -1)
    insn[START][i] = first
    insn[END][i] = last
    insn[BUSY][i] = busy
    if s.work[UNIT][i] == LOADER_UNIT:
        s.value[LOADING] += 1
        insn[DONE][i] = last + k.LOAD_DONE
        retire_in_order(s)
        mark(s, COMPUTE_MODULE)
        return
    module = LOAD_MODULE if engine == LOAD_ENGINE else STORE_MODULE
    retire = last
    number = each[RETIRED][module]
    if module == STORE_MODULE:
        retire = last + k.DONE_TO_RETIRE
        if number:
            retire = max(retire, insn[RETIRED_AT + module][number - 1] + 1)
    insn[RETIRED_AT + module][number] = retire
    each[RETIRED][module] = number + 1
    insn[RETIRE][i] = retire
    push_tokens(s, i, retire)
    mark(s, module)


def retire_in_order(s: State) -> None:
    """Retire the instructions of the compute module that are done, in order."""
    value, insn, k = s.value, s.insn, s.k
    issued = s.each[QUEUE_HEAD][COMPUTE_MODULE]
    while value[RETIRING] < issued:
        i = s.work[SEQUENCE + COMPUTE_MODULE][value[RETIRING]]
        if insn[DONE][i] == UNKNOWN:
            return
        retire = max(insn[DONE][i] + k.DONE_TO_RETIRE, value[LAST_RETIRE] + 1)
        insn[RETIRE][i] = retire
        value[LAST_RETIRE] = retire
        value[RETIRING] += 1
        push_tokens(s, i, retire)
