"""An issue request: an instruction, its execution unit and its access ranges; and the hazard test.

``hazards = {WAW, WAR or RAW}`` over the accumulators, and ``WAR | RAW | WAW`` over the micro-ops if
one of the two instructions is a LOAD

An access range goes from the lowest to the highest entry that an instruction accesses. A range may
be larger than the set of entries (a loop with a stride leaves holes), so a hazard may be reported
that is not there; it costs a stall and never correctness. No hazard is missed.
"""

from amaranth.hdl import Cat
from amaranth.lib import data, enum

from vta.isa import Isa

__all__ = [
    "HAZARDS",
    "AccessRangesLayout",
    "ExecutionUnit",
    "IssueRequest",
    "RangeLayout",
    "UopRangeLayout",
    "hazards_between",
    "overlap",
]


class ExecutionUnit(enum.Enum, shape=2):
    """The unit that executes an instruction."""

    LOAD = 0
    GEMM = 1
    ALU = 2
    NONE = 3
    """A NOP, which only moves tokens, or FINISH: complete when issued."""


class RangeLayout(data.StructLayout):
    """Entries ``low`` to ``high``, both included, of a memory of ``2**log_depth`` entries. Without
    ``used`` the range is empty, and ``low`` and ``high`` mean nothing."""

    def __init__(self, log_depth: int) -> None:
        self.log_depth = log_depth
        super().__init__({"used": 1, "low": log_depth, "high": log_depth})


class UopRangeLayout(data.StructLayout):
    """The micro-ops of an instruction: ``begin <= number < end``."""

    def __init__(self, log_depth: int) -> None:
        super().__init__({"begin": log_depth, "end": log_depth + 1})


class AccessRangesLayout(data.StructLayout):
    """The ranges that an instruction accesses.

    ``writes``: accumulators that are written, and read too by GEMM and ALU. ``reads``: of the ALU
    the accumulators that are only read, its second operand; of the other units, which have none,
    the same as ``writes``. ``uops``: micro-ops, which a LOAD writes and GEMM and ALU read.
    """

    def __init__(self, isa: Isa) -> None:
        acc, uop = RangeLayout(isa.cfg.log_acc_depth), RangeLayout(isa.cfg.log_uop_depth)
        super().__init__({"writes": acc, "reads": acc, "uops": uop})


class IssueRequest(data.StructLayout):
    """An instruction (``insn``, as its word), its ``unit`` and its access ``ranges``."""

    def __init__(self, isa: Isa) -> None:
        super().__init__({
            "insn": isa.memory.bits, "unit": ExecutionUnit, "ranges": AccessRangesLayout(isa),
        })  # fmt: skip


def overlap(a, b):
    """Whether two ranges (views of a :class:`RangeLayout`) have an entry in common."""
    return a.used & b.used & (a.low <= b.high) & (b.low <= a.high)


HAZARDS = 3
"""Bits of :func:`hazards_between`."""


def hazards_between(younger, younger_unit, older, older_unit):
    """The hazards of ``younger`` with ``older``, an instruction of another unit: a bit each for
    WAW on accumulators, for WAR or RAW on accumulators, and for the micro-ops. The bits are not
    combined here: the scoreboard has them in registers first, because the comparisons take most of
    a cycle.

    Only the ALU reads accumulators that it does not write, and one of the two is not the ALU: its
    ``reads`` are its ``writes``. So WAR and RAW are one comparison.

    ``younger`` and ``older`` are views of an :class:`AccessRangesLayout`. Two instructions of one
    unit need no test: a unit executes in order, and each instruction sees the results of the older
    ones.
    """
    waw = overlap(younger.writes, older.writes)
    war_or_raw = overlap(younger.reads, older.reads)
    one_is_load = (younger_unit == ExecutionUnit.LOAD) | (older_unit == ExecutionUnit.LOAD)
    uop_hazard = one_is_load & overlap(younger.uops, older.uops)
    return Cat(waw, war_or_raw, uop_hazard)
