"""What profiles cost: the probes of ``tsim``, the files of a network, the time to its report."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from tests.bench.networks import NETWORKS
from tests.support.compiled import run_program
from tests.support.workloads import conv2d, schedule_conv2d
from vta.build_module import build
from vta.compiler.driver import compile_func
from vta.compiler.lower.lower import lower
from vta.compiler.target import Target
from vta.config import VTAConfig
from vta.profiling import Layer, Profile
from vta.profiling.run import profile_programs
from vta.program import Program
from vta.sim.rtl.machine import VerilatedMachine

__all__ = ["files", "overhead"]

NETWORK = "SqueezeNet 1.1"
REPEATS = 3
"""Runs of which the fastest counts: other programs run on the same computer."""


def overhead(cfg: VTAConfig, memory: str) -> str:
    """CPU seconds of runs on ``tsim`` without and with probes, in Markdown."""
    machines = {
        name: VerilatedMachine(cfg, memory, active=name == "probes") for name in ("plain", "probes")
    }
    lines = ["| program | cycles | plain | with probes | more |", "|---|---:|---:|---:|---:|"]
    totals = dict.fromkeys(machines, 0.0)
    for name, program in _programs(cfg):
        inputs = [np.zeros(t.shape, t.dtype) for t in program.tensors if not t.written]
        fastest = dict.fromkeys(machines, float("inf"))
        cycles = 0
        for _ in range(REPEATS):
            for kind, machine in machines.items():
                begin = time.process_time()
                _, result = run_program(program, inputs, machine=machine, check=False)
                fastest[kind] = min(fastest[kind], time.process_time() - begin)
                cycles = int(result.cycle_count or 0)
        for kind, seconds in fastest.items():
            totals[kind] += seconds
        lines.append(_row(name, f"{cycles:,}", fastest))
    lines.append(_row("all", "", totals))
    return "\n".join(lines)


def _row(name: str, cycles: str, seconds: dict[str, float]) -> str:
    plain, probes = seconds["plain"], seconds["probes"]
    return f"| {name} | {cycles} | {plain:.2f} s | {probes:.2f} s | {probes / plain - 1:+.0%} |"


def _programs(cfg: VTAConfig) -> Iterator[tuple[str, Program]]:
    ops = conv2d()
    schedule = schedule_conv2d(ops, Target.from_config(cfg))
    yield "convolution of the tutorial", compile_func(lower(schedule, ops.args), cfg)
    for layer in list(NETWORKS[NETWORK])[:4]:
        op = layer.build(cfg)
        yield f"{NETWORK}, {layer.name}", build(op.schedule, op.args, name=op.name).program


def _network(cfg: VTAConfig) -> list[tuple[str, Program]]:
    """The convolutions of a network, each as often as the network has it."""
    found = []
    for layer in NETWORKS[NETWORK]:
        op = layer.build(cfg)
        program = build(op.schedule, op.args, name=op.name).program
        found += [(layer.name, program)] * layer.repeats
    return found


def files(cfg: VTAConfig, memory: str, target: str) -> str:
    """Sizes of the files of a network's profile and CPU seconds to each, in Markdown."""
    programs = _network(cfg)
    begin = time.process_time()
    timed = profile_programs(NETWORK, [p for _, p in programs], target=target, memory=memory)
    layers = tuple(
        Layer(name, "conv", layer.program, layer.timing, layer.causes, layer.bursts)
        for (name, _), layer in zip(programs, timed.layers)
    )
    found = Profile(NETWORK, cfg, target, memory, layers)
    seconds = time.process_time() - begin
    count = sum(program.instruction_count for _, program in programs)
    lines = [
        f"{NETWORK} on `{target}`, {memory}: {len(layers)} layers, {count:,} instructions, "
        f"{found.cycles:,} cycles; {seconds:.1f} s for the times of all instructions.", "",
        "| file | bytes | CPU time |", "|---|---:|---:|",
    ]  # fmt: skip
    with TemporaryDirectory() as folder:
        begin = time.process_time()
        paths = found.write(Path(folder) / "profile")
        whole = time.process_time() - begin
        for path in paths:
            lines.append(f"| `{path.name}` | {path.stat().st_size:,} | |")
    lines.append(f"| all | | {whole:.1f} s |")
    return "\n".join(lines)


TABLES: dict[str, Callable[[VTAConfig, str], str]] = {
    "overhead of probes": overhead,
    "files on sim": lambda cfg, memory: files(cfg, memory, "sim"),
    "files on tsim": lambda cfg, memory: files(cfg, memory, "tsim"),
}
"""By the key of the markers in docs/benchmarks.md."""
