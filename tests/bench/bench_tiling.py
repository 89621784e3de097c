"""The tiler's estimate of cycles against ``tsim``: random tilings of several shapes.

    python -m tests.bench.bench_tiling [--memory ideal|ddr] [--tilings N] [--json FILE]
    python -m tests.bench.bench_tiling --choosing
    python -m tests.bench.bench_tiling --sweep PRESET [--json FILE] [--against FILE]

With ``--choosing``: the CPU time of making each operator of the networks, its tiling chosen.
With ``--sweep``: the cycles of each different layer of :data:`SWEPT` with its default tiling, by
the timing model with both memories, on the machine of a preset; layers that it cannot hold are left
out. ``--against`` compares them with a file of an earlier sweep.
Without: for each shape the chosen tiling and random ones that fit are built, run, and compared with
the estimate for that memory. The table of docs/benchmarks.md is written anew between its markers.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from random import Random

import numpy as np

from tests.bench.bench_layers import PAGE, write
from tests.bench.networks import NETWORKS
from vta.build_module import build
from vta.compiler.ops import Requantise, conv2d
from vta.compiler.ops.conv_shape import ConvShape
from vta.compiler.ops.cost import estimate
from vta.compiler.ops.geometry import Window
from vta.compiler.ops.tiling import candidates, choose
from vta.config import VTAConfig
from vta.environment import Environment
from vta.errors import OperatorError
from vta.memory_timing import MemoryTiming
from vta.rpc import LocalSession
from vta.runtime import array, empty
from vta.sim.timing import estimate as timing

SHAPES = {
    "28x28x32-128, 1x1": (28, 32, 128, 1, 1),
    "28x28x64-64, 3x3": (28, 64, 64, 3, 1),
    "28x28x64-128, 3x3/2": (28, 64, 128, 3, 2),
    "14x14x128-128, 3x3": (14, 128, 128, 3, 1),
    "7x7x256-256, 3x3": (7, 256, 256, 3, 1),
    "56x56x64-128, 1x1/2": (56, 64, 128, 1, 2),
    "28x28x128-256, 1x1/2": (28, 128, 256, 1, 2),
    "14x14x256-512, 1x1/2": (14, 256, 512, 1, 2),
    "27x27x128-32, 1x1": (27, 128, 32, 1, 1),
    "28x28x16-64, 1x1": (28, 16, 64, 1, 1),
    "13x13x64-256, 3x3": (13, 64, 256, 3, 1),
}
"""Size, input channels, output channels, kernel, stride."""
SWEPT = ("SqueezeNet 1.1", "MobileNetV2", "ResNet-18")


def measure(device, memory: str, name: str, number: int, seed: int):
    """(tiling, estimate, cycles) of the chosen tiling, then of random ones."""
    cfg = device.cfg.replace(target="sim")
    size, inputs, outputs, kernel, stride = SHAPES[name]
    window = Window.of("conv2d", (size, size), kernel, stride, kernel // 2)
    requantise = Requantise(8, low=0)
    shape = ConvShape(1, inputs // cfg.block_in, outputs // cfg.block_out, window, 4)
    rng = np.random.default_rng(seed)
    every = candidates(shape, cfg)
    chosen = choose("conv2d", shape, cfg)
    picked = [chosen, *Random(seed).sample(every[: len(every) // 4 + number], number)]
    data = rng.integers(-128, 128, (1, inputs, size, size)).astype(np.int8)
    weights = rng.integers(-128, 128, (outputs, inputs, kernel, kernel)).astype(np.int8)
    bias = rng.integers(-9999, 9999, outputs).astype(np.int32)
    expected = None
    for tiling in picked:
        op = conv2d(
            data.shape, outputs, kernel, cfg=cfg, requantise=requantise, stride=stride,
            padding=kernel // 2, tiling=tiling,
        )  # fmt: skip
        buffers = [array(tiles, device) for tiles in op.pack(data, weights, bias)]
        out = empty(op.args[-1].shape, op.args[-1].dtype, device)
        run = build(op.schedule, op.args)(*buffers, out)
        expected = op.reference(data, weights, bias) if expected is None else expected
        np.testing.assert_array_equal(op.unpack(out.numpy()), expected)
        cost = estimate(shape, tiling, cfg, timing=MemoryTiming.of(memory))
        yield tiling, cost.cycles, run.cycle_count


def choosing() -> None:
    """Print the CPU time of each operator of the networks: tensors, tiling and schedule."""
    cfg = VTAConfig.preset("default")
    layers = {layer.work: layer for network in NETWORKS.values() for layer in network}
    seconds = {}
    for work, layer in layers.items():
        begin = time.process_time()
        layer.build(cfg)
        seconds[work] = time.process_time() - begin
    slowest = max(seconds, key=lambda work: seconds[work])
    mean = sum(seconds.values()) / len(seconds)
    print(
        f"{len(seconds)} operators: mean {mean:.2f} s, at most {seconds[slowest]:.2f} s ({slowest})"
    )


def sweep(preset: str) -> dict[str, dict[str, list[int]]]:
    """By network and layer, the cycles with `ideal` and `ddr`."""
    cfg = VTAConfig.preset(preset).replace(target="sim")
    found: dict[str, dict[str, list[int]]] = {}
    for network in SWEPT:
        layers = found[network] = {}
        for layer in NETWORKS[network]:
            if layer.work in layers:
                continue
            try:
                op = layer.build(cfg)
            except OperatorError as error:
                print(f"{network} {layer.work}: {error}", file=sys.stderr)
                continue
            with Environment(cfg):
                program = build(op.schedule, op.args, name=op.name).program
            cycles = layers[layer.work] = [timing(program, m).cycles for m in ("ideal", "ddr")]
            print(network, layer.work, *cycles, file=sys.stderr, flush=True)
    return found


def print_changes(before: dict[str, dict[str, list[int]]], now: dict[str, dict[str, list[int]]]):
    """Print the totals of each network, and the layers whose cycles changed."""
    for network, layers in now.items():
        for number, memory in enumerate(("ideal", "ddr")):
            old, new = (sum(c[number] for c in each[network].values()) for each in (before, now))
            print(
                f"{network}, {len(layers)} layers, {memory}: {old:,} {new:,} {new / old - 1:+.1%}"
            )
        for work, cycles in layers.items():
            changes = [f"{y / x - 1:+.1%}" for x, y in zip(before[network][work], cycles)]
            if before[network][work] != cycles:
                print(f"    {work}: {before[network][work]} {cycles} {' '.join(changes)}")


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--memory", action="append", choices=["ideal", "ddr"])
    parser.add_argument("--tilings", type=int, default=4, help="random ones a shape")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--shape", action="append", choices=list(SHAPES))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--choosing", action="store_true", help="the time of choosing a tiling")
    parser.add_argument("--sweep", metavar="PRESET", help="every layer of three networks")
    parser.add_argument("--against", type=Path, metavar="FILE", help="an earlier sweep's --json")
    options = parser.parse_args(arguments)
    if options.sweep:
        swept = sweep(options.sweep)
        if options.json:
            options.json.write_text(json.dumps(swept, indent=1) + "\n")
        if options.against:
            print_changes(json.loads(options.against.read_text()), swept)
        return
    if options.choosing:
        choosing()
        return
    found = []
    lines = ["| shape | memory | tilings | mean error | largest | chosen | fastest of all |",
             "|---|---|---|---|---|---|---|"]  # fmt: skip
    for memory in options.memory or ["ideal", "ddr"]:
        cfg = VTAConfig.preset("default").replace(target="tsim")
        device = LocalSession(cfg, memory_preset=memory).ext_dev(0)
        for name in options.shape or SHAPES:
            runs = list(measure(device, memory, name, options.tilings, options.seed))
            errors = [guess / cycles - 1 for _, guess, cycles in runs]
            lines.append(
                f"| {name} | `{memory}` | {len(runs)} | {np.abs(errors).mean():.1%} "
                f"| {max(errors, key=abs):+.1%} | {runs[0][2]:,} | {min(r[2] for r in runs):,} |"
            )
            print(lines[-1], file=sys.stderr, flush=True)
            for tiling, guess, cycles in runs:
                found.append(
                    {"shape": name, "memory": memory, "estimate": guess, "cycles": cycles}
                    | asdict(tiling)
                )
            if options.json:
                options.json.write_text(json.dumps(found, indent=1) + "\n")
    print("\n".join(lines))
    if not options.shape:
        write(PAGE, "tilings", "\n".join(lines))


if __name__ == "__main__":
    main(sys.argv[1:])
