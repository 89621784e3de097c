"""The timing model against ``tsim``: cycles of tutorials, network layers and random schedules.

    python -m tests.bench.bench_profile [--memory ideal|ddr] [--group GROUP] [--schedules N]

The group ``cost`` is what profiles cost: :mod:`tests.bench.profile_cost`. Data decides no cycle, so
all tensors are zeros. The tables of docs/benchmarks.md are written anew between their markers.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

import numpy as np

from tests.bench import profile_cost
from tests.bench.bench_layers import PAGE, write
from tests.bench.networks import NETWORKS
from tests.support.compiled import run_program
from tests.support.workloads import (
    conv2d as tutorial_conv2d,
)
from tests.support.workloads import (
    matmul,
    schedule_conv2d,
    schedule_matmul,
    schedule_vadd,
    vadd,
)
from vta.build_module import build
from vta.compiler.driver import compile_func, run_passes
from vta.compiler.lower.lower import lower
from vta.compiler.ops import Operator, Requantise, conv2d
from vta.compiler.ops.conv_shape import ConvShape
from vta.compiler.ops.geometry import Window
from vta.compiler.ops.tiling import candidates
from vta.compiler.target import Target
from vta.config import VTAConfig
from vta.program import Program
from vta.sim.rtl.machine import VerilatedMachine
from vta.sim.timing import compiled as kernels
from vta.sim.timing import estimate

GOALS = {"tutorials": 0.03, "ResNet-18": 0.03, "SqueezeNet 1.1": 0.03, "random schedules": 0.05}


@dataclass(frozen=True)
class Row:
    """A program, as the model and as ``tsim`` time it; seconds are of this computer."""

    name: str
    model: int
    tsim: int
    model_seconds: float
    tsim_seconds: float

    @property
    def error(self) -> float:
        return self.model / self.tsim - 1


def tutorials(cfg: VTAConfig) -> Iterator[tuple[str, Program]]:
    target = Target.from_config(cfg)
    for name, ops, schedule in (
        ("vector add", vadd(64, cfg.batch, cfg.block_out), schedule_vadd),
        ("blocked product", matmul(1, 64, 64, cfg.batch, cfg.block_out), None),
        ("convolution", tutorial_conv2d(), None),
    ):
        if name == "vector add":
            s = schedule(ops)
        elif name == "blocked product":
            s = schedule_matmul(ops, target, 16, 16)
        else:
            s = schedule_conv2d(ops, target)
        func = lower(s, ops.args)
        run_passes(func, target)
        yield name, compile_func(func, cfg)


def layers(network: str, cfg: VTAConfig) -> Iterator[tuple[str, Program]]:
    """The layers of a network, each shape once."""
    shapes: set[str] = set()
    for layer in NETWORKS[network]:
        if layer.work not in shapes:
            shapes.add(layer.work)
            yield layer.name, _built(layer.build(cfg))


def _built(op: Operator) -> Program:
    return build(op.schedule, op.args, name=op.name).program


def random_schedules(cfg: VTAConfig, number: int, seed: int) -> Iterator[tuple[str, Program]]:
    """Convolutions of random shapes, each with a random tiling of those that fit."""
    random = Random(seed)
    count = 0
    while count < number:
        size = random.choice((5, 7, 8, 10, 13, 14, 16, 20, 28))
        inputs, outputs = (random.choice((16, 32, 48, 64, 128)) for _ in range(2))
        kernel, stride = random.choice((1, 1, 3, 3, 5)), random.choice((1, 1, 2))
        if size * size * inputs * outputs * kernel * kernel > 40_000_000:
            continue
        window = Window.of("conv2d", (size, size), kernel, stride, kernel // 2)
        shape = ConvShape(1, inputs // cfg.block_in, outputs // cfg.block_out, window, 4)
        tilings = candidates(shape, cfg)
        tiling = tilings[random.randrange(len(tilings))]
        op = conv2d(
            (1, inputs, size, size), outputs, kernel, cfg=cfg, requantise=Requantise(8, low=0),
            stride=stride, padding=kernel // 2, tiling=tiling,
        )  # fmt: skip
        count += 1
        step = f"/{stride}" if stride > 1 else ""
        yield f"{size}x{size}x{inputs}-{outputs}, {kernel}x{kernel}{step}, {tiling}", _built(op)


def measure(name: str, program: Program, machine: VerilatedMachine, memory: str) -> Row:
    inputs = [np.zeros(t.shape, t.dtype) for t in program.tensors if not t.written]
    begin = time.process_time()
    timing = estimate(program, memory)
    middle = time.process_time()
    _, result = run_program(program, inputs, machine=machine, check=False)
    end = time.process_time()
    return Row(name, timing.cycles, int(result.cycle_count or 0), middle - begin, end - middle)


def programs(group: str, cfg: VTAConfig, number: int, seed: int) -> Iterator[tuple[str, Program]]:
    if group == "tutorials":
        return tutorials(cfg)
    if group == "random schedules":
        return random_schedules(cfg, number, seed)
    return layers(group, cfg)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--memory", action="append", choices=["ideal", "ddr"])
    parser.add_argument("--group", action="append", choices=[*GOALS, "cost"])
    parser.add_argument("--schedules", type=int, default=200, help="random ones")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    cfg = VTAConfig.preset("default")
    # The compiled kernel from the first program on.
    kernels.INTERPRETED_INSTRUCTIONS = kernels.LOADED_INSTRUCTIONS = 0
    for _, program in tutorials(cfg):
        estimate(program)
    for memory in options.memory or ["ideal", "ddr"]:
        groups = options.group or [*GOALS, "cost"]
        if "cost" in groups and memory == "ideal":
            for key, measured in profile_cost.TABLES.items():
                text = measured(cfg, memory)
                print(f"\n{key}\n{text}", flush=True)
                write(PAGE, f"profiles, {key}", text)
        machine = VerilatedMachine(cfg, memory)
        for group in (group for group in groups if group != "cost"):
            rows = []
            for name, program in programs(group, cfg, options.schedules, options.seed):
                rows.append(row := measure(name, program, machine, memory))
                print(
                    f"{memory} {group} {name}: {row.model} {row.tsim} {row.error:+.2%} "
                    f"{row.model_seconds:.3f} s {row.tsim_seconds:.3f} s",
                    file=sys.stderr, flush=True,
                )  # fmt: skip
            text = table(group, rows)
            print(f"\n{group}, {memory}\n{text}", flush=True)
            write(PAGE, f"timing model, {group}, {memory}", text)


def table(group: str, rows: list[Row]) -> str:
    """The errors in Markdown: each program, or a summary of the random schedules."""
    worst = max(rows, key=lambda row: abs(row.error))
    factor = sum(row.tsim_seconds for row in rows) / sum(row.model_seconds for row in rows)
    cycles = sum(row.tsim for row in rows)
    mean = sum(abs(row.error) for row in rows) / len(rows)
    summary = (
        f"Worst of {len(rows)}: {worst.name}, {worst.error:+.2%} (goal {GOALS[group]:.0%}); mean "
        f"of the absolute errors {mean:.2%}; {factor:,.0f} times faster than `tsim` "
        f"({cycles:,} cycles in all)."
    )
    if group == "random schedules":
        inside = sum(abs(row.error) <= GOALS[group] for row in rows)
        return f"{inside} of {len(rows)} within {GOALS[group]:.0%}. {summary}"
    lines = ["| program | model | `tsim` | error |", "|---|---:|---:|---:|"]
    lines += [f"| {r.name} | {r.model:,} | {r.tsim:,} | {r.error:+.2%} |" for r in rows]
    return "\n".join([*lines, "", summary])


if __name__ == "__main__":
    main(sys.argv[1:])
