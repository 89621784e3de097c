"""The state of the timing model, as arrays of integers: what the kernel reads and writes.

The kernel (:mod:`vta.sim.timing.kernel`) is plain Python over indexed rows. The same functions run
interpreted, over lists, and compiled by Numba, over arrays.
"""

from __future__ import annotations

from collections import namedtuple
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from vta.config import INSN_BYTES
from vta.sim.timing.constants import Constants, Pipeline
from vta.sim.timing.timing import Cause

if TYPE_CHECKING:
    import numpy.typing as npt

    from vta.config import VTAConfig
    from vta.memory_timing import MemoryTiming

__all__ = ["RING", "UNKNOWN", "WAIT_LIMIT", "State", "initial_state"]

UNKNOWN = -1
"""A cycle that is not computed yet."""
NEVER = 1 << 60
RING = 1024
"""Entries of a ring buffer, more than any queue of the machine has."""
WAIT_LIMIT = 20
"""Waits of one instruction, at most: two tokens, eight hazards, and each other cause twice."""
WAIT_FIELDS = 4
"""Cause, begin, end, source."""

# Queues of tokens, in the order of `vta.isa.tokens.TOKEN_QUEUES`.
QUEUES = 4
# Pipeline modules, and what can make progress.
LOAD_MODULE, COMPUTE_MODULE, STORE_MODULE = range(3)
# Readers of the bus, and transfer engines: fetch reads and the store engine does not. The load
# engine of the compute module is ``Constants.loader``.
FETCH, LOAD_ENGINE = range(2)
STORE_ENGINE = 0

# Scalars.
(
    NOW, DIRTY, LAST_GRANT, NEXT_GRANT, NEXT_ARBITRATION, ACCEPTED, READ_BEATS,
    WRITE_BEATS, ANSWERED, RESPONSE, SENT, STORE_BEATS,
    FETCHED, DISPATCHED_COUNT, REQUESTED, LAST_REQUEST, FETCH_LEFT, ARRIVED_HEAD, ARRIVED_TAIL,
    NEXT, NEXT_HEAD, REQUEST, ADVANCE, TAKEN, ISSUED, RETIRING, LAST_RETIRE, LOADING, LOADING_TAIL,
    UOP_LOADS, GEMMS, GEMM_STARTED, GEMM_FREE, ALU_STARTED, ALU_FREE, ALU_ACCEPTS, ALU_HEAD,
    ALU_TAIL, BOUNDS, WRITE_AT, WRITE_LEFT, WRITE_ROOM, STORE_RESPONSE, ARRIVED,
) = range(44)  # fmt: skip
SCALARS = ARRIVED + 1

# Of each module, reader, or engine: three of each.
(
    QUEUE_PUT, QUEUE_HEAD, RETIRED,
    PENDING_HEAD, PENDING_TAIL, OUT_HEAD, OUT_TAIL, OUTSTANDING, GRANT_READY,
    TRANSFER_HEAD, TRANSFER_TAIL, BUILDER_FREE, LAST_ROW, LAST_TAKEN,
    ROW_HEAD, ROW_TAIL, PLACE_HEAD, PLACE_TAIL, CURSOR, ROW_ACTIVE, WRITTEN,
    SPAN_HEAD, SPAN_TAIL, OUT_KNOWN,
) = range(24)  # fmt: skip
TRIPLES = OUT_KNOWN + 1

# Ring buffers of each reader or engine: three of each.
(
    PENDING_AT, PENDING_LEFT, PENDING_ROOM, OUT_FIRST, OUT_LAST, OUT_BEATS,
    ROW_INSN, ROW_AT, ROW_ZEROS, ROW_BURSTS, ROW_IS_LAST, PLACE, TRANSFER, OUT_CONSUMED,
) = range(0, 42, 3)  # fmt: skip
# Ring buffers of which there is one.
(
    ACCEPTED_END, ANSWERED_AT, ARRIVED_BEFORE, ARRIVED_FIRST, ARRIVED_LAST,
    GEMM_FIRST, GEMM_INSN, UOP_LOAD, BOUND_CAUSE, BOUND_END, BOUND_SOURCE,
    STORE_ROW_BEATS, STORE_ROW_ROOM, DATA_READER, DATA_READY,
) = range(42, 57)  # fmt: skip
RINGS = DATA_READY + 1

# Of each instruction.
(
    DISPATCHED, HEAD, ISSUE, START, END, RETIRE, BUSY, DONE, FIRST, LAST, ACCEPTED_AT, TAKEN_AT,
    FIRST_BEAT, ROW, WAITS,
) = range(15)  # fmt: skip
# Lists: an entry for each instruction of a module or unit, or for each token of a queue.
LEFT, RETIRED_AT, TOKEN_AT, TOKEN_SOURCE = 15, 18, 21, 25
GEMM_ACCEPT, ALU_ACCEPT, ALU_LIST, LOADER_LIST = range(29, 33)
TIMES = LOADER_LIST + 1

TOKEN_PUSHED, TOKEN_POPPED = range(2)
# The data bus: when each direction is free.
READ_FREE, WRITE_FREE, BEAT_INTERVAL, ADDRESS_INTERVAL = range(4)
WAIT_CAUSE, WAIT_BEGIN, WAIT_END, WAIT_SOURCE = range(4)

# Spans in which a direction moves beats, in order: two rows of each.
READS, WRITES = range(2)
SPAN_BEGIN, SPAN_END = 0, 2

# Fields of the work of an instruction.
(
    MODULE, UNIT, POPS, PUSHES, DECODE, WRITE_LOW, WRITE_HIGH, READ_LOW, READ_HIGH, UOP_LOW,
    UOP_HIGH, READS_UOPS, OPERATIONS, NEST, LATE, MAY_STALL, BANKS_AT, BANKS,
    ROWS, ELEMENTS, STRIDE, NBYTES, LEAD, BETWEEN, TRAIL, PER_BEAT, BEATS_EACH, DELAY, GAP, ADDRESS,
    SEQUENCE, _SEQUENCE_1, _SEQUENCE_2, POSITION,
) = range(34)  # fmt: skip
WORK_FIELDS = POSITION + 1
"""``SEQUENCE`` and the two behind it: the instructions of each module in order."""
NO_UNIT, LOAD_UNIT, STORE_UNIT, GEMM_UNIT, ALU_UNIT, LOADER_UNIT = range(6)
UNIT_NAMES = ("none", "load", "store", "gemm", "alu", "loader")

# The byte of an operand of a micro-op: a bit for its bank; from DISTANCE_AT on how many micro-ops
# before its producer is, 0 if that is further away than MOST_DISTANT; MARK.
BANK_BITS = 0x0F
DISTANCE_AT, DISTANCE_BITS, MOST_DISTANT = 4, 7, 5
MARK = 0x80
"""Destination: it is not read. Source: it is the destination."""

CAUSES = tuple(Cause)
DECODES, TOKENS, HAZARDS, UNITS, FULL, MEMORIES, BANKED = range(len(CAUSES))
"""The causes by number, in the order of :class:`Cause`."""

_PIPELINE = tuple(name for name in vars(Pipeline) if name.isupper())
_CONSTANTS = tuple(
    name for name in Constants.__annotations__ if name not in ("banks", "alu_late", "alu_periods")
)
_LIMITS = (
    "read_latency", "write_latency", "outstanding_reads", "outstanding_writes", "shared_bus",
    "count", "bus_bytes", "stream_beats", "per_insn", "per_beat",
)  # fmt: skip
_namedtuple: Any = namedtuple  # of names that are computed
Limits = _namedtuple("Limits", (*_PIPELINE, *_CONSTANTS, *_LIMITS))
"""Integers: ``Pipeline`` and ``Constants`` by their names, the memory, and of the stream the
instructions, its beats, and beats of an instruction or instructions of a beat."""


class State(NamedTuple):
    """The arrays of one run.

    Attributes
    ----------
    k : Limits
        Latencies and limits.
    work : int64, (fields of ``work``, n)
        What each instruction has to do.
    first_bank, second_bank : uint8
        For each micro-op, a bit for a bank. GEMM: read and written; ALU: destination and source,
        each a byte of an operand.
    nest_stalls : int64, (nests,)
        Stalls of a nest of the ALU beside no GEMM, once they are computed.
    value : int64, (SCALARS,)
    each : int64, (TRIPLES, 3)
    ring : int64, (RINGS, RING)
    insn : int64, (TIMES, n)
    token : int64, (2, QUEUES)
    bus : float64, (4,)
        The data bus in cycles, and its intervals.
    span : float64, (4, RING)
    wait : int64, (WAIT_FIELDS, n * WAIT_LIMIT)
    """

    k: Any
    work: Any
    first_bank: Any
    second_bank: Any
    nest_stalls: Any
    value: Any
    each: Any
    ring: Any
    insn: Any
    token: Any
    bus: Any
    span: Any
    wait: Any


def initial_state(
    cfg: VTAConfig,
    work: npt.NDArray[np.int64],
    banks: tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]],
    timing: MemoryTiming,
) -> State:
    """The state before a run of instructions with this work."""
    constants = Constants.of(cfg)
    count = work.shape[1]
    beat = cfg.bus_bytes
    k = Limits(
        **{name: getattr(Pipeline, name) for name in _PIPELINE},
        **{name: int(getattr(constants, name)) for name in _CONSTANTS},
        read_latency=timing.read_latency,
        write_latency=timing.write_latency,
        outstanding_reads=timing.outstanding_reads,
        outstanding_writes=min(timing.outstanding_writes, constants.write_bursts_in_flight),
        shared_bus=int(timing.shared_bus),
        count=count,
        bus_bytes=beat,
        stream_beats=-(-count * INSN_BYTES // beat),
        per_insn=max(1, INSN_BYTES // beat),
        per_beat=max(1, beat // INSN_BYTES),
    )
    value = np.zeros(SCALARS, np.int64)
    value[WRITE_AT] = NEVER
    value[[RESPONSE, NEXT, ADVANCE, TAKEN, ISSUED]] = -1
    value[LAST_REQUEST] = Pipeline.LAUNCH_TO_FETCH - Pipeline.CHUNK_INTERVAL
    each = np.zeros((TRIPLES, 3), np.int64)
    each[GRANT_READY] = NEVER
    each[LAST_ROW] = -Pipeline.ROW_REGISTER - 1
    each[LAST_TAKEN] = -Pipeline.DESCRIPTOR_HANDOVER
    each[PLACE_TAIL] = constants.rows_in_flight
    each[PLACE_TAIL, STORE_ENGINE] = constants.store_rows_in_flight
    insn = np.full((TIMES, count), UNKNOWN, np.int64)
    insn[ROW] = insn[WAITS] = insn[BUSY] = 0
    nest_stalls = np.full(work[NEST].max(initial=0) + 1, UNKNOWN, np.int64)
    stalled = max(timing.stall_r, timing.stall_w)
    bus = np.zeros(4)
    bus[BEAT_INTERVAL] = 1 / (timing.beat_rate * max(1 - stalled, 0.01))
    bus[ADDRESS_INTERVAL] = 1 / max(1 - timing.stall_ar, 0.01)
    return State(
        k, work, *banks, nest_stalls, value, each, np.zeros((RINGS, RING), np.int64), insn,
        np.zeros((2, QUEUES), np.int64), bus, np.zeros((4, RING)),
        np.empty((WAIT_FIELDS, count * WAIT_LIMIT), np.int64),
    )  # fmt: skip
