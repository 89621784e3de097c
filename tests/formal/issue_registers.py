"""The registers of the scoreboard, compared with a log of the instructions in flight: the
invariants of an induction."""

from amaranth.hdl import Assert, Cat
from amaranth.lib.data import StructLayout, View

from tests.formal.any_access_ranges import ISA, RANGES, UNITS, reads_are_legal
from vta.hw.compute.issue_request import AccessRangesLayout, ExecutionUnit

__all__ = ["NONE", "IssueRegisters"]

NONE = ExecutionUnit.NONE.value


class IssueRegisters:
    """Assertions over ``registers``, the signals inside the issue stage by path.

    ``log``, ``oldest``, ``level``: the instructions in flight, a ring, with the index of the oldest
    and their number; ``in_flight`` and ``is_older[n]``: which entries of the log are in flight, and
    which of them are older than entry ``n``.
    ``next_valid``, ``next``, ``unit``: the next instruction, and its unit. ``depth``: entries of
    the scoreboard.
    """

    def compare_log(self, m, registers):
        """The entries of the scoreboard are those of the log."""
        layout = StructLayout({
            "valid": 1, "executing": 1, "unit": ExecutionUnit, "older_on_unit": range(self.depth),
            "finish": 1, "push_prev": 1, "push_next": 1, "ranges": AccessRangesLayout(ISA),
        })  # fmt: skip
        executing = {
            unit: Cat(
                self.in_flight[n] & ~entry.done & (entry.unit == unit.value)
                for n, entry in enumerate(self.log)
            )
            for unit in UNITS
        }
        oldest, free = registers["scoreboard.oldest"], registers["scoreboard.free"]
        m.d.comb += [Assert(self.level <= self.depth), Assert(self.oldest < self.depth)]
        for unit, name in UNITS.items():
            count = registers[f"scoreboard.executing_{name}"]
            m.d.comb += Assert(count == sum(executing[unit]))
        for n in range(self.depth):
            entry, logged = View(layout, registers[f"scoreboard.entry{n}"]), self.log[n]
            end = self.oldest + self.level
            m.d.comb += [
                Assert(oldest[n] == (self.oldest == n)),
                Assert(free[n] == ((end == n) | (end == n + self.depth))),
                Assert(entry.valid == self.in_flight[n]),
                Assert(entry.valid | ~entry.executing),
            ]
            with m.If(self.in_flight[n]):
                m.d.comb += [
                    Assert(entry.executing == ~logged.done),
                    *(
                        Assert(~mine[n] | (entry.older_on_unit == sum(mine & self.is_older[n])))
                        for mine in executing.values()
                    ),
                    Assert(~logged.done_before | logged.done),
                    Assert(logged.done | (logged.unit != NONE)),
                    Assert(entry.unit.as_value() == logged.unit),
                    Assert(entry.finish == logged.finish),
                    Assert(entry.push_prev == logged.push_prev),
                    Assert(entry.push_next == logged.push_next),
                    Assert(entry.ranges.as_value() == logged.ranges.as_value()),
                    Assert(reads_are_legal(logged.unit, logged.ranges)),
                    *(Assert(logged.ranges[name].low <= logged.ranges[name].high)
                      for name in RANGES),
                ]  # fmt: skip

    def compare_next(self, m, registers, accepted_before, hazards, executing):
        """The next request, and its dependencies."""
        inner = {
            name: registers[f"scoreboard.{name}"]
            for name in ("next_valid", "next", "dependencies_valid", "dependencies",
                         "independent", "still_executing", "older_on_next_unit")
        }  # fmt: skip
        m.d.comb += [
            Assert(inner["next_valid"] == self.next_valid),
            Assert(inner["dependencies_valid"] == accepted_before),
            Assert(inner["independent"] == ~inner["dependencies"].any()),
            Assert(~accepted_before | self.next_valid),
            Assert(~accepted_before | (registers["scoreboard.full"] == (self.level == self.depth))),
            Assert(~accepted_before | (inner["dependencies"] == hazards)),
        ]
        with m.If(self.next_valid):
            m.d.comb += [
                Assert(inner["next"] == self.next.as_value()),
                Assert(self.next.unit.as_value() == self.unit),
                Assert(accepted_before | (inner["still_executing"] == hazards & executing)),
            ]
            m.d.comb += Assert(reads_are_legal(self.unit, self.next.ranges))
            for name in RANGES:
                one = self.next.ranges[name]
                m.d.comb += Assert((one.low <= one.high) & (~one.used | (self.unit != NONE)))
        for unit, name in UNITS.items():
            with m.If(accepted_before & (self.unit == unit.value)):
                count = registers[f"scoreboard.executing_{name}"]
                m.d.comb += Assert(inner["older_on_next_unit"] == count)
