"""How long the compiler takes: from a tensor program to the bytes of its file, on one core.

The convolution of the tutorial, and its schedule on layers with about 10 and 100 times as many
instructions; the best of three. Run it as ``python -m tests.bench.bench_compiler``.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from time import process_time

from rich.console import Console
from rich.table import Table

from tests.support.workloads import conv2d, schedule_conv2d
from vta.compiler.codegen.codegen import generate
from vta.compiler.driver import PASSES, run_passes
from vta.compiler.lower.lower import lower
from vta.compiler.target import Target
from vta.compiler.tir.ir import PrimFunc
from vta.config import VTAConfig

CFG = VTAConfig.preset("default")
TARGET = Target.from_config(CFG)
LAYERS: dict[str, dict[str, int]] = {
    "14x14, 256 to 256": {},
    "28x42, 256 to 384": {"height": 28, "width": 42, "oc": 24},
    "84x112, 256 to 512": {"height": 84, "width": 112, "oc": 32},
}
"""Convolutions with a kernel of 3x3 and the tutorial's blocks; the first is the tutorial."""
GROUPS = {
    "nest": ("schedule", "nest"),
    "passes": tuple(PASSES),
    "codegen": ("codegen", "file"),
}
ROUNDS = 3
LIMIT = 2.0
"""Seconds that the tutorial may take."""


@dataclass
class Clock:
    """Seconds of CPU time by step."""

    steps: dict[str, float] = field(default_factory=dict)
    last: float = field(default_factory=process_time)

    def lap(self, step: str) -> None:
        now = process_time()
        self.steps[step] = self.steps.get(step, 0) + now - self.last
        self.last = now

    @property
    def total(self) -> float:
        return sum(self.steps.values())


def compile_layer(sizes: dict[str, int]) -> tuple[int, Clock]:
    """The instructions of a layer's program, and what its steps took."""
    clock = Clock()
    ops = conv2d(**sizes)
    schedule = schedule_conv2d(ops, TARGET)
    clock.lap("schedule")
    func = lower(schedule, ops.args)
    clock.lap("nest")

    def observe(_: PrimFunc, name: str, __: Target) -> None:
        clock.lap(name)

    func = run_passes(func, TARGET, observe=observe)
    program = generate(func, CFG)
    clock.lap("codegen")
    program.to_bytes()
    clock.lap("file")
    return program.instruction_count, clock


def main() -> int:
    """Print the table; 1 if the tutorial's program took too long."""
    compile_layer({})  # imports
    table = Table("convolution", "insns", *GROUPS, "all", "µs/insn")
    for column in table.columns[1:]:
        column.justify = "right"
    totals = []
    for name, sizes in LAYERS.items():
        runs = [compile_layer(sizes) for _ in range(ROUNDS)]
        count, clock = min(runs, key=lambda run: run[1].total)
        total = clock.total
        totals.append(total)
        groups = (sum(clock.steps[step] for step in steps) for steps in GROUPS.values())
        table.add_row(
            name,
            f"{count:,}",
            *(f"{seconds * 1e3:.0f} ms" for seconds in groups),
            f"{total * 1e3:.0f} ms",
            f"{total / count * 1e6:.0f}",
        )
    Console().print(table)
    return int(totals[0] > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
